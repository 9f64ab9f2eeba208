"""What a member of a head must offer: a fitter while training, a part while scoring.

A *member* is one way to learn (logistic, kernel, ...). Its fitter returns out-of-fold raw scores
and a *part*: arrays and settings that turn rows into raw scores with numpy alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, Rows

if TYPE_CHECKING:
    from vta_cli.heads.design import Design

Arrays = Mapping[str, NDArray[Any]]


class Part(Protocol):
    """An applied member: arrays, and a function of rows."""

    kind: ClassVar[str]

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, larger is more positive, shape (n,)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild a part from `arrays`; raise `ValueError` on anything that cannot be right."""


@dataclass(frozen=True)
class Fitted:
    """What a fitter found.

    Attributes
    ----------
    part : Part
        Fitted on all rows.
    raw_oof : ndarray of shape (n_repeats, n), float64
        Raw scores of each row by fits that never saw its fold; all choices (regularisation,
        bandwidth) that such a score depends on were made on the losses of the other folds.
    detail : str
        What was chosen, for people.
    """

    part: Part
    raw_oof: Floats
    detail: str


class Fitter(Protocol):
    """One way to learn."""

    name: ClassVar[str]

    def fit(
        self,
        design: "Design",
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold.

        Parameters
        ----------
        design : Design
            The rows, and what is computed of them once for all members.
        targets : ndarray of shape (n,), int8
            1 positive, 0 negative.
        weights : ndarray of shape (n,), float64
            Weight of each row; both classes sum to the same.
        folds : ndarray of shape (n_repeats, n), int64
            Fold of each row in each repeat; no repeats where folds cannot be had.
        seed : int
            Of everything random.
        """
