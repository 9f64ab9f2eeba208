"""Ridge regression: a score in the labels' own units, least squares with a penalty."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.layered import Output
from vta_cli.heads.learner import Solution, with_bias
from vta_cli.heads.wanted import Wanted, with_rows
from vta_cli.records import Layer, Promise


class Ridge:
    """Linear least squares (Hoerl and Kennard, 1970) on scores, tiers or means of votes."""

    name: ClassVar[str] = "ridge"
    output: ClassVar[Output] = "plain"

    def path(
        self,
        x: Floats,
        y: NDArray[Any],
        weights: Floats,
        wanted: Wanted,
        penalties: Sequence[float],
    ) -> list[Solution]:
        """Solve all penalties by one decomposition of the smaller side; see `Learner`."""
        numbers: Floats = with_rows(wanted, y, weights).numbers
        centre = float(np.average(numbers, weights=weights))
        middle = np.average(x, axis=0, weights=weights)
        root = np.sqrt(weights)
        rows = (x - middle) * root[:, None]
        missed = (numbers - centre) * root
        wide = rows.shape[0] < rows.shape[1]
        values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
        coded = vectors.T @ (missed if wide else rows.T @ missed)
        found = []
        for penalty in penalties:
            weight = vectors @ (coded / (np.maximum(values, 0.0) + penalty))
            if wide:
                weight = rows.T @ weight
            found.append(Solution(weight[None], np.array([centre - float(middle @ weight)])))
        return found

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the score, shape (n, 1)."""
        return np.asarray(u + free[0])

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return squared errors, shape (n, 1)."""
        numbers = with_rows(wanted, y, np.ones(len(y))).numbers
        return np.asarray((out - numbers[:, None]) ** 2)

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the one affine layer."""
        return (with_bias(first, free),)

    def promise(self, wanted: Wanted) -> Promise:
        """Return a rating that may leave the scale of the labels a little."""
        low, high = wanted.scale
        return Promise("rating", low, high, bounded=False)
