"""Histograms of files to distributions of contents: votes are summed."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from vta_cli.labels.grouping import (
    OnConflict,
    by_content,
    first_paths,
    key_array,
    largest_weights,
    require_kind,
    require_some,
    several_note,
)
from vta_cli.labels.judged import JudgedHistograms
from vta_cli.labels.records import LabelSet
from vta_cli.labels.votes import shares, softmax_of_counts

Normalise = Literal["shares", "softmax"]


def merge_histograms(
    labels: LabelSet,
    keys: Mapping[str, bytes],
    *,
    on_conflict: OnConflict = "error",
    normalise: Normalise = "shares",
) -> JudgedHistograms:
    """Sum the votes of equal contents, and make distributions of them.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``histograms``.
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one is left out and counted in a note.
    on_conflict : {"error", "drop"}
        Not needed: votes that differ are summed, and a note says how many.
    normalise : {"shares", "softmax"}
        Votes over their sum; or the softmax of the raw counts, which a published notebook took by
        mistake, for comparison with it (see `vta_cli.labels.votes.softmax_of_counts`).

    Returns
    -------
    JudgedHistograms

    Raises
    ------
    UsageError
        ``wrong-kind``, ``no-labels``.
    """
    del on_conflict
    require_kind(labels, "histograms")
    grouped, notes = by_content(labels.labels, keys)
    require_some(grouped, notes)
    votes = np.array(
        [
            np.sum([label.weight * np.array(label.values) for label in found], axis=0)
            / max(label.weight for label in found)
            for found in grouped.values()
        ]
    )  # (n, n_bins)
    several = [found for found in grouped.values() if len(found) > 1]
    examples = [f"{found[0].path} ({found[0].source}, {found[1].source})" for found in several]
    notes += several_note(len(several), "with several histograms, whose votes are summed", examples)
    return JudgedHistograms(
        keys=key_array(grouped),
        targets=shares(votes) if normalise == "shares" else softmax_of_counts(votes),
        bins=np.array(labels.bins, dtype=np.float64),
        votes=votes.sum(axis=1),
        weights=largest_weights(grouped),
        paths=first_paths(grouped),
        notes=tuple(notes),
    )
