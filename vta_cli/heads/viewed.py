"""Several views of an image as rows of their own, and back to one answer an image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError
from vta_cli.heads.blocks import Floats

VIEWED_NDIM = 3
"""Axes of blocks with views: images, views, columns."""


def view_rows(
    blocks: Sequence[NDArray[np.floating]],
) -> tuple[list[NDArray[np.floating]], int]:
    """Return every view as a row of its own, views of an image together, and how many they are.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i) or (n, n_views, dim_i)
        In a block without views the one vector stands for all views.

    Raises
    ------
    HeadError
        ``wrong-vectors`` if the blocks differ in their views.
    """
    counts = {block.shape[1] for block in blocks if block.ndim == VIEWED_NDIM}
    if len(counts) > 1:
        raise HeadError("wrong-vectors", f"the spaces differ in their views: {sorted(counts)}")
    n_views = counts.pop() if counts else 1
    return [_rows(block, n_views) for block in blocks], n_views


def _rows(block: NDArray[np.floating], n_views: int) -> NDArray[np.floating]:
    if block.ndim == VIEWED_NDIM:
        return block.reshape(-1, block.shape[2])
    return block if n_views == 1 else np.repeat(block, n_views, axis=0)


def mean_of_views(values: Floats, n_views: int) -> Floats:
    """Return one value an image: the mean over the views along the last axis."""
    if n_views == 1:
        return values
    n_images = values.shape[-1] // n_views  # there may be no repeats, from which -1 cannot tell
    found: Floats = values.reshape(*values.shape[:-1], n_images, n_views).mean(axis=-1)
    return found
