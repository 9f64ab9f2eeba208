"""Penalised linear fits by descent: L-BFGS on scaled coordinates, one penalty after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from vta_cli.heads.blocks import Floats
from vta_cli.heads.learner import Solution

Objective = Callable[[Floats, Floats], tuple[float, Floats, Floats]]
"""From u of shape (n, k) and the free numbers to the sum of losses and its gradients by both."""

CURVATURE = 0.25
"""Largest second derivative of a logistic loss; that of the others is of the same order."""
TOLERANCE = 1e-6
MAX_STEPS = 60
"""The scaling makes more a waste; a fit that is not quite there is a little more penalised."""


@dataclass(frozen=True)
class Axes:
    """Orthogonal axes along which rows do not covary, so that each can be scaled by itself.

    Attributes
    ----------
    vectors : ndarray of shape (r, r), float64
        One axis a column.
    energy : ndarray of shape (r,), float64
        Mean square of the rows along each axis.
    """

    vectors: Floats
    energy: Floats


def principal_axes(x: Floats) -> Axes:
    """Return the axes of rows of shape (n, r), by one matrix product for all fits on parts of them.

    Rows are not centred: the constant is learnt apart.
    """
    values, vectors = np.linalg.eigh(x.T @ x)
    return Axes(vectors, np.maximum(values, 0.0) / max(len(x), 1))


def descend(
    objective: Objective,
    x: Floats,
    n_out: int,
    free: Floats,
    penalties: Sequence[float],
    *,
    max_steps: int = MAX_STEPS,
    axes: Axes | None = None,
) -> list[Solution]:
    """Minimise ``objective(x @ weight.T, free) + penalty / 2 * |weight|^2`` for each penalty.

    Coordinates of rows differ in size by orders of magnitude; each is scaled by what curvature it
    has, data and penalty together, which lets L-BFGS (Liu and Nocedal, 1989) arrive in some tens of
    steps. Each penalty starts from the solution of the one before.

    Parameters
    ----------
    x : ndarray of shape (n, r), float64
    n_out : int
        Columns of u.
    free : ndarray of shape (m,), float64
        Where the free numbers start.
    penalties : sequence of float
        Falling, above 0.
    max_steps : int
        For each penalty.
    axes : Axes, optional
        Of rows like these, where coordinates covary; by default the coordinates themselves.
    """
    n, r = x.shape
    if axes is None:
        energy, turn = np.einsum("ij,ij->j", x, x) * CURVATURE, None
    else:
        energy, turn = axes.energy * n * CURVATURE, axes.vectors
    weight = np.zeros((n_out, r))
    free_scale = 1.0 / np.sqrt(CURVATURE * n)
    found = []
    for penalty in penalties:
        scale = 1.0 / np.sqrt(energy + penalty)

        def both(
            at: Floats, penalty: float = penalty, scale: Floats = scale
        ) -> tuple[float, Floats]:
            now = at[: n_out * r].reshape(n_out, r) * scale
            on_rows = now if turn is None else now @ turn.T
            loss, by_u, by_free = objective(x @ on_rows.T, at[n_out * r :] * free_scale)
            by_rows = by_u.T @ x
            by_weight = (by_rows if turn is None else by_rows @ turn) + penalty * now
            by_weight *= scale
            gradient = np.concatenate([by_weight.reshape(-1), by_free * free_scale])
            return loss + 0.5 * penalty * float(np.sum(now * now)), gradient

        start = np.concatenate([(weight / scale).reshape(-1), free / free_scale])
        done = minimize(
            both, start, jac=True, method="L-BFGS-B",
            options={"maxiter": max_steps, "ftol": TOLERANCE, "gtol": 1e-4},
        )  # fmt: skip
        weight = done.x[: n_out * r].reshape(n_out, r) * scale
        free = done.x[n_out * r :] * free_scale
        found.append(Solution(weight if turn is None else weight @ turn.T, free))
    return found
