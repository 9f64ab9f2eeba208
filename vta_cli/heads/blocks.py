"""Rows as heads see them: unit blocks side by side, and the bounded columns made of them.

Fitting and applying share these functions, so that a vector means the same in both. Rows are worked
through in pieces of one fixed shape: a matrix product then gives a row the same bits whatever its
neighbours are, which it does not when the library may choose another kernel for another shape.
Rows are float32, as they are stored: half the time of float64, for a seventh digit that no score
is known to; see `products` for what that takes. What few numbers a row ends in (raw scores,
probabilities) are float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError
from vta_cli.heads.dots import Singles, row_dots

PIECE_ROWS = 256
"""Rows of one piece."""
MARGIN_ROWS = 8
"""Rows before and behind those of a piece, for `products`. Pieces beyond 320 rows would be cut by
OpenBLAS."""
CACHED_NUMBERS = 1 << 15
"""Numbers worked on together (128 KiB): several arrays of them fit the second cache."""
EMPTY_NORM = 1e-12
"""A row with a smaller Euclidean norm stays as it is instead of being scaled to unit length."""
_LEAST_SQUARE = 1e-30
"""Of a column's scale, so that no zero is divided by zero."""

Floats = NDArray[np.float64]
_Float = TypeVar("_Float", np.float32, np.float64)


class Block(Protocol):
    """Rows of one space, read some at a time: a matrix, or what fetches them when asked.

    What a slice gives is good until the next slice is asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then what each holds: its columns, or views and columns."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.floating]:
        """Return some rows in a stretch."""


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
    def _tiles(self) -> tuple[Singles, Singles, Singles | np.float32]:
        """Centres, squared scales and sizes, each repeated for as many rows as fit the cache.

        A row for each row, as numpy takes half as long again to lend one row to many. One number
        does for the sizes where all are alike.
        """
        with np.errstate(divide="ignore"):
            squares = np.maximum(1.0 / self.factor**2, _LEAST_SQUARE)  # infinite: switched off
        wanted = (rows_at_once(len(self.mean)), 1)
        mean, square, size = (
            np.tile(column.astype(np.float32), wanted) for column in (self.mean, squares, self.size)
        )
        return mean, square, size[0, 0] if (size == size[0, 0]).all() else size

    def bound(self, x: Singles, out: Singles | None = None) -> Singles:
        """Return ``size * z / sqrt(1 + z**2)`` with ``z = (x - mean) * factor``, shape of `x`.

        The bend is made of exactly rounded operations only (no tanh), so that every machine gets
        the same bits; it limits what one odd column can do to a row. Computed as the same
        ``size * u / sqrt(1 / factor**2 + u**2)`` with ``u = x - mean``, which spares a pass.

        Parameters
        ----------
        x : ndarray of shape (n, dim), float32
        out : ndarray of shape (n, dim), float32, optional
            Where to write.
        """
        mean, least, size = self._tiles
        bounded = np.empty_like(x) if out is None else out
        room = np.empty_like(mean)
        for start in range(0, len(x), len(mean)):
            some = x[start : start + len(mean)]
            n = len(some)
            u, square = bounded[start : start + n], room[:n]
            np.subtract(some, mean[:n], out=u)
            np.multiply(u, u, out=square)
            square += least[:n]
            np.sqrt(square, out=square)
            u /= square
            u *= size if isinstance(size, np.float32) else size[:n]
        return bounded


class Rows:
    """One piece of rows; what several members need of it is computed once.

    Parameters
    ----------
    padded : ndarray of shape (PIECE_ROWS + 2 MARGIN_ROWS, dim), float32
        Between margins of zeros (see `products`) the blocks side by side, each row of a block of
        unit length.
    columns : Columns, optional
    room : ndarray of the shape of `padded`, float32, optional
        For the bounded rows, between margins of zeros.
    squares : ndarray of shape (PIECE_ROWS,), float32, optional
        Squared length of each row, where it is known; NaN or infinite where float32 cannot tell.
    """

    def __init__(
        self,
        padded: Singles,
        columns: Columns | None = None,
        room: Singles | None = None,
        squares: Singles | None = None,
    ) -> None:
        self.padded_unit = padded
        self._columns = columns
        self._room = room
        self._squares = squares

    @property
    def unit(self) -> Singles:
        """The rows without the margins, shape (PIECE_ROWS, dim)."""
        return inside(self.padded_unit)

    @cached_property
    def padded_bounded(self) -> Singles:
        """The same rows with bounded columns between the same margins.

        Raises
        ------
        ValueError
            If the rows came without columns.
        """
        if self._columns is None or self._room is None:
            raise ValueError("these rows have no bounded columns")
        self._columns.bound(self.unit, inside(self._room))
        return self._room

    @property
    def bounded(self) -> Singles:
        """The bounded rows without the margins, shape (PIECE_ROWS, dim)."""
        return inside(self.padded_bounded)

    @cached_property
    def unit_squares(self) -> Singles:
        """Squared length of each unit row (the number of its blocks that are not zero), (n,)."""
        if self._squares is None:
            return row_dots(self.unit, self.unit)
        unknown = np.flatnonzero(~np.isfinite(self._squares))
        if len(unknown):
            few = self.unit[unknown]
            self._squares[unknown] = row_dots(few, few)
        return self._squares

    @cached_property
    def bounded_squares(self) -> Singles:
        """Squared length of each bounded row, shape (n,)."""
        return row_dots(self.bounded, self.bounded)

    @cached_property
    def odd(self) -> NDArray[np.bool_]:
        """Whether a row holds a value that is not finite, shape (n,)."""
        found = ~np.isfinite(self.unit_squares)
        at = np.flatnonzero(found)
        if len(at):  # or squares beyond float32
            found[at] = ~np.isfinite(self.unit[at]).all(axis=1)
        return found


def rows_at_once(dim: int) -> int:
    """Return how many rows of `dim` float32 numbers stay in the cache while they are worked on."""
    return max(1, CACHED_NUMBERS // max(1, dim))


def inside(padded: NDArray[_Float]) -> NDArray[_Float]:
    """Return the rows of a piece without its margins."""
    return padded[MARGIN_ROWS:-MARGIN_ROWS]


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
    spread = np.sqrt(np.maximum(variances(unit, mean), 0.0))
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


def variances(unit: NDArray[np.float32], mean: Floats) -> Floats:
    """Return the mean squared distance of each column from its mean, shape (dim,).

    Parameters
    ----------
    unit : ndarray of shape (n, dim), float32
    mean : ndarray of shape (dim,), float64
    """
    total: Floats = np.zeros_like(mean)
    for start in range(0, len(unit), PIECE_ROWS):
        centred = unit[start : start + PIECE_ROWS] - mean
        total += np.einsum("ij,ij->j", centred, centred)
    return np.asarray(total / max(len(unit), 1))


def check_blocks(blocks: Sequence[Block], dims: Sequence[int] | None = None) -> int:
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


def join(blocks: Sequence[Block], start: int, stop: int, *, normalise: bool = True) -> Singles:
    """Return rows `start` to `stop` of all blocks side by side, shape (stop - start, sum of dims).

    With `normalise`, each row of a block has unit Euclidean length; rows of zeros stay zeros.
    """
    out = np.empty((stop - start, sum(block.shape[1] for block in blocks)), np.float32)
    _fill(out, blocks, start, stop, normalise=normalise)
    return out


def _fill(
    out: NDArray[_Float],
    blocks: Sequence[Block],
    start: int,
    stop: int,
    *,
    normalise: bool,
) -> NDArray[_Float]:
    """Write rows `start` to `stop` of all blocks side by side into `out`, then zeros.

    Returns
    -------
    ndarray of shape (len(out),), of the type of `out`
        Squared length of each row written; NaN or infinite where the type cannot tell.
    """
    out[stop - start :] = 0.0
    left = 0
    lengths = np.zeros(len(out), out.dtype)
    for block in blocks:
        target = out[: stop - start, left : left + block.shape[1]]
        left += block.shape[1]
        part = np.ascontiguousarray(block[start:stop], out.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = row_dots(part, part)
            if normalise:
                scale = _reciprocal_norms(part, squares)
                np.multiply(part, scale[:, None], out=target)
                squares *= scale * scale
            else:
                target[...] = part
            lengths[: stop - start] += squares
    return lengths


def _reciprocal_norms(rows: NDArray[_Float], squares: NDArray[_Float]) -> NDArray[_Float]:
    """Return what scales each row to unit length, shape (n,); 1 for rows of zeros.

    Parameters
    ----------
    rows : ndarray of shape (n, dim), float32 or float64
    squares : ndarray of shape (n,), of the same type
        Their squared lengths; infinite or NaN where the type cannot tell.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(squares)
        if not len(norms) or (norms.min() > EMPTY_NORM and norms.max() < np.inf):
            return np.reciprocal(norms, out=norms)
        large = np.flatnonzero(~np.isfinite(norms))
        if len(large):  # squares beyond float32 of rows that may be sound
            wide = rows[large].astype(np.float64)
            norms[large] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        norms[~(norms > EMPTY_NORM)] = 1.0
        return np.reciprocal(norms)


def pieces(
    blocks: Sequence[Block],
    columns: Columns | None = None,
    *,
    normalise: bool = True,
) -> Iterator[tuple[slice, Rows]]:
    """Yield all rows in pieces of exactly `PIECE_ROWS` rows; beyond the last come zeros.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i)
    columns : Columns, optional
        Without them there are no bounded rows.
    normalise : bool
        Whether the rows of each block are scaled to unit length.

    Yields
    ------
    where : slice
        Which of the given rows the piece begins with; what lies beyond its length is padding.
    rows : Rows
        The piece; good until the next one is asked for.
    """
    n = check_blocks(blocks)
    shape = (PIECE_ROWS + 2 * MARGIN_ROWS, sum(block.shape[1] for block in blocks))
    padded = np.zeros(shape, np.float32)
    room = None if columns is None else np.zeros(shape, np.float32)
    for start in range(0, n, PIECE_ROWS):
        stop = min(start + PIECE_ROWS, n)
        squares = _fill(inside(padded), blocks, start, stop, normalise=normalise)
        yield slice(start, stop), Rows(padded, columns, room, squares)
