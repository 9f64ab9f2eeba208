"""Where a store's bytes live: a local folder today, an object store behind the same verbs later.

A medium moves bytes under relative names (``a/b/c``) and has never heard of shards. It makes two
promises that everything else is built on: `put` and `create` make a name visible only when all its
bytes are durable, and `create` tells whether the name was free. Whoever uses it must stay right
where the second promise is broken, because some object servers break it.
"""

import contextlib
import errno
import mmap
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vta_cli.errors import StoreError
from vta_cli.store.layout import TEMP_SUFFIX

Buffer = bytes | memoryview
"""A piece of what is written."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a folder: its bare name, size [bytes] and time of last change [ns]."""

    name: str
    size_bytes: int
    mtime_ns: int


class Medium(Protocol):
    """What a store asks of the place that keeps its bytes."""

    def listing(self, folder: str) -> list[Item]:
        """Return the files of a folder in any order; empty if there is no such folder."""

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders inside a folder, sorted."""

    def read(self, name: str) -> bytes | None:
        """Return the whole content, or None if there is no such file."""

    def size(self, name: str) -> int | None:
        """Return the size [bytes], or None if there is no such file."""

    def view(self, name: str) -> memoryview:
        """Return the content without loading it; raise `FileNotFoundError` if there is none."""

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Write the concatenated parts, durably and all at once, over whatever was there."""

    def create(self, name: str, data: bytes) -> bool:
        """Write `data` like `put` if the name is free, and tell whether it was."""

    def move(self, source: str, target: str) -> None:
        """Rename a file; a missing source is not an error."""

    def delete(self, name: str) -> None:
        """Remove a file; a missing one is not an error."""


@contextlib.contextmanager
def reading_errors(what: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's refusal to read into a `StoreError`; absence stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(
            "store-unreadable",
            f"{what} cannot be read: {error.strerror or error}",
            hint="check its permissions and the disk",
        ) from error


@contextlib.contextmanager
def storage_errors(what: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's refusal to write into a `StoreError` with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                "disk-full",
                f"no space left to write {what}",
                hint="free some space and run the same command again: what was committed is kept",
            ) from error
        if error.errno in _READ_ONLY:
            raise StoreError(
                "store-read-only",
                f"{what} cannot be written: {error.strerror}",
                hint="change its permissions or give another store with --store",
            ) from error
        raise StoreError(
            "store-io",
            f"{what} cannot be written: {error.strerror or error}",
            hint="check the disk, then run the same command again: what was committed is kept",
        ) from error


class LocalMedium:
    """A folder on a file system.

    Each step of a write is a method of its own, so that a test can die between any two.

    Parameters
    ----------
    root : Path
        Folder that all names are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def listing(self, folder: str) -> list[Item]:
        """Return the regular files of `folder`; a file that vanishes meanwhile is left out."""
        items: list[Item] = []
        path = self.root / folder
        with (
            contextlib.suppress(FileNotFoundError),
            reading_errors(path),
            os.scandir(path) as entries,
        ):
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file():
                        stat = entry.stat()
                        items.append(Item(entry.name, stat.st_size, stat.st_mtime_ns))
        return items

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders inside `folder`, sorted; empty if there is none."""
        path = self.root / folder
        try:
            with reading_errors(path), os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return the whole content, or None if there is no such file."""
        path = self.root / name
        try:
            with reading_errors(path):
                return path.read_bytes()
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int | None:
        """Return the size [bytes], or None if there is no such file."""
        try:
            return (self.root / name).stat().st_size
        except FileNotFoundError:
            return None

    def view(self, name: str) -> memoryview:
        """Return a memory map of the file; the map lives as long as any view of it."""
        with (self.root / name).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Write a temporary file beside the target, sync it, rename it, sync the folder."""
        path = self.root / name
        with self._temporary(path, parts) as temp:
            self.rename(temp, path)
            self.sync_folder(path.parent)

    def create(self, name: str, data: bytes) -> bool:
        """Write a temporary file, sync it and link it to its name, which fails if that is taken."""
        path = self.root / name
        with self._temporary(path, [data]) as temp:
            try:
                created = self.link(temp, path)
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                created = self.create_plainly(path, data)
            self.sync_folder(path.parent)
        return created

    def move(self, source: str, target: str) -> None:
        """Rename a file inside the medium, making the target's folder."""
        path = self.root / target
        with storage_errors(path), contextlib.suppress(FileNotFoundError):
            self.make_folder(path.parent)
            self.rename(self.root / source, path)
            self.sync_folder(path.parent)

    def delete(self, name: str) -> None:
        """Remove a file."""
        path = self.root / name
        with storage_errors(path):
            self.unlink(path)

    # The single steps.

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, each known to the disk before anything is in it.

        Not the root: where that is gone, somebody has moved the store, and rows that were written
        at its old place would be lost to it.
        """
        if not folder.is_dir():
            if folder == self.root:
                raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(folder))
            self.make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            self.sync_folder(folder.parent)

    def write_temp(self, path: Path, parts: Sequence[Buffer]) -> None:
        """Write a new file and wait until its bytes are on the disk."""
        with path.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing whatever had it."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> bool:
        """Give a file a second name if that is free, and tell whether it was."""
        try:
            os.link(source, target)
        except FileExistsError:
            # A network file system may lose the answer of a link that worked and ask again.
            try:
                return source.samefile(target)
            except FileNotFoundError:  # a replaced shard's marker, removed this moment
                return False
        return True

    def create_plainly(self, path: Path, data: bytes) -> bool:
        """Create the file in place: for file systems without hard links.

        A crash in between leaves part of the data under the final name, so the data must be able
        to tell that it is whole, as a marker's checksum of itself does.
        """
        try:
            self.write_temp(path, [data])
        except FileExistsError:
            return False
        except BaseException:
            self.unlink(path)
            raise
        return True

    def sync_folder(self, folder: Path) -> None:
        """Wait until the folder's entries are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
                raise
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Remove a name, if it is there."""
        path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _temporary(self, path: Path, parts: Sequence[Buffer]) -> Iterator[Path]:
        temp = path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMP_SUFFIX}")
        with storage_errors(path):
            self.make_folder(path.parent)
            try:
                self.write_temp(temp, parts)
                yield temp
            finally:
                with contextlib.suppress(OSError):
                    self.unlink(temp)
