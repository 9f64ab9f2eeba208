"""How the labels of a set are spread: rows of name and count, for people to look at."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vta_cli.labels.records import PRESENT, UNKNOWN, Label, LabelSet

MOST_VALUES = 20
"""Up to so many different scores each has its row; more are gathered in `N_RANGES` ranges."""
N_RANGES = 10

CLASS_BAR_WIDTH = 40
SCORE_BAR_WIDTH = 100
"""Columns that a bar of all images would have, for classes and for scores (CityClassifiers)."""

Rows = tuple[tuple[str, int], ...]


def distribution(labels: LabelSet) -> Rows:
    """Count the labels of a set.

    Parameters
    ----------
    labels : LabelSet
        Of any kind.

    Returns
    -------
    tuple of (str, int)
        ``binary``: positive and negative. ``classes``: every class, empty ones included.
        ``ordinal``: every tier. ``scores``: every score or ten ranges of them. ``tags``: for each
        tag the images that bear it; then those in which any tag is unknown. ``histograms``: images
        by the bin nearest to their mean. ``pairs``: left won, right won, tie.
        Labels are counted, not contents: two raters' scores of one image are two.
    """
    values = [label.value for label in labels.labels]
    if labels.kind == "binary":
        n_positive = sum(value > 0.5 for value in values)
        return ("positive", n_positive), ("negative", len(values) - n_positive)
    if labels.kind == "classes":
        counts = Counter(map(int, values))
        return tuple((name, counts[k]) for k, name in enumerate(labels.names))
    if labels.kind == "ordinal":
        by_tier = Counter(values)
        return tuple((f"{tier:g}", by_tier[tier]) for tier in labels.bins)
    if labels.kind == "tags":
        return _tags(labels)
    if labels.kind == "histograms":
        nearest = Counter(_nearest(values, labels.bins))
        return tuple((f"{b:g}", nearest[place]) for place, b in enumerate(labels.bins))
    if labels.kind == "pairs":
        n_left, n_tie = values.count(1.0), values.count(0.5)
        rows = (("left", n_left), ("right", len(values) - n_left - n_tie), ("tie", n_tie))
        return rows if n_tie else rows[:2]
    return _scores(values)


def bar_width(labels: LabelSet) -> int:
    """Return the columns that a bar of all images should have."""
    classes = labels.kind in {"binary", "classes", "tags", "pairs"}
    return CLASS_BAR_WIDTH if classes else SCORE_BAR_WIDTH


def raters(labels: LabelSet) -> Rows:
    """Count the labels of each rater who is named, the busiest first."""
    counts = Counter(label.rater for label in labels.labels if label.rater)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def of_rater(labels: LabelSet, rater: str) -> LabelSet:
    """Return the set with one rater's labels alone; its kind, names and bins stay."""
    kept: tuple[Label, ...] = tuple(one for one in labels.labels if one.rater == rater)
    return LabelSet(labels.kind, kept, labels.problems, labels.names, labels.bins)


def _tags(labels: LabelSet) -> Rows:
    if not labels.labels:
        return tuple((name, 0) for name in labels.names)
    states = np.array([label.values for label in labels.labels])  # (n, n_tags)
    present = (states == PRESENT).sum(axis=0)
    n_unknown = int((states == UNKNOWN).any(axis=1).sum())
    rows = [(name, int(count)) for name, count in zip(labels.names, present, strict=True)]
    return (*rows, ("(some unknown)", n_unknown)) if n_unknown else tuple(rows)


def _nearest(values: Sequence[float], bins: Sequence[float]) -> list[int]:
    """Return the place of the bin nearest to each value; of two the upper one, as 5.5 reads 6."""
    middles = (np.array(bins[:-1]) + np.array(bins[1:])) / 2
    return [int(place) for place in np.searchsorted(middles, values, side="right")]


def _scores(values: Sequence[float]) -> Rows:
    counts = Counter(values)
    if len(counts) <= MOST_VALUES:
        return tuple((f"{value:g}", counts[value]) for value in sorted(counts))
    numbers, edges = np.histogram(values, bins=N_RANGES)
    return tuple(
        (f"{low:.3g}..{high:.3g}", int(number))
        for low, high, number in zip(edges[:-1], edges[1:], numbers, strict=True)
    )
