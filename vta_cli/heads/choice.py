"""Choosing among settings by their out-of-fold losses, without looking at the fold judged.

For the scores of one fold the losses of the *other* folds decide, for the final fit those of all.
(The other folds' scores come from fits that had seen this fold, so a trace of its labels remains in
the choice of a setting; nested folds would remove it at n_folds times the cost. On random labels
no effect can be seen: `tests/heads`.)
"""

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats

TEMPERATURE = 1.0
"""Losses are sums over rows, so that differences are log-likelihood ratios; at 1 the shares are
those of a pseudo-Bayesian average (Yao et al., "Using stacking to average Bayesian predictive
distributions", 2018, section 3.4)."""
SMALLEST_SHARE = 0.02


def choose(losses: Floats) -> Floats:
    """Return the share of each setting, shape of `losses`; falls exponentially with the loss.

    Parameters
    ----------
    losses : ndarray of shape (n_settings,), float64
        Sum of losses over rows.
    """
    shares = np.exp(-(losses - losses.min()) / TEMPERATURE)
    shares /= shares.sum()
    shares[shares < SMALLEST_SHARE] = 0.0
    total: Floats = shares / shares.sum()
    return total


def log_losses(decisions: Floats, targets: NDArray[np.int8], weights: Floats) -> Floats:
    """Return weighted logistic losses of log-odds, shape of `decisions` (..., n)."""
    signs = np.where(targets == 1, 1.0, -1.0)
    losses: Floats = np.logaddexp(0.0, -signs * decisions) * weights
    return losses


def mix(decisions: Floats, losses: Floats, folds: NDArray[np.int64]) -> Floats:
    """Average settings, fold by fold, with shares from the losses of the other folds.

    Parameters
    ----------
    decisions, losses : ndarray of shape (n_repeats, n_settings, n), float64
    folds : ndarray of shape (n_repeats, n), int64

    Returns
    -------
    ndarray of shape (n_repeats, n), float64
    """
    mixed = np.empty(folds.shape)
    for repeat, fold_of in enumerate(folds):
        total = losses[repeat].sum(axis=1)
        for fold in np.unique(fold_of):
            held = fold_of == fold
            others = total - losses[repeat][:, held].sum(axis=1)
            # losses of a part stand for all rows: the final choice sees so many
            shares = choose(others * len(fold_of) / max(np.sum(~held), 1))
            mixed[repeat, held] = shares @ decisions[repeat][:, held]
    return mixed
