"""From labels of files to labels of contents: copies agree, or the disagreement is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.labels.records import Label, LabelSet
from vta_cli.records import KEY_BYTES, Keys

SHOWN = 3
"""Examples in a message; the rest is counted."""


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
    on_conflict: Literal["error", "drop"] = "error",
) -> Judged:
    """Merge the labels of equal contents.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``binary``.
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one (unreadable, gone) is left out and
        counted in a note.
    on_conflict : {"error", "drop"}
        What becomes of a content that is labelled both ways: the request is refused, or the
        content is left out with a note.

    Returns
    -------
    Judged

    Raises
    ------
    UsageError
        ``label-conflict`` naming the first few pairs of places; ``one-class-empty`` if a side has
        no label (left) to learn from.
    """
    by_key: dict[bytes, list[Label]] = {}
    without: list[str] = []
    for label in labels.labels:
        key = keys.get(label.path)
        if key is None:
            without.append(label.path)
        else:
            by_key.setdefault(bytes(key), []).append(label)
    notes: list[str] = []
    if without:
        notes.append(
            f"{len(without):,} labelled files could not be read and are left out: {_some(without)}"
        )
    conflicts = {
        key: found for key, found in by_key.items() if len({label.value for label in found}) > 1
    }
    if conflicts:
        described = [_conflict(found) for found in conflicts.values()]
        if on_conflict == "error":
            raise UsageError(
                "label-conflict",
                f"{_count(len(conflicts), 'image')} labelled both ways: {_some(described, '; ')}",
                hint="keep one of each pair, or leave such images out with --on-conflict drop",
            )
        notes.append(
            f"{_count(len(conflicts), 'image')} labelled both ways and left out: "
            f"{_some(described, '; ')}"
        )
    kept = {key: found for key, found in by_key.items() if key not in conflicts}
    n_copies = sum(len({label.path for label in found}) - 1 for found in kept.values())
    if n_copies == 1:
        notes.append("1 labelled file is an exact copy of another and counts once with it")
    elif n_copies:
        notes.append(f"{n_copies:,} labelled files are exact copies and count once with the first")
    require_both([found[0] for found in kept.values()])
    return Judged(
        keys=np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, KEY_BYTES).copy(),
        targets=np.array([found[0].value > 0.5 for found in kept.values()], dtype=np.int8),
        weights=np.array([max(label.weight for label in found) for found in kept.values()]),
        paths=tuple(found[0].path for found in kept.values()),
        notes=tuple(notes),
    )


def _conflict(found: Sequence[Label]) -> str:
    """Name one place for either side of a conflict."""
    positive = next(label for label in found if label.value > 0.5)
    negative = next(label for label in found if label.value <= 0.5)
    if positive.path == negative.path:
        return f"{positive.path} ({positive.source} and {negative.source})"
    return f"{positive.path} (positive) = {negative.path} (negative)"


def _count(n: int, noun: str) -> str:
    return f"1 {noun} is" if n == 1 else f"{n:,} {noun}s are"


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(texts[:SHOWN])
    rest = len(texts) - SHOWN
    return f"{shown}{separator}and {rest:,} more" if rest > 0 else shown
