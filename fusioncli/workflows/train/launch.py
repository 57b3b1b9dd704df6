"""Start a run: in this process, as one of those that torchrun or SLURM started, or in several that we start."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import MutableMapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

from fusioncli.errors import DataError, FusionError, UsageError
from fusioncli.workflows.train.events import Event, Listener
from fusioncli.workflows.train.request import TrainReport, TrainRequest
from fusioncli.workflows.train.run import run

_PORT = 29500  # torch's own default
_PORTS = 1000  # jobs that share a node get different ones
_CHATTY = ("torch.distributed.elastic", "torch.distributed.elastic.agent.server.api")
_ERRORS: dict[str, type[FusionError]] = {kind.__name__: kind for kind in (FusionError, DataError, UsageError)}


def train(request: TrainRequest, listener: Listener, *then: TrainRequest) -> TrainReport | None:
    """Train as a recipe says.

    Under `torchrun`, or in a SLURM step of several tasks, this process joins the others, one per device, and
    `request.devices` is not looked at.

    Args:
        request: the run, or its first stage.
        listener: told about everything that happens.
        then: the stages that follow, on the same devices.

    Returns:
        What came out of the last stage; None in a process that does not lead.

    Raises:
        DataError, UsageError, KeyboardInterrupt: as `run`.
    """
    adopt_slurm(os.environ)
    if "RANK" in os.environ or request.devices == 1:
        return run((request, *then), listener)
    return _launch((request, *then), listener)


def adopt_slurm(environment: MutableMapping[str, str]) -> None:
    """Say in torch's words what SLURM says in its own; nothing, where torchrun has spoken or there is one task."""
    tasks = int(environment.get("SLURM_NTASKS", "1"))
    if "RANK" in environment or tasks == 1 or "SLURM_PROCID" not in environment:
        return
    port = _PORT + int(environment.get("SLURM_JOB_ID", "0")) % _PORTS
    per_node = re.match(r"\d+", environment.get("SLURM_TASKS_PER_NODE", str(tasks)))
    said = {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": str(tasks),
        "LOCAL_RANK": environment.get("SLURM_LOCALID", "0"),
        "LOCAL_WORLD_SIZE": per_node.group() if per_node else "1",
        "MASTER_ADDR": first_host(environment.get("SLURM_JOB_NODELIST", "localhost")),
        "MASTER_PORT": str(port),
    }
    for name, value in said.items():
        environment.setdefault(name, value)


def first_host(nodes: str) -> str:
    """The first name of a SLURM list of nodes: "gpu[03-07,12],fat1" gives "gpu03"."""
    found = re.match(r"([^\[,]+)(?:\[(\w+)[^\]]*\]([^,\[]*))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes


def _launch(requests: Sequence[TrainRequest], listener: Listener) -> TrainReport | None:
    """Start the processes, pass on what the leading one tells, and raise what any of them raised."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=requests[0].devices,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
        local_addr="localhost",
    )
    for logger in _CHATTY:
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # what matters is raised
    events = get_context("spawn").SimpleQueue()
    speaker = Thread(target=_pass_on, args=(events, listener), daemon=True)
    speaker.start()
    with tempfile.TemporaryDirectory(prefix="fusion-train-") as folder:
        try:
            reports = elastic_launch(config, _work)(requests, events, folder)
        except ChildFailedError as error:
            raise _cause(Path(folder), error) from error
        except SignalException as error:  # passed on to the processes, which have written a checkpoint
            raise KeyboardInterrupt from error
        finally:
            events.put(None)
            speaker.join()
    return reports[0]


def _work(
    requests: Sequence[TrainRequest],
    events: Any,  # noqa: ANN401 - SimpleQueue
    folder: str,
) -> TrainReport | None:
    """Body of a started process; an error that the user can mend is left in `folder` for the starter."""
    try:
        return run(requests, events.put)
    except FusionError as error:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
        text = json.dumps({"kind": kind, "message": error.message, "hint": error.hint})
        Path(folder, f"{os.environ['RANK']}.json").write_text(text, encoding="utf-8")
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt:
        Path(folder, "interrupted").touch()
        raise SystemExit(130) from None


def _pass_on(events: Any, listener: Listener) -> None:  # noqa: ANN401 - SimpleQueue
    event: Event | None
    while (event := events.get()) is not None:
        listener(event)


def _cause(folder: Path, error: Exception) -> BaseException:
    """What made a process leave."""
    if (folder / "interrupted").exists():
        return KeyboardInterrupt()
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        return _ERRORS[told["kind"]](told["message"], told["hint"])
    return error
