"""The readers and the merges of label sets by name; a module is imported when it is asked for."""

import importlib
from collections.abc import Callable
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.labels.records import LabelSet

READERS: dict[str, str] = {
    "folders": "vta_cli.labels.folders:read_folders",
    "classes": "vta_cli.labels.folders:read_classes",
    "tiers": "vta_cli.labels.folders:read_tiers",
    "labels": "vta_cli.labels.any_table:read_labels",
    "table": "vta_cli.labels.table:read_table",
    "scores": "vta_cli.labels.table_scores:read_scores",
    "tier-table": "vta_cli.labels.table_scores:read_tier_table",
    "class-table": "vta_cli.labels.table_classes:read_class_table",
    "tags": "vta_cli.labels.tags:read_tags",
    "histograms": "vta_cli.labels.histograms:read_histograms",
    "nima": "vta_cli.labels.nima:read_nima",
    "ava": "vta_cli.labels.ava:read_ava",
    "ava-tags": "vta_cli.labels.ava:read_ava_tags",
    "counts": "vta_cli.labels.counts:read_counts",
    "tid2013": "vta_cli.labels.tid:read_tid",
    "sac": "vta_cli.labels.sac:read_sac",
    "kuler": "vta_cli.labels.kuler:read_kuler",
    "pairs": "vta_cli.labels.pairs:read_pairs",
    "journal": "vta_cli.labels.journal:read_journal",
}
"""Reader name to ``module:function``; every function returns a `LabelSet`."""

MERGES: dict[str, str] = {
    "binary": "vta_cli.labels.merge:merge",
    "classes": "vta_cli.labels.merge_classes:merge_classes",
    "ordinal": "vta_cli.labels.merge_scores:merge_tiers",
    "scores": "vta_cli.labels.merge_scores:merge_scores",
    "tags": "vta_cli.labels.merge_tags:merge_tags",
    "histograms": "vta_cli.labels.merge_histograms:merge_histograms",
    "pairs": "vta_cli.labels.merge_pairs:merge_pairs",
}
"""Kind of a label set to ``module:function``; each takes a set, the keys of its paths, and
`on_conflict`, and returns a record of `vta_cli.labels.judged` (binary: of its own)."""


def reader(name: str) -> Callable[..., LabelSet]:
    """Return the reader called `name`.

    Raises
    ------
    UsageError
        ``no-such-reader``, naming the readers there are.
    """
    if name not in READERS:
        raise UsageError(
            "no-such-reader",
            f"no reader of labels is called {name!r}",
            hint=f"there are: {', '.join(sorted(READERS))}",
        )
    found: Callable[..., LabelSet] = _load(READERS[name])
    return found


def merge_of(kind: str) -> Callable[..., Any]:
    """Return what merges label sets of a kind by content.

    Raises
    ------
    UsageError
        ``no-such-kind``, naming the kinds there are.
    """
    if kind not in MERGES:
        raise UsageError(
            "no-such-kind",
            f"there are no labels of the kind {kind!r}",
            hint=f"there are: {', '.join(MERGES)}",
        )
    found: Callable[..., Any] = _load(MERGES[kind])
    return found


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
