"""Tiers: the cumulative logit, which knows their order and assumes no distances."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import log_odds, sigmoid
from vta_cli.heads.descent import descend
from vta_cli.heads.layered import Output, from_cumulative
from vta_cli.heads.learner import Solution
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

TINY = 1e-12
STIFFNESS = 0.05
"""Pull of the logarithms of the steps between limits towards their start, which keeps the limits of
a tier without an image in place."""


class Ordinal:
    """Proportional odds (McCullagh, "Regression models for ordinal data", 1980).

    ``P(tier <= k) = sigmoid(limit_k - u)`` with rising limits; u is linear in the rows.
    """

    name: ClassVar[str] = "ordinal"
    output: ClassVar[Output] = "cumulative"

    def path(
        self,
        x: Floats,
        y: NDArray[Any],
        weights: Floats,
        wanted: Wanted,
        penalties: Sequence[float],
    ) -> list[Solution]:
        """Fit each penalty; see `Learner`. Free are the first limit and the logs of the steps."""
        start = _start(y, weights, len(wanted.values))
        rows = np.arange(len(y))

        def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
            below = sigmoid(limits(free) - u)  # (n, k - 1)
            slope = below * (1.0 - below)
            ends = np.zeros((len(u), 1))
            cdf = np.concatenate([ends, below, ends + 1.0], axis=1)
            pdf = np.concatenate([ends, slope, ends], axis=1)
            share = np.maximum(cdf[rows, y + 1] - cdf[rows, y], TINY)
            upper = weights * pdf[rows, y + 1] / share
            lower = weights * pdf[rows, y] / share
            by_limit = np.zeros(below.shape[1] + 2)
            np.subtract.at(by_limit, y + 1, upper)
            np.add.at(by_limit, y, lower)
            moved = free[1:] - start[1:]
            by_free = _by_free(by_limit[1:-1], free)
            by_free[1:] += STIFFNESS * moved
            loss = -float(weights @ np.log(share)) + 0.5 * STIFFNESS * float(moved @ moved)
            return loss, (upper - lower)[:, None], by_free

        return descend(objective, x, 1, start, penalties)

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the probability of each tier, shape (n, n_tiers)."""
        return from_cumulative(limits(free) - u)

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the logarithmic loss of each row, shape (n, 1)."""
        del wanted
        return np.asarray(-np.log(np.maximum(out[np.arange(len(y)), y], TINY))[:, None])

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return u, and the limits beyond it."""
        bounds = limits(free)
        return first, Layer("affine", -np.ones((len(bounds), 1)), bounds)

    def promise(self, wanted: Wanted) -> Promise:
        """Return a distribution over the tiers, whose mean is the score."""
        low, high = wanted.scale
        return Promise("distribution", low, high, values=wanted.values)


def limits(free: Floats) -> Floats:
    """Return rising limits from the first and the logs of the steps between them."""
    return np.asarray(np.cumsum(np.concatenate([free[:1], np.exp(free[1:])])))


def _by_free(by_limit: Floats, free: Floats) -> Floats:
    """Turn a gradient by limits into one by the free numbers."""
    onwards = np.cumsum(by_limit[::-1])[::-1]
    return np.concatenate([onwards[:1], onwards[1:] * np.exp(free[1:])])


def _start(y: NDArray[Any], weights: Floats, n_tiers: int) -> Floats:
    """Return the limits at which every row gets the labels' own shares."""
    mass = np.bincount(y, weights, minlength=n_tiers) + 0.25
    bounds = log_odds(np.cumsum(mass)[:-1] / mass.sum())
    return np.concatenate([bounds[:1], np.log(np.maximum(np.diff(bounds), 1e-3))])
