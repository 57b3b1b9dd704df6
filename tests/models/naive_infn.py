"""INFN as it is defined, without thought of speed: exact fractions for places, one whole perceptron per neighbour."""

import math
from fractions import Fraction

import torch
from torch.nn.functional import cosine_similarity

HALF = Fraction(1, 2)


def places(pixels, ratio, phase=0):
    """Position of every pixel among the cells, exact."""
    return [(i + HALF) / Fraction(ratio) - HALF + Fraction(phase) for i in range(pixels)]


def pooled(guide, rows, cols, cells):
    """Largest value of the pixels whose nearest cell is each cell, or the nearest pixel's value."""
    out = guide.new_empty(*guide.shape[:2], *cells)
    for n in range(cells[0]):
        for m in range(cells[1]):
            window = [_members(rows, n), _members(cols, m)]
            out[:, :, n, m] = guide[:, :, window[0]][:, :, :, window[1]].amax((2, 3))
    return out


def _members(positions, cell):
    return [i for i, u in enumerate(positions) if math.floor(u + HALF) == cell] or [
        min(range(len(positions)), key=lambda i: abs(positions[i] - cell))
    ]


def neighbours(positions, cells, side):
    """Indices of lower (0) or upper (1) neighbours, repeated at the border, and the distance to them in half cells."""
    index = [math.floor(u) + side for u in positions]
    distance = [float(2 * (u - n)) for u, n in zip(positions, index, strict=True)]
    return [min(max(n, 0), cells - 1) for n in index], distance


def query(network, latent, guide, rows, cols):
    """Latent (N, D, H, W) of every pixel, and the four weights (N, 4, H, W)."""
    options, cells = network.options, latent.shape[-2:]
    nearest = [
        [min(max(math.floor(u + HALF), 0), n - 1) for u in axis] for axis, n in ((rows, cells[0]), (cols, cells[1]))
    ]
    own = latent[:, :, nearest[0]][:, :, :, nearest[1]]
    results, logits = [], []
    for row_side in (0, 1):
        for col_side in (0, 1):
            (row, dy), (col, dx) = neighbours(rows, cells[0], row_side), neighbours(cols, cells[1], col_side)
            there = latent[:, :, row][:, :, :, col]
            n, _, height, width = there.shape
            distance = [
                torch.tensor(dy, dtype=torch.float64).to(there)[:, None].expand(n, 1, height, width),
                torch.tensor(dx, dtype=torch.float64).to(there).expand(n, 1, height, width),
            ]
            x = torch.cat([there, guide, *distance], 1).permute(0, 2, 3, 1)
            for number, layer in enumerate(network.decoder.layers):
                x = layer(x if number == 0 else x.relu())
            results.append(x.permute(0, 3, 1, 2))
            pair = (own, there) if options.similarity == "latent" else (guide, there[:, : guide.shape[1]])
            logit = cosine_similarity(*pair, dim=1) / options.temperature
            if options.area_weighted:
                area = (1 - distance[0].abs() / 2) * (1 - distance[1].abs() / 2)
                logit = logit + area[:, 0].log()
            logits.append(logit)
    weights = torch.stack(logits, 1).softmax(1)
    return sum(w[:, None] * x for w, x in zip(weights.unbind(1), results, strict=True)), weights


def infn(network, images, ratios, phase=0):
    """The network's result for (hsi, hsi_up, msi)."""
    hsi, hsi_up, msi = images
    rows, cols = (places(n, r, phase) for n, r in zip(msi.shape[-2:], ratios, strict=True))
    guide = network.spatial(torch.cat([msi, hsi_up], 1))
    latent = torch.cat([pooled(guide, rows, cols, hsi.shape[-2:]), network.spectral(hsi)], 1)
    return hsi_up + network.head(query(network, latent, guide, rows, cols)[0])
