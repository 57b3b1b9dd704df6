"""Patch files of drawn scenes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from fusioncli.errors import UsageError
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchLayout, PatchNumbers
from fusioncli.workflows.simulate.drawing import Drawing, DrawingRequest, draw_scenes, plan_drawing
from fusioncli.workflows.simulate.request import PatchOutput
from fusioncli.workflows.simulate.write import SimulationReport
from fusioncli.workflows.workers import Progress


@dataclass(frozen=True)
class SyntheticRequest:
    """Patches of drawn scenes.

    Attributes:
        output: what to write; validation patches come from scenes of their own.
        scenes: how many are drawn.
        drawing: what they are; its `value_max` is that of the output.
        processes: that draw at a time.
    """

    output: PatchOutput
    scenes: int
    drawing: DrawingRequest = field(default_factory=DrawingRequest)
    processes: int = 1


@dataclass(frozen=True)
class SyntheticPlan:
    """A job that has passed every check.

    Attributes:
        request: what was asked.
        drawing: the scenes.
    """

    request: SyntheticRequest
    drawing: Drawing

    @property
    def facts(self) -> PatchFacts:
        """What the files say."""
        request, drawing = self.request, self.request.drawing
        scenes = f"{request.scenes} scenes of {drawing.size_px} px, seed {drawing.seed}"
        facts = self.drawing.facts
        return replace(facts, sources=(scenes,), licence=request.output.licence or facts.licence)

    @property
    def validation_scenes(self) -> int:
        """The last ones."""
        if self.request.output.validation is None:
            return 0
        return max(1, round(self.request.drawing.cutting.validation_share * self.request.scenes))

    @property
    def training_scenes(self) -> int:
        """The others."""
        return self.request.scenes - self.validation_scenes

    def layout(self, scenes: int) -> PatchLayout:
        """Of the file that holds the patches of so many scenes."""
        numbers = PatchNumbers(self.request.output.number_type(["uint16"]), self.drawing.value_max)
        return PatchLayout(scenes * len(self.drawing.patches), self.drawing.shapes, numbers, self.facts)


def plan_synthetic(request: SyntheticRequest) -> SyntheticPlan:
    """Check everything that can be checked before a scene is drawn.

    Raises:
        DataError: a file exists (without overwrite) or cannot be written.
        UsageError: unknown or unfit sensors, sizes that do not fit, too few scenes.
    """
    request.output.check()
    peak = request.output.peak
    plan = SyntheticPlan(request, plan_drawing(replace(request.drawing, value_max=peak.value if peak else None)))
    if plan.training_scenes < 1:
        raise UsageError(
            f"{request.scenes} scenes leave none to train on beside {plan.validation_scenes} for validation",
            "draw more --scenes, or lower --validation-share",
        )
    return plan


def write_synthetic(plan: SyntheticPlan, progress: Progress) -> SimulationReport:
    """Draw the scenes and write their patches, in the same order on any number of processes.

    Raises:
        DataError: a file exists (without overwrite), or the disk is full.
    """
    output, last, processes = plan.request.output, plan.training_scenes, plan.request.processes
    numbers = [range(last), range(last, plan.request.scenes)]
    files: dict[Path, int] = {}
    for path, some in zip(output.paths, numbers, strict=False):
        layout = plan.layout(len(some))
        with layout.write(path, output.overwrite) as writer:
            for images in draw_scenes(plan.drawing, some, processes, f"drawing {path.name}", progress):
                writer.append(images)
        files[path] = layout.count
    return SimulationReport(files, 0)
