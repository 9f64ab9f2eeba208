"""What a label is, and a set of them; knows neither images nor heads."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["binary"]
"""What the values of a label set mean; ``binary``: 1.0 positive, 0.0 negative."""


@dataclass(frozen=True, slots=True)
class Label:
    """One judgement of one file.

    Attributes
    ----------
    path : str
        Absolute path of the image.
    value : float
        In a binary set 1.0 (positive) or 0.0 (negative).
    source : str
        Where the judgement was found, for people: ``folder liked/`` or ``labels.csv:17``.
    weight : float
        How much it counts, above 0; 1 is one plain judgement.
    rater : str
        Who judged; empty if nobody is named.
    """

    path: str
    value: float
    source: str
    weight: float = 1.0
    rater: str = ""


@dataclass(frozen=True)
class LabelSet:
    """Labels of one kind as a reader found them, with what it could not use.

    Attributes
    ----------
    kind : {"binary"}
    labels : tuple of Label
        In the order of the source; a path may occur more than once.
    problems : tuple of str
        Sentences for the user, each naming the place; nothing in them stops a training.
    """

    kind: Kind
    labels: tuple[Label, ...]
    problems: tuple[str, ...] = field(default=())
