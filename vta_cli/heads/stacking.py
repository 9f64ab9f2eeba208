"""Weights of the members of an ensemble, from their out-of-fold log-odds."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import sigmoid, soft_targets

PULL = 100.0
"""Strength of the pull towards equal weights, in labels. Averages are hard to beat on few labels:
on the benchmark's sets of 20 to 200 a pull of 10 loses .0016 of AUC against 100, none .005."""
HELD_BACK = 0.1
"""Added to the sum of all betas in equal parts: where nothing predicts, no member is preferred."""
SMALLEST_WEIGHT = 0.05
"""A member with a smaller share is left out, which spares its cost at every score."""


def stack(raws: Floats, targets: NDArray[np.int8], weights: Floats) -> Floats:
    """Return the share of each member, shape (m,), non-negative, sum 1.

    Minimises the log-loss of ``sigmoid(sum_m beta_m * z_m + offset)`` with soft targets plus
    ``PULL / 2 * sum_m (beta_m - mean beta)**2`` over ``beta >= 0``; the shares are beta (with
    `HELD_BACK`) over its sum. Only deviations from equal weights are penalised, not the scale,
    which the calibrator sets anyway. (Stacking: Wolpert, 1992; non-negative: Breiman, "Stacked
    regressions", 1996.)

    Parameters
    ----------
    raws : ndarray of shape (m, n), float64
        Out-of-fold scores of each member, of unit spread.
    targets : ndarray of shape (n,), int8
    weights : ndarray of shape (n,), float64
    """
    shares = _solve(raws, targets, weights)
    while np.any((shares > 0) & (shares < SMALLEST_WEIGHT)):
        kept = shares >= max(SMALLEST_WEIGHT, shares[shares > 0].min() + 1e-15)
        shares = np.zeros_like(shares)
        shares[kept] = _solve(raws[kept], targets, weights)
    return shares


def _solve(raws: Floats, targets: NDArray[np.int8], weights: Floats) -> Floats:
    n_members = len(raws)
    if n_members == 1:
        return np.ones(1)
    wanted = soft_targets(targets, weights)

    def loss(beta: Floats) -> tuple[float, Floats]:
        z = beta[:-1] @ raws + beta[-1]
        away = beta[:-1] - beta[:-1].mean()
        pull = PULL * away
        value = weights @ (np.logaddexp(0.0, z) - wanted * z) + 0.5 * float(pull @ away)
        error = weights * (sigmoid(z) - wanted)
        slope = raws @ error + pull - pull.mean()
        return float(value), np.append(slope, error.sum())

    start = np.append(np.full(n_members, 1.0 / n_members), 0.0)
    bounds = [(0.0, None)] * n_members + [(None, None)]
    beta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[:-1]
    beta += HELD_BACK / n_members
    shares: Floats = beta / beta.sum()
    return shares
