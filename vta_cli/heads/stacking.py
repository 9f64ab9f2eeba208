"""Weights of the members of an ensemble, from their out-of-fold scores."""

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import sigmoid, soft_targets

PULL = 30.0
"""Strength of the pull towards the prior shares, in labels. Weights learnt from few labels are
worse than fixed ones: on the benchmark's sets of 20 to 200 labels a pull of 0 loses .005 of AUC;
between 15 and 100 there is no difference."""
HELD_BACK = 1.0
"""Sum of what is added to the betas by their prior shares: where nothing predicts, these stand."""
SMALLEST_SHARE = 0.05
"""A member with a smaller share is left out, which spares its cost at every score."""


def stack(
    raws: Floats, targets: NDArray[np.int8], weights: Floats, prior: Floats | None = None
) -> Floats:
    """Return the share of each member, shape (m,), non-negative, sum 1.

    Minimises the log-loss of ``sigmoid(sum_m beta_m * z_m + offset)`` with soft targets plus
    ``PULL / 2 * sum_m (beta_m - prior_m * sum beta)**2`` over ``beta >= 0``; the shares are
    ``beta + HELD_BACK * prior`` over its sum. Only deviations from the prior's proportions are
    penalised, not the scale, which the calibrator sets anyway. (Stacking: Wolpert, 1992;
    non-negative: Breiman, "Stacked regressions", 1996.)

    Parameters
    ----------
    raws : ndarray of shape (m, n), float64
        Out-of-fold scores of each member, of unit spread.
    targets : ndarray of shape (n,), int8
    weights : ndarray of shape (n,), float64
    prior : ndarray of shape (m,), float64, optional
        Shares before the data speak, of any sum; alike by default.
    """
    prior = np.ones(len(raws)) if prior is None else prior
    kept = np.ones(len(raws), dtype=bool)
    while True:
        shares = np.zeros(len(raws))
        shares[kept] = _solve(raws[kept], targets, weights, prior[kept] / prior[kept].sum())
        small = kept & (shares < SMALLEST_SHARE)
        if not small.any():
            return shares
        kept[np.flatnonzero(small)[np.argmin(shares[small])]] = False


def _solve(raws: Floats, targets: NDArray[np.int8], weights: Floats, prior: Floats) -> Floats:
    n_members = len(raws)
    if n_members == 1:
        return np.ones(1)
    from scipy.optimize import minimize  # noqa: PLC0415 - the labelling page weighs nothing

    wanted = soft_targets(targets, weights)

    def loss(beta: Floats) -> tuple[float, Floats]:
        z = beta[:-1] @ raws + beta[-1]
        away = beta[:-1] - prior * beta[:-1].sum()
        pull = PULL * away
        value = weights @ (np.logaddexp(0.0, z) - wanted * z) + 0.5 * float(pull @ away)
        error = weights * (sigmoid(z) - wanted)
        slope = raws @ error + pull - prior @ pull
        return float(value), np.append(slope, error.sum())

    bounds = [(0.0, None)] * n_members + [(None, None)]
    start = np.append(prior, 0.0)
    beta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[:-1]
    beta += HELD_BACK * prior
    shares: Floats = beta / beta.sum()
    return shares
