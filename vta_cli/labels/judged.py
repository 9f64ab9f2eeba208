"""Labels of contents as arrays, one record for each kind; `vta_cli.labels.merge` has binary ones.

In all of them row i of `keys`, `targets` and `weights` is one content that occurs in no other row,
and `paths[i]` the first file that holds it (pairs excepted, whose targets belong to their `rows`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import Keys


@dataclass(frozen=True)
class JudgedClasses:
    """One class for each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    targets : ndarray of shape (n,), int64
        Index into `names`.
    names : tuple of str
        All classes, those without an image included.
    weights : ndarray of shape (n,), float64
        The largest weight that any label of the content was given.
    paths : tuple of str
    notes : tuple of str
        Sentences for the user: copies, conflicts that were dropped, files without a key.
    """

    keys: Keys
    targets: NDArray[np.int64]
    names: tuple[str, ...]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedScores:
    """One score for each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    targets : ndarray of shape (n,), float64
        The mean of the content's scores by their weights, in the labels' units.
    weights : ndarray of shape (n,), float64
        The largest weight that any label of the content was given.
    paths, notes : tuple of str
    """

    keys: Keys
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedTiers:
    """One tier for each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    targets : ndarray of shape (n,), int64
        Rank: index into `tiers`. Of several judgements the lower weighted median, so that the
        result is a tier that somebody gave.
    tiers : tuple of float
        The tiers' own numbers, ascending.
    weights : ndarray of shape (n,), float64
        The largest weight that any label of the content was given.
    paths, notes : tuple of str
    """

    keys: Keys
    targets: NDArray[np.int64]
    tiers: tuple[float, ...]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedTags:
    """The tags of each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    targets : ndarray of shape (n, n_tags), int8
        1 present, 0 absent, -1 unknown.
    names : tuple of str
        The tags.
    weights : ndarray of shape (n,), float64
        The largest weight that any label of the content was given.
    paths, notes : tuple of str
    """

    keys: Keys
    targets: NDArray[np.int8]
    names: tuple[str, ...]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedHistograms:
    """One distribution of votes for each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    targets : ndarray of shape (n, n_bins), float64, rows of sum 1
    bins : ndarray of shape (n_bins,), float64
        Score of each bin, ascending.
    votes : ndarray of shape (n,), float64
        How many votes stand behind each row; about 1 where the source gave shares.
    weights : ndarray of shape (n,), float64
        The largest weight that any label of the content was given; votes are not in it.
    paths, notes : tuple of str
    """

    keys: Keys
    targets: NDArray[np.float64]
    bins: NDArray[np.float64]
    votes: NDArray[np.float64]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JudgedPairs:
    """Pairs of contents.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
        The contents that stand in a pair.
    rows : ndarray of shape (m, 2), int64
        Left and right of each pair: indices into `keys`, never equal.
    targets : ndarray of shape (m,), float64
        1 the left one won, 0 the right one, 0.5 neither.
    weights : ndarray of shape (m,), float64
        Of the pairs.
    paths : tuple of str
        Of the contents.
    notes : tuple of str
    """

    keys: Keys
    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]
