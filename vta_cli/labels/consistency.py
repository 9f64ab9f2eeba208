"""How far repeated labels agree: no head can be expected to agree with a person any better."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vta_cli.labels.grouping import require_kind
from vta_cli.labels.judgements import judgements
from vta_cli.labels.records import LabelSet

MOST_OF_ONE = 50
"""Judgements of one content that are compared with each other; the number of pairs is bounded."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """Agreement of two judgements of one question, over all that were judged more than once.

    A question is a content; with tags, one tag of a content; of pairs, two contents. Each counts
    once, however many judgements it has.

    Attributes
    ----------
    n_contents : int
        Questions with two judgements or more.
    n_pairs : int
        Pairs of judgements that were compared.
    agreement : float
        Share of pairs with equal values, 0..1; NaN without a pair.
    mean_difference : float
        Mean absolute difference of the two values, in the labels' units; NaN without a pair, and
        where numbers measure nothing: of classes, tags and pairs.
    """

    n_contents: int
    n_pairs: int
    agreement: float
    mean_difference: float


def consistency(labels: LabelSet, keys: Mapping[str, bytes], *, same_rater: bool) -> Consistency:
    """Compare repeated judgements of equal contents.

    Parameters
    ----------
    labels : LabelSet
        Of any kind but ``histograms``, before any merge.
    keys : mapping of str to bytes
        Content key of each labelled path.
    same_rater : bool
        Compare each rater with himself (unnamed ones count as one person), or with the others.

    Returns
    -------
    Consistency

    Raises
    ------
    UsageError
        ``wrong-kind``.
    """
    require_kind(labels, "binary", "classes", "ordinal", "scores", "tags", "pairs")
    equal: list[float] = []
    apart: list[float] = []
    n_pairs = 0
    for found in judgements(labels, keys).values():
        gaps = [
            abs(one.value - other.value)
            for one, other in combinations(found[:MOST_OF_ONE], 2)
            if (one.rater == other.rater) == same_rater
        ]
        if gaps:
            n_pairs += len(gaps)
            equal.append(float(np.mean([gap == 0 for gap in gaps])))
            apart.append(float(np.mean(gaps)))
    return Consistency(
        n_contents=len(equal),
        n_pairs=n_pairs,
        agreement=float(np.mean(equal)) if equal else float("nan"),
        mean_difference=float(np.mean(apart))
        if apart and labels.kind not in ("classes", "tags", "pairs")
        else float("nan"),
    )
