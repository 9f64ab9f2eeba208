"""Connected components of near-copies: rows that any chain of pairs joins."""

import numpy as np

from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.rows import Ids


def components(pairs: Pairs) -> Ids:
    """Number each row by the smallest row that a chain of pairs connects it to.

    Unlike `vta_cli.neighbors.groups.groups`, closeness carries over here: for folds a chain of
    near-copies must not be torn apart, even where its ends differ.

    Parameters
    ----------
    pairs : Pairs
        Of a self join over n rows.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    label = pairs.left_same.astype(np.int64, copy=True)
    left, right = label[pairs.left], label[pairs.right]
    while True:
        # each round every row takes the smallest label among its neighbours' (label propagation)
        low = label.copy()
        np.minimum.at(low, left, label[right])
        np.minimum.at(low, right, label[left])
        low = low[low]
        if np.array_equal(low, label):
            return label[pairs.left_same]
        label = low
