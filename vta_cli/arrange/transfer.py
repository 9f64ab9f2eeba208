"""One file to one place: never overwrites, never leaves half a file under a final name."""

import contextlib
import errno
import filecmp
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))
"""How file systems say that they have no hard links (or may make none of this file)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """By what a file is known again: size [bytes], modification time [ns], inode."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> "Identity":
        """Look at a file, not following a symbolic link."""
        found = os.lstat(path)
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    def same_content(self, other: "Identity") -> bool:
        """Tell whether nothing suggests a change of the content."""
        return (self.size_bytes, self.mtime_ns) == (other.size_bytes, other.mtime_ns)


class ChangedError(OSError):
    """The source changed while it was being moved, or its copy does not equal it."""


Announce = Callable[[Identity], None]
"""Called with what is about to appear under the final name, before it does."""


def copy(source: str, destination: str, temp: str, announce: Announce) -> None:
    """Copy a file with its times and permissions.

    The data go to `temp` in the destination's folder and to the disk before the final name exists.

    Raises
    ------
    FileExistsError
        If the destination is taken.
    OSError
        Whatever the system says; `temp` is gone then.
    """
    try:
        write_temp(source, temp)
        sync_file(temp)
        announce(Identity.of(temp))
        put(temp, destination)
    finally:
        discard(temp)


def write_temp(source: str, temp: str) -> None:
    """Copy content, times and permissions under a temporary name; not yet on the disk for sure."""
    _need_file(source, os.stat(source).st_mode)  # noqa: PTH116 - hot path, as all of this module
    discard(temp)
    shutil.copyfile(source, temp)
    with contextlib.suppress(OSError):  # a file system without permissions or attributes
        shutil.copystat(source, temp)


def sync_file(path: str) -> None:
    """Bring a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(temp: str) -> None:
    """Remove a temporary file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temp)  # noqa: PTH108


def hardlink(source: str, destination: str, announce: Announce) -> None:
    """Give a file a second name; of a symbolic link, the file that it leads to."""
    real = os.path.realpath(source)
    announce(Identity.of(real))
    os.link(real, destination)


def symlink(source: str, destination: str, announce: Announce) -> None:
    """Make a symbolic link with the absolute path of `source`."""
    found = os.stat(source)  # noqa: PTH116 - raises for a source that is gone
    announce(Identity(found.st_size, found.st_mtime_ns, found.st_ino))
    os.symlink(source, destination)  # noqa: PTH211 - hot path


def move(source: str, destination: str, temp: str, announce: Announce) -> None:
    """Move a file; across file systems copy, compare, and only then remove the source.

    A relative symbolic link is made again with its absolute target. `announce` is called only
    across file systems: elsewhere the file keeps its identity, which can be read beforehand.

    Raises
    ------
    FileExistsError
        If the destination is taken.
    ChangedError
        If the source changed on the way; it stays, and the destination is removed again.
    """
    before = os.lstat(source)
    if stat.S_ISLNK(before.st_mode):
        target = os.readlink(source)  # noqa: PTH115 - str in and out
        if not os.path.isabs(target):  # noqa: PTH117
            # as the system reads it: from where the link really lies, which ".." depends on
            target = os.path.join(os.path.realpath(os.path.dirname(source)), target)  # noqa: PTH118, PTH120
        os.symlink(target, destination)  # noqa: PTH211
        _drop(source, destination)
        return
    _need_file(source, before.st_mode)
    if before.st_dev == os.stat(os.path.dirname(destination)).st_dev:  # noqa: PTH116, PTH120
        try:
            put(source, destination)
        except OSError as error:
            if error.errno != errno.EXDEV:  # two mounts of one device
                raise
        else:
            return
    _move_across(source, destination, temp, announce)


def put(path: str, destination: str) -> None:
    """Rename within one file system, failing if the destination exists.

    A plain rename would overwrite. Link and unlink do not; where there are no hard links the name
    is claimed first by an empty file of our own, which may be overwritten.

    Raises
    ------
    FileExistsError
        If the destination is taken.
    """
    try:
        os.link(path, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.rename(path, destination)  # noqa: PTH104
        except OSError:
            os.unlink(destination)  # noqa: PTH108
            raise
    else:
        _drop(path, destination)


def sync_folder(path: Path) -> None:
    """Bring a folder's entries to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_across(source: str, destination: str, temp: str, announce: Announce) -> None:
    before = Identity.of(source)
    copy(source, destination, temp, announce)
    same = filecmp.cmp(source, destination, shallow=False)
    if not same or Identity.of(source) != before:
        os.unlink(destination)  # noqa: PTH108 - ours, made a moment ago
        raise ChangedError(errno.EAGAIN, "the file changed while it was being moved", source)
    sync_folder(Path(destination).parent)
    _drop(source, destination)


def _drop(old: str, new: str) -> None:
    """Remove the old name of a file that has its new one; if it must stay, the new one goes."""
    try:
        os.unlink(old)  # noqa: PTH108
    except OSError:  # a folder that may be read, not written
        os.unlink(new)  # noqa: PTH108
        raise


def _need_file(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a plain file", path)
