"""New rows against a library: rows of the library are never compared with each other.

What is near-duplicate inside the library is its owner's business, or was settled before; the cost
is that of what is new. Each row of the library that a new row is close to is the keeper of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vta_cli.errors import VtaError
from vta_cli.neighbors.groups import ALONE, GroupResult, check_order
from vta_cli.neighbors.join import MEMORY_BYTES, Pairs, cross_join
from vta_cli.neighbors.regroup import group_rows, subset
from vta_cli.neighbors.rows import Floats, Ids, RowSource, as_blocks
from vta_cli.neighbors.scan import Tick

Check = Callable[[tuple[RowSource, ...], Pairs], None]


@dataclass(frozen=True)
class AgainstResult:
    """What became of each new row.

    Attributes
    ----------
    host : ndarray of shape (n,), int64
        The row of the library that the new row is most similar to, the first of equally similar
        ones; `ALONE` if none reaches the threshold.
    similarity : ndarray of shape (n,), float32
        To the host; NaN without one.
    rest : ndarray of shape (m,), int64
        New rows without a host, the one most worth keeping first.
    among : GroupResult
        Groups of the rows `rest`, among themselves.
    """

    host: Ids
    similarity: Floats
    rest: Ids
    among: GroupResult


def group_against(
    new: RowSource | Sequence[RowSource],
    library: RowSource | Sequence[RowSource],
    threshold: float,
    order: Ids,
    *,
    margin: float | None = None,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    progress: Tick | None = None,
    check_cross: Callable[[Pairs], None] | None = None,
    check_among: Check | None = None,
) -> AgainstResult:
    """Give new rows to the rows of the library that they are close to, and group the rest.

    Parameters
    ----------
    new, library : RowSource or sequence of RowSource
        One set of vectors a space, the same spaces in both; else as in `self_join`.
    threshold, margin, seed, memory_bytes
        As in `self_join`.
    order : ndarray of shape (n,), int64
        All new rows, the one most worth keeping first.
    progress : callable, optional
        As in `cross_join`; the comparison of the rest with itself is not told.
    check_cross : callable, optional
        Called with the pairs of new rows and the library; not where rows had to be taken in pieces.
    check_among : callable, optional
        Called with the sources and the pairs of the rest; again not where taken in pieces.

    Raises
    ------
    UsageError, VtaError
        As `cross_join` and `group_rows`; ``too-many-pairs`` only where one new row alone has more
        pairs with the library than the memory holds.
    """
    mine, theirs = as_blocks(new), as_blocks(library)
    check_order(order, int(mine[0].shape[0]))
    settings: dict[str, Any] = {"margin": margin, "seed": seed, "memory_bytes": memory_bytes}
    host, similarity = _hosts(mine, theirs, threshold, settings, progress, check_cross)
    rest = order[host[order] == ALONE]
    left = tuple(subset(mine, rest))

    def check(pairs: Pairs) -> None:
        if check_among is not None:
            check_among(left, pairs)

    among = group_rows(left, threshold, np.arange(rest.shape[0]), check=check, **settings)
    return AgainstResult(host, similarity, rest, among)


def _hosts(
    new: tuple[RowSource, ...],
    library: tuple[RowSource, ...],
    threshold: float,
    settings: dict[str, Any],
    progress: Tick | None = None,
    check: Callable[[Pairs], None] | None = None,
) -> tuple[Ids, Floats]:
    """Return each new row's host and how close it is; in halves where pairs would not fit."""
    n = int(new[0].shape[0])
    try:
        pairs = cross_join(new, library, threshold, progress=progress, **settings)
    except VtaError as error:
        if error.slug != "too-many-pairs" or n <= 1:
            raise
        halves = np.array_split(np.arange(n), 2)
        parts = [_hosts(tuple(subset(new, ids)), library, threshold, settings) for ids in halves]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    if check is not None:
        check(pairs)
    best = np.lexsort((pairs.right, -pairs.similarity, pairs.left))
    rows, first = np.unique(pairs.left[best], return_index=True)
    host = np.full(n, ALONE, np.int64)
    similarity = np.full(n, np.nan, np.float32)
    host[rows] = pairs.right[best[first]]
    similarity[rows] = pairs.similarity[best[first]]
    # Only the first of equal rows occurs in pairs; the others share its fate.
    return host[pairs.left_same], similarity[pairs.left_same]
