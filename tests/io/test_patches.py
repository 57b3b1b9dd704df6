"""Test patches: three storage orders, two families of names, one result."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fusioncli.errors import DataError
from fusioncli.io.patches import open_patches

OURS = {"gt": "gt", "ms": "ms", "lms": "lms", "pan": "pan"}
MATLAB = {"gt": "I_GT", "ms": "I_MS_LR", "lms": "I_MS", "pan": "I_PAN"}


def sample(seed: int) -> dict[str, np.ndarray]:
    """Non-square (bands, h, w) images, so that no exchange of axes goes unseen."""
    rng = np.random.default_rng(seed)
    shapes = {"gt": (3, 24, 32), "ms": (3, 6, 8), "lms": (3, 24, 32), "pan": (1, 24, 32)}
    return {name: rng.integers(1, 2047, shape).astype(float) for name, shape in shapes.items()}


def write_h5(path: Path, samples: list[dict[str, np.ndarray]], **attrs: object) -> Path:
    with h5py.File(path, "w") as file:
        for name in samples[0]:
            file[name] = np.stack([each[name] for each in samples])
        file.attrs.update(attrs)
    return path


def hwc(image: np.ndarray) -> np.ndarray:
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def write_mat(path: Path, images: dict[str, np.ndarray], names: dict[str, str]) -> Path:
    savemat(path, {names[name]: hwc(image) for name, image in images.items()})
    return path


def write_mat73(path: Path, images: dict[str, np.ndarray]) -> Path:
    """Matlab's v7.3 is HDF5 with the axes in reverse order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, image in images.items():
            file[MATLAB[name]] = hwc(image).T
    return path


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def test_every_storage_order_gives_the_same_images(tmp_path: Path) -> None:
    images = [sample(0), sample(1)]
    (h5,) = open_patches(write_h5(tmp_path / "a.h5", images), ("gt", "ms", "pan"))
    assert h5.count == 2
    assert h5.shapes["pan"] == (1, 24, 32)
    assert all(same(h5.sample(i), images[i]) for i in range(2))
    for path in (
        write_mat(tmp_path / "b.mat", images[1], MATLAB),
        write_mat(tmp_path / "c.mat", images[1], OURS),
        write_mat73(tmp_path / "d.mat", images[1]),
    ):
        (mat,) = open_patches(path, ("gt", "ms", "pan"))
        assert mat.count == 1
        assert mat.shapes["ms"] == (3, 6, 8)
        assert same(mat.sample(0), images[1]), path


def test_folder_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        write_mat(tmp_path / f"Test_{number}.mat", sample(number), OURS)
    (tmp_path / "readme.txt").write_text("not a patch")
    files = open_patches(tmp_path, ("ms", "pan"))
    assert [file.path.stem for file in files] == ["Test_1", "Test_9", "Test_10"]


def test_stated_peak(tmp_path: Path) -> None:
    (file,) = open_patches(write_h5(tmp_path / "a.h5", [sample(0)], value_max=1023), ("ms", "pan"))
    assert file.value_max == 1023
    (file,) = open_patches(write_h5(tmp_path / "b.h5", [sample(0)]), ("ms", "pan"))
    assert file.value_max is None


def test_unusable_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text.mat"
    text.write_text("hello")
    without = {name: image for name, image in sample(0).items() if name != "pan"}
    cases = {
        "no such file": tmp_path / "none.h5",
        "holds no .h5 or .mat": empty,
        "neither an HDF5 nor a Matlab file": text,
        "lacks pan or I_PAN; it holds gt, lms, ms": write_h5(tmp_path / "half.h5", [without]),
    }
    for message, path in cases.items():
        with pytest.raises(DataError, match=message):
            open_patches(path, ("ms", "pan"))


def test_different_numbers_of_samples(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", [sample(0), sample(1)])
    with h5py.File(path, "a") as file:
        del file["pan"]
        file["pan"] = np.ones((3, 1, 24, 32))
    with pytest.raises(DataError, match=r"\[2, 3\] samples"):
        open_patches(path, ("ms", "pan"))
