"""Logistic regression on the unit columns; the penalty is chosen by cross-validation."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import sigmoid
from vta_cli.heads.choice import choose, log_losses, mix
from vta_cli.heads.descent import Axes, descend, principal_axes
from vta_cli.heads.design import Design
from vta_cli.heads.parts import LinearPart
from vta_cli.heads.protocol import Fitted

GRID = tuple(10.0 ** np.arange(-2.0, 4.1, 0.75))
"""Values of C (scikit-learn's reciprocal penalty) for rows of unit length."""
STRONG = 5
"""On large sets the first so many are tried; the rest only where the last of these is the best."""
MAX_AXES = 2_048
"""Wider rows are not turned to their axes: finding these would cost more than it spares."""
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
        turned = lift is None and x.shape[1] <= min(MAX_AXES, len(x))
        axes = principal_axes(x) if turned else None
        grid = GRID
        if len(x) > CHOICE_ROWS:
            some = np.random.default_rng(seed).choice(len(x), CHOICE_ROWS, replace=False)
            for tried in (GRID[:STRONG], GRID):  # weak penalties take most of the steps
                _, shares = _cross_fit(
                    x[some], targets[some], weights[some], folds[:1, some], tried, axes
                )
                if np.argmax(shares) < len(tried) - 1:
                    break
            grid = (GRID[int(np.argmax(shares))],)
        raw_oof, shares = _cross_fit(x, targets, weights, folds, grid, axes)
        used = tuple(c for c, share in zip(grid, shares, strict=True) if share > 0)
        coef, intercept = _path(x, targets, weights, used, axes)
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
    axes: Axes | None,
) -> tuple[Floats, Floats]:
    """Return mixed out-of-fold decisions (n_repeats, n) and the share of each C."""
    decisions = np.zeros((len(folds), len(grid), len(x)))
    for repeat, fold_of in enumerate(folds):
        for fold in np.unique(fold_of):
            rows, held = fold_of != fold, fold_of == fold
            coef, intercept = _path(x[rows], targets[rows], weights[rows], grid, axes)
            decisions[repeat][:, held] = coef @ x[held].T + intercept[:, None]
    losses = log_losses(decisions, targets, weights)
    return mix(decisions, losses, folds), choose(losses.sum(axis=(0, 2)) / len(folds))


def _path(
    x: Floats,
    targets: NDArray[np.int8],
    weights: Floats,
    grid: tuple[float, ...],
    axes: Axes | None,
) -> tuple[Floats, Floats]:
    """Fit each C in turn, each from the solution of the one before.

    Returns
    -------
    coef : ndarray of shape (n_grid, dim)
    intercept : ndarray of shape (n_grid,)
    """
    hits = (targets == 1).astype(np.float64)

    def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
        z = u[:, 0] + free
        by_z = weights * (sigmoid(z) - hits)
        loss = float(weights @ (np.logaddexp(0.0, z) - hits * z))
        return loss, by_z[:, None], by_z.sum(keepdims=True)

    penalties = [1.0 / c for c in grid]
    path = descend(objective, x, 1, np.zeros(1), penalties, axes=axes)
    return np.stack([step.weight[0] for step in path]), np.array([step.free[0] for step in path])
