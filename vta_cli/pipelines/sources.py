"""From what the user names to refs whose content is known: sources and the catalogue together."""

import io
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.sources import scan
from vta_cli.records import ImageRef, Keys, Skip
from vta_cli.store.catalogue import Entry
from vta_cli.store.contents import Contents
from vta_cli.store.store import Store

BATCH_REFS = 2048
"""Refs looked up in the catalogue at once: a few range scans, small enough to stay in the cache."""

SIDE_FILE = "side-file"
"""Reason of files that are no images and do not pretend to be (captions, metadata); never shown."""

NOT_EMBEDDED = "not-embedded"
"""Reason of images of which nothing is known yet, or which lack a vector that is needed."""

Found = ImageRef | Skip
T = TypeVar("T")

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
    store : Path or None
        The store as the user named it; a command to run next has to name it too.
    backbones : sequence of str
        Those that a command to run next has to name, since the store has others as well.
    """

    specs: Sequence[str] = ()
    symlinks: Symlinks = "files"
    hidden: bool = False
    stdin: BinaryIO | None = None
    exclude: Sequence[Path] = field(default=())
    store: Path | None = None
    backbones: Sequence[str] = ()

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

    def embed_line(self) -> str:
        """Return the command that embeds this source, to be pasted into a shell."""
        words = [f"./{s}" if s.startswith("-") and s != "-" else s for s in self.specs]
        line = f"vta embed {shlex.join(words) or 'SOURCE'}"
        if self.symlinks != "files":
            line += f" --symlinks {self.symlinks}"
        if self.hidden:
            line += " --hidden"
        line += "".join(f" --backbone {shlex.quote(name)}" for name in self.backbones)
        return line + (f" --store {shlex.quote(str(self.store))}" if self.store else "")


def listed(paths: Iterable[str]) -> Source:
    """Return a source of just these files, whatever their names, for one pass over it.

    As specs their names would be read: ``b.txt`` as a list, ``c.zip`` as a kind that is refused.
    What is no longer there comes as a skip.
    """
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    return Source(["-"], hidden=True, stdin=io.BytesIO(data))


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


def known_refs(store: Store, source: Source) -> Iterator[list[Known | Skip]]:
    """Yield batches of refs with their catalogue entries, in source order.

    Opens no image but those that were new when they were embedded, see `_settled`. Side files that
    the catalogue remembers are dropped.
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
        entries = iter(_settled(store, refs, store.catalogue.lookup(refs), lambda entry: entry))
        known: list[Known | Skip] = []
        for item in found:
            if isinstance(item, Skip):
                known.append(item)
                continue
            match = next(entries)
            if match is None or match.reason != SIDE_FILE:
                known.append(Known(item, match))
        yield known


def _settled(
    store: Store, refs: Sequence[ImageRef], found: list[T | None], of: Callable[[Entry], T]
) -> list[T | None]:
    """Fill in the entries in doubt whose files still have the content that was read.

    A file that was embedded right after it was written has vectors, though the catalogue does not
    go by its times. These are few, so that their bytes can be asked.
    """
    open_ = [index for index, one in enumerate(found) if one is None]
    doubted = store.catalogue.doubted([refs[index] for index in open_]) if open_ else []
    for index, entry in zip(open_, doubted, strict=True):
        if entry is not None and _is_still(entry):
            found[index] = of(entry)
    return found


def _is_still(entry: Entry) -> bool:
    if entry.reason == SIDE_FILE:
        return True  # its name says so
    try:
        return key_of(read_bytes(entry.path)) == entry.key
    except UnreadableImageError as error:
        return error.slug == entry.reason


def _settled_contents(store: Store, refs: Sequence[ImageRef], contents: Contents) -> Contents:
    """Do to contents what `_settled` does to entries."""
    open_ = np.flatnonzero(~contents.known).tolist()
    none: list[Entry | None] = [None] * len(open_)
    found = _settled(store, [refs[at] for at in open_], none, lambda entry: entry)
    rows = {
        at: (entry.key, entry.reason, entry.detail)
        for at, entry in zip(open_, found, strict=True)
        if entry is not None
    }
    return contents.filled(rows) if rows else contents


def known_contents(
    store: Store, source: Source, *, ctime: bool = False, settle: bool = False
) -> Iterator[tuple[list[Found], Contents]]:
    """Yield batches of refs with what the catalogue knows of their content; opens no image.

    Side files come too. As `known_refs`, without what only decoding tells, in columns and many
    times as fast; and what was new when it was embedded is opened with `settle` alone. `ctime` as
    in `vta_cli.store.catalogue.Catalogue.contents`.
    """
    if not source.specs:
        for page in store.catalogue.pages():
            known = np.ones(len(page.keys), np.bool_)
            yield (
                list(_made_refs(page.paths, page.sizes_bytes, page.mtimes_ns)),
                Contents(known, page.keys, page.reasons, page.details),
            )
        return
    for found in batched(refs_of(store, source), BATCH_REFS):
        refs = [item for item in found if isinstance(item, ImageRef)]
        contents = store.catalogue.contents(refs, ctime=ctime)
        if settle and not contents.known.all():
            contents = _settled_contents(store, refs, contents)
        if len(refs) < len(found):
            contents = contents.spread(
                np.array([isinstance(item, ImageRef) for item in found], np.bool_)
            )
        yield found, contents


@dataclass(frozen=True, slots=True)
class Files:
    """Files with their content keys, column by column; side files are not among them.

    Attributes
    ----------
    paths : sequence of str
        A list, or a column that makes strings on request.
    keys : ndarray of shape (n, 32), uint8
        Anything where there is a reason.
    reasons : list of str
        Why a file has no key that may be used: `NOT_EMBEDDED` or that of a skip; empty for images.
    refs : list of ImageRef, or a function that makes it
        Made on request: a million of them cost more than scoring a million images.
    """

    paths: Sequence[str]
    keys: Keys
    reasons: list[str]
    refs: list[ImageRef] | Callable[[], list[ImageRef]]


def files_of(store: Store, source: Source, n_at_once: int) -> Iterator[Files]:
    """Yield the files of a source in its order, at most `n_at_once` together."""
    batches = _catalogued(store) if not source.specs else _scanned(store, source)
    for files in batches:
        for start in range(0, len(files.paths), n_at_once):
            yield _part(files, slice(start, start + n_at_once))


def _part(files: Files, where: slice) -> Files:
    def refs() -> list[ImageRef]:
        made = files.refs if isinstance(files.refs, list) else files.refs()
        return made[where]

    return Files(files.paths[where], files.keys[where], files.reasons[where], refs)


def _catalogued(store: Store) -> Iterator[Files]:
    for page in store.catalogue.pages():
        paths, sizes, mtimes, keys = page.paths, page.sizes_bytes, page.mtimes_ns, page.keys
        reasons = page.reasons or [""] * len(paths)
        if SIDE_FILE in reasons:
            kept = np.flatnonzero([reason != SIDE_FILE for reason in reasons])
            paths, sizes, mtimes, keys = paths.take(kept), sizes[kept], mtimes[kept], keys[kept]
            reasons = [reason for reason in reasons if reason != SIDE_FILE]

        yield Files(paths, keys, reasons, partial(_made_refs, paths, sizes, mtimes))


def _made_refs(
    paths: Sequence[str], sizes: NDArray[np.int64], mtimes: NDArray[np.int64]
) -> list[ImageRef]:
    return [
        ImageRef(path, path.lstrip("/"), size, mtime)
        for path, size, mtime in zip(paths, sizes.tolist(), mtimes.tolist(), strict=True)
    ]


def _scanned(store: Store, source: Source) -> Iterator[Files]:
    for found, contents in known_contents(store, source, settle=True):
        reasons = contents.reasons or [""] * len(found)
        if not contents.known.all():
            reasons = list(reasons)
            for at in np.flatnonzero(~contents.known).tolist():
                item = found[at]
                reasons[at] = item.reason if isinstance(item, Skip) else NOT_EMBEDDED
        refs = [
            ImageRef(item.path, item.path, 0, 0) if isinstance(item, Skip) else item
            for item in found
        ]
        keys = contents.keys
        if SIDE_FILE in reasons:
            kept = [at for at, reason in enumerate(reasons) if reason != SIDE_FILE]
            reasons, refs = [reasons[at] for at in kept], [refs[at] for at in kept]
            keys = keys[kept]
        yield Files([ref.path for ref in refs], keys, reasons, refs)


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
