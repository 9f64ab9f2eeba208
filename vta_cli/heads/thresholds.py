"""Recommended limits on the score, and what each would keep.

A limit is chosen on all out-of-fold scores. What it keeps is judged by choosing it again without
each fold in turn and applying it to that fold, so that the figures are not those of the data that
the limit was tuned on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.margins import LEFT_CLAMP, RIGHT_CLAMP, safety_margins
from vta_cli.records import Threshold

PURE = 0.9
"""Precision of the threshold ``keep``."""
LOST = 0.05
"""Share of the positives that the threshold ``discard`` may lose."""
FEWEST_KEPT = 5
"""A precision over fewer images says nothing."""


@dataclass(frozen=True)
class _Curve:
    """What each limit keeps: limits rise, the first keeps all."""

    limits: Floats
    hits: NDArray[Any]
    kept: NDArray[Any]
    n_positive: int
    n_negative: int


Rule = Callable[[_Curve], float | None]


def _curve(scores: Floats, targets: NDArray[np.int8]) -> _Curve:
    values, run = np.unique(scores, return_inverse=True)
    positives = np.bincount(run, targets == 1)
    rows = np.bincount(run)
    hits = np.cumsum(positives[::-1])[::-1]
    kept = np.cumsum(rows[::-1])[::-1].astype(np.float64)
    limits = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2.0])
    n_positive = int(hits[0])
    return _Curve(limits, hits, kept, n_positive, len(scores) - n_positive)


def _balanced(curve: _Curve) -> float | None:
    """Limit with the largest recall of positives plus recall of negatives (Youden, 1950)."""
    if len(curve.limits) < 2:
        return None
    gain = curve.hits / curve.n_positive - (curve.kept - curve.hits) / curve.n_negative
    return float(curve.limits[np.argmax(gain)])


def _best_f1(curve: _Curve) -> float | None:
    if len(curve.limits) < 2:
        return None
    return float(curve.limits[np.argmax(2 * curve.hits / (curve.kept + curve.n_positive))])


def _keep(curve: _Curve) -> float | None:
    good = (curve.hits / curve.kept >= PURE) & (curve.kept >= FEWEST_KEPT)
    return float(curve.limits[good].min()) if good.any() else None


def _discard(curve: _Curve) -> float | None:
    good = curve.hits >= (1.0 - LOST) * curve.n_positive
    good[0] = False  # a limit that discards nothing is none
    return float(curve.limits[good].max()) if good.any() else None


RULES: tuple[tuple[str, Rule, str], ...] = (
    ("balanced", _balanced, "as many liked above as disliked below: the best even split"),
    ("f1", _best_f1, "the best balance of keeping the liked and keeping only the liked"),
    ("keep", _keep, "aims at 9 of 10 kept images being liked"),
    ("discard", _discard, "aims at losing 1 in 20 of the liked at most"),
)


def recommend(
    scores: Floats, targets: NDArray[np.int8], fold_of: NDArray[np.int64], ratio: float = 30.0
) -> tuple[Threshold, ...]:
    """Return the recommended thresholds, in the order of `RULES`, then the safety margins.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Calibrated out-of-fold scores, none of them NaN.
    targets : ndarray of shape (n,), int8
    fold_of : ndarray of shape (n,), int64
        Folds for judging.
    ratio : float
        Of the safety margins.

    Returns
    -------
    tuple of Threshold
        Without those that cannot be had on these scores.
    """
    found = []
    rules = [*RULES, *_margin_rules(ratio)]
    for name, rule, meaning in rules:
        value = _apply(name, rule, scores, targets, ratio)
        if value is None:
            continue
        keeps = np.zeros(len(scores), dtype=bool)
        for fold in np.unique(fold_of):
            rows, held = fold_of != fold, fold_of == fold
            limit = _apply(name, rule, scores[rows], targets[rows], ratio)
            keeps[held] = scores[held] >= (value if limit is None else limit)
        hits = float(np.sum(keeps & (targets == 1)))
        n_kept = float(keeps.sum())
        found.append(
            Threshold(
                name=name,
                value=value,
                kept=n_kept / len(scores),
                precision=hits / n_kept if n_kept else float("nan"),
                recall=hits / float(np.sum(targets == 1)),
                meaning=meaning,
            )
        )
    return tuple(found)


def _margin_rules(ratio: float) -> list[tuple[str, Rule, str]]:
    """Name the margins; `_apply` finds them from scores, not from the curve."""
    return [
        ("margin-left", _balanced, f"below: disliked over liked by {ratio:g} to 1"),
        ("margin-right", _balanced, f"above: liked over disliked by {ratio:g} to 1"),
    ]


def _apply(
    name: str, rule: Rule, scores: Floats, targets: NDArray[np.int8], ratio: float
) -> float | None:
    if not 0 < np.sum(targets == 1) < len(targets):
        return None
    if not name.startswith("margin"):
        return rule(_curve(scores, targets))
    margins = safety_margins(scores, targets, ratio)
    if name == "margin-left":
        return margins.left if margins.left_reached else None
    return margins.right if margins.right_reached else None


__all__ = ["LEFT_CLAMP", "RIGHT_CLAMP", "RULES", "recommend"]
