"""Tags of files to tags of contents: united."""

from collections.abc import Mapping

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
    several_note,
)
from vta_cli.labels.judged import JudgedTags
from vta_cli.labels.records import PRESENT, LabelSet


def merge_tags(
    labels: LabelSet, keys: Mapping[str, bytes], *, on_conflict: OnConflict = "error"
) -> JudgedTags:
    """Unite the tags of equal contents: present if any label says so, unknown if none says.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``tags``.
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one is left out and counted in a note.
    on_conflict : {"error", "drop"}
        Not needed: tags that differ are united, and a note says how many.

    Returns
    -------
    JudgedTags

    Raises
    ------
    UsageError
        ``wrong-kind``, ``no-labels``; ``one-class`` if no tag is present in one image and absent in
        another.
    """
    del on_conflict
    require_kind(labels, "tags")
    grouped, notes = by_content(labels.labels, keys)
    notes += copies_note(grouped)
    require_some(grouped, notes)
    states = [np.array([label.values for label in found]) for found in grouped.values()]
    # unknown -1 < absent 0 < present 1: the union is the maximum
    targets = np.array([rows.max(axis=0) for rows in states], dtype=np.int8)
    # several files, or several raters; the rows of a table in long form are one list
    told = [found for found in grouped.values() if len({(o.path, o.rater) for o in found}) > 1]
    differing = [found for found in told if len({label.values for label in found}) > 1]
    examples = [f"{found[0].path} ({found[0].source}, {found[1].source})" for found in differing]
    notes += several_note(len(differing), "whose labels bear different tags, united", examples)
    learnable = (targets == PRESENT).any(axis=0) & (targets == 0).any(axis=0)
    if not learnable.any():
        raise UsageError(
            "one-class",
            "no tag is present in one image and absent in another",
            hint="label images with and without each tag; absent ones count where a list leaves "
            "them out",
        )
    constant = [name for name, useful in zip(labels.names, learnable, strict=True) if not useful]
    if constant:
        notes.append(f"tags that all images or none bear: {', '.join(constant)}")
    return JudgedTags(
        keys=key_array(grouped),
        targets=targets,
        names=labels.names,
        weights=largest_weights(grouped),
        paths=first_paths(grouped),
        notes=tuple(notes),
    )
