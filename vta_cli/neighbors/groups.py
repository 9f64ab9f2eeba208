"""Groups of near-copies, each with one keeper that all its members are close to.

Similarity does not carry over: A may be close to B and B to C without A being close to C. So a
group is not a chain of pairs: whoever is not close enough to a keeper is never dropped for it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.rows import Floats, Ids

ALONE = -1
"""Group number of a row that has no near-copy."""


@dataclass(frozen=True)
class GroupResult:
    """What became of each row.

    Attributes
    ----------
    group : ndarray of shape (n,), int64
        Group number, from 0 in the order of the keepers; `ALONE` for rows without one.
    keeper : ndarray of shape (n,), bool
        True for one row of each group; False for rows that are alone.
    similarity : ndarray of shape (n,), float32
        To the group's keeper, at least the threshold of the pairs; 1 for keepers and for rows equal
        to them, NaN for rows that are alone.
    """

    group: Ids
    keeper: NDArray[np.bool_]
    similarity: Floats

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(np.count_nonzero(self.keeper))

    @property
    def surplus(self) -> Ids:
        """Rows that are neither keepers nor alone, ascending: what could go."""
        out: Ids = np.flatnonzero((self.group != ALONE) & ~self.keeper)
        return out


def groups(n: int, pairs: Pairs, order: Ids) -> GroupResult:
    """Group rows around keepers; the same input gives the same groups.

    Rows are taken in `order`. A row becomes a keeper unless an earlier keeper is close to it. Then
    each row that is not a keeper joins the keeper that it is most similar to, the earlier of two
    equally similar ones. Thus any two keepers are unlike each other, and every member is close to
    its keeper. Equal rows share their fate: the first of them in `order` stands for all.

    Parameters
    ----------
    n : int
        Number of rows.
    pairs : Pairs
        Of a self join over n rows, or of `stack`.
    order : ndarray of shape (n,), int64
        All row numbers, the one most worth keeping first.

    Raises
    ------
    UsageError
        ``bad-order`` if `order` is not a permutation of the rows, ``bad-pairs`` if `pairs` are not
        those of n rows.
    """
    same = pairs.left_same
    if same.shape[0] != n or pairs.right_same.shape[0] != n:
        raise UsageError(
            "bad-pairs",
            f"pairs of {same.shape[0]} rows cannot group {n} rows",
            hint="join and group the same rows",
        )
    check_order(order, n)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    # Class c is the rows equal to row c; its best row has the lowest rank.
    best_rank = np.full(n, n, np.int64)
    np.minimum.at(best_rank, same, rank)
    host, closeness = _choose_hosts(n, pairs, best_rank)
    size = np.bincount(same, minlength=n)
    filled = (host != np.arange(n)) & (size > 0)
    population = size + np.bincount(host[filled], weights=size[filled], minlength=n).astype(
        np.int64
    )
    row_host = host[same]
    grouped = population[row_host] > 1
    keeper = grouped & (row_host == same) & (rank == best_rank[same])
    number = np.full(n, ALONE, np.int64)
    keepers = np.flatnonzero(keeper)
    keepers = keepers[np.argsort(rank[keepers])]
    number[same[keepers]] = np.arange(keepers.shape[0])
    group = np.where(grouped, number[row_host], ALONE)
    similarity = np.where(grouped, closeness[same], np.float32(np.nan)).astype(np.float32)
    return GroupResult(group, keeper, similarity)


def check_order(order: Ids, n: int) -> None:
    """Refuse what is not a permutation of n rows.

    Raises
    ------
    UsageError
        ``bad-order``.
    """
    if order.shape != (n,) or not np.array_equal(np.sort(order), np.arange(n)):
        raise UsageError(
            "bad-order",
            f"the order does not name each of {n} rows once",
            hint="give a permutation of the row numbers",
        )


def _choose_hosts(n: int, pairs: Pairs, best_rank: Ids) -> tuple[Ids, Floats]:
    """Return each class's host (itself for keepers) and how close it is to it."""
    host = np.arange(n)
    closeness = np.ones(n, np.float32)
    here = np.concatenate([pairs.left, pairs.right])
    there = np.concatenate([pairs.right, pairs.left])
    similar = np.concatenate([pairs.similarity, pairs.similarity])
    # By the nearer-to-the-front of each class: one slice of neighbours a class.
    by_class = np.lexsort((best_rank[there], best_rank[here]))
    here, there, similar = here[by_class], there[by_class], similar[by_class]
    starts = np.flatnonzero(np.append(True, here[1:] != here[:-1])[: here.shape[0]])
    stops = np.append(starts[1:], here.shape[0])[: starts.shape[0]]
    is_keeper = np.ones(n, bool)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if is_keeper[here[start]]:
            # Later neighbours cannot be keepers; an earlier one that was would have said so.
            later = there[start:stop]
            is_keeper[later] = False
    joins = ~is_keeper[here] & is_keeper[there]
    here, there, similar = here[joins], there[joins], similar[joins]
    # Last write wins: the least similar, then the later keepers first.
    final = np.lexsort((-best_rank[there], similar))
    host[here[final]] = there[final]
    closeness[here[final]] = similar[final]
    return host, closeness
