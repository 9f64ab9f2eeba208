"""Near-duplicate joins: all pairs of rows whose mean cosine reaches a threshold, exactly.

`docs/decisions/` tells how and why it works; `docs/dedupe.md` what it means for users.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.neighbors.plan import plan_cells, run_plan
from vta_cli.neighbors.prefix import fit_prefix
from vta_cli.neighbors.rows import Floats, Ids, RowSet, RowSource, check_same_spaces, read_rows
from vta_cli.neighbors.scan import (
    COSINE_TOLERANCE,
    SQUARE_SLACK,
    Found,
    Scan,
    Side,
    Tick,
    augment,
)
from vta_cli.neighbors.threads import crew

MEMORY_BYTES = 1 << 30
"""Default allowance for visit lists and pairs, beyond stand-ins of some 450 bytes a row [bytes]."""

FAST_MARGIN = 0.10
"""Margin that finds all but a few pairs at cosine 0.96 in about half the time of the lossless one.

Lossless there is sqrt(2 * 0.04) / 2 = 0.141.
"""

_AXES = 64
_BYTES_PER_PAIR = 64


@dataclass(frozen=True)
class Pairs:
    """Rows found to be near-copies, and rows that are equal.

    Equal rows are represented by the first of them: only representatives occur in `left` and
    `right`, so that n equal rows make n - 1 notes in `left_same` and not n^2 / 2 pairs. `expand`
    spells everything out.

    Attributes
    ----------
    left, right : ndarray of shape (m,), int64
        Row numbers, sorted by left, then right. In a self join ``left < right``; in a cross join
        they count in the first and the second set.
    similarity : ndarray of shape (m,), float32
        Mean cosine over the blocks, at most 1.
    left_same, right_same : ndarray of shape (n_left,) and (n_right,), int64
        The representative of each row: the first row equal to it in all blocks, itself mostly. In
        a self join both are the same.
    lossless : bool
        Whether every pair was certain to be found.
    """

    left: Ids
    right: Ids
    similarity: Floats
    left_same: Ids
    right_same: Ids
    lossless: bool = True

    def expand(self) -> tuple[Ids, Ids, Floats]:
        """Return all pairs (left, right, similarity) of rows, equal ones included, sorted.

        The number of pairs of equal rows is the square of the number of rows: for few rows only.
        """
        same = self.left_same is self.right_same
        alike_left, alike_right = _members(self.left_same), _members(self.right_same)
        found = [
            (i, j, s)
            for a, b, s in zip(self.left, self.right, self.similarity, strict=True)
            for i in alike_left[int(a)]
            for j in alike_right[int(b)]
        ]
        if same:
            found += [
                (i, j, np.float32(1))
                for members in alike_left.values()
                for k, i in enumerate(members)
                for j in members[k + 1 :]
            ]
            found = [(min(i, j), max(i, j), s) for i, j, s in found]
        found.sort()
        return (
            np.array([i for i, _, _ in found], np.int64),
            np.array([j for _, j, _ in found], np.int64),
            np.array([s for _, _, s in found], np.float32),
        )


def self_join(
    blocks: RowSource | Sequence[RowSource],
    threshold: float,
    *,
    margin: float | None = None,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    progress: Tick | None = None,
) -> Pairs:
    """Find all pairs of rows whose mean cosine over the blocks is at least `threshold`.

    Parameters
    ----------
    blocks : RowSource or sequence of RowSource
        One set of vectors a space, all of the same n rows in the same order; float16 or float32.
        Rows are brought to unit length here. A row of zeros has cosine 0 with everything.
    threshold : float
        In 0 < threshold <= 1. A pair counts from ``threshold - 1e-6`` on, so that 1.0 means equal
        directions whatever the rounding.
    margin : float or None
        How far from a bisector a row still looks into the cell behind it. None: far enough to lose
        no pair. Smaller is faster; see `FAST_MARGIN`.
    seed : int
        Of the samples; it changes the time that is needed, never the lossless result.
    memory_bytes : int
        Allowance for visit lists and pairs.
    progress : callable, optional
        Called now and then with the number of rows just dealt with; they add up to all rows.

    Raises
    ------
    UsageError
        ``bad-threshold``, ``bad-margin``, ``no-blocks``, ``bad-block``.
    VtaError
        ``not-finite`` for NaN or infinities; ``too-many-pairs`` beyond `memory_bytes`.
    """
    _check(threshold, margin)
    rows = read_rows(blocks)
    found = Found(threshold, memory_bytes // _BYTES_PER_PAIR, rows.n)
    _join(
        rows,
        None,
        found,
        margin=margin,
        seed=seed,
        memory_bytes=memory_bytes,
        progress=progress,
    )
    return _pairs(found, rows.same_as, rows.same_as, margin)


def cross_join(
    new: RowSource | Sequence[RowSource],
    library: RowSource | Sequence[RowSource],
    threshold: float,
    *,
    margin: float | None = None,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    progress: Tick | None = None,
) -> Pairs:
    """Find all pairs of a row of `new` (left) and a row of `library` (right); else as `self_join`.

    What is near-duplicate after `new` has joined `library` is this and ``self_join(new)``: rows of
    the library are not compared with each other again. `stack` puts the three together.

    Raises
    ------
    UsageError
        Also ``bad-block`` if the two sets are not of the same spaces.
    """
    _check(threshold, margin)
    left, right = read_rows(new), read_rows(library)
    check_same_spaces(left, right)
    found = Found(threshold, memory_bytes // _BYTES_PER_PAIR, right.n)
    _join(
        left,
        right,
        found,
        margin=margin,
        seed=seed,
        memory_bytes=memory_bytes,
        progress=progress,
    )
    return _pairs(found, left.same_as, right.same_as, margin)


def extend_join(
    blocks: RowSource | Sequence[RowSource],
    threshold: float,
    known: Ids,
    before: Pairs,
    *,
    margin: float | None = None,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    progress: Tick | None = None,
) -> Pairs:
    """Find what `self_join` finds, when some of the rows have been joined before.

    Rows joined before are read, and not compared with each other again.

    Parameters
    ----------
    known : ndarray of shape (m,), int64
        Rows that have been joined before, ascending.
    before : Pairs
        Their pairs at the same threshold, numbered by place in `known`; see `restrict`.
    blocks, threshold, margin, seed, memory_bytes, progress
        As in `self_join`.

    Returns
    -------
    Pairs
        Equal to those of `self_join` over all rows, if neither join has lost any.

    Raises
    ------
    UsageError, VtaError
        As `self_join`; ``bad-pairs`` if `before` are not pairs of the known rows.
    """
    _check(threshold, margin)
    if before.left_same.shape[0] != known.shape[0]:
        raise UsageError(
            "bad-pairs",
            f"pairs of {before.left_same.shape[0]} rows say nothing of {known.shape[0]} rows",
            hint="compare all rows anew",
        )
    rows = read_rows(blocks)
    is_old = np.zeros(rows.n, bool)
    is_old[rows.same_as[known]] = True  # a new row that equals an old one is none
    old = replace(rows, live=rows.live[is_old[rows.live]])
    new = replace(rows, live=rows.live[~is_old[rows.live]])
    found = Found(threshold, memory_bytes // _BYTES_PER_PAIR, rows.n)
    left, right = rows.same_as[known[before.left]], rows.same_as[known[before.right]]
    found.add(np.minimum(left, right), np.maximum(left, right), before.similarity)
    _join(new, None, found, margin=margin, seed=seed, memory_bytes=memory_bytes, progress=None)
    cross = Found(threshold, found.max_pairs, rows.n)
    _join(
        new, old, cross,
        margin=margin, seed=seed, memory_bytes=memory_bytes, progress=progress, n_given=rows.n,
    )  # fmt: skip
    left, right, similarity = cross.compact()
    found.add(np.minimum(left, right), np.maximum(left, right), similarity)
    made = _pairs(found, rows.same_as, rows.same_as, margin)
    return replace(made, lossless=made.lossless and before.lossless)


def restrict(pairs: Pairs, rows: Ids) -> Pairs:
    """Return the pairs among some of the rows of a self join.

    Parameters
    ----------
    pairs : Pairs
        Of a self join.
    rows : ndarray of shape (m,), int64
        Rows of that join, each at most once, in any order.

    Returns
    -------
    Pairs
        Numbered by place in `rows`; another row of the same class stands for one that is left out.
    """
    kind = pairs.left_same[rows]
    first = np.full(pairs.left_same.shape[0], -1, np.int64)
    first[kind[::-1]] = np.arange(rows.shape[0])[::-1]  # the last write wins: the first place
    left, right = first[pairs.left], first[pairs.right]
    here = np.flatnonzero((left >= 0) & (right >= 0))
    left, right = np.minimum(left[here], right[here]), np.maximum(left[here], right[here])
    order = np.lexsort((right, left))
    same = first[kind]
    return Pairs(
        left[order], right[order], pairs.similarity[here[order]], same, same, pairs.lossless
    )


def stack(library: Pairs, new: Pairs, cross: Pairs) -> Pairs:
    """Join what is known of a library with what was found of new rows.

    Parameters
    ----------
    library, new : Pairs
        Self joins.
    cross : Pairs
        ``cross_join(new, library)``.

    Returns
    -------
    Pairs
        Of the rows of the library followed by the new rows.
    """
    n = library.left_same.shape[0]
    left = np.concatenate([library.left, new.left + n, cross.right])
    right = np.concatenate([library.right, new.right + n, cross.left + n])
    similarity = np.concatenate([library.similarity, new.similarity, cross.similarity])
    order = np.lexsort((right, left))
    same = np.concatenate([library.left_same, new.left_same + n])
    lossless = library.lossless and new.lossless and cross.lossless
    return Pairs(left[order], right[order], similarity[order], same, same, lossless)


def _check(threshold: float, margin: float | None) -> None:
    if not 0 < threshold <= 1:
        raise UsageError(
            "bad-threshold",
            f"a similarity threshold of {threshold} is not above 0 and at most 1",
            hint="near-copies are mostly found between 0.9 and 0.99",
        )
    if margin is not None and not margin >= 0:
        raise UsageError(
            "bad-margin", f"a margin of {margin} is negative", hint="leave it out to lose nothing"
        )


def _pairs(found: Found, left_same: Ids, right_same: Ids, margin: float | None) -> Pairs:
    left, right, similarity = found.compact()
    lossless = margin is None or margin >= lossless_margin(found.threshold)
    return Pairs(left, right, similarity, left_same, right_same, lossless)


def lossless_margin(threshold: float) -> float:
    """Half the distance of unit vectors whose cosine is `threshold`: sqrt(2 (1 - t)) / 2."""
    return sqrt(max(0.0, 2 * (1 - threshold)) + 2 * COSINE_TOLERANCE + SQUARE_SLACK) / 2


def _join(
    left: RowSet,
    right: RowSet | None,
    found: Found,
    *,
    margin: float | None,
    seed: int,
    memory_bytes: int,
    progress: Tick | None,
    n_given: int | None = None,
) -> None:
    """Send the pairs of one set, or of two, to `found`; `progress` adds up to `n_given` rows."""
    sources = [(rows, rows.live) for rows in (left, right) if rows is not None]
    n_left, n_all = left.live.shape[0], sum(live.shape[0] for _, live in sources)
    if n_given is None:
        n_given = sum(rows.n for rows, _ in sources)
    if n_all == 0 or min(live.shape[0] for _, live in sources) == 0:
        n_all = 0
    if progress is not None:
        progress(n_given - n_all)
    if n_all == 0:
        return
    reach = lossless_margin(found.threshold)
    margin = reach if margin is None else min(margin, reach)
    with crew() as workers:
        prefix = fit_prefix(sources, _AXES, seed)
        points = np.empty((n_all, prefix.width + 2), np.float32)
        prefix.project(left, left.live, points[:n_left, :-2])
        if right is not None:
            prefix.project(right, right.live, points[n_left:, :-2])
        augment(points)
        plan = plan_cells(points[:, :-2], n_left, margin, seed, workers)
        points = points[plan.order]
        ids = np.concatenate([live for _, live in sources])[plan.order]
        mine = Side(left, ids)
        scan = Scan(points, points, mine, mine if right is None else Side(right, ids), found)
        run_plan(scan, plan, memory_bytes, workers, progress)


def _members(same: Ids) -> dict[int, list[int]]:
    out: dict[int, list[int]] = {}
    for row, first in enumerate(same.tolist()):
        out.setdefault(first, []).append(row)
    return out
