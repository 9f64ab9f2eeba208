"""Walks a folder in the order of its paths' bytes. Opens no file.

Symbolic links that the walk meets: ``files`` takes links to files and ignores links to folders;
``follow`` also enters links to folders, each real folder once, so that cycles end; ``skip``
ignores all links. Hidden names are left out unless asked for, stores of vta always.
"""

import operator
import os
from collections.abc import Callable, Iterator
from itertools import chain, islice
from stat import S_ISREG

from vta_cli.errors import UsageError
from vta_cli.images.keys import reason_of
from vta_cli.images.refs import Found, ScanRules, absolute, kind_of_mode
from vta_cli.records import ImageRef, Skip

Descend = Callable[[str], bool]
"""Says for a folder, named relative to the root, whether to enter it."""

RUN_FILES = 1024
"""Files of a folder that are looked at in one go."""

_Named = tuple[str, os.DirEntry[str]]


def open_folder(spec: str, rules: ScanRules) -> Iterator[Found]:
    """Open a folder as a source; raises `UsageError` where it is a store of vta's own."""
    root = absolute(spec)
    if is_store(root):
        raise UsageError(
            "source-is-store",
            f"{spec} is a store of vta, not a folder of images",
            hint="name the folder that holds the images",
        )
    return walk(root, rules)


def is_store(folder: str) -> bool:
    """Tell whether a folder is a store of vta's own: it holds vectors, not images."""
    spaces = os.path.join(folder, "spaces")  # noqa: PTH118 (paths stay str)
    return os.path.exists(os.path.join(folder, "store.json")) and os.path.isdir(spaces)  # noqa: PTH110, PTH112, PTH118


def walk(root: str, rules: ScanRules, descend: Descend | None = None) -> Iterator[Found]:
    """Yield the regular files below `root`, sorted by the bytes of their paths.

    Parameters
    ----------
    root : str
        Absolute path of a folder; a link to one is entered.
    rules : ScanRules
        What to take.
    descend : callable, optional
        Folders for which it returns False are not entered.

    Yields
    ------
    ImageRef or Skip
        A `Skip` for a special file, for a link that leads nowhere and for a folder that cannot be
        read; the latter's path ends in a slash.

    Notes
    -----
    A depth-first walk is in byte order of the whole paths if each folder's entries are sorted by
    their names' bytes with a slash behind the names of folders. Memory: the entries of the
    folders from the root to the present one.
    """
    return chain.from_iterable(_runs(root, rules, descend))


def _runs(root: str, rules: ScanRules, descend: Descend | None) -> Iterator[list[Found]]:
    """Yield what `walk` yields in lists: a generator's step a file costs as much as its tuple."""
    if rules.excludes(root):
        return
    strip = len(root) if root.endswith("/") else len(root) + 1
    new = tuple.__new__
    visited: set[tuple[int, int]] = set()
    pending: list[Iterator[_Named]] = []

    def enter(folder: str) -> list[Skip]:
        try:
            if rules.symlinks == "follow":
                status = os.stat(folder)  # noqa: PTH116 (paths stay str)
                if (status.st_dev, status.st_ino) in visited:
                    return []
                visited.add((status.st_dev, status.st_ino))
            pending.append(iter(_entries(folder, rules)))
        except OSError as error:
            return [Skip(folder.rstrip("/") + "/", reason_of(error), error.strerror or str(error))]
        return []

    yield list(enter(root))
    while pending:
        found: list[Found] = []
        entries = pending[-1]
        named = next(entries, None)
        if named is None:
            pending.pop()
            continue
        for name, entry in chain((named,), islice(entries, RUN_FILES - 1)):
            path = entry.path
            if name[-1] != "/":
                try:
                    status = entry.stat()
                except OSError as error:
                    found.append(_lost(entry, error))
                    continue
                if S_ISREG(status.st_mode):
                    # what `ImageRef(...)` does, in half the time
                    found.append(
                        new(
                            ImageRef,
                            (
                                path,
                                path[strip:],
                                status.st_size,
                                status.st_mtime_ns,
                                status.st_ctime_ns,
                            ),
                        )
                    )
                else:
                    found.append(Skip(path, "not-a-file", kind_of_mode(status.st_mode)))
            elif descend is None or descend(path[strip:]):
                found.extend(enter(path))
                break  # the folder just entered is now the last of the pending ones
        yield found


def _entries(folder: str, rules: ScanRules) -> list[_Named]:
    """List a folder's wanted entries in order, the names of those to enter ending in a slash."""
    with os.scandir(folder) as listing:
        entries = list(listing)
    names = [entry.name for entry in entries]
    if "store.json" in names and is_store(folder):
        return []
    named: list[_Named] = []
    for name, entry in zip(names, entries, strict=True):
        if name[0] == "." and not rules.hidden:
            continue
        if entry.is_symlink():
            if rules.symlinks == "skip":
                continue
            is_folder = _leads_to_folder(entry)
            if is_folder and rules.symlinks != "follow":
                continue
        else:
            is_folder = entry.is_dir()
        named.append((name + "/" if is_folder else name, entry))
    if rules.exclude:
        named = [pair for pair in named if pair[1].path not in rules.exclude]
    _sort_by_bytes(named)
    return named


def _leads_to_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link to itself, or into a folder that is closed to us: `_found` says so
        return False


def _sort_by_bytes(named: list[_Named]) -> None:
    # UTF-8 keeps the order of code points, so comparing str is right and fast unless a name holds
    # undecodable bytes; one encode of all names finds that out.
    try:
        "".join([name for name, _ in named]).encode()
        named.sort(key=operator.itemgetter(0))
    except UnicodeEncodeError:
        named.sort(key=lambda pair: os.fsencode(pair[0]))


def _lost(entry: os.DirEntry[str], error: OSError) -> Skip:
    """Return why a listed file has no status."""
    detail = error.strerror or str(error)
    if entry.is_symlink():
        detail = f"symbolic link that leads nowhere: {detail}"
    return Skip(entry.path, reason_of(error), detail)
