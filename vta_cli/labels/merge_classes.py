"""Classes of files to classes of contents: copies agree, or the disagreement is reported."""

from collections.abc import Mapping, Sequence

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.labels.grouping import (
    OnConflict,
    by_content,
    copies_note,
    first_paths,
    key_array,
    largest_weights,
    require_kind,
    require_some,
    settle,
)
from vta_cli.labels.judged import JudgedClasses
from vta_cli.labels.records import Label, LabelSet


def merge_classes(
    labels: LabelSet, keys: Mapping[str, bytes], *, on_conflict: OnConflict = "error"
) -> JudgedClasses:
    """Merge the classes of equal contents.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``classes``.
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one (unreadable, gone) is left out and
        counted in a note.
    on_conflict : {"error", "drop", "majority"}
        What becomes of a content that is in several classes: the request is refused, the content
        is left out, or the class of most weight wins (a tie is left out); with a note.

    Returns
    -------
    JudgedClasses

    Raises
    ------
    UsageError
        ``wrong-kind``, ``label-conflict``, ``no-labels``; ``one-class`` if all are of one class.
    """
    require_kind(labels, "classes")
    grouped, notes = by_content(labels.labels, keys)
    conflicts = {
        key: _conflict(found, labels.names)
        for key, found in grouped.items()
        if len({label.value for label in found}) > 1
    }
    kept, more = settle(grouped, conflicts, "in several classes", on_conflict)
    notes += more + copies_note(kept)
    require_some(kept, notes)
    targets = np.array([int(found[0].value) for found in kept.values()], dtype=np.int64)
    present = np.unique(targets)
    if len(present) < 2:
        raise UsageError(
            "one-class",
            f"all images are of the class {labels.names[present[0]]!r}",
            hint="give images of two classes at least",
        )
    empty = [name for k, name in enumerate(labels.names) if k not in present]
    if empty:
        notes.append(f"classes without an image: {', '.join(empty)}")
    return JudgedClasses(
        keys=key_array(kept),
        targets=targets,
        names=labels.names,
        weights=largest_weights(kept),
        paths=first_paths(kept),
        notes=tuple(notes),
    )


def _conflict(found: Sequence[Label], names: Sequence[str]) -> str:
    """Name one place for each class of a conflict."""
    first = {label.value: label for label in reversed(found)}
    places = [first[value] for value in sorted(first)]
    said = [f"{names[int(one.value)]!r} in {one.source}" for one in places]
    paths = list(dict.fromkeys(label.path for label in places))
    return f"{' = '.join(paths)} ({' and '.join(said)})"
