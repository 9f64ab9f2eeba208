"""Classes: multinomial logistic regression."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.descent import descend
from vta_cli.heads.layered import Output
from vta_cli.heads.learner import Solution, with_bias
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise

TINY = 1e-12


class Softmax:
    """Cross-entropy on soft-maxed outputs, once; each class's loss may have a weight."""

    name: ClassVar[str] = "softmax"
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
        n_classes = len(wanted.names)
        if wanted.class_weights:
            weights = weights * np.asarray(wanted.class_weights)[y]
        rows = np.arange(len(y))

        def objective(u: Floats, free: Floats) -> tuple[float, Floats, Floats]:
            shares = shares_of(u + free)
            loss = -float(weights @ np.log(np.maximum(shares[rows, y], TINY)))
            shares[rows, y] -= 1.0
            shares *= weights[:, None]
            return loss, shares, shares.sum(axis=0)

        mass = np.bincount(y, weights, minlength=n_classes) + 0.5
        return descend(objective, x, n_classes, np.log(mass / mass.sum()), penalties)

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return the probability of each class, shape (n, n_classes)."""
        return shares_of(u + free)

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the cross-entropy of each row, shape (n, 1)."""
        losses = -np.log(np.maximum(out[np.arange(len(y)), y], TINY))
        if wanted.class_weights:
            losses = losses * np.asarray(wanted.class_weights)[y]
        return np.asarray(losses[:, None])

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the one affine layer."""
        return (with_bias(first, free),)

    def promise(self, wanted: Wanted) -> Promise:
        """Return probabilities of classes; the score is that of the chosen, or of the first."""
        return Promise("classes", names=wanted.names, chosen=wanted.chosen or (0,))


def shares_of(z: Floats) -> Floats:
    """Return ``exp(z)`` scaled to rows of sum 1."""
    shares = np.exp(z - z.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.asarray(shares)
