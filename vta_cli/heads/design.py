"""The labelled rows while a head is fitted, and what all members share of them.

With fewer rows than columns everything linear lives in the space that the rows span: one Gram
matrix (n x n) serves all folds and all regularisations. With many rows no n x n matrix is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import PIECE_ROWS, Columns, Floats, check_blocks, fit_columns, join

GRAM_ROWS = 1_000
"""Up to so many rows members may use n x n matrices (8 MB each)."""


@dataclass(frozen=True)
class Design:
    """Joined rows of the labelled images.

    Attributes
    ----------
    unit : ndarray of shape (n, dim), float32
        Blocks side by side.
    dims : tuple of int
        Width of each block.
    columns : Columns
        Bounds of the columns, measured on all rows (no label is involved).
    """

    unit: NDArray[np.float32]
    dims: tuple[int, ...]
    columns: Columns

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.unit)

    @property
    def small(self) -> bool:
        """Whether n x n matrices are affordable."""
        return self.n <= GRAM_ROWS

    @cached_property
    def bounded(self) -> NDArray[np.float32]:
        """Rows with bounded columns, shape (n, dim)."""
        out = np.empty_like(self.unit)
        for start in range(0, self.n, PIECE_ROWS):
            part = self.unit[start : start + PIECE_ROWS]
            out[start : start + PIECE_ROWS] = self.columns.bound(part)
        return out

    @cached_property
    def coordinates(self) -> tuple[Floats, Floats | None]:
        """Rows in a basis of as few columns as lose nothing, and the way back.

        Returns
        -------
        coordinates : ndarray of shape (n, r), float64
        lift : ndarray of shape (dim, r) or None
            Weights on coordinates are `lift @ weights` on columns; None where both are the same.
        """
        n, dim = self.unit.shape
        x = self.unit.astype(np.float64)
        if n >= dim or not self.small:
            return x, None
        values, vectors = np.linalg.eigh(x @ x.T)
        keep = values > values[-1] * 1e-10  # beyond lies rounding of float32
        root = np.sqrt(values[keep])
        vectors = vectors[:, keep]
        return vectors * root, x.T @ (vectors / root)


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Return squared Euclidean distances, shape (len(a), len(b)), by one matrix product."""
    found: Floats = a @ b.T
    found *= -2.0
    found += np.einsum("ij,ij->i", a, a)[:, None]
    found += np.einsum("ij,ij->i", b, b)
    np.maximum(found, 0.0, out=found)
    return found


def make_design(blocks: Sequence[NDArray[np.floating]], *, normalise: bool = True) -> Design:
    """Join blocks and measure their columns.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i)
        One block a space.

    Raises
    ------
    HeadError
        If the shapes do not fit.
    """
    n = check_blocks(blocks)
    dims = tuple(int(block.shape[1]) for block in blocks)
    unit = np.empty((n, sum(dims)), dtype=np.float32)
    for start in range(0, n, PIECE_ROWS):
        stop = min(start + PIECE_ROWS, n)
        with np.errstate(invalid="ignore"):  # rows that are not finite are the caller's to refuse
            unit[start:stop] = join(blocks, start, stop, normalise=normalise)
    return Design(unit, dims, fit_columns(unit, dims))
