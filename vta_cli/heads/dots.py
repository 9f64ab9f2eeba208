"""Dot products of single rows, with the same bits wherever in memory a row lies."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


def row_dots(rows: Singles, others: Singles) -> Singles:
    """Return the dot product of each row with a vector, or with the row of the same number.

    By the library's dot product of two vectors, which takes half the time of numpy's own loop.

    Parameters
    ----------
    rows : ndarray of shape (n, dim), float32
    others : ndarray of shape (dim,) or (n, dim), float32

    Returns
    -------
    ndarray of shape (n,), float32
    """
    if _dots_alike(rows.shape[1]):
        found: Singles = np.vecdot(rows, others)
        return found
    return np.asarray(np.einsum("ij,j->i" if others.ndim == 1 else "ij,ij->i", rows, others))


@lru_cache(maxsize=256)
def _dots_alike(dim: int) -> bool:
    """Tell whether a dot product has the same bits wherever in memory its vectors lie."""
    random = np.random.default_rng(0)
    for _ in range(16):
        row, other = random.standard_normal((2, dim), np.float32)
        found = set()
        for offset in range(16):
            room = np.empty(dim + 16, np.float32)[offset : offset + dim]
            room[:] = row
            found |= {float(np.vecdot(room, other)), float(np.vecdot(other, room))}
        if len(found) > 1:
            return False
    return True
