"""What a label is, and a set of them; knows neither images nor heads."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["binary", "classes", "ordinal", "scores", "tags", "histograms", "pairs"]
"""What the values of a label set mean; see `Label`."""

PRESENT, ABSENT, UNKNOWN = 1, 0, -1
"""States of one tag of one image."""


@dataclass(frozen=True, slots=True)
class Label:
    """One judgement of one file, or of two.

    Attributes
    ----------
    path : str
        Absolute path of the image; in a set of pairs that of the left one.
    value : float
        ``binary``: 1.0 positive, 0.0 negative. ``classes``: index into `LabelSet.names`.
        ``ordinal``: one of `LabelSet.bins`. ``scores``: the score in the labels' own units.
        ``tags``: number of tags present. ``histograms``: mean of the votes.
        ``pairs``: 1.0 the left image won, 0.0 the right one, 0.5 neither.
    source : str
        Where the judgement was found, for people: ``folder liked/`` or ``labels.csv:17``.
    weight : float
        How much it counts, above 0; 1 is one plain judgement.
    rater : str
        Who judged; empty if nobody is named.
    values : tuple of float
        ``tags``: a state (`PRESENT`, `ABSENT`, `UNKNOWN`) for each of `LabelSet.names`.
        ``histograms``: votes for each of `LabelSet.bins`, counts or shares as the source has them.
        Empty in other sets.
    other : str
        ``pairs``: absolute path of the right image. Empty in other sets.
    """

    path: str
    value: float
    source: str
    weight: float = 1.0
    rater: str = ""
    values: tuple[float, ...] = ()
    other: str = ""


@dataclass(frozen=True)
class LabelSet:
    """Labels of one kind as a reader found them, with what it could not use.

    Attributes
    ----------
    kind : {"binary", "classes", "ordinal", "scores", "tags", "histograms", "pairs"}
    labels : tuple of Label
        In the order of the source; a path may occur more than once.
    problems : tuple of str
        Sentences for the user, each naming the place; nothing in them stops a training.
    names : tuple of str
        ``classes``: a name for each class, in order. ``tags``: the tags, in column order.
        Empty in other sets.
    bins : tuple of float
        ``histograms``: the score that each bin stands for, ascending. ``ordinal``: the tiers,
        ascending. Empty in other sets.
    """

    kind: Kind
    labels: tuple[Label, ...]
    problems: tuple[str, ...] = field(default=())
    names: tuple[str, ...] = ()
    bins: tuple[float, ...] = ()

    def paths(self) -> list[str]:
        """Return the paths of all labelled images, right ones of pairs included, each once."""
        either = (path for label in self.labels for path in (label.path, label.other) if path)
        return sorted(set(either))
