"""Binary labels in the order in which they deserve a second look."""

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.records import Suspect

TINY = 1e-12
SIDES = ("disliked", "liked")


def doubtful_labels(oof_scores: Floats, targets: NDArray[np.int8]) -> tuple[Suspect, ...]:
    """List the labels by the logarithmic loss of their out-of-fold scores, the largest first.

    Parameters
    ----------
    oof_scores : ndarray of shape (n,), float64
        Probabilities; labels without one (NaN) are left out.
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    """
    right = np.where(targets == 1, oof_scores, 1.0 - oof_scores)
    losses = -np.log(np.maximum(right, TINY))
    order = [int(at) for at in np.argsort(-losses, kind="stable") if np.isfinite(losses[at])]
    return tuple(
        Suspect(
            at,
            SIDES[targets[at]],
            f"{oof_scores[at]:.2f}",
            float(losses[at]),
            float(oof_scores[at]),
        )
        for at in order
    )
