"""Which pixels of a window count."""

import torch

from fusioncli.models.contract import Window


def window(valid=None):
    pan = torch.arange(16.0 * 24).view(1, 1, 16, 24)
    ms = torch.stack([torch.arange(4.0 * 6).view(4, 6), -torch.arange(4.0 * 6).view(4, 6)])[None]
    return Window(ms, pan, valid, (slice(4, 12), slice(8, 20)), 4)


def test_the_margin_does_not_count():
    counted = window().counted(window().pan, -window().pan)
    assert counted.shape == (2, 8 * 12)
    assert counted[0, 0] == 4 * 24 + 8
    assert torch.equal(counted[0], -counted[1])
    small = window().counted_ms(window().ms)
    assert small.shape == (2, 2 * 3)
    assert small[0].tolist() == [8, 9, 10, 14, 15, 16]


def test_invalid_pixels_do_not_count():
    valid = torch.ones(1, 1, 16, 24, dtype=torch.bool)
    valid[..., 5, 9] = False  # in MS pixel (1, 2)
    valid[..., 0, 0] = False  # in the margin
    masked = window(valid)
    assert masked.counted(masked.pan).shape == (1, 8 * 12 - 1)
    assert 5 * 24 + 9 not in masked.counted(masked.pan)
    assert masked.counted_ms(masked.ms)[0].tolist() == [9, 10, 14, 15, 16]
