"""The difference of the class means: what can be learnt from a handful of labels.

It is the limit of logistic regression under a growing penalty, and of a linear discriminant with
equal spread in all directions.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.design import Design
from vta_cli.heads.parts import LinearPart
from vta_cli.heads.protocol import Fitted


class Centroid:
    """Raw score 1 at the mean of the positives, -1 at the mean of the negatives."""

    name: ClassVar[str] = "centroid"

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `Fitter`."""
        del seed
        x = design.unit.astype(np.float64)
        raw_oof = np.empty(folds.shape)
        for repeat, fold_of in enumerate(folds):
            for fold in np.unique(fold_of):
                rows, held = fold_of != fold, fold_of == fold
                part = _between(x[rows], targets[rows], weights[rows])
                raw_oof[repeat, held] = x[held] @ part.coef + part.intercept[0]
        return Fitted(_between(x, targets, weights), raw_oof, "difference of the class means")


def _between(x: Floats, targets: NDArray[np.int8], weights: Floats) -> LinearPart:
    means = [
        np.average(x[targets == side], axis=0, weights=weights[targets == side]) for side in (0, 1)
    ]
    apart = means[1] - means[0]
    coef = apart * (2.0 / max(float(apart @ apart), 1e-12))
    middle = (means[0] + means[1]) / 2.0
    return LinearPart(coef, np.array([-float(middle @ coef)]))
