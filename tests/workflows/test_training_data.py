"""Order, crops and orientations are pure functions; batches hold the right pixels in the right units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fusioncli.io.patch_arrays import Stack
from fusioncli.io.patch_facts import PatchFacts
from fusioncli.workflows.training_data import PatchSet, augment, sample_order

RATIO, COUNT = 4, 12
PAN_NAMES = ("gt", "ms", "lms", "pan")


@dataclass(frozen=True)
class Pick:
    epoch: int
    index: int


def patch_set(**options: object) -> PatchSet:
    """Patches whose pixels say where they are: 1000 x patch + position of the MS pixel, the same in all images."""
    rows, cols = np.mgrid[0:6, 0:6]
    cells = (1000 * np.arange(COUNT)[:, None, None] + 6 * rows + cols).astype(np.uint16)
    fine = cells.repeat(RATIO, 1).repeat(RATIO, 2)
    images = {"gt": fine, "ms": cells, "lms": fine, "pan": fine}
    stacks = {
        name: Stack((image[:5, None].repeat(2, 1), image[5:, None].repeat(2, 1))) for name, image in images.items()
    }
    settings = {"ratio": RATIO, "seed": 1, "crop_px": 16, "augmented": True} | options
    return PatchSet(stacks, PatchFacts(value_max=16383.0), **settings)


def dn(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 16383).astype(int)


def test_order_is_a_permutation_that_depends_on_seed_and_epoch_only():
    orders = {(seed, epoch): sample_order(seed, epoch, 500) for seed in range(3) for epoch in range(3)}
    for order in orders.values():
        np.testing.assert_array_equal(np.sort(order), np.arange(500))
    assert len({tuple(order) for order in orders.values()}) == 9
    np.testing.assert_array_equal(sample_order(2, 1, 500), orders[2, 1])


def split_mix(*numbers: int) -> int:
    """The hash in plain integers."""
    bits = numbers[0]
    for number in numbers[1:]:
        bits = (bits + number + 1) * 0x9E3779B97F4A7C15 % 2**64
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
        bits ^= bits >> 31
    return bits


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 3), (2**63 + 5, 1000)])
def test_order_is_the_same_on_every_machine(seed, epoch):
    """A run that moves to other hardware or another numpy goes on in the same order."""
    order = sorted(range(300), key=lambda index: split_mix(seed, 0, epoch, index))
    assert sample_order(seed, epoch, 300).tolist() == order


def test_places_in_the_order_are_uniform():
    """Where patch 0 lands over many epochs, and which patch follows it."""
    orders = np.array([sample_order(5, epoch, 10) for epoch in range(4000)])
    places = np.bincount((orders == 0).argmax(1), minlength=10)
    follows = np.bincount(
        [order[(place + 1) % 10] for order, place in zip(orders, (orders == 0).argmax(1), strict=True)]
    )
    assert (np.abs(places - 400) < 90).all()
    assert (np.abs(follows[1:] - 444) < 95).all()


def test_all_eight_orientations_occur_alike_in_all_images():
    square = np.arange(16.0).reshape(1, 4, 4)
    eight = [np.rot90(image, turns, (1, 2)) for image in (square, square[:, :, ::-1]) for turns in range(4)]
    counts = np.zeros(8, int)
    for index in range(1600):
        turned = augment({"gt": square, "pan": square * 10}, 3, 2, index)
        np.testing.assert_array_equal(turned["pan"], turned["gt"] * 10)
        counts[[np.array_equal(turned["gt"], each) for each in eight].index(True)] += 1
    assert (np.abs(counts - 200) < 60).all()


def test_batches_are_orientated_as_single_samples_are():
    data = patch_set(crop_px=24)
    for pick in (Pick(0, 3), Pick(5, 11), Pick(2, 0)):
        batch = data.batch([pick])
        whole = {name: stack[pick.index] for name, stack in data.stacks.items()}
        for name, image in augment(whole, 1, pick.epoch, pick.index).items():
            np.testing.assert_array_equal(dn(batch[name][0]), image)


def test_images_of_a_batch_show_the_same_place():
    data = patch_set()
    picks = [Pick(epoch, int(index)) for epoch in range(6) for index in data.order(epoch)]
    batch = data.batch(picks)
    assert {name: image.shape for name, image in batch.items()} == {
        name: (72, 2, *((4, 4) if name == "ms" else (16, 16))) for name in PAN_NAMES
    }
    assert all(image.dtype == np.float32 for image in batch.values())
    for name in ("gt", "lms", "pan"):
        np.testing.assert_array_equal(batch[name][..., ::RATIO, ::RATIO], batch["ms"])
    corners = dn(batch["ms"]).min((1, 2, 3))
    np.testing.assert_array_equal(corners // 1000, [pick.index for pick in picks])
    assert {corner % 1000 for corner in corners} == {6 * row + col for row in range(3) for col in range(3)}


def test_batches_do_not_depend_on_how_picks_are_shared():
    """One process, or each of three a third: the same patches."""
    data = patch_set()
    picks = [Pick(1, int(index)) for index in data.order(1)]
    together = data.batch(picks)
    shares = [data.batch(picks[rank * 4 : rank * 4 + 4]) for rank in range(3)]
    for name in PAN_NAMES:
        np.testing.assert_array_equal(together[name], np.concatenate([share[name] for share in shares]))
    again = data.batch(picks)
    np.testing.assert_array_equal(together["gt"], again["gt"])
    other_epoch = data.batch([Pick(2, pick.index) for pick in picks])
    assert not np.array_equal(together["gt"], other_epoch["gt"])


def test_without_augmentation_patches_are_only_cropped():
    batch = patch_set(augmented=False).batch([Pick(epoch, 4) for epoch in range(30)])
    cells = dn(batch["ms"])[:, 0]
    assert (np.diff(cells, axis=2) == 1).all()
    assert (np.diff(cells, axis=1) == 6).all()


def test_whole_patches_are_in_order_and_in_units_of_the_peak():
    data = patch_set()
    batch = data.whole(range(3, 9))
    assert len(data) == COUNT
    assert batch["gt"].shape == (6, 2, 24, 24)
    np.testing.assert_array_equal(dn(batch["ms"])[:, 0, 0, 0], 1000 * np.arange(3, 9))
    assert batch["gt"].max() == pytest.approx((8000 + 35) / 16383, rel=1e-6)


def test_the_digest_sees_every_pixel_and_the_facts():
    one, same, other, stated = (patch_set() for _ in range(4))
    other.stacks["lms"].parts[1][6, 1, 23, 23] += 1
    facts = PatchSet(stated.stacks, PatchFacts(value_max=2047.0), RATIO, 1, 16)
    assert one.digest == same.digest
    assert len({one.digest, other.digest, facts.digest}) == 3
