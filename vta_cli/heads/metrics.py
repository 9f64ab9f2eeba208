"""Figures of merit of probabilities, and their bootstrap intervals; numpy alone, vectorised."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.records import Interval, Reliability

Targets = NDArray[np.int8]

BETA = 2.0
"""Recall weighs so many times as much as precision (van Rijsbergen, 1979; 2 as in the Beholder)."""
N_BOOTSTRAP = 1_000
MAX_CELLS = 8_000_000
"""Largest number of resampled rows: many labels need fewer resamples."""


def auc(
    scores: Floats,
    targets: Targets,
    counts: Floats | None = None,
    *,
    strata: NDArray[np.int64] | None = None,
) -> Floats:
    """Return the area under the ROC curve: P(positive scores higher) + P(tie) / 2.

    With `strata`, only pairs within a stratum are compared. Out-of-fold scores are judged within
    their folds: each fold has its own fit, whose level leans away from the labels held out, so that
    pairs across folds make small sets look worse than they are.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    counts : ndarray of shape (b, n), float64, optional
        Multiplicity of each row in each of `b` resamples; all ones by default.
    strata : ndarray of shape (n,), int64, optional
        Stratum of each row.

    Returns
    -------
    ndarray of shape (b,), float64
        NaN where there is no pair.
    """
    counts = np.ones((1, len(scores))) if counts is None else counts
    won, total = np.zeros(len(counts)), np.zeros(len(counts))
    strata = np.zeros(len(scores), dtype=np.int64) if strata is None else strata
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        part = _pairs(scores, targets, counts, rows)
        won += part[0]
        total += part[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / total)


def _pairs(
    scores: Floats, targets: Targets, counts: Floats, rows: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return how many pairs of some rows are in order (ties half) and how many there are, (b,)."""
    order = rows[np.argsort(scores[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)  # a run of ties each
    up = counts[:, order]
    down = up * (targets[order] != 1)
    up -= down
    if len(starts) < len(order):
        up = np.add.reduceat(up, starts, axis=1)
        down = np.add.reduceat(down, starts, axis=1)
    below = np.cumsum(down, axis=1)
    n_down = below[:, -1].copy()
    down *= 0.5
    below -= down
    return np.einsum("ij,ij->i", up, below), up.sum(axis=1) * n_down


def average_precision(scores: Floats, targets: Targets, counts: Floats | None = None) -> Floats:
    """Return the mean of the precision at each positive, ties counted as one step, shape (b,).

    NaN where there is no positive.
    """
    counts = np.ones((1, len(scores))) if counts is None else counts
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    positive = targets[order] == 1
    found = np.empty(len(counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        for at, row in enumerate(counts):  # one by one they stay in the cache
            drawn = row[order]
            hits, kept = np.cumsum(drawn * positive)[ends], np.cumsum(drawn)[ends]
            precision = np.where(kept > 0, hits / kept, 0.0)
            found[at] = np.sum(precision * np.diff(hits, prepend=0.0)) / hits[-1]
    return found


def f_beta(scores: Floats, targets: Targets, counts: Floats | None = None) -> Floats:
    """Return the F-measure of scores from 0.5, in which recall weighs `BETA` times, shape (b,).

    ``(1 + b²) hits / (b² positives + kept)`` (van Rijsbergen, 1979); NaN if both are none.
    """
    counts = np.ones((1, len(scores))) if counts is None else counts
    kept, positive = scores >= 0.5, targets == 1
    with np.errstate(invalid="ignore", divide="ignore"):
        below = BETA**2 * (counts @ positive) + counts @ kept
        return np.asarray((1.0 + BETA**2) * (counts @ (kept & positive)) / below)


def accuracy(scores: Floats, targets: Targets, counts: Floats | None = None) -> Floats:
    """Return the share of rows on the right side of 0.5, shape (b,)."""
    return _mean(((scores >= 0.5) == (targets == 1)).astype(np.float64), counts)


def brier(scores: Floats, targets: Targets, counts: Floats | None = None) -> Floats:
    """Return the mean squared difference of probability and outcome (Brier, 1950), shape (b,)."""
    return _mean((scores - targets) ** 2, counts)


def ece(
    scores: Floats, targets: Targets, counts: Floats | None = None, *, n_bins: int = 10
) -> Floats:
    """Return the expected calibration error over equally wide bins, shape (b,).

    The mean over rows of |mean score - share of positives| in the row's bin (Naeini et al., 2015).
    It is biased upwards by about ``0.4 * sqrt(n_bins / n)`` even for perfect probabilities.
    """
    counts = np.ones((1, len(scores))) if counts is None else counts
    bins = np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)
    inside = np.zeros((len(scores), n_bins))
    inside[np.arange(len(scores)), bins] = scores - targets
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(counts @ inside).sum(axis=1) / counts.sum(axis=1))


def reliability(scores: Floats, targets: Targets) -> tuple[Reliability, ...]:
    """Return the bins that `ece` sums over, those without a row left out."""
    if not len(scores):
        return ()
    n_bins = bins_for(len(scores))
    bins = np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)
    return tuple(
        Reliability(
            low=at / n_bins,
            high=(at + 1) / n_bins,
            n_images=int(np.sum(bins == at)),
            said=float(scores[bins == at].mean()),
            came_true=float(np.mean(targets[bins == at] == 1)),
        )
        for at in np.unique(bins).tolist()
    )


def bins_for(n: int) -> int:
    """Number of calibration bins for `n` rows: at least 15 rows a bin, 2 to 10 bins."""
    return int(np.clip(n // 15, 2, 10))


def _mean(values: Floats, counts: Floats | None) -> Floats:
    if counts is None:
        return np.array([values.mean()])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counts @ values / counts.sum(axis=1))


def resamples(groups: NDArray[np.int64], seed: int) -> Floats:
    """Return multiplicities of rows in bootstrap resamples of whole groups, shape (b, n).

    Near-copies are one observation, so a resample holds all or none of them.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    n_groups = int(group_of.max()) + 1
    n_resamples = int(np.clip(MAX_CELLS // len(groups), 100, N_BOOTSTRAP))
    random = np.random.default_rng(seed)
    drawn = random.integers(n_groups, size=(n_resamples, n_groups))
    drawn += np.arange(n_resamples)[:, None] * n_groups
    counts = np.bincount(drawn.reshape(-1), minlength=n_resamples * n_groups)
    return counts.reshape(n_resamples, n_groups)[:, group_of].astype(np.float64)


def interval(
    figure: Callable[..., Floats],
    scores: Floats,
    targets: Targets,
    counts: Floats,
    folds: NDArray[np.int64] | None = None,
) -> Interval:
    """Return a figure, averaged over repeats, with its 95 % percentile bootstrap interval.

    Parameters
    ----------
    figure : callable
        One of the functions above.
    scores : ndarray of shape (n_repeats, n), float64
        Out-of-fold scores of each repeat.
    targets : ndarray of shape (n,), int8
    counts : ndarray of shape (b, n), float64
        From `resamples`.
    folds : ndarray of shape (n_repeats, n), int64, optional
        Strata of each repeat, for `auc`.
    """
    if len(scores) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    more: list[dict[str, Any]] = [{} for _ in scores]
    if folds is not None:
        more = [{"strata": fold_of} for fold_of in folds]
    pairs = list(zip(scores, more, strict=True))
    value = float(np.mean([figure(row, targets, None, **kw)[0] for row, kw in pairs]))
    drawn = np.mean([figure(row, targets, counts, **kw) for row, kw in pairs], axis=0)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))
