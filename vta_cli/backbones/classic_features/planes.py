"""One decoded picture as the planes that every family of features reads.

Owns resampling and colour planes. Knows nothing of what is measured on them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vta_cli.records import Pixels

Plane = NDArray[np.float32]
"""Float image, last two axes (height, width), values 0..1 unless said otherwise."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green, blue in luma (ITU-R BT.601)."""

SIDE_PX = 256
"""Side of the square reading of the picture."""

N_CELLS = 4
"""Cells per side where a measure is pooled over the picture."""


@dataclass(frozen=True)
class Planes:
    """A picture in the readings that the families share.

    Attributes
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        As decoded (or shrunk by the recipe's preprocessing).
    luma : ndarray of shape (height, width), float32
        Luma of `pixels`, 0..1.
    opponent : dict of int to ndarray of shape (3, side, side), float32
        Square readings of 256, 128, 64, 32 and 16 pixels: luma 0..1, red against green and yellow
        against blue -1..1.
    """

    pixels: Pixels
    luma: Plane
    opponent: dict[int, Plane]


def read(pixels: Pixels) -> Planes:
    """Make the shared readings of one picture of any size from 1 x 1 up."""
    values = pixels.astype(np.float32)
    values *= np.float32(1 / 255)
    square = _square(values, SIDE_PX)  # (3, 256, 256)
    red, green, blue = square
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    opponent = np.stack([luma, red - green, np.float32(0.5) * (red + green) - blue])
    pyramid = {SIDE_PX: opponent}
    side = SIDE_PX
    while side > 16:
        side //= 2
        pyramid[side] = halve(pyramid[2 * side])
    native = values @ LUMA
    return Planes(pixels=pixels, luma=native, opponent=pyramid)


def halve(planes: Plane) -> Plane:
    """Average blocks of 2 x 2 over the last two axes, which must be even."""
    rows = planes[..., 0::2, :] + planes[..., 1::2, :]
    both = rows[..., 0::2] + rows[..., 1::2]
    both *= np.float32(0.25)
    return both


def pool(planes: Plane, n_cells: int = N_CELLS) -> Plane:
    """Average the last two axes over `n_cells` x `n_cells` equal cells.

    Parameters
    ----------
    planes : ndarray of shape (..., height, width), sides divisible by `n_cells`

    Returns
    -------
    ndarray of shape (..., n_cells, n_cells)
    """
    *lead, height, width = planes.shape
    cells = planes.reshape(*lead, n_cells, height // n_cells, n_cells, width // n_cells)
    means: Plane = cells.mean(axis=-1).mean(axis=-2)  # (..., n_cells, n_cells)
    return means


def _square(values: Plane, side: int) -> Plane:
    """Resample (height, width, 3) to (3, side, side) with an antialiased triangle."""
    height, width = values.shape[:2]
    rows = _triangle(height, side) @ values.reshape(height, width * 3)  # (side, width * 3)
    turned = np.ascontiguousarray(rows.reshape(side, width, 3).transpose(1, 2, 0))
    both = _triangle(width, side) @ turned.reshape(width, 3 * side)  # (side, 3 * side)
    return np.ascontiguousarray(both.reshape(side, 3, side).transpose(1, 2, 0))


@lru_cache(maxsize=256)
def _triangle(size: int, target: int) -> sparse.csr_matrix:
    """Rows of weights that resample `size` samples to `target` (triangle, as Pillow's bilinear)."""
    scale = size / target
    support = max(1.0, scale)
    centres = (np.arange(target) + 0.5) * scale - 0.5
    n_taps = int(np.ceil(2 * support)) + 1
    taps = np.floor(centres - support).astype(np.int64)[:, None] + np.arange(n_taps + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(taps - centres[:, None]) / support)
    weights[(taps < 0) | (taps >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    keep = weights > 0
    rows = np.broadcast_to(np.arange(target)[:, None], taps.shape)
    data = weights[keep].astype(np.float32)
    return sparse.csr_matrix((data, (rows[keep], taps[keep])), shape=(target, size))


def at_least(plane: Plane, side: int) -> Plane:
    """Repeat the last row and column of a plane that is too small to take differences."""
    lack = [max(0, side - length) for length in plane.shape]
    return np.pad(plane, [(0, lack[0]), (0, lack[1])], mode="edge") if any(lack) else plane
