"""Logistic regression on the unit columns; the penalty is chosen by cross-validation."""

import warnings
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from vta_cli.heads.blocks import Floats
from vta_cli.heads.choice import choose, log_losses, mix
from vta_cli.heads.design import GRAM_ROWS, Design
from vta_cli.heads.parts import LinearPart
from vta_cli.heads.protocol import Fitted

GRID = tuple(10.0 ** np.arange(-2.0, 4.1, 0.75))
"""Values of C (scikit-learn's reciprocal penalty) for rows of unit length."""
CHOICE_ROWS = 3_000
"""With more rows one penalty is chosen on a sample of so many, once for all folds: a single number
from thousands of rows says nothing of any of them."""


class Logistic:
    """L2 logistic regression with balanced classes.

    Several penalties are often as good as each other out of fold; the fit is the average over the
    grid with weights that fall with the loss (`choice.choose`), which varies less than the best.
    """

    name: ClassVar[str] = "logistic"

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `Fitter`."""
        x, lift = design.coordinates
        grid = GRID
        if len(x) > CHOICE_ROWS:
            some = np.random.default_rng(seed).choice(len(x), CHOICE_ROWS, replace=False)
            _, shares = _cross_fit(x[some], targets[some], weights[some], folds[:1, some], GRID)
            grid = (GRID[int(np.argmax(shares))],)
        raw_oof, shares = _cross_fit(x, targets, weights, folds, grid)
        used = tuple(c for c, share in zip(grid, shares, strict=True) if share > 0)
        coef, intercept = _path(x, targets, weights, used)
        kept = shares[shares > 0]
        mixed = kept @ coef
        part = LinearPart(mixed if lift is None else lift @ mixed, np.array([kept @ intercept]))
        middle = float(np.exp(kept @ np.log(used)))
        return Fitted(part, raw_oof, f"C about {middle:.2g}")


def _cross_fit(
    x: Floats,
    targets: NDArray[np.int8],
    weights: Floats,
    folds: NDArray[np.int64],
    grid: tuple[float, ...],
) -> tuple[Floats, Floats]:
    """Return mixed out-of-fold decisions (n_repeats, n) and the share of each C."""
    decisions = np.zeros((len(folds), len(grid), len(x)))
    for repeat, fold_of in enumerate(folds):
        for fold in np.unique(fold_of):
            rows, held = fold_of != fold, fold_of == fold
            coef, intercept = _path(x[rows], targets[rows], weights[rows], grid)
            decisions[repeat][:, held] = coef @ x[held].T + intercept[:, None]
    losses = log_losses(decisions, targets, weights)
    return mix(decisions, losses, folds), choose(losses.sum(axis=(0, 2)) / len(folds))


def _path(
    x: Floats, targets: NDArray[np.int8], weights: Floats, grid: tuple[float, ...]
) -> tuple[Floats, Floats]:
    """Fit each C in turn, each from the solution of the one before.

    Returns
    -------
    coef : ndarray of shape (n_grid, dim)
    intercept : ndarray of shape (n_grid,)
    """
    # of the gradient of the mean loss, which is small where unit rows are wide and many
    tol = 1e-4 if len(x) <= GRAM_ROWS else 1e-5
    model = LogisticRegression(solver="lbfgs", tol=tol, max_iter=300, warm_start=True)
    coef = np.empty((len(grid), x.shape[1]))
    intercept = np.empty(len(grid))
    with warnings.catch_warnings():
        # a path that is not quite converged is one more regularised fit
        warnings.simplefilter("ignore", ConvergenceWarning)
        for at, c in enumerate(grid):
            model.C = c
            model.fit(x, targets, sample_weight=weights)
            coef[at], intercept[at] = model.coef_[0], model.intercept_[0]
    return coef, intercept
