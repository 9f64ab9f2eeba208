"""Frozen dataclasses that cross rooms. A leaf: imports nothing of vta but `errors`.

Paths are `str` as Python's file functions give them (undecodable bytes as surrogates), so that any
file name that the system holds survives the trip; `os.fsencode` gives the bytes back.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 32
"""Length of a content key: a BLAKE3 digest [bytes]."""

Keys = NDArray[np.uint8]
"""Content keys, shape (n, KEY_BYTES)."""

Pixels = NDArray[np.uint8]
"""One decoded picture, shape (height, width, 3), sRGB."""

Vectors = NDArray[np.float32]
"""Embeddings, shape (n, dim) or (n, n_views, dim)."""


class ImageRef(NamedTuple):
    """A file that may be an image, as a source found it; nothing of it has been read.

    A tuple, since a million of them are made in one scan: a frozen dataclass takes twice as long.

    Attributes
    ----------
    path : str
        Absolute path.
    rel : str
        Path relative to the source's root, used when a tree is kept.
    size_bytes, mtime_ns : int
        From `stat`; together with `path` they are the catalogue's identity of unchanged content.
    ctime_ns : int
        Time of the last change of content, name, links or rights; 0 if it is not known.
    """

    path: str
    rel: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """A file that was left out, with the reason (slug) and the detail for people."""

    path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a decoded picture becomes what a backbone looks at; part of the recipe.

    Attributes
    ----------
    mode : {"native", "shortest", "squash"}
        ``native``: as decoded, only shrunk if the longest side exceeds `resize_px`.
        ``shortest``: shortest side to `resize_px`, then centre crop of `crop_px`.
        ``squash``: to `crop_px` x `crop_px` whatever the aspect.
    resize_px, crop_px : int
        Sizes in pixels; `crop_px` is 0 for ``native``.
    interpolation : {"bicubic", "bilinear", "lanczos", "nearest", "box"}
        Pillow's antialiased filter of that name.
    """

    mode: Literal["native", "shortest", "squash"]
    resize_px: int
    crop_px: int
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest", "box"] = "bicubic"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a vector's value besides the image's bytes.

    Attributes
    ----------
    backbone : str
        Full name, e.g. ``classic/1`` or ``open_clip:ViT-L-14-336-quickgelu/openai``.
    weights : str
        Digest of the weights, or ``none`` for a backbone without any.
    dim : int
        Columns of a vector.
    preprocess : Preprocess
        Resize, crop, filter.
    precision : {"fp32", "bf16", "fp16"}
        Arithmetic of the forward pass.
    view : {"whole", "five-crop"}
        Which geometric readings of the picture were embedded.
    n_views : int
        Vectors per image.
    extra : mapping of str to JSON values
        Whatever else a family needs to be exact (mean, std, tensor name, versions of algorithms).
    """

    backbone: str
    weights: str
    dim: int
    preprocess: Preprocess
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    view: Literal["whole", "five-crop"] = "whole"
    n_views: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self) | {"extra": dict(self.extra)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown fields and values of other types raise `TypeError`."""
        looks = Preprocess(**data["preprocess"])
        made = cls(**{**data, "preprocess": looks})
        numbers = (made.dim, made.n_views, looks.resize_px, looks.crop_px)
        who = (made.backbone, made.weights, made.precision, made.view)
        words = (*who, looks.mode, looks.interpolation)
        if {*map(type, numbers)} != {int} or {*map(type, words)} != {str}:
            raise TypeError("a recipe holds a value of another type")
        if type(made.extra) is not dict:
            raise TypeError("what else a recipe says is no object")
        return made

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits: the identity of the space."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def space_name(self) -> str:
        """Folder name of the space: readable part and first 12 digits of the digest."""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.backbone).strip("-").lower()[:60]
        return f"{slug}-{self.digest[:12]}"

    @property
    def way(self) -> str:
        """How vectors were computed, as far as recipes of equal kin may differ: for people."""
        return f"{self.precision} {'fast-decode' if 'resize' in self.extra else 'exact-decode'}"

    def kin(self) -> str:
        """Digest without what moves vectors by less than a cosine of .0001 or so.

        That is the precision, and who resized the picture, from full size or nearly so, with one
        and the same filter. Spaces of equal kin may stand in for each other.
        """
        extra = {name: value for name, value in self.extra.items() if name != "resize"}
        return Recipe(**{**self.__dict__, "precision": "fp32", "extra": extra}).digest


@dataclass(frozen=True, slots=True)
class Promise:
    """What the score of a head means.

    Attributes
    ----------
    kind : {"probability", "rating", "classes", "distribution", "tags", "duel"}
        ``probability``: calibrated, of being liked. ``rating``: in the units of the labels.
        ``classes``: the largest probability among the `chosen` classes. ``distribution``: the mean
        of `values` under the predicted shares. ``tags``: the largest probability among the `chosen`
        tags, any number of which may hold. ``duel``: of winning against the middle labelled image.
    low, high : float
        Ends of the scale.
    bounded : bool
        Whether scores beyond the ends are impossible; otherwise they are merely unusual.
    names : tuple of str
        Classes or tags, in the order of the head's outputs.
    chosen : tuple of int
        Classes or tags that the score speaks of.
    values : tuple of float
        Value of each bin of a distribution.
    """

    kind: Literal["probability", "rating", "classes", "distribution", "tags", "duel"]
    low: float = 0.0
    high: float = 1.0
    bounded: bool = True
    names: tuple[str, ...] = ()
    chosen: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def describe(self) -> str:
        """Say it in a few words."""
        scale = f"{self.low:g} to {self.high:g}"
        match self.kind:
            case "probability":
                return "probability of being liked"
            case "rating":
                return f"rating, {scale}" if self.bounded else f"rating, about {scale}, unbounded"
            case "classes":
                picked = " or ".join(self.names[index] for index in self.chosen)
                return f"probability of {picked}, of the classes {', '.join(self.names)}"
            case "distribution":
                return f"mean rating, {scale}, of a distribution over {len(self.values)} bins"
            case "tags":
                picked = " or ".join(self.names[index] for index in self.chosen)
                return f"probability of the tag {picked}, of the tags {', '.join(self.names)}"
            case "duel":
                return "probability of winning against the middle labelled image"


@dataclass(frozen=True)
class Layer:
    """One step of a small feed-forward head.

    Attributes
    ----------
    op : {"affine", "relu", "leaky_relu", "mark", "add"}
        ``affine``: ``x @ weight.T + bias``. ``leaky_relu``: negative values times `slope`.
        ``mark`` remembers the row as it is, ``add`` adds what was remembered.
    weight : ndarray of shape (n_out, n_in), float32 or float64, or None
    bias : ndarray of shape (n_out,), same type, or None
    slope : float
    """

    op: Literal["affine", "relu", "leaky_relu", "mark", "add"]
    weight: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    slope: float = 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MemberReport:
    """Out-of-fold quality of one head.

    `weight` is its share in the ensemble (None for the ensemble itself, or without one).
    AUC, accuracy, Brier score and calibration error (ECE) lie in 0..1.
    """

    name: str
    auc: Interval
    accuracy: Interval
    brier: Interval
    ece: Interval
    weight: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A recommended limit on the score, judged out of fold.

    `kept` is the share of the labelled images with a score at or above `value`, `precision` the
    share of positives among these, `recall` the share of all positives that they hold.
    """

    name: str
    value: float
    kept: float
    precision: float
    recall: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Margins:
    """Safety margins: scores <= `left` are almost surely negative, >= `right` positive.

    `left_reached` and `right_reached` say whether the wanted ratio (30 to 1) is met there; where it
    is not, the margin is the clamp.
    """

    left: float
    right: float
    left_reached: bool
    right_reached: bool
    ratio: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """A row of a reliability table: what was promised of some images, and what came true.

    Attributes
    ----------
    low, high : float
        Limits of the probabilities of this row.
    n_images : int
    said : float
        Their mean probability, out of fold.
    came_true : float
        The share of which it held.
    """

    low: float
    high: float
    n_images: int
    said: float
    came_true: float


@dataclass(frozen=True)
class TrainReport:
    """What is known of a fitted head, all of it out of fold.

    Attributes
    ----------
    head : str
        Name of the head that was fitted.
    n_positive, n_negative, n_groups, n_folds, n_repeats : int
        Labels, groups of near-copies, folds (0 where too few labels allow none) and repeats.
    members : tuple of MemberReport
        One per member; the last is the head itself.
    oof_scores : ndarray of shape (n,), float64
        Calibrated out-of-fold scores; NaN where none could be had.
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    margins : Margins
    thresholds : tuple of Threshold
    trust : {"none", "low", "fair", "good"}
        How far the figures carry, from the number of labels and the interval of the AUC.
    notes : tuple of str
        Sentences for the user.
    train_auc : float
        AUC on the data that fitted the head, for the gap; NaN if not defined.
    seconds : float
        Wall time of the fit, cross-validation included [s].
    figures : tuple of Figure
        Of the head: what stands beside the AUC and the calibration.
    reliability : tuple of Reliability
        Of the head; bins without an image are left out.
    """

    head: str
    n_positive: int
    n_negative: int
    n_groups: int
    n_folds: int
    n_repeats: int
    members: tuple[MemberReport, ...]
    oof_scores: NDArray[np.float64]
    targets: NDArray[np.int8]
    margins: Margins
    thresholds: tuple[Threshold, ...]
    trust: Literal["none", "low", "fair", "good"]
    notes: tuple[str, ...]
    train_auc: float
    seconds: float
    figures: tuple["Figure", ...] = ()
    reliability: tuple[Reliability, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of a head, out of fold, beside what needs no picture at all.

    Attributes
    ----------
    name : str
        For people, with its unit or limit where it has one.
    better : {"high", "low"}
    found : Interval
        Out of fold.
    base : float
        The same for predicting the base rate: the labels' mean, shares or middle. NaN if undefined.
    train : float
        The same on the labels that fitted the head; NaN if undefined.
    """

    name: str
    better: Literal["high", "low"]
    found: Interval
    base: float
    train: float


@dataclass(frozen=True, slots=True)
class NameFigures:
    """How one class, tier or tag fares, out of fold; NaN where it is not defined.

    `f2` is the F-measure that weighs recall twice; `auc` compares it with all others.
    """

    name: str
    n_labels: int
    recall: float
    precision: float
    f2: float
    auc: float


@dataclass(frozen=True, slots=True)
class RaterFigures:
    """How far one rater agrees with the head, which never saw the label, and with other raters.

    Attributes
    ----------
    name : str
    n_labels : int
        Judged images whose out-of-fold answer is known.
    n_shared : int
        Those that others judged too.
    with_head, with_others : dict of str to float
        Measures by name; the others' are taken together (their mean, or their majority). NaN where
        there are too few images.
    """

    name: str
    n_labels: int
    n_shared: int
    with_head: dict[str, float]
    with_others: dict[str, float]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that may be wrong: the head, fitted without it, disagrees.

    `row` is the row of the label as it was given, `loss` how much the head disagrees (larger is
    more), `label` and `found` what was said and what the head says, for people. `value` is the
    latter as a number: a score, or the place of the likeliest class; NaN of tags, whose
    probabilities are `values`.
    """

    row: int
    label: str
    found: str
    loss: float
    value: float = math.nan
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses of a head that learns by gradients, a point an epoch.

    Attributes
    ----------
    samples : tuple of int
        Rows seen until then.
    train, held : tuple of float
        Mean loss over the epoch while it learnt, and of the held-out rows after it (NaN without).
    rate : tuple of float
        Learning rate.
    best : int
        Place of the epoch that was kept.
    """

    samples: tuple[int, ...]
    train: tuple[float, ...]
    held: tuple[float, ...]
    rate: tuple[float, ...]
    best: int


@dataclass(frozen=True)
class KindReport:
    """What is known of a head for judgements that are not yes or no, all of it out of fold.

    Attributes
    ----------
    head, kind : str
        Name of the head and kind of the labels.
    n_labels, n_groups, n_folds : int
        Labels (pairs, in a set of pairs), groups of near-copies among the images, folds.
    figures : tuple of Figure
    by_name : tuple of NameFigures
        Per class, tier or tag; empty for other kinds.
    confusion : ndarray of shape (n_names, n_names), int64, or None
        Row: label; column: what the head says.
    suspects : tuple of Suspect
        All labels, the most doubtful first.
    detail : str
        What was chosen, for people.
    notes : tuple of str
        Sentences for the user.
    seconds : float
        Wall time of the fit, cross-validation included [s].
    curve : Curve or None
        Of the saved head, if it learns by gradients.
    reliability : tuple of Reliability
        Of the likeliest class of each image, or of all that is said of tags; empty for other kinds.
    """

    head: str
    kind: str
    n_labels: int
    n_groups: int
    n_folds: int
    figures: tuple[Figure, ...]
    by_name: tuple[NameFigures, ...]
    confusion: NDArray[np.int64] | None
    suspects: tuple[Suspect, ...]
    detail: str
    notes: tuple[str, ...]
    seconds: float
    curve: Curve | None = None
    reliability: tuple[Reliability, ...] = ()
