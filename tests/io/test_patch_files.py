"""Patch files written and read back: layout, attributes, checks, mapped and converted arrays, CAVE folders."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import write_raster
from scipy.io import savemat

from fusioncli.core.tiling import Rect
from fusioncli.errors import DataError
from fusioncli.io.cave import open_cave
from fusioncli.io.patch_arrays import Stack, load_stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.io.patch_writer import PatchLayout, PatchNumbers
from fusioncli.io.patches import open_patches

NAMES = ("gt", "ms", "lms", "pan")
SHAPES = {"gt": (3, 8, 12), "ms": (3, 2, 3), "lms": (3, 8, 12), "pan": (1, 8, 12)}
FACTS = PatchFacts(
    sensor="QB",
    value_max=2047.0,
    ratio=4,
    upsampler="lanczos",
    phase=1.5,
    protocol="centred",
    bands=("blue", "green", "grün"),
    sources=("a/ms.tif", "a/pan.tif"),
    licence="public domain",
    version="fusioncli 9",
)
LAYOUT = PatchLayout(5, SHAPES, PatchNumbers("uint16", 2047.0), FACTS)


def images(count: int = 5, top: int = 2048) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(count)
    return {name: rng.integers(0, top, (count, *shape)).astype(float) for name, shape in SHAPES.items()}


def write(path: Path, samples: dict[str, np.ndarray], **options: object) -> Path:
    """A published file: float64, without attributes."""
    with h5py.File(path, "w", userblock_size=options.pop("userblock_size", 0)) as file:
        for name, image in samples.items():
            file.create_dataset(name, data=image, **options)
    return path


def stack(path: Path, name: str, value_max: float = 2047.0) -> Stack:
    return load_stack(open_patches(path, [name]), name, value_max)


# Writing ------------------------------------------------------------------------------------------


def test_a_file_is_contiguous_nchw_with_all_facts(tmp_path):
    samples = images()
    path = tmp_path / "p.h5"
    with LAYOUT.write(path, overwrite=False) as writer:
        for some in (slice(0, 2), slice(2, 5)):
            writer.append({name: image[some] for name, image in samples.items()})
    with h5py.File(path) as file:
        assert sorted(file) == sorted(NAMES)
        for name in NAMES:
            assert file[name].dtype == np.uint16
            assert file[name].chunks is None and file[name].compression is None
            assert file[name].id.get_offset() is not None
            np.testing.assert_array_equal(file[name][()], samples[name])
        assert file.attrs["licence"] == "public domain"
        assert file.attrs["value_max"] == 2047
    (found,) = open_patches(path, NAMES)
    assert found.facts == FACTS
    assert path.stat().st_size == pytest.approx(LAYOUT.bytes, abs=20_000)


def test_published_files_say_nothing_about_themselves(tmp_path):
    (found,) = open_patches(write(tmp_path / "p.h5", images()), NAMES)
    assert found.facts == PatchFacts()


def test_whole_numbers_are_rounded_and_overshoot_is_clipped():
    image = np.array([-3.2, 0.5, 1.5, 2046.6, 2047.4, 2300.0])
    np.testing.assert_array_equal(PatchNumbers("uint16", 2047).store(image), [0, 0, 2, 2047, 2047, 2047])
    kept = PatchNumbers("float32", 2047).store(image)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, np.float32([-3.2, 0.5, 1.5, 2046.6, 2047, 2047]))


@pytest.mark.parametrize(
    ("dtype", "samples", "message"),
    [("uint16", [0, 2048], "MS holds 2048, more than value_max 2047"), ("uint16", [-1, 5], "MS holds -1")],
)
def test_measurements_that_do_not_fit_are_refused(dtype, samples, message):
    with pytest.raises(DataError, match=message):
        PatchNumbers(dtype, 2047).check("MS", np.array(samples, float))
    PatchNumbers("float32", 2048).check("MS", np.array(samples, float))


def test_nothing_is_left_of_a_file_that_fails(tmp_path):
    path = tmp_path / "p.h5"
    with pytest.raises(ZeroDivisionError), LAYOUT.write(path, overwrite=False) as writer:
        writer.append({name: image[:2] for name, image in images().items()})
        _ = 1 / 0
    with pytest.raises(ValueError, match="2 of 5 patches"), LAYOUT.write(path, overwrite=False) as writer:
        writer.append({name: image[:2] for name, image in images().items()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("full_at", ["the start", "some patch"])
def test_a_disk_that_fills_up_is_an_error_of_the_place(tmp_path, full_at):
    """A limit on the size of files stands for it. HDF5 must not notice: it would be broken for the whole process."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if full_at == "the start":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with (
            pytest.raises(DataError, match=r"p\.h5 cannot be written") as caught,
            LAYOUT.write(tmp_path / "p.h5", overwrite=False) as writer,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
            writer.append(images())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "p.h5"
    path.write_text("precious")
    with pytest.raises(DataError, match="exists already"), LAYOUT.write(path, overwrite=False):
        pass
    assert path.read_text() == "precious"


# Reading ------------------------------------------------------------------------------------------


def test_our_files_are_mapped_not_read(tmp_path):
    path = tmp_path / "p.h5"
    with LAYOUT.write(path, overwrite=False) as writer:
        writer.append(images())
    gt = stack(path, "gt")
    assert gt.parts[0].dtype == np.uint16
    assert isinstance(gt.parts[0].base, np.memmap)
    assert gt.shape == SHAPES["gt"]
    np.testing.assert_array_equal(gt[3], images()["gt"][3])


@pytest.mark.parametrize("options", [{}, {"userblock_size": 512}, {"chunks": True, "compression": "gzip"}])
@pytest.mark.parametrize("dtype", ["float64", "uint16", "float32", ">u2"])
def test_any_storage_gives_the_same_numbers(tmp_path, options, dtype):
    samples = {name: image.astype(dtype) for name, image in images().items()}
    path = write(tmp_path / "p.h5", samples, **options)
    for name, image in images().items():
        found = stack(path, name)
        assert found.parts[0].dtype == ("float32" if dtype == "float32" and "chunks" not in options else "uint16")
        np.testing.assert_array_equal(found.parts[0], image)


def test_broken_numbers_stay_broken(tmp_path):
    samples = images() | {"lms": images()["lms"] + 0.25}
    lms = stack(write(tmp_path / "p.h5", samples), "lms")
    assert lms.parts[0].dtype == np.float32
    np.testing.assert_array_equal(lms.parts[0], samples["lms"])


def test_matlab_files_old_and_new(tmp_path):
    """Axes: rows, columns, bands in a v5 file; all reversed in a v7.3 file, of one sample or many."""
    gt = images()["gt"]
    savemat(tmp_path / "old.mat", {"I_GT": gt[0].transpose(1, 2, 0)})
    np.testing.assert_array_equal(stack(tmp_path / "old.mat", "gt").parts[0], gt[:1])
    one = write(tmp_path / "one.mat", {"gt": gt[0].swapaxes(1, 2)}, userblock_size=512)
    np.testing.assert_array_equal(stack(one, "gt").parts[0], gt[:1])
    many = write(tmp_path / "many.mat", {"gt": gt.swapaxes(2, 3).astype(np.uint16)}, userblock_size=512)
    np.testing.assert_array_equal(stack(many, "gt").parts[0], gt)


def test_hyperspectral_names(tmp_path):
    shapes = {"GT": (31, 8, 8), "LRHSI": (31, 2, 2), "RGB": (3, 8, 8), "HSI_up": (31, 8, 8)}
    path = write(tmp_path / "p.h5", {name: np.full((2, *shape), 0.5) for name, shape in shapes.items()})
    (found,) = open_patches(path, ("gt", "hsi", "msi", "hsi_up"))
    assert found.shapes == dict(zip(("gt", "hsi", "msi", "hsi_up"), shapes.values(), strict=True))
    assert stack(path, "msi", 1.0)[1].shape == (3, 8, 8)


def test_several_files_are_one_stack(tmp_path):
    paths = [write(tmp_path / f"{n}.h5", images(n)) for n in (3, 1, 4)]
    files = [file for path in paths for file in open_patches(path, NAMES)]
    gt = load_stack(files, "gt", 2047)
    expected = np.concatenate([images(n)["gt"] for n in (3, 1, 4)])
    assert len(gt) == 8
    np.testing.assert_array_equal([gt[n] for n in range(8)], expected)
    np.testing.assert_array_equal(np.concatenate(list(gt.chunks())), expected)
    small = write(tmp_path / "small.h5", {"gt": np.ones((2, 3, 4, 4))})
    with pytest.raises(DataError, match=r"gt is \(3, 4, 4\) in .*small.h5 and \(3, 8, 12\)"):
        load_stack([*files, *open_patches(small, ["gt"])], "gt", 2047)


def test_not_a_number_is_found(tmp_path):
    samples = images()
    samples["ms"][3, 1, 0, 2] = np.nan
    with pytest.raises(DataError, match="ms of patch 3 holds NaN") as caught:
        stack(write(tmp_path / "p.h5", samples), "ms")
    assert caught.value.exit_code == 3


def test_the_peak_is_checked_where_it_was_measured(tmp_path):
    path = write(tmp_path / "p.h5", {name: image + 2000 for name, image in images(top=100).items()})
    for name in ("gt", "ms", "pan"):
        with pytest.raises(DataError, match=f"{name} holds 209[0-9], more than value_max 2047"):
            stack(path, name)
    assert len(stack(path, "lms")) == 5


def test_empty_truncated_and_foreign_files(tmp_path):
    empty = write(tmp_path / "empty.h5", {name: image[:0] for name, image in images().items()})
    whole = write(tmp_path / "whole.h5", images())
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:5000])
    no_ms = write(tmp_path / "no_ms.h5", {name: image for name, image in images().items() if name != "ms"})
    for path, message in ((empty, "holds no sample"), (cut, "neither an HDF5"), (no_ms, "lacks ms or I_MS_LR")):
        with pytest.raises(DataError, match=message) as caught:
            open_patches(path, NAMES)
        assert caught.value.exit_code == 3


# CAVE ---------------------------------------------------------------------------------------------


def test_a_cave_folder_is_a_cube(tmp_path):
    cube = np.random.default_rng(0).integers(0, 65535, (31, 12, 10)).astype(np.uint16)
    folder = tmp_path / "beads_ms" / "beads_ms"
    folder.mkdir(parents=True)
    for number, band in enumerate(cube, 1):
        write_raster(folder / f"beads_ms_{number:02d}.png", band, driver="PNG")
    (folder / "beads_RGB.bmp").write_bytes(b"")
    for place in (folder, folder.parent):
        layer = open_cave(place)
        samples, valid = layer.read(Rect(0, 0, 12, 10))
        np.testing.assert_array_equal(samples, cube)
        assert valid is None
    (folder / "beads_ms_07.png").unlink()
    with pytest.raises(DataError, match="30 of the 31 bands"):
        open_cave(folder)
