"""Scores and tiers of files to those of contents: several judgements become one, and are told."""

from collections.abc import Mapping, Sequence

import numpy as np

from vta_cli.labels.grouping import (
    ByContent,
    OnConflict,
    by_content,
    copies_note,
    first_paths,
    key_array,
    largest_weights,
    require_kind,
    require_some,
    several_note,
    some,
)
from vta_cli.labels.judged import JudgedScores, JudgedTiers
from vta_cli.labels.records import Label, LabelSet


def merge_scores(
    labels: LabelSet, keys: Mapping[str, bytes], *, on_conflict: OnConflict = "error"
) -> JudgedScores:
    """Average the scores of equal contents by their weights.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``scores``; one of kind ``histograms`` or ``ordinal`` is taken by its values (the
        mean of the votes, the number of the tier).
    keys : mapping of str to bytes
        Content key of each labelled path; a path without one is left out and counted in a note.
    on_conflict : {"error", "drop"}
        Not needed: scores that differ are averaged, and a note says how many.

    Returns
    -------
    JudgedScores

    Raises
    ------
    UsageError
        ``wrong-kind``, ``no-labels``.
    """
    del on_conflict
    require_kind(labels, "scores", "ordinal", "histograms")
    grouped, notes = by_content(labels.labels, keys)
    notes += copies_note(grouped)
    require_some(grouped, notes)
    means = [
        np.average([label.value for label in found], weights=[label.weight for label in found])
        for found in grouped.values()
    ]
    notes += _differing(grouped, "with several scores, of which the mean counts")
    return JudgedScores(
        keys=key_array(grouped),
        targets=np.array(means, dtype=np.float64),
        weights=largest_weights(grouped),
        paths=first_paths(grouped),
        notes=tuple(notes),
    )


def merge_tiers(
    labels: LabelSet, keys: Mapping[str, bytes], *, on_conflict: OnConflict = "error"
) -> JudgedTiers:
    """Take the weighted median of the tiers of equal contents.

    Parameters
    ----------
    labels : LabelSet
        Of kind ``ordinal``.
    keys, on_conflict
        As in `merge_scores`.

    Returns
    -------
    JudgedTiers

    Raises
    ------
    UsageError
        ``wrong-kind``, ``no-labels``.
    """
    del on_conflict
    require_kind(labels, "ordinal")
    grouped, notes = by_content(labels.labels, keys)
    notes += copies_note(grouped)
    require_some(grouped, notes)
    rank = {tier: place for place, tier in enumerate(labels.bins)}
    notes += _differing(grouped, "in several tiers, of which the median counts")
    return JudgedTiers(
        keys=key_array(grouped),
        targets=np.array([rank[_median(found)] for found in grouped.values()], dtype=np.int64),
        tiers=labels.bins,
        weights=largest_weights(grouped),
        paths=first_paths(grouped),
        notes=tuple(notes),
    )


def _median(found: Sequence[Label]) -> float:
    """Return the smallest value at or below which half of the weight lies."""
    ordered = sorted(found, key=lambda label: label.value)
    half = sum(label.weight for label in ordered) / 2
    below = 0.0
    for label in ordered:
        below += label.weight
        if below >= half:
            return label.value
    return ordered[-1].value


def _differing(grouped: ByContent, what: str) -> list[str]:
    differing = [found for found in grouped.values() if len({label.value for label in found}) > 1]
    examples = [f"{found[0].path} ({_said(found)})" for found in differing]
    return several_note(len(differing), what, examples)


def _said(found: Sequence[Label]) -> str:
    """Name the first few judgements of a content with their places."""
    said = [f"{label.value:g} in {label.source}" for label in found]
    return some(said)
