"""Histograms and figures that stand beside the image on the labelling page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.metrics import accuracy, auc
from vta_cli.pipelines.label_learn import Fit
from vta_cli.pipelines.label_pool import Pool

SITTING_BINS = 12
"""Bins of the sitting's histogram, as in the original."""


def histograms(
    pool: Pool, fit: Fit | None, judged: dict[str, tuple[int, float | None]]
) -> dict[str, Any]:
    """Return the three histograms of the original over 0..1.

    Returns
    -------
    dict
        ``oof`` and ``sitting`` with counts of negatives and positives, ``unlabelled`` with counts.
    """
    free = pool.scores[pool.askable & (pool.label < 0)]
    oof: dict[str, Any] = {"negative": [], "positive": []}
    if fit is not None:
        scores, n_bins = fit.head.oof_scores, bins_for(len(fit.targets))
        oof = {
            "negative": _counts(scores[fit.targets == 0], n_bins),
            "positive": _counts(scores[fit.targets == 1], n_bins),
        }
    told = _arrays(judged)
    return {
        "oof": oof,
        "unlabelled": {"all": _counts(free, bins_for(len(free), few=12))},
        "sitting": {
            "negative": _counts(told[1][told[0] == 0], SITTING_BINS),
            "positive": _counts(told[1][told[0] == 1], SITTING_BINS),
        },
    }


def bins_for(n: int, *, few: int = 10) -> int:
    """Return the number of bins: few, 25 from 200 values on, 50 from a thousand on."""
    return few if n < 200 else 25 if n < 1000 else 50


def sitting_figures(judged: dict[str, tuple[int, float | None]]) -> dict[str, Any]:
    """Return accuracy and AUC of the scores that images had when they were judged.

    These are honest whatever the head: it had not seen the label. They are of the images asked
    about, which are harder than the average.
    """
    targets, scores = _arrays(judged)
    n = len(targets)
    if not n:
        return {"n": 0, "accuracy": None, "auc": None}
    area = float(auc(scores, targets)[0]) if 0 < targets.sum() < n else float("nan")
    return {
        "n": n,
        "accuracy": round(float(accuracy(scores, targets)[0]), 4),
        "auc": round(area, 4) if np.isfinite(area) else None,
    }


def _arrays(
    judged: dict[str, tuple[int, float | None]],
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    known = [(label, score) for label, score in judged.values() if score is not None]
    return (
        np.array([label for label, _ in known], dtype=np.int8),
        np.array([score for _, score in known], dtype=np.float64),
    )


def _counts(scores: NDArray[np.float64], n_bins: int) -> list[int]:
    known = scores[~np.isnan(scores)]
    counts = np.bincount(np.minimum((known * n_bins).astype(int), n_bins - 1), minlength=n_bins)
    return [int(count) for count in counts]
