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
ANCHOR = 3
"""Place in the grid of the penalty that few labels lean on (C about 1.8), nearly the difference of
the class means. Losses out of fold cannot find it: its log-odds are timid, whatever their order."""
ANCHOR_LABELS = 15.0
"""The anchor counts like so many labels: its part is 15 of 35 with 20 labels and 15 of 215 with
200. On the draws kept for such choices (docs/heads.md) 15 to 60 are alike; the ensemble on classic
vectors gains .0004 to .0011 at 20 labels of quality, and SqueezeNet's portraits lose .004 of .023.
"""
CHOICE_ROWS = 3_000
"""With more rows one penalty is chosen on a sample of so many, once for all folds: a single number
from thousands of rows says nothing of any of them."""


class Logistic:
    """L2 logistic regression with balanced classes.

    Several penalties are often as good as each other out of fold; the fit is the average over the
    grid with weights that fall with the loss (`choice.choose`), which varies less than the best.
    The fewer the labels, the more of it is the fit at `ANCHOR`, whatever the losses say.
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
                _, shares, _ = _cross_fit(
                    x[some], targets[some], weights[some], folds[:1, some], tried, axes
                )
                if np.argmax(shares) < len(tried) - 1:
                    break
            grid = (GRID[int(np.argmax(shares))],)
        raw_oof, shares, decisions = _cross_fit(x, targets, weights, folds, grid, axes)
        factors = shares
        if len(grid) > ANCHOR:
            part_of = ANCHOR_LABELS / (ANCHOR_LABELS + len(x))
            anchored = decisions[:, ANCHOR]
            # log-odds of strong penalties are small: alike in spread, or the part would be in name
            alike = raw_oof.std() / max(float(anchored.std()), 1e-12)
            raw_oof = (1.0 - part_of) * raw_oof + part_of * alike * anchored
            lean = part_of * np.eye(len(grid))[ANCHOR]
            factors, shares = (1.0 - part_of) * shares + np.array([[alike], [1.0]]) * lean
        kept = shares > 0
        coef, intercept = _path(x, targets, weights, tuple(np.array(grid)[kept]), axes)
        mixed = factors[kept] @ coef
        part = LinearPart(
            mixed if lift is None else lift @ mixed, np.array([factors[kept] @ intercept])
        )
        middle = float(np.exp(shares[kept] @ np.log(np.array(grid)[kept])))
        return Fitted(part, raw_oof, f"C about {middle:.2g}")


def _cross_fit(
    x: Floats,
    targets: NDArray[np.int8],
    weights: Floats,
    folds: NDArray[np.int64],
    grid: tuple[float, ...],
    axes: Axes | None,
) -> tuple[Floats, Floats, Floats]:
    """Return mixed out-of-fold decisions (n_repeats, n), the share of each C, and its decisions.

    The last have the shape (n_repeats, n_grid, n).
    """
    decisions = np.zeros((len(folds), len(grid), len(x)))
    for repeat, fold_of in enumerate(folds):
        for fold in np.unique(fold_of):
            rows, held = fold_of != fold, fold_of == fold
            coef, intercept = _path(x[rows], targets[rows], weights[rows], grid, axes)
            decisions[repeat][:, held] = coef @ x[held].T + intercept[:, None]
    losses = log_losses(decisions, targets, weights)
    shares = choose(losses.sum(axis=(0, 2)) / len(folds))
    return mix(decisions, losses, folds), shares, decisions


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
