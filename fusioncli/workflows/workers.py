"""Independent pieces of work on a few threads, results in order: the one loop behind every streamed job."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

Progress = Callable[[str, int, int], None]
"""Called with a stage name, steps done and steps in all."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    stage: str, items: Sequence[_Item], work: Callable[[_Item], _Result], threads: int, progress: Progress
) -> Iterator[_Result]:
    """Work through items on several threads: results in order, few in flight, the first error raised.

    Every item is computed by a single-threaded worker, so that its bits do not depend on how many there are.

    Args:
        stage: name for the progress.
        items: what to work on.
        work: called in a worker thread.
        threads: number of workers.
        progress: told after every item.
    """
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fusion")
    pending: deque[Future[_Result]] = deque()
    upcoming = iter(items)
    try:
        for done in range(len(items)):
            progress(stage, done, len(items))
            pending.extend(pool.submit(work, item) for item in islice(upcoming, threads + 1 - len(pending)))
            yield pending.popleft().result()
        progress(stage, len(items), len(items))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
