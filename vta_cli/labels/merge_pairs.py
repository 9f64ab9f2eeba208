"""Pairs of files to pairs of contents."""

from collections.abc import Mapping

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.labels.grouping import OnConflict, key_array, require_kind, some, unread_note
from vta_cli.labels.judged import JudgedPairs
from vta_cli.labels.records import LabelSet
from vta_cli.words import counted


def merge_pairs(
    labels: LabelSet, keys: Mapping[str, bytes], *, on_conflict: OnConflict = "error"
) -> JudgedPairs:
    """Map pairs of files to pairs of contents.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``pairs``.
    keys : mapping of str to bytes
        Content key of each labelled path; pairs with a path without one are left out, and so are
        pairs of two copies of one content; notes count both.
    on_conflict : {"error", "drop"}
        Not needed: contrary judgements of one pair are both evidence and both kept.

    Returns
    -------
    JudgedPairs

    Raises
    ------
    UsageError
        ``wrong-kind``; ``no-labels`` if no pair is left.
    """
    del on_conflict
    require_kind(labels, "pairs")
    index: dict[bytes, int] = {}
    paths: list[str] = []
    rows: list[tuple[int, int]] = []
    targets: list[float] = []
    weights: list[float] = []
    unread: dict[str, str] = {}
    selves: list[str] = []
    n_lost = 0
    for label in labels.labels:
        left, right = keys.get(label.path), keys.get(label.other)
        if left is None or right is None:
            n_lost += 1
            for path, key in ((label.path, left), (label.other, right)):
                if key is None:
                    unread.setdefault(path, label.source)
            continue
        if bytes(left) == bytes(right):
            selves.append(f"{label.path} = {label.other} ({label.source})")
            continue
        for path, key in ((label.path, bytes(left)), (label.other, bytes(right))):
            if key not in index:
                index[key] = len(index)
                paths.append(path)
        rows.append((index[bytes(left)], index[bytes(right)]))
        targets.append(label.value)
        weights.append(label.weight)
    notes = unread_note(unread)
    if n_lost:
        notes.append(f"{counted(n_lost, 'pair is', 'pairs are')} left out with them")
    if selves:
        shown, are = some(selves, "; "), counted(len(selves), "pair is", "pairs are")
        notes.append(f"{are} of equal images and left out: {shown}")
    if not rows:
        raise UsageError(
            "no-labels",
            "no pair is left to learn from" + (f": {notes[0]}" if notes else ""),
            hint="check that the images of the pairs can be read and differ",
        )
    return JudgedPairs(
        keys=key_array(index),
        rows=np.array(rows, dtype=np.int64),
        targets=np.array(targets, dtype=np.float64),
        weights=np.array(weights, dtype=np.float64),
        paths=tuple(paths),
        notes=tuple(notes),
    )
