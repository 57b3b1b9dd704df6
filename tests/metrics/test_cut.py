"""Cutting a scene: cores cover it once, obey the alignment, and say which windows are theirs."""

from __future__ import annotations

import numpy as np
import pytest

from fusioncli.core.tiling import Rect
from fusioncli.metrics.cut import Cut


@pytest.mark.parametrize(("side", "align", "halo"), [(32, 32, 0), (40, 1, 5), (7, 32, 3), (64, 16, 16), (500, 1, 2)])
def test_cores_cover_the_scene_once(side: int, align: int, halo: int) -> None:
    seen = np.zeros((101, 67), int)
    for cut in Cut.whole(101, 67).pieces(side, align, halo):
        rows, cols = cut.core.slices(cut.scene)
        seen[rows, cols] += 1
        assert cut.core.row0 % align == cut.core.col0 % align == 0
        assert min(cut.core.height, cut.core.width) >= align
        assert cut.read == Rect(
            max(0, rows.start - halo), max(0, cols.start - halo), min(101, rows.stop + halo), min(67, cols.stop + halo)
        )
        assert len(list(cut.pieces(side, align, halo))) == 1
    assert (seen == 1).all()


def test_a_scene_smaller_than_the_alignment_is_one_piece() -> None:
    assert list(Cut.whole(20, 9).pieces(8, 32, 4)) == [Cut(Rect(0, 0, 20, 9), Rect(0, 0, 20, 9), 4)]


@pytest.mark.parametrize("core", [(8, 0, 64, 64), (0, 0, 40, 64), (64, 0, 70, 64)])
def test_misaligned_cores_are_refused(core: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="grid of 32 px"):
        list(Cut(Rect(0, 0, 70, 64), Rect(*core)).pieces(32, 32, 0))


def test_a_halo_that_was_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="halo of 5 px"):
        list(Cut(Rect(0, 0, 90, 90), Rect(0, 0, 45, 90), 4).pieces(32, 1, 5))


@pytest.mark.parametrize("size", [3, 4, 11, 32])
def test_every_window_has_one_owner(size: int) -> None:
    owners = np.zeros((50 - size + 1, 61 - size + 1), int)
    for cut in Cut.whole(50, 61).pieces(13, 1, size // 2):
        owned = cut.windows(size)
        if owned is not None:
            origin = cut.read.row0, cut.read.col0
            rows, cols = (slice(axis.start + o, axis.stop + o) for axis, o in zip(owned, origin, strict=True))
            assert owned[0].stop <= cut.read.height - size + 1
            assert owned[1].stop <= cut.read.width - size + 1
            owners[rows, cols] += 1
    assert (owners == 1).all()


def test_a_scene_without_room_for_a_window_owns_none() -> None:
    assert Cut.whole(31, 100).windows(32) is None
