"""What a head for scores, tiers, classes, tags, votes or pairs must offer to be trained.

Such a head is linear in the unit rows: weights on columns, some free numbers (intercepts, limits),
and a way from both to what is promised. Penalties are chosen, folds kept and figures made for all
of them in the same way (`cross`, `train_kinds`). To add one: a file with a `Learner`, and its lines
in `registry`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.layered import Output
from vta_cli.heads.wanted import Wanted
from vta_cli.records import Layer, Promise


@dataclass(frozen=True)
class Solution:
    """A fit at one penalty.

    Attributes
    ----------
    weight : ndarray of shape (k, r), float64
        On centred coordinates of the rows.
    free : ndarray of shape (m,), float64
        Whatever is not penalised.
    """

    weight: Floats
    free: Floats


class Learner(Protocol):
    """One way to learn one kind of judgement."""

    name: ClassVar[str]
    output: ClassVar[Output]

    def path(
        self,
        x: Floats,
        y: NDArray[Any],
        weights: Floats,
        wanted: Wanted,
        penalties: Sequence[float],
    ) -> list[Solution]:
        """Fit each penalty, the strongest first.

        Parameters
        ----------
        x : ndarray of shape (n, r), float64
            Centred coordinates of some rows.
        y, weights : ndarray of shape (n, ...) and (n,)
            Their judgements, and weights of mean 1.
        wanted : Wanted
            For names and values; its `y` is that of all rows.
        penalties : sequence of float
            Of the sum of squared weights over two, beside the sum of losses.
        """

    def outputs(self, u: Floats, free: Floats) -> Floats:
        """Return what the saved head's layers give for ``u = x @ weight.T``, shape (n, n_out)."""

    def losses(self, out: Floats, y: NDArray[Any], wanted: Wanted) -> Floats:
        """Return the loss of each row, shape (n, 1).

        If columns are learnt apart, the loss of each of them, shape (n, n_out).
        """

    def layers(self, first: Layer, free: Floats) -> tuple[Layer, ...]:
        """Return the layers of the saved head; `first` gives u for rows that are not centred."""

    def promise(self, wanted: Wanted) -> Promise:
        """Return what the score of the saved head means."""


def with_bias(first: Layer, bias: Floats) -> Layer:
    """Return an affine layer with more bias."""
    return replace(first, bias=bias if first.bias is None else first.bias + bias)
