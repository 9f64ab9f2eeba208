"""From raw out-of-fold scores to probabilities that no fold's own labels had a hand in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import SAME, Calibrator, Sigmoid, calibrator
from vta_cli.heads.stacking import stack


@dataclass(frozen=True)
class Blend:
    """Calibrators and weights that turn the members' raw scores into one probability.

    Attributes
    ----------
    own : tuple of Calibrator
        One a member.
    shares : ndarray of shape (n_members,), float64
        Share of each member, sum 1.
    weights : ndarray of shape (n_members,), float64
        Shares over the spread of the member's raw scores.
    final : Calibrator
        Of the weighted sum of raw scores.
    """

    own: tuple[Calibrator, ...]
    shares: Floats
    weights: Floats
    final: Calibrator

    def probabilities(self, raws: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Return the members' probabilities (n_members, n) and those of the whole (n,)."""
        each = np.stack([cal.probability(raw) for cal, raw in zip(self.own, raws, strict=True)])
        return each, self.final.probability(self.weights @ np.stack(raws))


def fit_blend(
    raws: Sequence[Floats],
    targets: NDArray[np.int8],
    weights: Floats,
    kind: str,
    prior: Floats | None = None,
) -> Blend:
    """Fit calibrators and shares on out-of-fold raw scores.

    Parameters
    ----------
    raws : sequence of ndarray of shape (n,), float64
        One a member.
    targets : ndarray of shape (n,), int8
    weights : ndarray of shape (n,), float64
        Weights of the labels; classes are not balanced here, so that their proportion is the prior.
    kind : str
        Calibrator of the whole.
    prior : ndarray of shape (n_members,), float64, optional
        What the members weigh beforehand; alike by default.
    """
    if len(raws) == 1:
        own = calibrator(kind).fit(raws[0], targets, weights)
        return Blend((own,), np.ones(1), np.ones(1), own)
    spread = np.array([raw.std() for raw in raws])
    spread[spread < SAME] = 1.0  # rounding must not be blown up to a score
    shares = stack(np.stack(raws) / spread[:, None], targets, weights, prior)
    total = (shares / spread) @ np.stack(raws)
    return Blend(
        tuple(Sigmoid.fit(raw, targets, weights) for raw in raws),
        shares,
        shares / spread,
        calibrator(kind).fit(total, targets, weights),
    )


def fit_pooled(
    raws: Sequence[Floats],
    targets: NDArray[np.int8],
    weights: Floats,
    kind: str,
    prior: Floats | None = None,
) -> Blend:
    """Fit on all repeats together; each label still counts once.

    Parameters
    ----------
    raws : sequence of ndarray of shape (n_repeats, n), float64
    """
    n_repeats = len(raws[0])
    return fit_blend(
        [raw.reshape(-1) for raw in raws],
        np.tile(targets, n_repeats),
        np.tile(weights, n_repeats) / n_repeats,
        kind,
        prior,
    )


def cross_fit(
    raws: Sequence[Floats],
    targets: NDArray[np.int8],
    weights: Floats,
    folds: NDArray[np.int64],
    kind: str,
    prior: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Calibrate and blend each fold by what the other folds say.

    Parameters
    ----------
    raws : sequence of ndarray of shape (n_repeats, n), float64
        Raw out-of-fold scores, one array a member.
    folds : ndarray of shape (n_repeats, n), int64

    Returns
    -------
    each : ndarray of shape (n_members, n_repeats, n), float64
        Probabilities of the members.
    whole : ndarray of shape (n_repeats, n), float64
        Probabilities of the head.
    """
    each = np.empty((len(raws), *folds.shape))
    whole = np.empty(folds.shape)
    for repeat, fold_of in enumerate(folds):
        for fold in np.unique(fold_of):
            rows, held = fold_of != fold, fold_of == fold
            blend = fit_blend(
                [raw[repeat, rows] for raw in raws], targets[rows], weights[rows], kind, prior
            )
            found = blend.probabilities([raw[repeat, held] for raw in raws])
            each[:, repeat, held], whole[repeat, held] = found
    return each, whole
