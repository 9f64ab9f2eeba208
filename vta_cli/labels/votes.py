"""Histograms of votes: what the readers of them share. Their shapes are checked here, once."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vta_cli.errors import QUOTED_PATH, UsageError, excerpt
from vta_cli.labels.finding import Finder
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import Label, LabelSet

N_BINS = 10
"""Bins of AVA, SAC and NIMA: votes for 1 to 10."""
MOST_VOTES = 1e12
"""A larger count is a slip; sums of smaller ones keep their precision."""
GEOMETRIC_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Votes:
    """One histogram as a file has it; `name` is whatever the file calls the image."""

    source: str
    name: str
    counts: Sequence[float]
    weight: float = 1.0
    rater: str = ""


def bins_from(first: float, n_bins: int) -> tuple[float, ...]:
    """Return `n_bins` scores one apart."""
    return tuple(first + place for place in range(n_bins))


def histogram_set(
    found: Iterable[Votes], bins: tuple[float, ...], images: Finder, problems: Problems
) -> LabelSet:
    """Make a label set of histograms whose images are there.

    Parameters
    ----------
    found : iterable of Votes
        Counts or shares; anything whose sum is not 0 counts.
    bins : tuple of float
        Score of each bin.
    problems : Problems
        Gets histograms of another length, with a negative or no vote, or without an image.

    Raises
    ------
    UsageError
        ``no-labels``.
    """
    labels: list[Label] = []
    for one in found:
        wrong = _wrong(one.counts, len(bins))
        if wrong:
            problems.add(
                "histograms that cannot be used",
                one.source,
                f"{excerpt(one.name, QUOTED_PATH)} {wrong}",
            )
            continue
        path, why = images.find(one.name)
        if path is None:
            problems.add("histograms whose image is not there", one.source, why)
            continue
        values = tuple(map(float, one.counts))
        mean = math.fsum(b * v for b, v in zip(bins, values, strict=True)) / math.fsum(values)
        labels.append(Label(path, mean, one.source, one.weight, one.rater, values))
    if not labels:
        raise nothing_found(problems.sentences())
    return LabelSet("histograms", tuple(labels), problems.sentences(), bins=bins)


def nothing_found(sentences: Sequence[str]) -> UsageError:
    """Return the error of a data set of which no image is at hand."""
    return UsageError(
        "no-labels",
        "no labelled image is at hand" + (f": {sentences[0]}" if sentences else ""),
        hint="name the folder that holds the images of these labels (--images FOLDER)",
    )


def _wrong(counts: Sequence[float], n_bins: int) -> str:
    if len(counts) != n_bins:
        return f"has {len(counts)} bins, not {n_bins}"
    if not all(0 <= count <= MOST_VOTES for count in counts):
        return f"has a count that does not lie between 0 and {MOST_VOTES:g}"
    return "" if any(counts) else "has no vote at all"


def shares(counts: ArrayLike) -> NDArray[np.float64]:
    """Divide each row of votes by its sum.

    Parameters
    ----------
    counts : array of shape (n, n_bins)
        At least 0, with something above 0 in each row.

    Returns
    -------
    ndarray of shape (n, n_bins), float64, rows of sum 1
    """
    votes = np.asarray(counts, dtype=np.float64)
    return np.asarray(votes / votes.sum(axis=-1, keepdims=True))


def softmax_of_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Return the softmax of raw vote counts, for comparison with a published notebook only.

    Genolve's NIMA notebook made its targets so. On AVA's test set four fifths of these targets put
    more than 0.99 into one bin: the spread of opinion is lost. `shares` is what votes mean.

    Returns
    -------
    ndarray of shape (n, n_bins), float64, rows of sum 1
    """
    votes = np.asarray(counts, dtype=np.float64)
    raised = np.exp(votes - votes.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def moments(
    distribution: ArrayLike, bins: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of distributions.

    Parameters
    ----------
    distribution : array of shape (n, n_bins)
        Rows of sum 1.
    bins : sequence of float
        Score of each bin.

    Returns
    -------
    tuple of ndarray of shape (n,), float64
        mean = sum of b p, and the population's sd = sqrt of the sum of (b - mean)^2 p (NIMA).
    """
    p = np.asarray(distribution, dtype=np.float64)
    b = np.asarray(bins, dtype=np.float64)
    mean = p @ b
    return mean, np.sqrt((p * (b - mean[..., None]) ** 2).sum(axis=-1))


def maximum_entropy(means: ArrayLike, bins: Sequence[float]) -> NDArray[np.float64]:
    """Return the distributions of largest entropy on the bins that have the given means.

    They are p_k proportional to exp(lambda b_k); NIMA made its targets of TID2013's single scores
    so (Talebi and Milanfar 2018). The spread in them is invented: all are monotone.

    Parameters
    ----------
    means : array of shape (n,)
        Within the range of the bins.
    bins : sequence of float
        Score of each bin; 0..9 for TID2013.

    Returns
    -------
    ndarray of shape (n, n_bins), float64, rows of sum 1

    Raises
    ------
    UsageError
        ``mean-outside-bins``.
    """
    mean = np.asarray(means, dtype=np.float64)
    b = np.asarray(bins, dtype=np.float64)
    if mean.size and not (mean.min() >= b.min() and mean.max() <= b.max()):
        raise UsageError(
            "mean-outside-bins",
            f"there is no distribution on {b.min():g}..{b.max():g} with a mean of "
            f"{mean.min():g} or {mean.max():g}",
            hint="check which scores the bins stand for",
        )
    low, high = np.full(mean.shape, -60.0), np.full(mean.shape, 60.0)
    for _ in range(80):  # bisection: the mean grows with lambda
        middle = (low + high) / 2
        below = _tilted(middle, b) @ b < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return _tilted((low + high) / 2, b)


def _tilted(slope: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    exponent = slope[:, None] * (b - b.mean())[None, :]  # (n, n_bins)
    raised = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def all_geometric(counts: ArrayLike) -> bool:
    """Tell whether every row is a geometric series: made by `maximum_entropy`, not by votes."""
    votes = np.asarray(counts, dtype=np.float64)
    if votes.ndim != 2 or len(votes) < 2 or votes.shape[1] < 3:
        return False
    if not ((votes > 0) & np.isfinite(votes)).all():
        return False
    steps = np.diff(np.log(votes), axis=1)  # (n, n_bins - 1)
    return bool((np.ptp(steps, axis=1) < GEOMETRIC_TOLERANCE).all())
