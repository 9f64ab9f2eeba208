"""How one path becomes an `ImageRef` or a `Skip`, and the rules that all kinds of source share."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from vta_cli.images.keys import reason_of
from vta_cli.records import ImageRef, Skip

Found = ImageRef | Skip
"""What a source yields."""

Symlinks = Literal["files", "follow", "skip"]
"""Which symbolic links a walk takes; see `vta_cli.images.walk`."""


@dataclass(frozen=True)
class ScanRules:
    """What every kind of source is told.

    Attributes
    ----------
    symlinks : {"files", "follow", "skip"}
        Which symbolic links a walk takes.
    hidden : bool
        Whether names that begin with a dot are taken.
    exclude : frozenset of str
        Absolute paths of folders and files that no source may enter or yield.
    stdin : BinaryIO or None
        Where the source ``-`` reads; None for the process's standard input.
    """

    symlinks: Symlinks = "files"
    hidden: bool = False
    exclude: frozenset[str] = frozenset()
    stdin: BinaryIO | None = None

    def excludes(self, path: str) -> bool:
        """Tell whether the absolute `path` lies at or below an excluded one."""
        if not self.exclude:
            return False
        return path in self.exclude or any(str(up) in self.exclude for up in Path(path).parents)


def path_order(found: Found) -> bytes:
    """Sort key of the order in which sources yield: the bytes of the path, compared as numbers.

    This is the order of ``memcmp``, of a catalogue's blob column and of ``LC_ALL=C sort``: a
    folder's content stands where ``folder/`` sorts, so ``a-b.jpg`` < ``a/c.jpg`` < ``a0.jpg``.
    """
    return os.fsencode(found.path)


def absolute(path: str) -> str:
    """Return the absolute path, `~` expanded, links kept as the user named them."""
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (Path resolves no "..")


def ref_of(path: str, rel: str) -> Found:
    """Look at one named path.

    Parameters
    ----------
    path : str
        Absolute path; a symbolic link is followed, since the user named it.
    rel : str
        Path relative to the source's root.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 (surrogates and speed: paths stay str)
    except ValueError as error:  # a null character: no such file can exist
        return Skip(path, "missing-file", str(error))
    except OSError as error:
        return Skip(path, reason_of(error), error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):
        return Skip(path, "not-a-file", kind_of_mode(status.st_mode))
    return ImageRef(path, rel, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def kind_of_mode(mode: int) -> str:
    """Name what a path is that is no regular file."""
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    )
    return next((name for is_kind, name in kinds if is_kind(mode)), "no regular file")


def safe_rel(entry: str) -> str:
    """Return the relative path under which a list's entry is kept.

    The entry itself where it is relative and stays below its folder, else its file name, so that
    a kept tree never leaves its root.
    """
    plain = os.path.normpath(entry)
    inside = not os.path.isabs(plain) and plain.split("/", 1)[0] != ".."  # noqa: PTH117
    return plain if inside and ".." not in entry.split("/") else os.path.basename(plain)  # noqa: PTH119
