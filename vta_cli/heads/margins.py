"""Safety margins: below the left one a picture is almost surely negative, above the right liked.

The original ensemble looks for a local closest approach of the ratio to 30 on a grid, which fails
on perfect and on constant scores and accepts ratios that are never reached. Here:

- The *right ratio* of a limit t is ``P(score >= t | positive) / P(score >= t | negative)``, the
  *left ratio* ``P(score < t | negative) / P(score < t | positive)``: class-conditional, so the
  proportion of the labels does not matter.
- Each rate is ``(count + 0.5) / (labels of the side + 1)``, so that no ratio is infinite and few
  labels cannot claim much: without a single error 30 : 1 needs 15 labels a side.
- Limits lie midway between neighbouring different scores. The right margin is the smallest limit
  whose right ratio reaches the wanted one, but at least 0.65; the left margin is the largest limit
  whose left ratio does, but at most 0.35 (the clamps of the original).
- If no limit reaches the ratio (constant scores, random ones, few labels), the margin is the clamp
  and says so (`reached` is False).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.records import Margins

LEFT_CLAMP = 0.35
RIGHT_CLAMP = 0.65


def safety_margins(scores: Floats, targets: NDArray[np.int8], ratio: float = 30.0) -> Margins:
    """Return the safety margins of out-of-fold scores.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Probabilities; rows with NaN do not count.
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    ratio : float
        Wanted ratio of the class-conditional rates, above 1.
    """
    known = np.isfinite(scores)
    scores, targets = scores[known], targets[known]
    n_positive, n_negative = int(np.sum(targets == 1)), int(np.sum(targets != 1))
    values, run = np.unique(scores, return_inverse=True)
    if len(values) < 2 or not n_positive or not n_negative:
        return Margins(
            LEFT_CLAMP, RIGHT_CLAMP, left_reached=False, right_reached=False, ratio=ratio
        )
    limits = (values[1:] + values[:-1]) / 2.0
    positive_below = np.cumsum(np.bincount(run, targets == 1))[:-1]
    negative_below = np.cumsum(np.bincount(run, targets != 1))[:-1]
    right = _rate(n_positive - positive_below, n_positive) / _rate(
        n_negative - negative_below, n_negative
    )
    left = _rate(negative_below, n_negative) / _rate(positive_below, n_positive)
    above, below = limits[right >= ratio], limits[left >= ratio]
    return Margins(
        left=min(LEFT_CLAMP, float(below.max())) if len(below) else LEFT_CLAMP,
        right=max(RIGHT_CLAMP, float(above.min())) if len(above) else RIGHT_CLAMP,
        left_reached=len(below) > 0,
        right_reached=len(above) > 0,
        ratio=ratio,
    )


def _rate(count: NDArray[Any], total: int) -> Floats:
    rate: Floats = (count + 0.5) / (total + 1.0)
    return rate
