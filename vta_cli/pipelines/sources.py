"""From what the user names to refs whose content is known: sources and the catalogue together."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

from vta_cli.errors import UsageError
from vta_cli.images.sources import scan
from vta_cli.records import ImageRef, Skip
from vta_cli.store.catalogue import Entry
from vta_cli.store.store import Store

BATCH_REFS = 8192
"""Refs looked up in the catalogue at once: large enough for one range scan, small in memory."""

SIDE_FILE = "side-file"
"""Reason of files that are no images and do not pretend to be (captions, metadata); never shown."""

Symlinks = Literal["files", "follow", "skip"]
SYMLINKS: tuple[str, ...] = ("files", "follow", "skip")


@dataclass(frozen=True)
class Source:
    """What a command was pointed at.

    Attributes
    ----------
    specs : sequence of str
        Folders, globs, files, lists, ``-``. Empty: every image that the store knows.
    symlinks, hidden
        As in `vta_cli.images.sources.scan`.
    stdin : binary file or None
        Where ``-`` reads from.
    exclude : sequence of Path
        Folders that are left out, such as an output folder.
    """

    specs: Sequence[str] = ()
    symlinks: Symlinks = "files"
    hidden: bool = False
    stdin: BinaryIO | None = None
    exclude: Sequence[Path] = field(default=())

    def folders(self) -> list[Path]:
        """Return the folders among the specs."""
        return [Path(spec) for spec in self.specs if Path(spec).is_dir()]

    def check(self) -> None:
        """Refuse what cannot be meant before any work is done.

        Raises
        ------
        UsageError
            If a spec names nothing that exists.
        """
        specs = [spec for spec in self.specs if spec != "-"]
        if specs and len(specs) == len(self.specs):
            found = scan(specs, symlinks=self.symlinks, hidden=self.hidden, exclude=self.exclude)
            if next(found, None) is None:
                require_images(0, self)
        elif specs:
            next(scan(specs), None)

    def describe(self) -> str:
        """Return how the source reads in a message."""
        return " ".join(self.specs) if self.specs else "the store's images"


@dataclass(frozen=True, slots=True)
class Known:
    """A ref with what the catalogue knows of its content: `entry` is None for a new file."""

    ref: ImageRef
    entry: Entry | None


def batched(items: Iterable[ImageRef | Skip], size: int) -> Iterator[list[ImageRef | Skip]]:
    """Split a stream into lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def refs_of(store: Store, source: Source) -> Iterator[ImageRef | Skip]:
    """Yield the refs of a source; without specs those of the catalogue, in path order.

    Catalogued files are not looked at on disk: a file that went away is found when it is used.
    """
    if source.specs:
        yield from scan(
            source.specs,
            symlinks=source.symlinks,
            hidden=source.hidden,
            stdin=source.stdin,
            exclude=[store.path, *source.exclude],
        )
        return
    for entry in store.catalogue.entries():
        yield ImageRef(entry.path, entry.path.lstrip("/"), entry.size_bytes, entry.mtime_ns)


def known_refs(
    store: Store, source: Source, *, side_files: bool = False
) -> Iterator[list[Known | Skip]]:
    """Yield batches of refs with their catalogue entries, in source order; opens no image.

    Side files that the catalogue remembers are dropped, or with `side_files` come as skips.
    """
    if not source.specs:
        batch: list[Known | Skip] = []
        for entry in store.catalogue.entries():
            if entry.reason == SIDE_FILE:
                continue
            rel = entry.path.lstrip("/")
            batch.append(Known(ImageRef(entry.path, rel, entry.size_bytes, entry.mtime_ns), entry))
            if len(batch) == BATCH_REFS:
                yield batch
                batch = []
        if batch:
            yield batch
        return
    for found in batched(refs_of(store, source), BATCH_REFS):
        refs = [item for item in found if isinstance(item, ImageRef)]
        entries = iter(store.catalogue.lookup(refs))
        known: list[Known | Skip] = []
        for item in found:
            if isinstance(item, Skip):
                known.append(item)
                continue
            match = next(entries)
            if match is None or match.reason != SIDE_FILE:
                known.append(Known(item, match))
            elif side_files:
                known.append(Skip(item.path, SIDE_FILE))
        yield known


def require_images(n_images: int, source: Source, skips: Counter[str] | None = None) -> None:
    """Refuse a source in which nothing could be an image.

    Raises
    ------
    UsageError
        If `n_images` is zero.
    """
    if n_images:
        return
    if skips:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(skips.items()))
        raise UsageError(
            "no-images",
            f"no readable image in {source.describe()}: {reasons}",
            hint="name a folder with pictures, or a file that is one",
        )
    raise UsageError(
        "no-images",
        f"no images in {source.describe()}",
        hint="name a folder with pictures (hidden ones need --hidden)",
    )
