"""Rows as heads see them: unit blocks side by side, and the bounded columns made of them.

Fitting and applying share these functions, so that a vector means the same in both. Rows are worked
through in pieces of one fixed shape: a matrix product then gives a row the same bits whatever its
neighbours are, which it does not when the library may choose another kernel for another shape.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError

PIECE_ROWS = 256
"""Rows of one piece; the last is padded with zeros."""
EMPTY_NORM = 1e-12
"""A row with a smaller Euclidean norm stays as it is instead of being scaled to unit length."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """How a column is bounded: centred, divided by its scale, and bent to (-1, 1).

    Attributes
    ----------
    mean, factor : ndarray of shape (dim,), float64
        Centre and reciprocal scale of each column; a factor of 0 switches a column off.
    size : ndarray of shape (dim,), float64
        What each bounded column is multiplied by: 1 / sqrt(width of its block), so that each
        block weighs alike however wide it is.
    """

    mean: Floats
    factor: Floats
    size: Floats

    def bound(self, x: Floats) -> Floats:
        """Return ``size * z / sqrt(1 + z**2)`` with ``z = (x - mean) * factor``, shape of `x`.

        The bend is made of exactly rounded operations only (no tanh), so that every machine gets
        the same bits; it limits what one odd column can do to a row.
        """
        z = x - self.mean
        z *= self.factor
        bent = z * z
        bent += 1.0
        np.sqrt(bent, out=bent)
        z /= bent
        z *= self.size
        return z


class Rows:
    """One piece of rows; what several members need of it is computed once.

    Attributes
    ----------
    unit : ndarray of shape (n, dim), float64
        The blocks side by side, each row of a block of unit length.
    """

    def __init__(self, unit: Floats, columns: Columns) -> None:
        self.unit = unit
        self._columns = columns

    @cached_property
    def bounded(self) -> Floats:
        """The same rows with bounded columns, shape (n, dim)."""
        return self._columns.bound(self.unit)

    @cached_property
    def unit_squares(self) -> Floats:
        """Squared length of each unit row (the number of its blocks that are not zero), (n, 1)."""
        return np.asarray(np.sum(self.unit * self.unit, axis=1, keepdims=True))

    @cached_property
    def bounded_squares(self) -> Floats:
        """Squared length of each bounded row, shape (n, 1)."""
        return np.asarray(np.sum(self.bounded * self.bounded, axis=1, keepdims=True))


def fit_columns(unit: NDArray[np.float32], dims: Sequence[int]) -> Columns:
    """Measure centre and scale of each column.

    The scale is the standard deviation plus a tenth of its block's mean standard deviation: columns
    that hardly vary among a few labelled rows would otherwise shout when they do vary elsewhere.

    Parameters
    ----------
    unit : ndarray of shape (n, dim), float32
        Joined rows.
    dims : sequence of int
        Width of each block.
    """
    mean = unit.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.maximum(_variance(unit, mean), 0.0))
    factor = np.zeros_like(mean)
    size = np.empty_like(mean)
    start = 0
    for dim in dims:
        part = slice(start, start + dim)
        scale = spread[part] + 0.1 * spread[part].mean()
        usable = spread[part] > EMPTY_NORM
        factor[part][usable] = 1.0 / scale[usable]
        size[part] = dim**-0.5
        start += dim
    return Columns(mean, factor, size)


def _variance(unit: NDArray[np.float32], mean: Floats) -> Floats:
    total: Floats = np.zeros_like(mean)
    for start in range(0, len(unit), PIECE_ROWS):
        centred = unit[start : start + PIECE_ROWS] - mean
        total += np.einsum("ij,ij->j", centred, centred)
    return np.asarray(total / max(len(unit), 1))


def check_blocks(blocks: Sequence[NDArray[np.floating]], dims: Sequence[int] | None = None) -> int:
    """Return the number of rows that all blocks share.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i)
        One block a space.
    dims : sequence of int, optional
        The widths wanted.

    Raises
    ------
    HeadError
        ``wrong-vectors`` if a block is no matrix, lengths differ, or a width is not the one wanted.
    """
    shapes = [tuple(block.shape) for block in blocks]
    if not shapes or any(len(shape) != 2 for shape in shapes):
        raise HeadError(
            "wrong-vectors",
            f"a head takes one matrix of rows a space, not shapes {shapes}",
            hint="average the views of an image first",
        )
    if len({shape[0] for shape in shapes}) > 1:
        raise HeadError("wrong-vectors", f"the spaces differ in their number of rows: {shapes}")
    widths = [shape[1] for shape in shapes]
    if dims is not None and widths != list(dims):
        raise HeadError(
            "wrong-vectors",
            f"the head reads vectors of {list(dims)} columns, these have {widths}",
            hint="embed with the backbones that the head was trained on",
        )
    return int(shapes[0][0])


def join(
    blocks: Sequence[NDArray[np.floating]], start: int, stop: int, *, normalise: bool = True
) -> Floats:
    """Return rows `start` to `stop` of all blocks side by side, shape (stop - start, sum of dims).

    With `normalise`, each row of a block has unit Euclidean length; rows of zeros stay zeros.
    """
    parts = []
    for block in blocks:
        part = np.array(block[start:stop], dtype=np.float64, order="C")
        if normalise:
            norm = np.sqrt(np.einsum("ij,ij->i", part, part))[:, None]
            part /= np.where(norm > EMPTY_NORM, norm, 1.0)
        parts.append(part)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def pieces(
    blocks: Sequence[NDArray[np.floating]], columns: Columns, *, normalise: bool = True
) -> Iterator[tuple[slice, Rows]]:
    """Yield all rows in pieces of exactly `PIECE_ROWS` rows.

    Yields
    ------
    where : slice
        Which of the given rows the piece begins with; what lies beyond its length is padding.
    rows : Rows
        The piece.
    """
    n = check_blocks(blocks)
    for start in range(0, n, PIECE_ROWS):
        stop = min(start + PIECE_ROWS, n)
        unit = join(blocks, start, stop, normalise=normalise)
        if stop - start < PIECE_ROWS:
            padded = np.zeros((PIECE_ROWS, unit.shape[1]))
            padded[: stop - start] = unit
            unit = padded
        yield slice(start, stop), Rows(unit, columns)
