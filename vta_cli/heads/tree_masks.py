"""Small boosted trees without walking down: all comparisons first, then what they leave over.

Each node that sends a row to the right rules out the leaves on its left. So a tree of up to 8
leaves is a byte of leaves still possible, from which every node that says no takes its own away;
the first that is left is the row's (Lucchese and others, "QuickScorer", SIGIR 2015). All of it are
comparisons and bits of whole blocks: for 150 trees of 4 leaves a fifth of the time of walking.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MASK_LEAVES = 8
"""Leaves of the widest tree that is evaluated so: bits of a byte, of which a table knows the first.
"""
_ALL = 0xFF


@dataclass(frozen=True)
class Masks:
    """Trees, made for `by_masks`.

    Attributes
    ----------
    used : ndarray of shape (n_used,), int64
        Columns that any node compares, in their order.
    feature : ndarray of shape (n_nodes * n_trees,), int64
        Which of them each node does: the first nodes of all trees, then the second ones.
    threshold : ndarray of shape (n_nodes * n_trees, 1), float32
        The largest float32 that goes left.
    kept : ndarray of shape (n_nodes, n_trees), uint8
        Leaves that are still possible if the row does not go left.
    value : ndarray of shape (n_trees * 256,), float64
        What a tree says of each set of leaves still possible.
    """

    used: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    kept: NDArray[np.uint8]
    value: NDArray[np.float64]


def make_masks(
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    leaf: NDArray[np.float64],
) -> Masks | None:
    """Turn the arrays of a `trees.TreesPart` into masks.

    Leaves get new numbers, from left to right: a tree's own need not be in that order.

    Returns
    -------
    Masks or None
        None if a tree has more than `MASK_LEAVES` leaves, or is none because two ways lead to one
        node: walking down knows what to make of that.
    """
    if leaf.shape[1] > MASK_LEAVES:
        return None
    n_trees, n_nodes = feature.shape
    kept = np.full((n_nodes, n_trees), _ALL, np.uint8)
    value = np.zeros((n_trees, _ALL + 1))
    first = np.array([(sets & -sets).bit_length() - 1 for sets in range(_ALL + 1)])  # -1 of none
    for tree in range(n_trees):
        order = _leaves(0, left[tree].tolist(), right[tree].tolist(), kept[:, tree])
        if order is None:
            return None
        said = leaf[tree, order]
        value[tree] = said[np.minimum(first, len(order) - 1)]
    used, place = np.unique(feature.T, return_inverse=True)
    return Masks(
        used.astype(np.int64),
        place.reshape(-1),
        _not_above(threshold.T.reshape(-1, 1)),
        kept,
        value.reshape(-1),
    )


def _leaves(
    node: int, left: list[int], right: list[int], kept: NDArray[np.uint8]
) -> list[int] | None:
    """Return the leaves of a tree from left to right, and note what its nodes rule out."""
    order: list[int] = []
    ends: dict[int, int] = {}
    pending = [node]
    while pending:
        node = pending.pop()
        if node >= len(left):  # the left side of a node is done
            node -= len(left)
            for place in range(ends[node], len(order)):
                kept[node] &= _ALL ^ (1 << place)
        elif node >= 0:
            if node in ends:
                return None
            ends[node] = len(order)
            pending += [right[node], node + len(left), left[node]]
        else:
            order.append(-node - 1)
    return order


def by_masks(trees: Masks, unit: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sum of the leaves that each row falls into, added tree by tree.

    Parameters
    ----------
    trees : Masks
    unit : ndarray of shape (n, dim), float32

    Returns
    -------
    ndarray of shape (n,), float64
    """
    n_nodes, n_trees = trees.kept.shape
    # a row is read from front to back, and only once
    columns = np.ascontiguousarray(np.take(unit, trees.used, axis=1).T)  # (n_used, n)
    goes_left = np.take(columns, trees.feature, axis=0) <= trees.threshold
    # true is one, and nothing less one is a byte of ones
    stays = np.negative(goes_left.view(np.uint8)).reshape(n_nodes, n_trees, len(unit))
    stays |= trees.kept[:, :, None]
    left_over = np.bitwise_and.reduce(stays, axis=0)  # (n_trees, n)
    # all are in range, and numpy looks for no reason to complain
    at = left_over + (np.arange(n_trees) * (_ALL + 1))[:, None]
    said = np.take(trees.value, at, mode="clip")
    if said.shape[1] == 1:  # numpy would add pairs of pairs
        return np.asarray(np.cumsum(said, axis=0)[-1])
    # one after the other, the order in which LightGBM adds
    return np.asarray(np.add.reduce(said, axis=0))


def _not_above(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold; no comparison changes by it."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    above = near.astype(np.float64) > thresholds
    near[above] = np.nextafter(near[above], np.float32(-np.inf))
    return near
