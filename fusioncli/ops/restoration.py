"""Spoil a picture so that a network can learn to restore it: make it coarser, or add noise."""

from __future__ import annotations

from torch import Tensor

from fusioncli.ops.toolbox import imresize


def coarsen(clean: Tensor, factor: int) -> Tensor:
    """What a picture that was made coarser still shows: Matlab's bicubic `imresize`, down and up again.

    This is how the training pairs of super-resolution are made (Agustsson and Timofte, "NTIRE 2017 Challenge on Single
    Image Super-Resolution", CVPR Workshops 2017), brought back to the size of the truth, so that one body of a network
    serves every factor.

    Args:
        clean: (..., h, w), multiples of the factor.
        factor: fine pixels per coarse pixel, along either axis.

    Returns:
        The same shape; interpolation may overshoot the range of the picture.
    """
    height, width = clean.shape[-2:]
    return imresize(imresize(clean, (height // factor, width // factor)), (height, width))


def add_noise(clean: Tensor, noise: Tensor, sigma_8bit: float) -> Tensor:
    """White Gaussian noise as the denoising literature measures it; the sum is not clipped.

    Args:
        clean: values of 0 … 1.
        noise: of the same shape, standard deviation 1.
        sigma_8bit: standard deviation of the noise, in parts of 255.
    """
    return clean + noise * (sigma_8bit / 255)
