"""Votes: a distribution over bins, fitted to the earth mover's distance."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.descent import descend
from vta_cli.heads.layered import Output
from vta_cli.heads.learner import Solution, with_bias
from vta_cli.heads.softmax import shares_of
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

ROUND = 1e-4
"""Added under the root, whose slope is unbounded where two distributions agree."""
MAX_STEPS = 100
"""The distance curves less than a logistic loss does, so that descent takes longer."""


class Distribution:
    """Softmax over any number of bins, with the loss of NIMA at r = 2."""

    name: ClassVar[str] = "distribution"
    output: ClassVar[Output] = "softmax"

    def path(
        self,
        x: Floats,
        y: NDArray[Any],
        weights: Floats,
        wanted: Wanted,
        penalties: Sequence[float],
    ) -> list[Solution]:
        """Fit each penalty; see `Learner`."""
        del wanted
        n_bins = y.shape[1]
        below = np.cumsum(y, axis=1)

        def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
            shares = shares_of(u + free)
            apart = np.cumsum(shares, axis=1) - below
            distance = np.sqrt(np.mean(apart * apart, axis=1) + ROUND)
            by_below = apart * (weights / (n_bins * distance))[:, None]
            by_share = np.cumsum(by_below[:, ::-1], axis=1)[:, ::-1]
            by_u = shares * (by_share - np.sum(shares * by_share, axis=1, keepdims=True))
            return float(weights @ distance), by_u, by_u.sum(axis=0)

        start = np.log(np.average(y, axis=0, weights=weights) + 1e-4)
        return descend(objective, x, n_bins, start, penalties, max_steps=MAX_STEPS)

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the share of each bin, shape (n, n_bins)."""
        return shares_of(u + free)

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the earth mover's distance of each row, shape (n, 1)."""
        del wanted
        return emd(out, y)[:, None]

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the one affine layer."""
        return (with_bias(first, free),)

    def promise(self, wanted: Wanted) -> Promise:
        """Return a distribution over the bins, whose mean is the score."""
        low, high = wanted.scale
        return Promise("distribution", low, high, values=wanted.values)


def emd(found: Floats, truth: Floats) -> Floats:
    """Return ``sqrt(mean over bins of (CDF difference)^2)`` of each row, shape (n,).

    Talebi and Milanfar, "NIMA: Neural Image Assessment", 2018, equation 1 with r = 2; the form that
    idealo's implementation reports.
    """
    apart = np.cumsum(found - truth, axis=1)
    return np.asarray(np.sqrt(np.mean(apart * apart, axis=1)))
