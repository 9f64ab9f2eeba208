"""Gradients and small patterns: where edges of which direction are, and how pixels alternate."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_features.planes import N_CELLS, Plane, Planes

N_DIRECTIONS = 9
"""Directions of a gradient histogram, evenly over half a turn (Dalal and Triggs 2005)."""

N_HISTOGRAM_CELLS = 8
"""Cells per side of the gradient histograms."""

N_PATTERNS = 10
"""Rotation-invariant uniform patterns of eight neighbours: 0..8 brighter ones, and the rest."""


def histograms(planes: Planes) -> Plane:
    """Histograms of oriented gradients at 128 pixels, 8 x 8 cells, folded onto the left half.

    N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", 2005, with each
    cell normalised by the energy of the 3 x 3 cells around it, and square roots.

    Returns
    -------
    ndarray of shape (9, 8, 4), float32
    """
    luma = planes.opponent[128][0]
    across, down = np.zeros_like(luma), np.zeros_like(luma)
    across[:, 1:-1] = luma[:, 2:] - luma[:, :-2]
    down[1:-1] = luma[2:] - luma[:-2]
    size = np.hypot(across, down)
    turn = np.arctan2(down, across) * np.float32(N_DIRECTIONS / np.pi)
    low = np.floor(turn).astype(np.int64)
    share = (turn - low) * size
    cell = _cell_index(128, N_HISTOGRAM_CELLS) * N_DIRECTIONS
    n_bins = N_HISTOGRAM_CELLS**2 * N_DIRECTIONS
    counts = np.bincount((cell + low % N_DIRECTIONS).ravel(), (size - share).ravel(), n_bins)
    counts += np.bincount((cell + (low + 1) % N_DIRECTIONS).ravel(), share.ravel(), n_bins)
    n = N_HISTOGRAM_CELLS
    grid = counts.reshape(n, n, N_DIRECTIONS).transpose(2, 0, 1) * (n / 128) ** 2  # (9, 8, 8)
    energy = np.pad((grid**2).sum(axis=0), 1, mode="edge")
    near = sum(energy[i : i + n, j : j + n] for i in range(3) for j in range(3)) / 9
    unit = np.sqrt(grid / np.sqrt(near + 1e-4))
    twin = np.take(unit[..., ::-1], (-np.arange(N_DIRECTIONS)) % N_DIRECTIONS, axis=0)
    folded: Plane = (0.5 * (unit + twin))[..., : n // 2].astype(np.float32)
    return folded


def patterns(planes: Planes) -> Plane:
    """Local binary patterns per cell at 256 and 128 pixels, as square roots of shares.

    T. Ojala et al., "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with
    Local Binary Patterns", 2002, the variant riu2. A neighbour counts as brighter from 0.001 on,
    so that flat areas are told from texture.

    Returns
    -------
    ndarray of shape (20, 4, 2), float32
    """
    shares = np.concatenate([_patterns(planes.opponent[side][0]) for side in (256, 128)])
    roots = np.sqrt(shares)  # (20, 4, 4)
    folded: Plane = (0.5 * (roots + roots[..., ::-1]))[..., : N_CELLS // 2].astype(np.float32)
    return folded


def _patterns(luma: Plane) -> NDArray[np.float64]:
    side = luma.shape[0]
    floor = luma[1:-1, 1:-1] + np.float32(1e-3)
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    code = np.zeros(floor.shape, dtype=np.uint8)
    for bit, (y, x) in enumerate(ring):
        brighter = luma[y : y + side - 2, x : x + side - 2] >= floor
        code |= brighter.view(np.uint8) << np.uint8(bit)
    cell = _cell_index(side, N_CELLS)[1:-1, 1:-1] * N_PATTERNS
    label = _pattern_names()[code] + cell
    counts = np.bincount(label.ravel(), minlength=N_CELLS**2 * N_PATTERNS)
    grid = counts.reshape(N_CELLS, N_CELLS, N_PATTERNS).transpose(2, 0, 1)
    shares: NDArray[np.float64] = grid / grid.sum(axis=0)
    return shares


@lru_cache(maxsize=1)
def _pattern_names() -> NDArray[np.int64]:
    """Map a ring of eight bits to the number of ones, or to 9 if it alternates more than once."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), N_PATTERNS - 1)


@lru_cache(maxsize=4)
def _cell_index(side: int, n_cells: int) -> NDArray[np.int64]:
    """Return the number of the cell of each pixel, shape (side, side)."""
    line = np.arange(side) * n_cells // side
    return line[:, None] * n_cells + line
