"""What merging labels by content has in common for every kind of label."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.labels.records import Kind, Label, LabelSet
from vta_cli.records import KEY_BYTES, Keys
from vta_cli.words import counted

SHOWN = 3
"""Examples in a message; the rest is counted."""

OnConflict = Literal["error", "drop", "majority"]
"""What becomes of a content whose labels exclude each other."""

ByContent = dict[bytes, list[Label]]
"""The labels of each content key, in the order of the labels."""


def require_kind(labels: LabelSet, *kinds: Kind) -> None:
    """Check that a label set is of a kind that the function can merge.

    Raises
    ------
    UsageError
        ``wrong-kind``.
    """
    if labels.kind not in kinds:
        raise UsageError(
            "wrong-kind",
            f"these labels are {labels.kind}, and {' or '.join(kinds)} are wanted here",
            hint="name a head that learns from such labels",
        )


def by_content(labels: Sequence[Label], keys: Mapping[str, bytes]) -> tuple[ByContent, list[str]]:
    """Group labels by content.

    Parameters
    ----------
    labels : sequence of Label
        Of single images.
    keys : mapping of str to bytes
        Content key of each path; labels of paths without one are left out with a note.

    Returns
    -------
    tuple of dict and list of str
        The groups in the order of the labels, and the notes.
    """
    grouped: ByContent = {}
    without: dict[str, str] = {}
    for label in labels:
        key = keys.get(label.path)
        if key is None:
            without.setdefault(label.path, label.source)
        else:
            grouped.setdefault(bytes(key), []).append(label)
    return grouped, unread_note(without)


def unread_note(sources: Mapping[str, str]) -> list[str]:
    """Return the note on labelled files without a key, from the first label's place of each."""
    if not sources:
        return []
    unread, are = counted(len(sources), "labelled file"), "is" if len(sources) == 1 else "are"
    shown = some([f"{path} ({source})" for path, source in sources.items()])
    return [f"{unread} could not be read and {are} left out: {shown}"]


def settle(
    grouped: ByContent, conflicts: Mapping[bytes, str], how: str, on_conflict: OnConflict
) -> tuple[ByContent, list[str]]:
    """Drop the contents in conflict, or refuse the whole.

    Parameters
    ----------
    conflicts : mapping of bytes to str
        The keys in conflict, with words that name the places.
    how : str
        The conflict, in words that follow "3 images are ...".

    Raises
    ------
    UsageError
        ``label-conflict`` naming the first few, if `on_conflict` is ``error``.

    Notes
    -----
    With ``majority`` the value of the largest summed weight wins, and the labels of the others are
    left out; a tie is dropped.
    """
    if not conflicts:
        return grouped, []
    told = f"{counted(len(conflicts), 'image is', 'images are')} {how}"
    shown = some(list(conflicts.values()), "; ")
    if on_conflict == "error":
        raise UsageError(
            "label-conflict",
            f"{told}: {shown}",
            hint="keep one of each pair, or leave such images out with --on-conflict drop, "
            "or let most raters win with --on-conflict majority",
        )
    if on_conflict == "majority":
        outvoted = {key: _winners(grouped[key]) for key in conflicts}
        kept = {key: outvoted.get(key, found) for key, found in grouped.items()}
        tied = [key for key, found in outvoted.items() if not found]
        without = f"; {len(tied):,} without one left out" if tied else ""
        return (
            {key: found for key, found in kept.items() if found},
            [f"{told}, of which the majority counts{without}: {shown}"],
        )
    kept = {key: found for key, found in grouped.items() if key not in conflicts}
    return kept, [f"{told} and left out: {shown}"]


def _winners(found: Sequence[Label]) -> list[Label]:
    """Return the labels of the value with the largest summed weight; none of a tie."""
    totals: dict[float, float] = {}
    for label in found:
        totals[label.value] = totals.get(label.value, 0.0) + label.weight
    best = max(totals.values())
    # sums of weights such as .1 + .2 and .3 are a tie, whatever their last digit
    values = [value for value, total in totals.items() if math.isclose(total, best)]
    return [label for label in found if label.value == values[0]] if len(values) == 1 else []


def copies_note(grouped: ByContent) -> list[str]:
    """Return the note on labelled files that are copies of each other and labelled alike."""
    n_copies = sum(
        len({label.path for label in found}) - 1
        for found in grouped.values()
        if len({(label.value, label.values) for label in found}) == 1
    )
    one = "labelled file is an exact copy of another and counts once with it"
    several = "labelled files are exact copies and count once with the first"
    return [counted(n_copies, one, several)] if n_copies else []


def several_note(n: int, what: str, examples: Sequence[str]) -> list[str]:
    """Return a note such as ``3 images with ...: a, b, c``; none where there is nothing to say."""
    if not n:
        return []
    return [f"{counted(n, 'image')} {what}: {some(examples)}"]


def key_array(grouped: Mapping[bytes, object]) -> Keys:
    """Return the keys as an array of shape (n, KEY_BYTES), uint8."""
    return np.frombuffer(b"".join(grouped), dtype=np.uint8).reshape(-1, KEY_BYTES).copy()


def largest_weights(grouped: ByContent) -> NDArray[np.float64]:
    """Return for each content the largest weight of its labels, shape (n,), float64."""
    return np.array(
        [max(label.weight for label in found) for found in grouped.values()], dtype=np.float64
    )


def first_paths(grouped: ByContent) -> tuple[str, ...]:
    """Return for each content the first file that holds it."""
    return tuple(found[0].path for found in grouped.values())


def require_some(grouped: Mapping[bytes, object], notes: Sequence[str]) -> None:
    """Check that a label is left.

    Raises
    ------
    UsageError
        ``no-labels``, with the first note.
    """
    if not grouped:
        raise UsageError(
            "no-labels",
            "no labelled image is left to learn from" + (f": {notes[0]}" if notes else ""),
            hint="check that the labelled images can be read and that their labels agree",
        )


def some(texts: Sequence[str], separator: str = ", ") -> str:
    """Join the first few texts, and count the others."""
    shown = separator.join(texts[:SHOWN])
    rest = len(texts) - SHOWN
    return f"{shown}{separator}and {rest:,} more" if rest > 0 else shown
