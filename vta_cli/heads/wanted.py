"""What a head of any kind is to learn: judgements as arrays, checked."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.blocks import Floats
from vta_cli.words import counted

Kind = Literal["scores", "ordinal", "classes", "tags", "histograms", "pairs"]
Ints = NDArray[np.int64]

FEWEST_IMAGES = 4
"""Independent images below which nothing can be held back."""
MAX_NAMES = 1_000


@dataclass(frozen=True)
class Wanted:
    """Judgements of the images whose vectors are the rows.

    Attributes
    ----------
    kind : {"scores", "ordinal", "classes", "tags", "histograms", "pairs"}
    y : ndarray
        ``scores``: (n,) float64, in the labels' units. ``ordinal``: (n,) int64, places in `values`.
        ``classes``: (n,) int64, places in `names`. ``tags``: (n, n_tags) int8, 1 present, 0 absent,
        -1 unknown. ``histograms``: (n, n_bins) float64, rows of sum 1. ``pairs``: (m,) float64, 1
        the left image won, 0 the right one, 0.5 neither.
    weights : ndarray of shape (n,) or, of pairs, (m,), float64
        Above 0; only proportions count.
    names : tuple of str
        Classes or tags.
    values : tuple of float
        The tiers' or bins' own numbers, ascending.
    pairs : ndarray of shape (m, 2), int64, or None
        Rows of the left and the right image of each pair.
    class_weights : tuple of float
        Loss weight of each class; empty: all alike.
    chosen : tuple of int
        Classes or tags that the score speaks of; empty: the first class, any tag.
    """

    kind: Kind
    y: NDArray[Any]
    weights: Floats
    names: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    pairs: Ints | None = None
    class_weights: tuple[float, ...] = ()
    chosen: tuple[int, ...] = ()

    @property
    def numbers(self) -> Floats:
        """What a judgement says as one number a row: score, tier, mean; else what it is near to."""
        if self.kind == "ordinal":
            tiers: Floats = np.asarray(self.values, dtype=np.float64)[self.y]
            return tiers
        if self.kind == "histograms":
            found: Floats = self.y @ np.asarray(self.values)
            return found
        if self.kind == "tags":  # rows with the same tags are neighbours
            return np.asarray((self.y == 1) @ (0.5 ** np.arange(self.y.shape[1])))
        return np.asarray(self.y, dtype=np.float64)

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest number that a judgement can be, or was."""
        if self.values:
            return float(self.values[0]), float(self.values[-1])
        return float(self.y.min()), float(self.y.max())


def with_rows(wanted: Wanted, y: NDArray[Any], weights: Floats) -> Wanted:
    """Return the same kind of judgements of other rows."""
    return replace(wanted, y=y, weights=weights, pairs=None)


def by_view(wanted: Wanted, n_views: int) -> Wanted:
    """Return the judgements with a row for each view of an image.

    Raises
    ------
    UsageError
        ``pairs-of-views``: which tile of one image won against which of the other, nobody said.
    """
    if n_views == 1:
        return wanted
    if wanted.pairs is not None:
        raise UsageError(
            "pairs-of-views",
            "pairs are learnt from whole pictures, not from five crops",
            hint="add --views whole",
        )
    y, weights = (np.repeat(values, n_views, axis=0) for values in (wanted.y, wanted.weights))
    return with_rows(wanted, y, weights)


def check(wanted: Wanted, n_rows: int, n_groups: int) -> None:
    """Refuse what cannot be learnt from.

    Raises
    ------
    UsageError
        ``too-few-labels``; ``one-value`` if all judgements are the same.
    HeadError
        ``wrong-vectors``, ``bad-targets`` or ``bad-weights``: the caller's arrays do not fit.
    """
    n_images = len(wanted.y) if wanted.pairs is None else n_rows
    if n_images != n_rows or len(wanted.weights) != len(wanted.y):
        raise HeadError(
            "wrong-vectors",
            f"{n_rows} rows, {len(wanted.y)} judgements, {len(wanted.weights)} weights",
        )
    _check_targets(wanted, n_rows)
    if not np.isfinite(wanted.weights).all() or np.any(wanted.weights <= 0):
        raise HeadError("bad-weights", "weights of labels must be finite and above 0")
    if n_groups < FEWEST_IMAGES:
        raise UsageError(
            "too-few-labels",
            f"too few to learn from: {counted(n_groups, 'image')} (near-copies counted once)",
            hint=f"label at least {FEWEST_IMAGES}; some fifty are a decent start",
        )
    if _all_alike(wanted):
        raise UsageError(
            "one-value",
            f"all {len(wanted.y)} judgements are the same",
            hint="label images that differ in what you want to learn",
        )


def _all_alike(wanted: Wanted) -> bool:
    if wanted.kind == "pairs":  # the sides of a pair are no more than its order
        return bool(np.all(wanted.y == 0.5))
    if wanted.kind == "tags":
        known = [column[column >= 0] for column in wanted.y.T]
        return all(len(np.unique(column)) < 2 for column in known)
    return bool(np.all(wanted.y == wanted.y[:1]))


def _check_targets(wanted: Wanted, n_rows: int) -> None:
    y, names, values = wanted.y, len(wanted.names), len(wanted.values)
    shape = {"tags": (len(y), names), "histograms": (len(y), values)}.get(wanted.kind, (len(y),))
    good = len(y) > 0 and y.shape == shape and bool(np.isfinite(y).all())
    if good and wanted.kind in ("classes", "ordinal"):
        top = names if wanted.kind == "classes" else values
        good = 2 <= top <= MAX_NAMES and bool(np.all((y >= 0) & (y < top)))
    elif good and wanted.kind == "tags":
        good = 1 <= names <= MAX_NAMES and bool(np.isin(y, (-1, 0, 1)).all())
    elif good and wanted.kind == "histograms":
        good = 2 <= values <= MAX_NAMES and bool(np.all(y >= 0))
        good = good and bool(np.allclose(y.sum(axis=1), 1.0, atol=1e-6))
    elif good and wanted.kind == "pairs":
        pairs = np.empty((0, 2)) if wanted.pairs is None else wanted.pairs
        inside = bool(np.all((pairs >= 0) & (pairs < n_rows)))
        good = pairs.shape == (len(y), 2) and inside
        good = good and bool(np.all((y >= 0) & (y <= 1)))
    rising = bool(np.all(np.diff(wanted.values) > 0))
    chosen = all(0 <= at < names for at in wanted.chosen)
    weighed = len(wanted.class_weights) in (0, names) and all(w > 0 for w in wanted.class_weights)
    if not (good and rising and chosen and weighed):
        raise HeadError("bad-targets", f"these are no judgements of the kind {wanted.kind}")
