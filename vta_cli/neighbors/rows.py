"""Vectors as the joins read them: one or several blocks of rows, scanned once, then read by tiles.

A block holds all rows in one space. Rows stay where they are (an array, a memory map, a reader of
several shards) and are turned into unit length as they are read, so that a million rows need not
be in memory as float32. Unit rows of K blocks, scaled by 1/sqrt(K) and laid side by side, have the
mean of the K cosines as their dot product: everything beyond this module knows one cosine only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError, VtaError

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

_CHUNK_BYTES = 2 << 20
"""Size of one piece of a streamed read, as float32 [bytes]: it stays in the processor's cache."""

_HALF_TO_SINGLE = np.float32(2.0**112)
"""Difference of the exponents' biases, 127 - 15 = 112 (IEEE 754 binary16 and binary32)."""


_TINY = 1e-30
_HUGE = 1e30
"""Norms that float32 arithmetic can serve; below is as good as zero, beyond is refused."""


class RowSource(Protocol):
    """Whatever has a shape and gives rows by slice or by an array of indices.

    `numpy.ndarray` and `numpy.memmap` do. The rows given are float16, float32 or float64 arrays of
    shape (m, dim), in the order asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, dim)."""

    def __getitem__(self, index: Any, /) -> Any:
        """Rows of a slice or of an int64 array."""


def to_single(rows: NDArray[Any]) -> Floats:
    """Return `rows` as a new float32 array.

    For float16 the bits are shifted into place and scaled, 2.8 times as fast as numpy's `astype`
    and equal to it for every finite value; infinities and NaN come out as huge numbers, so callers
    look for those in the stored values first.
    """
    if rows.dtype != np.float16:
        return rows.astype(np.float32)
    bits = np.ascontiguousarray(rows).view(np.uint16).astype(np.uint32)
    sign = (bits & 0x8000) << 16
    bits &= 0x7FFF
    bits <<= 13
    bits |= sign
    out = bits.view(np.float32)
    out *= _HALF_TO_SINGLE
    return out


@dataclass(frozen=True)
class RowSet:
    """Blocks with what one pass over them found out.

    Attributes
    ----------
    blocks : tuple of RowSource
        K blocks of n rows each.
    scales : ndarray of shape (K, n), float32
        What each stored row is multiplied with: 1 / (norm * sqrt(K)), or 0 for a zero row.
    same_as : ndarray of shape (n,), int64
        The first row whose stored vectors equal this row's in all blocks; itself if there is none.
    live : ndarray of shape (m,), int64
        Rows to be compared, ascending: neither zero in all blocks nor equal to an earlier row.
    """

    blocks: tuple[RowSource, ...]
    scales: Floats
    same_as: Ids
    live: Ids

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.same_as.shape[0])

    @property
    def dim(self) -> int:
        """Columns of all blocks together."""
        return sum(int(block.shape[1]) for block in self.blocks)

    def unit(self, rows: slice | Ids) -> Floats:
        """Return scaled rows of all blocks side by side, shape (m, dim), float32."""
        parts = []
        for block, scale in zip(self.blocks, self.scales, strict=True):
            part = to_single(np.asarray(block[rows]))
            part *= scale[rows][:, None]
            parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def exact(self, left: Ids, other: "RowSet", right: Ids) -> NDArray[np.float64]:
        """Mean cosine of row pairs in double precision, from the stored values.

        Parameters
        ----------
        left, right : ndarray of shape (m,), int64
            Rows of this set, and of `other`.

        Returns
        -------
        ndarray of shape (m,), float64
            In -1..1.
        """
        total = np.zeros(left.shape[0])
        step = max(1, _CHUNK_BYTES // (16 * max(1, self.dim)))
        for start in range(0, left.shape[0], step):
            here = slice(start, start + step)
            for mine, theirs in zip(self.blocks, other.blocks, strict=True):
                a = _unit_double(np.asarray(mine[left[here]]))
                b = _unit_double(np.asarray(theirs[right[here]]))
                total[here] += np.einsum("ij,ij->i", a, b)
        return np.clip(total / max(1, len(self.blocks)), -1.0, 1.0)


def chunk_rows(dim: int) -> int:
    """Rows of `dim` float32 columns that make one streamed piece."""
    return max(16, _CHUNK_BYTES // (4 * max(1, dim)))


def as_blocks(given: RowSource | Sequence[RowSource]) -> tuple[RowSource, ...]:
    """Return the blocks of `given`, which may be a single one, with their shapes checked.

    Raises
    ------
    UsageError
        ``no-blocks`` without any, ``bad-block`` for one that is not (n, dim) with the n of the
        first.
    """
    blocks = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    if not blocks:
        raise UsageError("no-blocks", "there are no vectors to compare", hint="name a space")
    rows = blocks[0].shape[0]
    for number, block in enumerate(blocks):
        if len(block.shape) != 2 or block.shape[0] != rows:
            raise UsageError(
                "bad-block",
                f"block {number} of the vectors has shape {tuple(block.shape)}, not ({rows}, dim)",
                hint="give every block the same rows in the same order, one vector a row",
            )
    return blocks


def read_rows(given: RowSource | Sequence[RowSource], *, collapse: bool = True) -> RowSet:
    """Scan all rows once: norms, zero rows, equal rows.

    Parameters
    ----------
    collapse : bool
        Whether equal rows are represented by the first of them. A row that is zero in some block
        is never collapsed: its similarity to its equal is below 1.

    Raises
    ------
    UsageError
        See `as_blocks`.
    VtaError
        ``not-finite`` if a row holds NaN or an infinity.
    """
    blocks = as_blocks(given)
    n = int(blocks[0].shape[0])
    norms = np.zeros((len(blocks), n))
    hashes = np.zeros(n, np.uint64)
    for number, block in enumerate(blocks):
        for rows, stored in _pieces(block):
            norms[number, rows] = _norms(stored)
            bad = norms[number, rows] == np.inf
            if bad.any():
                _refuse(number, rows.start + int(np.argmax(bad)))
            if collapse:
                hashes[rows] += _hash(stored, seed=number)
    whole: NDArray[np.bool_] = np.all(norms > 0, axis=0)
    same_as = np.arange(n, dtype=np.int64)
    if collapse:
        _collapse(blocks, hashes, whole, same_as)
    scales = np.zeros(norms.shape)
    np.divide(1.0 / np.sqrt(len(blocks)), norms, out=scales, where=norms > 0)
    live = np.flatnonzero((norms > 0).any(axis=0) & (same_as == np.arange(n)))
    return RowSet(blocks, scales.astype(np.float32), same_as, live)


def check_same_spaces(left: RowSet, right: RowSet) -> None:
    """Refuse two sets whose blocks differ in columns.

    Raises
    ------
    UsageError
        ``bad-block``.
    """
    dims = [[int(block.shape[1]) for block in side.blocks] for side in (left, right)]
    if dims[0] != dims[1]:
        raise UsageError(
            "bad-block",
            f"vectors of {dims[0]} columns cannot be compared with vectors of {dims[1]}",
            hint="compare vectors of the same spaces, in the same order",
        )


def _pieces(block: RowSource) -> Iterator[tuple[slice, NDArray[Any]]]:
    n, dim = int(block.shape[0]), int(block.shape[1])
    step = chunk_rows(dim)
    for start in range(0, n, step):
        rows = slice(start, min(n, start + step))
        yield rows, np.ascontiguousarray(block[rows])


def _norms(stored: NDArray[Any]) -> NDArray[np.float64]:
    """Length of each row; 0 below `_TINY`, infinity beyond `_HUGE` and where a value is not finite.

    Single precision is enough for all but the rows that overflow or vanish in it.
    """
    values = to_single(stored)
    squares = np.einsum("ij,ij->i", values, values).astype(np.float64)
    if stored.dtype == np.float16:
        # The exponent's bits are all set in an infinity and in NaN (IEEE 754).
        special = (stored.view(np.uint16) & 0x7C00) == 0x7C00
        squares[special.any(axis=1)] = np.inf
    else:
        again = ~((squares > _TINY) & (squares < _HUGE))
        exact = stored[again].astype(np.float64)
        squares[again] = np.einsum("ij,ij->i", exact, exact)
        squares[np.isnan(squares)] = np.inf
    norms = np.sqrt(squares)
    norms[norms < _TINY] = 0
    norms[norms > _HUGE] = np.inf
    return np.asarray(norms, np.float64)


def _refuse(block: int, row: int) -> None:
    raise VtaError(
        "not-finite",
        f"row {row} of block {block} of the vectors holds NaN, an infinity or huge values",
        hint="run `vta store check`, then embed the images of bad shards again",
    )


def _hash(stored: NDArray[Any], *, seed: int) -> NDArray[np.uint64]:
    """64-bit multilinear hash of the rows' bytes; equal rows have equal hashes.

    Lemire and Kaser, "Strongly universal string hashing is fast" (2014), without the final shift:
    collisions are checked for by the caller.
    """
    width = stored.shape[1] * stored.itemsize
    raw = stored.view(np.uint8).reshape(stored.shape[0], width)
    if width % 8:
        raw = np.pad(raw, ((0, 0), (0, -width % 8)))
    words = raw.view(np.uint64)
    rng = np.random.default_rng((seed, 20_14))
    factors = rng.integers(0, 2**64, words.shape[1], dtype=np.uint64) | np.uint64(1)
    return np.asarray(np.einsum("ij,j->i", words, factors), np.uint64)


def _collapse(
    blocks: tuple[RowSource, ...],
    hashes: NDArray[np.uint64],
    whole: NDArray[np.bool_],
    same_as: Ids,
) -> None:
    """Write into `same_as` the first equal row of those whose hashes coincide."""
    rows = np.flatnonzero(whole)
    _, first, back = np.unique(hashes[rows], return_index=True, return_inverse=True)
    firsts = rows[first[back]]
    later = rows != firsts
    rows, firsts = rows[later], firsts[later]
    equal = np.ones(rows.shape[0], bool)
    for block in blocks:
        step = chunk_rows(int(block.shape[1]))
        for start in range(0, rows.shape[0], step):
            here = slice(start, start + step)
            a, b = np.asarray(block[rows[here]]), np.asarray(block[firsts[here]])
            equal[here] &= (a == b).all(axis=1)
    same_as[rows[equal]] = firsts[equal]


def _unit_double(rows: NDArray[Any]) -> NDArray[np.float64]:
    values = rows.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", values, values))
    norms[norms < _TINY] = np.inf
    values /= norms[:, None]
    return values
