"""What a user asks of `fusion simulate`, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fusioncli.errors import UsageError
from fusioncli.io.files import check_writable
from fusioncli.io.patch_writer import PATCH_TYPES
from fusioncli.io.scene import PairRequest
from fusioncli.workflows.evaluate.peak import Peak
from fusioncli.workflows.simulate.areas import Cutting


@dataclass(frozen=True)
class PatchOutput:
    """What to write.

    Attributes:
        path: the training patches.
        validation: the validation patches, or None for none.
        overwrite: replace existing files.
        dtype: one of `PATCH_TYPES`, or None: whole numbers for scenes of whole numbers.
        peak: largest DN of the data, or None to take it from files or sensor.
        licence: of the imagery, in the user's words.
    """

    path: Path
    validation: Path | None = None
    overwrite: bool = False
    dtype: str | None = None
    peak: Peak | None = None
    licence: str = ""

    def number_type(self, kinds: Sequence[str]) -> str:
        """How samples are stored, given the types of the scenes.

        Raises:
            UsageError: unknown type.
        """
        if self.dtype is not None and self.dtype.lower() not in PATCH_TYPES:
            raise UsageError(f"patches cannot be stored as {self.dtype}", f"choose --dtype {' or '.join(PATCH_TYPES)}")
        whole = all(kind in ("uint8", "uint16") for kind in kinds)
        return (self.dtype or ("uint16" if whole else "float32")).lower()

    def check(self) -> None:
        """Refuse before any work what would fail after it.

        Raises:
            DataError: a file exists (without overwrite), or its folder cannot be written to.
            UsageError: unknown type, or one name for both files.
        """
        self.number_type([])
        if len({path.resolve() for path in self.paths}) < len(self.paths):
            raise UsageError(f"{self.path} cannot hold training and validation patches", "name two files")
        for path in self.paths:
            check_writable(path, self.overwrite, 0)

    @property
    def paths(self) -> list[Path]:
        """Files that will be written."""
        return [self.path] if self.validation is None else [self.path, self.validation]


@dataclass(frozen=True)
class SceneRequest:
    """Patches of real pairs.

    Attributes:
        pairs: the files of each.
        output: what to write.
        cutting: how.
        sensor: name of a sensor preset, or None to guess.
        protocol: "centred" or "toolbox".
        coregister: measure the shift between MS and PAN and take it out.
        ratio: of cubes whose pixels are as large as those of the sharper image: how far they are degraded; otherwise
            None, or the pair's own.
        threads: workers.
    """

    pairs: Sequence[PairRequest]
    output: PatchOutput
    cutting: Cutting = field(default_factory=Cutting)
    sensor: str | None = None
    protocol: str = "centred"
    coregister: bool = False
    ratio: int | None = None
    threads: int = 1


@dataclass(frozen=True)
class CubeRequest:
    """Patches of hyperspectral scenes.

    Attributes:
        cubes: raster files of many bands, or folders of CAVE scenes.
        responses: file of the spectral responses of the MSI.
        ratio: truth pixels per HSI pixel.
        output: what to write.
        cutting: how.
        sensor: name of a sensor preset for the MTF, or None for the generic one.
        protocol: "centred", "toolbox" or "uestc".
        nodata: value to take as missing, instead of what files declare.
        threads: workers.
    """

    cubes: Sequence[str]
    responses: Path
    ratio: int
    output: PatchOutput
    cutting: Cutting = field(default_factory=Cutting)
    sensor: str | None = None
    protocol: str = "centred"
    nodata: float | None = None
    threads: int = 1
