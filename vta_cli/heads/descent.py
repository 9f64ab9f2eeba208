"""Penalised linear fits by descent: L-BFGS on scaled coordinates, one penalty after the other."""

from collections.abc import Callable, Sequence

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


def descend(
    objective: Objective,
    x: Floats,
    n_out: int,
    free: Floats,
    penalties: Sequence[float],
    *,
    max_steps: int = MAX_STEPS,
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
    """
    n, r = x.shape
    energy = np.einsum("ij,ij->j", x, x) * CURVATURE
    weight = np.zeros((n_out, r))
    free_scale = 1.0 / np.sqrt(CURVATURE * n)
    found = []
    for penalty in penalties:
        scale = 1.0 / np.sqrt(energy + penalty)

        def both(
            at: Floats, penalty: float = penalty, scale: Floats = scale
        ) -> tuple[float, Floats]:
            now = at[: n_out * r].reshape(n_out, r) * scale
            loss, by_u, by_free = objective(x @ now.T, at[n_out * r :] * free_scale)
            by_weight = (by_u.T @ x + penalty * now) * scale
            gradient = np.concatenate([by_weight.reshape(-1), by_free * free_scale])
            return loss + 0.5 * penalty * float(np.sum(now * now)), gradient

        start = np.concatenate([(weight / scale).reshape(-1), free / free_scale])
        done = minimize(
            both, start, jac=True, method="L-BFGS-B",
            options={"maxiter": max_steps, "ftol": TOLERANCE, "gtol": 1e-4},
        )  # fmt: skip
        weight = done.x[: n_out * r].reshape(n_out, r) * scale
        free = done.x[n_out * r :] * free_scale
        found.append(Solution(weight, free))
    return found
