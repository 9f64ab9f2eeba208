"""From labels of files to labels of contents: copies agree, or the disagreement is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.labels.grouping import (
    OnConflict,
    by_content,
    copies_note,
    first_paths,
    key_array,
    largest_weights,
    require_kind,
    settle,
)
from vta_cli.labels.records import Label, LabelSet
from vta_cli.records import Keys


@dataclass(frozen=True)
class Judged:
    """One label for each content.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
        No row occurs twice; in the order of the labels.
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    weights : ndarray of shape (n,), float64
        The largest weight that any copy was given.
    paths : tuple of str
        The first file that holds each content.
    notes : tuple of str
        Sentences for the user: copies, conflicts that were dropped, files without a key.
    """

    keys: Keys
    targets: NDArray[np.int8]
    weights: NDArray[np.float64]
    paths: tuple[str, ...]
    notes: tuple[str, ...]


def require_both(labels: Sequence[Label]) -> None:
    """Check that both sides have labels.

    Raises
    ------
    UsageError
        ``one-class-empty``, naming the empty side.
    """
    n_positive = sum(label.value > 0.5 for label in labels)
    n_negative = len(labels) - n_positive
    if n_positive and n_negative:
        return
    empty = "no labels" if not labels else ("no negative" if n_positive else "no positive")
    raise UsageError(
        "one-class-empty",
        f"there are {empty}{' images' if labels else ''} to learn from "
        f"({n_positive} positive, {n_negative} negative)",
        hint="give some images of both sides: what is liked, and what is not",
    )


def merge(
    labels: LabelSet,
    keys: Mapping[str, bytes],
    *,
    on_conflict: OnConflict = "error",
) -> Judged:
    """Merge the labels of equal contents.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``binary``.
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one (unreadable, gone) is left out and
        counted in a note.
    on_conflict : {"error", "drop", "majority"}
        What becomes of a content that is labelled both ways: the request is refused, the content
        is left out, or the value of most weight wins (a tie is left out); with a note.

    Returns
    -------
    Judged

    Raises
    ------
    UsageError
        ``label-conflict`` naming the first few pairs of places; ``one-class-empty`` if a side has
        no label (left) to learn from.
    """
    require_kind(labels, "binary")
    by_key, notes = by_content(labels.labels, keys)
    conflicts = {
        key: _conflict(found)
        for key, found in by_key.items()
        if len({label.value for label in found}) > 1
    }
    kept, more = settle(by_key, conflicts, "labelled both ways", on_conflict)
    notes += more + copies_note(kept)
    require_both([found[0] for found in kept.values()])
    return Judged(
        keys=key_array(kept),
        targets=np.array([found[0].value > 0.5 for found in kept.values()], dtype=np.int8),
        weights=largest_weights(kept),
        paths=first_paths(kept),
        notes=tuple(notes),
    )


def _conflict(found: Sequence[Label]) -> str:
    """Name one place for either side of a conflict."""
    positive = next(label for label in found if label.value > 0.5)
    negative = next(label for label in found if label.value <= 0.5)
    if positive.path == negative.path:
        return f"{positive.path} ({positive.source} and {negative.source})"
    return (
        f"{positive.path} (positive, {positive.source}) = "
        f"{negative.path} (negative, {negative.source})"
    )
