"""Garbage collection: which keys still have a path, and the store without the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vta_cli.pipelines.lanes import key_rows
from vta_cli.store.gc import gc
from vta_cli.store.store import Store


@dataclass(frozen=True)
class CollectReport:
    """What is, or would be, dropped."""

    n_paths_gone: int
    n_rows: int
    n_bytes: int


def collect(store: Store, *, dry_run: bool) -> CollectReport:
    """Drop vectors of content that no existing path names.

    Parameters
    ----------
    dry_run : bool
        Only count.
    """
    gone: list[str] = []
    keep = key_rows(sorted(set(_living(store, gone))))
    report = gc(store, keep, dry_run=dry_run)
    if not dry_run and gone:
        store.catalogue.forget(gone)
    return CollectReport(len(gone), report.rows, report.bytes)


def _living(store: Store, gone: list[str]) -> Iterator[bytes]:
    """Yield the keys of catalogued files that are still there; collect the paths that are not."""
    for entry in store.catalogue.entries():
        if not Path(entry.path).exists():
            gone.append(entry.path)
        elif entry.key is not None:
            yield entry.key
