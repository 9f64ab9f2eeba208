"""Tags: one logistic regression for each, what is unknown left out, calibrated out of fold."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import log_odds, sigmoid
from vta_cli.heads.descent import descend
from vta_cli.heads.layered import Output
from vta_cli.heads.learner import Solution, with_bias
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

TINY = 1e-12


class Tagging:
    """Any number of tags may hold of one image; each has a penalty of its own."""

    name: ClassVar[str] = "tags"
    output: ClassVar[Output] = "sigmoid"

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
        present = (y == 1).astype(np.float64)
        counted = (y >= 0) * weights[:, None]  # (n, n_tags); 0 where unknown

        def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
            z = u + free
            loss = float(np.sum(counted * (np.logaddexp(0.0, z) - present * z)))
            by_u = counted * (sigmoid(z) - present)
            return loss, by_u, by_u.sum(axis=0)

        share = (np.sum(counted * present, axis=0) + 0.5) / (counted.sum(axis=0) + 1.0)
        return descend(objective, x, y.shape[1], log_odds(share), penalties)

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the probability of each tag, shape (n, n_tags)."""
        return sigmoid(u + free)

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the logarithmic loss of each tag of each row, 0 where it is unknown."""
        del wanted
        right = np.where(y == 1, out, 1.0 - out)
        return np.where(y >= 0, -np.log(np.maximum(right, TINY)), 0.0)

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the one affine layer."""
        return (with_bias(first, free),)

    def promise(self, wanted: Wanted) -> Promise:
        """Return probabilities of tags; the score is the largest of the chosen, or of all."""
        return Promise("tags", names=wanted.names, chosen=wanted.chosen or every(wanted))


def every(wanted: Wanted) -> tuple[int, ...]:
    """Return the places of all names."""
    return tuple(range(len(wanted.names)))
