"""A fusion job with a network that is fitted to the job's own scene first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fusioncli.errors import UsageError
from fusioncli.io.scene import open_pair
from fusioncli.models.catalogue import AUTO, REFINER, WEIGHTS_SUFFIX
from fusioncli.models.registry import packaged_weights
from fusioncli.workflows.auto import base_of
from fusioncli.workflows.finetune import FinetuneReport, finetune
from fusioncli.workflows.finetune_request import Effort, FinetuneRequest, check_kept
from fusioncli.workflows.requests import FuseRequest
from fusioncli.workflows.train.events import Listener


@dataclass(frozen=True)
class Adaptation:
    """What is learned before a job is done.

    Attributes:
        job: with the network as it is.
        request: of the adapter, which is kept in the folder of the run until the job is done: an interrupted job takes
            up where it was left, be it in learning or in fusing.
        save_to: where the adapter goes in the end, or None.
    """

    job: FuseRequest
    request: FinetuneRequest
    save_to: Path | None

    def learn(self, listener: Listener) -> FinetuneReport:
        """Make the adapter; see `finetune`."""
        self.request.folder.mkdir(exist_ok=True)
        return finetune(self.request, listener)

    def job_after(self, report: FinetuneReport) -> FuseRequest:
        """The job with the adapter."""
        method = replace(self.job.method, name="auto", weights=self.request.base, adapter=report.path)
        return replace(self.job, method=method)

    def finish(self) -> None:
        """Keep the adapter, if somebody wants it, and delete the folder of the run."""
        self.request.finish(self.request.output, self.save_to)


def plan_adaptation(job: FuseRequest, effort: Effort, save_to: Path | None) -> Adaptation:
    """Plan it; writes nothing.

    Args:
        job: with a network; without any, the packaged one for any sensor is taken.
        effort: how long to learn.
        save_to: where to keep the adapter, or None.

    Raises:
        UsageError: the job's method is no network with weights.
        DataError: the adapter cannot be written.
    """
    method, path = job.method, job.output.path
    base = base_of(method.name, method.weights)
    if base is None and method.name in (AUTO, REFINER):
        base = packaged_weights(open_pair(job.pair).alignment.ratio)
        job = replace(job, method=replace(method, weights=base))
    if base is None or method.adapter is not None:
        hint = "leave out --method and --adapter, or give a network: --weights FILE.safetensors"
        raise UsageError("--adapt fits a trained network to the scene, and there is none", hint)
    check_kept(save_to, "--save-adapter", job.output.overwrite)
    folder = path.with_name(path.name + ".adapt")
    request = FinetuneRequest(
        (job.pair,),
        base,
        folder / f"adapter{WEIGHTS_SUFFIX}",
        folder,
        overwrite=True,
        effort=effort,
        sensor=method.sensor,
        coregister=method.coregister,
        device=job.resources.device,
        threads=job.resources.threads,
        mtf_gain=method.mtf_gain,
    )
    return Adaptation(job, request, save_to)
