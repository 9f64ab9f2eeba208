"""Folds that keep groups together and classes in proportion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def make_folds(
    targets: NDArray[np.int8], groups: Ints, n_folds: int, n_repeats: int, seed: int
) -> Ints:
    """Deal rows into folds.

    Near-copies share a group and a group shares a fold. Each fold has nearly the same number of
    positives and of negatives. There are at most as many folds as groups with a positive, and as
    groups with a negative.

    Parameters
    ----------
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    groups : ndarray of shape (n,), int64
        Group of each row.
    n_folds, n_repeats, seed : int
        Wanted number of folds, number of independent deals, seed of the shuffles.

    Returns
    -------
    ndarray of shape (n_repeats, n), int64
        Fold of each row; of shape (0, n) if some training part would lack a class.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    counts = np.stack([np.bincount(group_of, targets == side) for side in (0, 1)], axis=1)
    n_usable = int(min(n_folds, *np.sum(counts > 0, axis=0)))
    if n_usable < 2:
        return np.empty((0, len(targets)), dtype=np.int64)
    random = np.random.default_rng(seed)
    folds = np.stack([_deal(counts, n_usable, random)[group_of] for _ in range(n_repeats)])
    for fold_of in folds:
        inside = np.stack([np.bincount(fold_of[targets == s], minlength=n_usable) for s in (0, 1)])
        if np.any(inside == inside.sum(axis=1, keepdims=True)):
            return np.empty((0, len(targets)), dtype=np.int64)
    return folds


def _deal(counts: NDArray[Any], n_folds: int, random: np.random.Generator) -> Ints:
    """Return the fold of each group: large groups greedily, then single rows to level out."""
    fold_of = np.full(len(counts), -1, dtype=np.int64)
    filled = np.zeros((n_folds, 2))
    sizes = counts.sum(axis=1)
    share = 1.0 / counts.sum(axis=0)
    order = random.permutation(len(counts))
    large = order[sizes[order] > 1]
    for group in large[np.argsort(-sizes[large], kind="stable")]:
        after = (filled + counts[group]) * share
        cost = np.sum(after**2 - (filled * share) ** 2, axis=1)
        fold = int(np.argmin(cost + 1e-12 * random.random(n_folds)))
        fold_of[group] = fold
        filled[fold] += counts[group]
    for side in (0, 1):
        single = order[(sizes[order] == 1) & (counts[order, side] == 1)]
        fold_of[single] = _level(filled, side, len(single), random)
        filled[:, side] += np.bincount(fold_of[single], minlength=n_folds)
    return fold_of


def _level(filled: NDArray[np.float64], side: int, n: int, random: np.random.Generator) -> Ints:
    """Return folds for `n` rows of a side, the emptiest first; ties go to the smaller fold."""
    n_folds = len(filled)
    height = filled[:, side, None] + np.arange(n)  # (n_folds, n) level at which a row would lie
    tie = filled.sum(axis=1) + random.random(n_folds)
    order = np.lexsort((np.repeat(tie, n), height.reshape(-1)))[:n]
    return (order // max(n, 1)).astype(np.int64)
