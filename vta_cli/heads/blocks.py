"""Rows as heads see them: unit blocks side by side, and the bounded columns made of them.

Fitting and applying share these functions, so that a vector means the same in both. Rows are worked
through in pieces of one fixed shape: a matrix product then gives a row the same bits whatever its
neighbours are, which it does not when the library may choose another kernel for another shape.
Rows are float32, as they are stored: half the time of float64, for a seventh digit that no score
is known to. Products of matrices are float64 all the same: some of OpenBLAS's float32 kernels
(Haswell's) give a row other bits at other places of its piece. What few numbers a row ends in (raw
scores, probabilities) are float64 too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError

PIECE_ROWS = 256
"""Rows of one piece; the last is padded with zeros."""
EMPTY_NORM = 1e-12
"""A row with a smaller Euclidean norm stays as it is instead of being scaled to unit length."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
_Float = TypeVar("_Float", np.float32, np.float64)


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

    @cached_property
    def _narrow(self) -> tuple[Singles, Singles, Singles]:
        single = np.float32
        return self.mean.astype(single), self.factor.astype(single), self.size.astype(single)

    def bound(self, x: Singles) -> Singles:
        """Return ``size * z / sqrt(1 + z**2)`` with ``z = (x - mean) * factor``, shape of `x`.

        The bend is made of exactly rounded operations only (no tanh), so that every machine gets
        the same bits; it limits what one odd column can do to a row.
        """
        mean, factor, size = self._narrow
        z: Singles = x - mean
        z *= factor
        bent = z * z
        bent += 1.0
        np.sqrt(bent, out=bent)
        z /= bent
        z *= size
        return z


class Rows:
    """One piece of rows; what several members need of it is computed once.

    Attributes
    ----------
    unit : ndarray of shape (n, dim), float32
        The blocks side by side, each row of a block of unit length.
    """

    def __init__(self, unit: Singles, columns: Columns) -> None:
        self.unit = unit
        self._columns = columns

    @cached_property
    def bounded(self) -> Singles:
        """The same rows with bounded columns, shape (n, dim)."""
        return self._columns.bound(self.unit)

    @cached_property
    def wide_unit(self) -> Floats:
        """`unit` for products of matrices, shape (n, dim)."""
        return self.unit.astype(np.float64)

    @cached_property
    def wide_bounded(self) -> Floats:
        """`bounded` for products of matrices, shape (n, dim)."""
        return self.bounded.astype(np.float64)

    @cached_property
    def unit_squares(self) -> Singles:
        """Squared length of each unit row (the number of its blocks that are not zero), (n, 1)."""
        return _squares(self.unit)[:, None]

    @cached_property
    def bounded_squares(self) -> Singles:
        """Squared length of each bounded row, shape (n, 1)."""
        return _squares(self.bounded)[:, None]


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
) -> Singles:
    """Return rows `start` to `stop` of all blocks side by side, shape (stop - start, sum of dims).

    With `normalise`, each row of a block has unit Euclidean length; rows of zeros stay zeros.
    """
    out = np.empty((stop - start, sum(block.shape[1] for block in blocks)), np.float32)
    _fill(out, blocks, start, stop, normalise=normalise)
    return out


def _fill(
    out: NDArray[_Float],
    blocks: Sequence[NDArray[np.floating]],
    start: int,
    stop: int,
    *,
    normalise: bool,
) -> None:
    """Write rows `start` to `stop` of all blocks side by side into the first rows of `out`."""
    left = 0
    for block in blocks:
        target = out[: stop - start, left : left + block.shape[1]]
        left += block.shape[1]
        part = np.ascontiguousarray(block[start:stop], out.dtype)
        if normalise:
            np.multiply(part, _reciprocal_norms(part)[:, None], out=target)
        else:
            target[...] = part


def _squares(x: NDArray[_Float]) -> NDArray[_Float]:
    """Return the squared length of each row, shape (n,)."""
    found: NDArray[_Float] = np.einsum("ij,ij->i", x, x)
    return found


def _reciprocal_norms(rows: NDArray[_Float]) -> NDArray[_Float]:
    """Return what scales each row to unit length, shape (n,); 1 for rows of zeros."""
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(_squares(rows))
        large = np.flatnonzero(~np.isfinite(norms))
        if len(large):  # squares beyond float32 of rows that may be sound
            wide = rows[large].astype(np.float64)
            norms[large] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        norms[~(norms > EMPTY_NORM)] = 1.0
        return np.reciprocal(norms)


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
        yield slice(start, stop), Rows(piece(blocks, start, normalise=normalise), columns)


def piece(
    blocks: Sequence[NDArray[np.floating]],
    start: int,
    *,
    normalise: bool = True,
    dtype: type[_Float] = np.float32,  # type: ignore[assignment]
) -> NDArray[_Float]:
    """Return `PIECE_ROWS` rows from `start` on, as `join` does; beyond the last come zeros."""
    stop = min(start + PIECE_ROWS, len(blocks[0]))
    out = np.empty((PIECE_ROWS, sum(block.shape[1] for block in blocks)), dtype)
    _fill(out, blocks, start, stop, normalise=normalise)
    out[stop - start :] = 0.0
    return out
