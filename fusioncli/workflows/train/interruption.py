"""Ctrl-C, or the SIGTERM of a batch system: finish the step, write a checkpoint, then leave."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Interruption:
    """Whether somebody asked the run to leave.

    Attributes:
        asked: set by the first signal; the second Ctrl-C does not wait, except in processes that were started in
            several, which get every Ctrl-C twice: from the terminal and from their starter.
    """

    asked: bool = False


@contextmanager
def listen_for_interruption() -> Iterator[Interruption]:
    """Take note of signals instead of dying of them; outside the main thread, where none arrive, of nothing."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def take_note(number: int, _: object) -> None:
        if interruption.asked and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        interruption.asked = True

    before = {number: signal.signal(number, take_note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
