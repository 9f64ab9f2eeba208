"""Figures of merit of every kind of judgement: from answers and truth to named numbers."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vta_cli.heads import metrics
from vta_cli.heads.blocks import Floats
from vta_cli.heads.distribution import emd
from vta_cli.heads.wanted import Ints, Wanted
from vta_cli.records import Interval

Named = dict[str, float]
N_BOOTSTRAP = 300
TINY = 1e-12
TOP_SHARE = 0.05
STEPS = 9
"""A scale without steps is taken as one of ten, 1 to 10: half a step is an eighteenth of it."""


def number_figures(found: Floats, truth: Floats, scale: tuple[float, float], half: float) -> Named:
    """Judge numbers by numbers.

    Parameters
    ----------
    found, truth : ndarray of shape (n,), float64
        In the labels' units.
    scale : (float, float)
        Its ends; the middle parts good from bad.
    half : float
        Half a step of the scale.
    """
    apart = np.abs(found - truth)
    middle = sum(scale) / 2.0
    return {
        "MAE": float(apart.mean()),
        "RMSE": float(np.sqrt(np.mean(apart**2))),
        "LCC": pearson(found, truth),
        "SRCC": spearman(found, truth),
        f"good or bad at {middle:.3g}": float(np.mean((found >= middle) == (truth >= middle))),
        f"within {half:.2g}": float(np.mean(apart < half)),
        "gallery cut, top 5 % kept": reduction(found, truth, 1.0),
        "gallery cut, 95 % of it kept": reduction(found, truth, 0.95),
    }


LOW = {"MAE", "RMSE", "EMD", "log loss", "calibration error", "Brier"}
"""Figures of which less is better."""


def pearson(a: Floats, b: Floats) -> float:
    """Return the linear correlation; 0 if one side is constant, as nothing is said then."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > TINY else 0.0


def spearman(a: Floats, b: Floats) -> float:
    """Return the correlation of the ranks, ties with their mean rank; 0 if a side is constant."""
    return pearson(rankdata(a), rankdata(b))


def reduction(found: Floats, truth: Floats, share: float) -> float:
    """Return how much of a gallery can go while this share of the true top 5 % stays.

    ``1 - kept / n``, where what is kept scores at least as high as the last wanted one (Butters,
    "AI of the Beholder", 2019, with all of the top 5 %). Images tied with the last of the top 5 %
    do not count among them.
    """
    n_top = max(1, math.ceil(TOP_SHARE * len(truth) - 1e-9))
    top = np.sort(found[np.argsort(-truth, kind="stable")[:n_top]])[::-1]
    limit = top[max(1, math.ceil(share * n_top - 1e-9)) - 1]
    return 1.0 - float(np.mean(found >= limit))


def class_figures(out: Floats, y: Ints) -> Named:
    """Judge probabilities of classes, shape (n, n_classes), by the classes."""
    said = np.argmax(out, axis=1)
    right = said == y
    recalls = [float(right[y == k].mean()) for k in np.unique(y)]
    sure = out.max(axis=1)
    calibration = metrics.ece(sure, right.astype(np.int8), n_bins=metrics.bins_for(len(y)))
    return {
        "accuracy": float(right.mean()),
        "balanced accuracy": float(np.mean(recalls)),
        "log loss": float(np.mean(-np.log(np.maximum(out[np.arange(len(y)), y], TINY)))),
        "calibration error": float(calibration[0]),
    }


def tag_figures(out: Floats, y: NDArray[np.int8]) -> Named:
    """Judge probabilities of tags, shape (n, n_tags), by what is known of them.

    AUC and average precision are means over the tags for which both states occur.
    """
    aucs, precisions = [], []
    for said, tag in zip(out.T, y.T, strict=True):
        known = tag >= 0
        if len(np.unique(tag[known])) == 2:
            aucs.append(float(metrics.auc(said[known], tag[known])[0]))
            precisions.append(float(metrics.average_precision(said[known], tag[known])[0]))
    known = y >= 0
    return {
        "AUC": float(np.mean(aucs)) if aucs else float("nan"),
        "average precision": float(np.mean(precisions)) if aucs else float("nan"),
        "accuracy": float(np.mean((out[known] >= 0.5) == (y[known] == 1))),
        "Brier": float(np.mean((out[known] - y[known]) ** 2)),
    }


def pair_figures(out: Floats, y: Floats, counts: Floats) -> Named:
    """Judge probabilities that the left image wins, shape (m,); ties have no accuracy.

    `counts` of shape (m,) say how often each pair counts.
    """
    decided = counts * (y != 0.5)
    right = np.where(out == 0.5, 0.5, (out > 0.5) == (y > 0.5))
    won, lost = np.log(np.maximum(out, TINY)), np.log(np.maximum(1.0 - out, TINY))
    total, n_decided = float(counts.sum()), float(decided.sum())
    return {
        "accuracy": float(decided @ right) / n_decided if n_decided else float("nan"),
        "log loss": float(counts @ -(y * won + (1.0 - y) * lost)) / total if total else math.nan,
    }


def answer_figures(out: Floats, wanted: Wanted, scale: tuple[float, float]) -> Named:
    """Judge what a head gives, shape (n, n_out), by the judgements; all kinds but pairs.

    `scale` is that of all judgements: those of a resample may not reach its ends.
    """
    if wanted.kind == "classes":
        return class_figures(out, wanted.y)
    if wanted.kind == "tags":
        return tag_figures(out, wanted.y)
    found = numbers_of(out, wanted)
    values = np.asarray(wanted.values)
    low, high = scale
    half = float(np.min(np.diff(values))) / 2 if len(values) else (high - low) / STEPS / 2
    named = number_figures(found, wanted.numbers, scale, half)
    if wanted.kind == "histograms" and out.shape[1] > 1:
        named = {"EMD": float(emd(out, wanted.y).mean())} | named
    if wanted.kind == "ordinal":
        named |= {"exact tier": float(np.mean(tier_of(out, wanted) == wanted.y))}
    return named


def numbers_of(out: Floats, wanted: Wanted) -> Floats:
    """Return the score of each row, shape (n,): a number, or the mean of a distribution."""
    return out[:, 0] if out.shape[1] == 1 else np.asarray(out @ np.asarray(wanted.values))


def tier_of(out: Floats, wanted: Wanted) -> Ints:
    """Return the likeliest tier, or the one nearest to a number, shape (n,)."""
    if out.shape[1] > 1:
        return np.asarray(np.argmax(out, axis=1))
    return np.asarray(np.argmin(np.abs(out - np.asarray(wanted.values)), axis=1))


def base_answers(wanted: Wanted, n_out: int) -> Floats:
    """Return what one would say without looking: the mean, or the labels' shares; (n, n_out)."""
    weights, y = wanted.weights, wanted.y
    if wanted.kind == "tags":
        known = (y >= 0) * weights[:, None]
        shares = np.sum(known * (y == 1), axis=0) / np.maximum(known.sum(axis=0), TINY)
    elif n_out == 1:
        shares = np.array([np.average(wanted.numbers, weights=weights)])
    elif wanted.kind == "histograms":
        shares = np.average(y, axis=0, weights=weights)
    else:
        shares = np.bincount(y, weights, minlength=n_out) / weights.sum()
    return np.repeat(shares[None], len(y), axis=0)


def bootstrap(
    figures: Callable[[Ints, Floats], Named], groups: Ints, seed: int
) -> dict[str, Interval]:
    """Return each figure with its 95 % percentile interval.

    Parameters
    ----------
    figures : callable
        From rows (repeated as often as they are drawn) and the multiplicity of every row to named
        figures.
    groups : ndarray of shape (n,), int64
        Near-copies are drawn together.
    """
    n = len(groups)
    everything = figures(np.arange(n), np.ones(n))
    drawn: dict[str, list[float]] = {name: [] for name in everything}
    for counts in metrics.resamples(groups, seed)[:N_BOOTSTRAP]:
        rows = np.repeat(np.arange(n), counts.astype(np.int64))
        for name, value in figures(rows, counts).items():
            drawn[name].append(value)
    found = {}
    for name, value in everything.items():
        kept = [one for one in drawn[name] if math.isfinite(one)]
        low, high = np.quantile(kept, [0.025, 0.975]) if kept else (math.nan, math.nan)
        found[name] = Interval(value, float(low), float(high))
    return found
