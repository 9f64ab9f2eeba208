"""Pairs: how likely one image wins against another, from what tells winners and losers apart."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import sigmoid
from vta_cli.heads.descent import descend
from vta_cli.heads.layered import Output
from vta_cli.heads.learner import Solution, with_bias
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

TINY = 1e-12


class Duels:
    """Bradley and Terry, "Rank analysis of incomplete block designs", 1952, with linear strengths.

    ``P(left wins) = sigmoid(u_left - u_right)``; a tie is half a victory of each.
    """

    name: ClassVar[str] = "pairs"
    output: ClassVar[Output] = "sigmoid"

    def path(
        self,
        x: Floats,
        y: NDArray[Any],
        weights: Floats,
        wanted: Wanted,
        penalties: Sequence[float],
    ) -> list[Solution]:
        """Fit each penalty; here a row of `x` is the left image's less the right one's."""
        del wanted

        def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
            z = u[:, 0]
            loss = float(weights @ (np.logaddexp(0.0, z) - y * z))
            return loss, (weights * (sigmoid(z) - y))[:, None], np.zeros_like(free)

        return descend(objective, x, 1, np.zeros(0), penalties)

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the probability that the left image wins, shape (n, 1)."""
        del free
        return sigmoid(u)

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the logarithmic loss of each pair, shape (n, 1)."""
        del wanted
        won = np.log(np.maximum(out, TINY))
        lost = np.log(np.maximum(1.0 - out, TINY))
        return -(y[:, None] * won + (1.0 - y[:, None]) * lost)

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the strength over that of the middle image, which `free` holds."""
        return (with_bias(first, -free),)

    def promise(self, wanted: Wanted) -> Promise:
        """Return the probability of winning against the middle labelled image."""
        del wanted
        return Promise("duel")
