"""Garbage collection: which keys still have a path, and the store without the rest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vta_cli.arrange.journal import read_journal
from vta_cli.arrange.undo import journals
from vta_cli.errors import ArrangeError, StoreError
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.mounts import Disks
from vta_cli.store.gc import GcReport, gc
from vta_cli.store.store import Store


@dataclass(frozen=True)
class CollectReport:
    """What is, or would be, dropped.

    `own_catalogue` says that the catalogue is this machine's alone, as of a store on a network file
    system: then images that only other machines have embedded count as gone. `n_away` known paths
    lie on disks that seem not to be mounted, at the places `away`; they are not gone.
    """

    n_paths_gone: int
    n_rows: int
    n_bytes: int
    own_catalogue: bool
    n_away: int = 0
    away: tuple[str, ...] = ()


def collect(store: Store, *, dry_run: bool) -> CollectReport:
    """Drop vectors of content that no existing path names.

    Parameters
    ----------
    dry_run : bool
        Only count.

    Raises
    ------
    StoreError
        If it looks as if the catalogue or the disk with the images were lost.
    """
    gone: list[str] = []
    disks = Disks()
    keep = key_rows(sorted(set(_living(store, gone, disks))))
    counted = gc(store, keep, dry_run=True)
    if not dry_run:
        _guard(store, len(keep), counted)
        gc(store, keep, dry_run=False)
        if gone:
            store.catalogue.forget(gone)
    elsewhere = not store.catalogue.path.is_relative_to(store.path)
    away = tuple(sorted(disks.away))
    return CollectReport(len(gone), counted.rows, counted.bytes, elsewhere, disks.n_paths, away)


def _guard(store: Store, n_living: int, counted: GcReport) -> None:
    """Refuse a collection that looks like a lost catalogue or a disk that is not mounted.

    Raises
    ------
    StoreError
        If the catalogue had to be set aside, or nothing at all would stay.
    """
    hint = "run `vta embed` over your images again (it only hashes them), then collect"
    if store.catalogue.notes:
        raise StoreError("catalogue-lost", f"not collecting: {store.catalogue.notes[0]}", hint=hint)
    if counted.rows and not n_living:
        raise StoreError(
            "nothing-would-stay",
            f"not collecting: no known image of {store.path} exists, so every vector would go",
            hint="mount the disk with your images; " + hint,
        )


def _living(store: Store, gone: list[str], disks: Disks) -> Iterator[bytes]:
    """Yield the keys of catalogued files that are still there; collect the paths that are not.

    What lies on a disk that seems not to be mounted is as good as there.

    A path that a run has emptied is kept only as long as no other path in the catalogue leads to
    its content: until the new place is embedded.
    """
    taken = _taken(store)
    here: set[bytes] = set()
    emptied: list[tuple[str, bytes]] = []
    for entry in store.catalogue.entries():
        if not _is_gone(entry.path):
            if entry.key is not None:
                here.add(entry.key)
                yield entry.key
        elif entry.key is not None and _is_somewhere(entry.path, taken):
            emptied.append((entry.path, entry.key))
            yield entry.key
        elif disks.is_away(entry.path):
            if entry.key is not None:
                yield entry.key
        else:
            gone.append(entry.path)
    gone += [path for path, key in emptied if key in here]


def _taken(store: Store) -> dict[str, list[str]]:
    """Return where the runs of this store have taken files, by where these lay, undone or not.

    The catalogue learns of a new place only when it is embedded.
    """
    places: dict[str, list[str]] = {}
    for run in journals(store.journal_dir):
        with suppress(ArrangeError, OSError):
            for entry in read_journal(run.path).entries:
                if entry.made is not None:
                    places.setdefault(entry.step.source, []).append(entry.step.destination)
    return places


def _is_somewhere(path: str, taken: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether a file is at its path, or where runs have taken it from there."""
    seen, waiting = {path}, [path]
    while waiting:
        place = waiting.pop()
        if not _is_gone(place):
            return True
        more = set(taken.get(place, ())) - seen
        seen |= more
        waiting.extend(more)
    return False


def _is_gone(path: str) -> bool:
    """Tell whether the system says that there is no such file, and not that it cannot look."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
