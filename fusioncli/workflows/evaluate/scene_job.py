"""What the evaluations of a pair have in common: its files, its sensor, its peak, and the facts that they state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fusioncli.core.sensors import Sensor
from fusioncli.io.scene import ScenePair, open_pair
from fusioncli.ops.sampling import Sampling
from fusioncli.workflows.evaluate.measure import Yardstick
from fusioncli.workflows.evaluate.peak import Peak, find_peak
from fusioncli.workflows.evaluate.request import PairEvaluation
from fusioncli.workflows.plan import choose_sensor
from fusioncli.workflows.workers import Progress


@dataclass(frozen=True)
class SceneJob:
    """An opened pair.

    Attributes:
        request: what was asked.
        pair: the aligned scene.
        sensor: figures for its bands.
        peak: largest value of its MS, DN.
        notes: what the user should know.
    """

    request: PairEvaluation
    pair: ScenePair
    sensor: Sensor
    peak: Peak
    notes: tuple[str, ...]

    @classmethod
    def open(cls, request: PairEvaluation) -> SceneJob:
        """Open and align the pair, and find out what took it.

        Raises:
            DataError: unusable files.
            UsageError: unknown sensor, or a peak that nobody states.
        """
        pair = open_pair(request.pair)
        sensor, note = choose_sensor(request.sensor, pair, request.mtf_gain)
        peak = find_peak(request.settings.peak, pair.ms.files[0], sensor)
        return cls(request, pair, sensor, peak, tuple(filter(None, (*pair.notes, note, peak.note))))

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel."""
        return self.pair.alignment.ratio

    @property
    def sampling(self) -> Sampling:
        """The protocol's operators between the grids of the pair."""
        alignment = self.pair.alignment
        return self.request.settings.protocol.sampling(alignment.ratio, alignment.mean_gsd_ratio)

    def facts(self, mode: str, border_px: int) -> dict[str, Any]:
        """What every output states."""
        gain = None if self.request.mtf_gain is None else self.sensor.ms_mtf[0]
        scene = {"sensor": self.sensor.name, "mtf_gain": gain, "grid": str(self.pair.alignment.verdict)}
        return self.request.settings.facts(mode, self.ratio, border_px, self.peak) | scene

    def yardstick(self, suite: str, progress: Progress) -> Yardstick:
        """A suite for this pair."""
        return self.request.settings.yardstick(suite, self.ratio, self.peak, progress)
