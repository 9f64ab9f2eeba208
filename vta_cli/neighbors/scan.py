"""The inner loop of the joins: tiles of stand-ins multiplied, survivors verified on the vectors.

It knows the stand-ins of one or two sets in the order of their cells, and collects pairs. Which
tiles to look at is the caller's business.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import VtaError
from vta_cli.neighbors.rows import Floats, Ids, RowSet, chunk_rows
from vta_cli.words import counted

Tick = Callable[[int], object]
"""Told of each number of rows that has just been dealt with; they add up to all rows."""

TILE = 512
"""Rows and columns of one product: 1 MB of float32, the size of a core's second cache."""

SQUARE_SLACK = 5e-5
"""Allowed rounding error of a squared distance between stand-ins of unit rows in float32.

Products of 66 float32 terms of size at most 1 are off by less than 1e-5, coordinates by less than
1e-6; the rest is margin. At a threshold of 0.96 it admits 0.06 % more than needed.
"""

COSINE_TOLERANCE = 1e-6
"""A pair counts from ``threshold - COSINE_TOLERANCE`` on: equal directions are 1 up to rounding."""

_DOUBTFUL = 2e-5
"""Single-precision cosines this near to the threshold are computed again in double precision."""

_DENSE = 0.03
"""Share of survivors from which a tile is multiplied in full instead of verified pair by pair."""


@dataclass(frozen=True)
class Side:
    """Rows of one set as they lie in the scan: position p belongs to row ``ids[p]`` of `rows`."""

    rows: RowSet
    ids: Ids

    def row(self, positions: Ids) -> Ids:
        """Row numbers in the set of positions in the scan."""
        out: Ids = self.ids[positions]
        return out


@dataclass
class Found:
    """Pairs so far, row numbers of the left and the right set; bounded in number.

    A pair may be added twice, since either of its rows may look into the other's cell.
    """

    threshold: float
    max_pairs: int
    n_right: int
    _left: list[Ids] = field(default_factory=list)
    _right: list[Ids] = field(default_factory=list)
    _similarity: list[Floats] = field(default_factory=list)
    _n: int = 0
    _n_at_compaction: int = 0

    def add(self, left: Ids, right: Ids, similarity: Floats) -> None:
        """Add pairs; compacts when the number has doubled, refuses beyond the limit.

        Raises
        ------
        VtaError
            ``too-many-pairs``.
        """
        if not left.size:
            return
        self._left.append(left)
        self._right.append(right)
        self._similarity.append(similarity)
        self._n += left.size
        if self._n > max(1 << 16, 2 * self._n_at_compaction):
            self.compact()
        if self._n > self.max_pairs:
            self.compact()
            if self._n > self.max_pairs:
                raise VtaError(
                    "too-many-pairs",
                    f"more than {counted(self.max_pairs, 'pair')} of images are at least "
                    f"{self.threshold:g} similar",
                    hint="raise the threshold",
                )

    def compact(self) -> tuple[Ids, Ids, Floats]:
        """Sort by left, then right row, drop what was found twice, and return the three arrays."""
        left = np.concatenate([np.empty(0, np.int64), *self._left])
        right = np.concatenate([np.empty(0, np.int64), *self._right])
        similarity = np.concatenate([np.empty(0, np.float32), *self._similarity])
        _, keep = np.unique(left * max(1, self.n_right) + right, return_index=True)
        left, right, similarity = left[keep], right[keep], similarity[keep]
        self._left, self._right, self._similarity = [left], [right], [similarity]
        self._n = self._n_at_compaction = left.size
        return left, right, similarity


@dataclass
class Scan:
    """Multiplies tiles of stand-ins and sends close pairs to `found`.

    Attributes
    ----------
    points : ndarray of shape (n, width + 2), float32
        ``[stand-in, -h, 1]`` with h half the squared length: with the last two columns swapped on
        one side, a dot product is minus half the squared distance.
    short : ndarray of shape (n, fewer + 2), float32
        What the first look takes: `points` itself, or `shortened`.
    left, right : Side
        Both the same object for a self join.
    limit : float32
        Smallest product that may belong to a pair.
    lock : lock
        Held while vectors are read or pairs added: products may run in several threads, sources of
        rows need not bear that.
    """

    points: Floats
    short: Floats
    left: Side
    right: Side
    found: Found
    limit: np.float32 = field(init=False)
    lock: AbstractContextManager[bool] = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        square = 2 * (1 - self.found.threshold) + 2 * COSINE_TOLERANCE + SQUARE_SLACK
        self.limit = np.float32(-square / 2)

    def strip(self, start: int, stop: int) -> None:
        """Compare the first tile of positions of a range with all of it, each pair once."""
        rows = np.arange(start, min(start + TILE, stop))
        taken = mirrored(self.short[rows])
        for b in range(start, stop, TILE):
            self._tile(rows, taken, b, min(b + TILE, stop), upper=b == start)

    def triangle(self, start: int, stop: int) -> None:
        """Compare all pairs of positions within a range, each once."""
        for a in range(start, stop, TILE):
            self.strip(a, stop)

    def rectangle(self, visitors: Ids, start: int, stop: int, *, swapped: bool = False) -> None:
        """Compare every visitor with every position of a range.

        Parameters
        ----------
        swapped : bool
            Whether the visitors belong to the right side.
        """
        for a in range(0, visitors.shape[0], TILE):
            rows = visitors[a : a + TILE]
            taken = mirrored(np.take(self.short, rows, axis=0))
            for b in range(start, stop, TILE):
                self._tile(rows, taken, b, min(b + TILE, stop), swapped=swapped)

    def _tile(
        self,
        visitors: Ids,
        taken: Floats,
        start: int,
        stop: int,
        *,
        upper: bool = False,
        swapped: bool = False,
    ) -> None:
        scores = taken @ self.short[start:stop].T  # (n_visitors, n_members)
        close = scores >= self.limit
        if upper:
            close &= np.tri(close.shape[1], close.shape[0], -1, dtype=bool).T
        hits = np.flatnonzero(close)
        if not hits.size:
            return
        if hits.size > _DENSE * close.size:
            with self.lock:
                self._verify_tile(visitors, start, stop, close, swapped=swapped)
            return
        i, j = np.divmod(hits, stop - start)
        a, b = visitors[i], start + j
        if self.short is not self.points:
            near = _products(self.points, a, b) >= self.limit
            a, b = a[near], b[near]
        if a.size:
            with self.lock:
                self._verify(a, b, swapped=swapped)

    def _verify_tile(
        self, visitors: Ids, start: int, stop: int, close: NDArray[np.bool_], *, swapped: bool
    ) -> None:
        mine, theirs = (self.right, self.left) if swapped else (self.left, self.right)
        members = np.arange(start, stop)
        cosines = mine.rows.unit(mine.row(visitors)) @ theirs.rows.unit(theirs.row(members)).T
        close &= cosines >= self.found.threshold - _DOUBTFUL
        i, j = np.nonzero(close)
        self._settle(visitors[i], members[j], cosines[i, j], swapped=swapped)

    def _verify(self, a: Ids, b: Ids, *, swapped: bool) -> None:
        mine, theirs = (self.right, self.left) if swapped else (self.left, self.right)
        step = chunk_rows(2 * mine.rows.dim)
        for start in range(0, a.shape[0], step):
            p, q = a[start : start + step], b[start : start + step]
            cosines = np.einsum(
                "ij,ij->i", mine.rows.unit(mine.row(p)), theirs.rows.unit(theirs.row(q))
            )
            keep = cosines >= self.found.threshold - _DOUBTFUL
            self._settle(p[keep], q[keep], cosines[keep], swapped=swapped)

    def _settle(self, a: Ids, b: Ids, cosines: Floats, *, swapped: bool) -> None:
        """Decide doubtful pairs in double precision and add what is left."""
        if swapped:
            a, b = b, a
        left, right = self.left.row(a), self.right.row(b)
        doubtful = np.flatnonzero(cosines < self.found.threshold + _DOUBTFUL)
        exact = self.left.rows.exact(left[doubtful], self.right.rows, right[doubtful])
        cosines[doubtful] = exact
        keep = np.ones(left.shape[0], bool)
        keep[doubtful] = exact >= self.found.threshold - COSINE_TOLERANCE
        left, right = left[keep], right[keep]
        if self.left.rows is self.right.rows:
            left, right = np.minimum(left, right), np.maximum(left, right)
        self.found.add(left, right, np.minimum(cosines[keep], np.float32(1)))


def augment(points: Floats) -> None:
    """Fill the last two columns of ``[x, -|x|^2 / 2, 1]``, given x in the others."""
    stand_ins = points[:, :-2]
    points[:, -2] = np.einsum("ij,ij->i", stand_ins, stand_ins) / np.float32(-2)
    points[:, -1] = 1


def mirrored(points: Floats) -> Floats:
    """Return augmented rows with the last two columns swapped."""
    out = points.copy()
    out[:, -2], out[:, -1] = points[:, -1], points[:, -2]
    return out


def shortened(points: Floats, n_axes: int) -> Floats:
    """Keep `n_axes` leading axes of augmented rows; the others join the length of the leftover."""
    n_columns = points.shape[1] - 2
    left_out = points[:, n_axes:n_columns]
    out = np.empty((points.shape[0], n_axes + 3), np.float32)
    out[:, :n_axes] = points[:, :n_axes]
    out[:, n_axes] = np.sqrt(np.einsum("ij,ij->i", left_out, left_out))
    out[:, -2:] = points[:, -2:]
    return out


def _products(points: Floats, a: Ids, b: Ids) -> Floats:
    out = np.empty(a.shape[0], np.float32)
    step = 4096
    for start in range(0, a.shape[0], step):
        here = slice(start, start + step)
        p, q = np.take(points, a[here], axis=0), np.take(points, b[here], axis=0)
        p[:, :-2] -= q[:, :-2]
        out[here] = np.einsum("ij,ij->i", p[:, :-2], p[:, :-2]) / np.float32(-2)
    return out
