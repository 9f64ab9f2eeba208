"""Sharpness and naturalness: how fine detail is, where it is, and whether it looks like a photo."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_features.planes import N_CELLS, Plane, Planes, at_least, halve
from vta_cli.backbones.classic_features.tones import QUANTILES

N_SIZES = 3
"""Sizes at which detail is measured: full, half, quarter."""


def naturalness(planes: Planes) -> NDArray[np.float32]:
    """Statistics of locally normalised luma at full, half and quarter size, shape (84,).

    After A. Mittal et al., "No-Reference Image Quality Assessment in the Spatial Domain" (BRISQUE),
    2012: each pixel minus its local mean over its local deviation, and products of neighbours;
    here as moments, where the paper fits distributions. The deviations themselves, as logarithms
    of their quantiles, tell the sharpest and the emptiest parts.
    """
    return np.concatenate([_statistics(at_least(luma, 6)) for luma in _sizes(planes.luma)])


def sharpness(planes: Planes) -> Plane:
    """Fine detail per cell at full, half and quarter size, as logarithms.

    Per size: mean absolute step along the rows and down the columns, mean absolute Laplacian, and
    its root mean square.

    Returns
    -------
    ndarray of shape (12, 4, 2), float32
    """
    parts = []
    for luma in _sizes(planes.luma):
        plane = at_least(luma, 4)
        core = plane[1:-1, 1:-1]
        right, left = plane[1:-1, 2:], plane[1:-1, :-2]
        below, above = plane[2:, 1:-1], plane[:-2, 1:-1]
        laplacian = right + left
        laplacian += below
        laplacian += above
        laplacian -= np.float32(4) * core
        parts += [_cells(np.abs(right - core)), _cells(np.abs(below - core))]
        parts += [_cells(np.abs(laplacian)), np.sqrt(_cells(laplacian * laplacian))]
    logs = np.log(np.stack(parts) + np.float32(1e-3))  # (12, 4, 4)
    folded: Plane = np.float32(0.5) * (logs + logs[..., ::-1])[..., : N_CELLS // 2]
    return folded


def _sizes(luma: Plane) -> list[Plane]:
    """Return the plane at full, half and quarter size; a side of one pixel stays as it is."""
    sizes = [luma]
    while len(sizes) < N_SIZES:
        height, width = sizes[-1].shape
        whole = at_least(sizes[-1], 2)
        sizes.append(halve(whole[: max(2, height // 2 * 2), : max(2, width // 2 * 2)]))
    return sizes


def _statistics(luma: Plane) -> NDArray[np.float32]:
    """Moments of normalised luma (3), of neighbours' products (4 x 4), and quantiles (9)."""
    mean = _smooth(luma)
    deviation = np.sqrt(np.maximum(_smooth(luma * luma) - mean * mean, 0))
    core = (luma - mean) / (deviation + np.float32(1 / 255))
    core = core[: core.shape[0] // 2 * 2]
    squares = core * core
    power = float(np.mean(squares)) + 1e-6
    out = [
        np.log(power + 1e-2),
        float(np.mean(np.abs(core))) ** 2 / power,
        float(np.mean(squares * core)) / power**1.5,
    ]
    upper, lower = core[:-1:2], core[1::2]  # every other row of pairs is enough, at half the cost
    pairs = [
        (upper[:, 1:], upper[:, :-1]),
        (upper, lower),
        (upper[:, 1:], lower[:, :-1]),
        (upper[:, :-1], lower[:, 1:]),
    ]
    for one, other in pairs:
        product = one * other
        mean_product, size = float(np.mean(product)), float(np.mean(np.abs(product)))
        product *= np.abs(product)  # squares with their sign
        balance, both = float(np.mean(product)), float(np.mean(np.abs(product)))
        alike, unlike = max(both + balance, 0.0) / 2, max(both - balance, 0.0) / 2
        out += [mean_product, 0.5 * np.log(alike + 1e-4), 0.5 * np.log(unlike + 1e-4)]
        out.append(size**2 / (both + 1e-6))
    step = 4 if min(luma.shape) >= 64 else 1
    spread = np.quantile(deviation[::step, ::step], QUANTILES)
    return np.array([*out, *(0.5 * np.log(spread + 1e-3))], dtype=np.float32)


def _smooth(plane: Plane) -> Plane:
    """Average over binomial weights of 5 x 5 pixels, borders repeated."""
    padded = np.pad(plane, 2, mode="edge")
    rows: Plane = padded[:-4] + padded[4:]
    rows += np.float32(4) * (padded[1:-3] + padded[3:-1])
    rows += np.float32(6) * padded[2:-2]
    both: Plane = rows[:, :-4] + rows[:, 4:]
    both += np.float32(4) * (rows[:, 1:-3] + rows[:, 3:-1])
    both += np.float32(6) * rows[:, 2:-2]
    both *= np.float32(1 / 256)
    return both


def _cells(plane: Plane) -> Plane:
    """Average a plane of any size over 4 x 4 cells of equal area."""
    height, width = plane.shape
    means: Plane = (_area(height) @ plane @ _area(width).T).astype(np.float32, copy=False)
    return means


@lru_cache(maxsize=256)
def _area(size: int) -> Plane:
    """Return weights (4, size) that average `size` samples over four equal intervals."""
    edges = np.arange(N_CELLS + 1) * size / N_CELLS
    low = np.maximum(edges[:-1, None], np.arange(size))
    high = np.minimum(edges[1:, None], np.arange(size) + 1)
    weights: Plane = (np.maximum(high - low, 0) * N_CELLS / size).astype(np.float32)
    return weights
