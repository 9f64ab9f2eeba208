"""Folds for judgements of any kind: groups stay together, values are spread over the folds."""

import numpy as np

from vta_cli.heads.blocks import Floats
from vta_cli.heads.wanted import Ints


def spread_folds(values: Floats, groups: Ints, n_folds: int, seed: int) -> Ints:
    """Deal rows into folds.

    Groups of several rows go to the smallest fold, the largest first. Single rows are dealt in the
    order of their values, so many at a time as there are folds, each to a fold of its own.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        Judgements as numbers; of classes and tags any number that equal ones share.
    groups : ndarray of shape (n,), int64
    n_folds : int
        Wanted number; fewer where there are fewer groups.
    seed : int

    Returns
    -------
    ndarray of shape (n,), int64
        0 to the number of folds less 1; every fold has a row.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n_usable = min(n_folds, len(sizes))
    random = np.random.default_rng(seed)
    fold_of = np.full(len(sizes), -1, dtype=np.int64)
    filled = np.zeros(n_usable)
    for group in sorted(np.flatnonzero(sizes > 1), key=lambda at: -sizes[at]):
        fold = int(np.argmin(filled + random.random(n_usable) * 0.5))
        fold_of[group] = fold
        filled[fold] += sizes[group]
    means = np.bincount(group_of, values) / sizes
    single = np.flatnonzero(sizes == 1)
    single = single[np.lexsort((random.random(len(single)), means[single]))]
    for start in range(0, len(single), n_usable):
        part = single[start : start + n_usable]
        order = np.lexsort((random.random(n_usable), filled))  # the emptiest first
        fold_of[part] = random.permutation(order[: len(part)])
        np.add.at(filled, fold_of[part], 1)
    return fold_of[group_of]
