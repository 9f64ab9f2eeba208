"""Takes back a run by its journal: only what is still as the run made it, never by overwriting."""

import contextlib
import filecmp
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vta_cli.arrange import transfer
from vta_cli.arrange.journal import SUFFIX, UNDONE, Entry, Record, read_header, read_journal
from vta_cli.arrange.plan import Action
from vta_cli.arrange.transfer import Identity
from vta_cli.errors import ArrangeError, UsageError

CHANGED = "it was changed since"
ONLY_COPY = "its source is gone: this may be the only copy"
OTHER_SOURCE = "its source was changed since: this may be the only copy of what it was"
OCCUPIED = "its old place is taken"


@dataclass(frozen=True)
class UndoReport:
    """What an undo did, or with `dry_run` would do.

    Attributes
    ----------
    removed, restored : int
        Copies and links that were removed; files that were moved back.
    left : tuple of (str, str)
        What was left alone: path and reason.
    complete : bool
        Whether the journal is settled. If not, what is left may be undone later (a taken place,
        a lack of permission), and the journal stays open for that.
    """

    removed: int
    restored: int
    left: tuple[tuple[str, str], ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class JournalInfo:
    """A run that was journalled; `when` is local time, ISO 8601."""

    id: str
    command: str
    when: str
    n_steps: int
    undone: bool
    path: Path


def journals(journal_dir: Path) -> list[JournalInfo]:
    """List the runs in a folder of journals, newest first; files of other kinds are passed over."""
    found = []
    names = sorted((p.name for p in journal_dir.glob("*")), reverse=True)
    for name in names:
        if not name.endswith((SUFFIX, SUFFIX + UNDONE)):
            continue
        path = journal_dir / name
        with contextlib.suppress(ArrangeError, OSError):
            header = read_header(path)
            undone = name.endswith(UNDONE)
            found.append(
                JournalInfo(header.id, header.command, header.when, header.n_steps, undone, path)
            )
    return found


def undo(journal: Path, *, dry_run: bool = False) -> UndoReport:
    """Take back a run.

    Copies and hard links are removed if they are as they were made and their source is still
    there, a file of its own with the same content; symbolic links if they still lead where they
    led; moved files go back if their old place is free. Folders that the run made go if they are
    empty. The journal is then marked as undone.
    An undo that was interrupted can be repeated.

    Parameters
    ----------
    journal : Path
        Its file, as `journals` and `Outcome` give it.
    dry_run : bool
        Only look.

    Returns
    -------
    UndoReport

    Raises
    ------
    UsageError
        ``already-undone`` or ``no-such-run``.
    ArrangeError
        ``not-a-journal`` or ``newer-journal``.
    """
    marked = journal if journal.name.endswith(UNDONE) else journal.with_name(journal.name + UNDONE)
    if not journal.exists() or journal == marked:
        if marked.exists():
            raise UsageError(
                "already-undone",
                f"the run {marked.name.removesuffix(SUFFIX + UNDONE)} was undone before",
                hint="`vta undo --list` shows the runs that can be taken back",
            )
        raise UsageError(
            "no-such-run",
            f"there is no journal {journal}",
            hint="`vta undo --list` shows the runs that can be taken back",
        )
    record = read_journal(journal)
    work = _Undo(dry_run=dry_run)
    for entry in reversed(record.entries):
        work.entry(entry)
    if not dry_run:
        _remove_folders(record)
        if work.complete:
            journal.rename(marked)
            transfer.sync_folder(marked.parent)
    return UndoReport(work.removed, work.restored, tuple(work.left), work.complete)


class _Undo:
    """Counts of one undo."""

    def __init__(self, *, dry_run: bool) -> None:
        self.removed = 0
        self.restored = 0
        self.left: list[tuple[str, str]] = []
        self.complete = True
        self._dry_run = dry_run

    def entry(self, entry: Entry) -> None:
        """Take back one step; a step that did not come about costs nothing."""
        if not self._dry_run:
            with contextlib.suppress(OSError):  # of a killed run
                os.unlink(entry.temp)  # noqa: PTH108
        path = entry.step.destination
        if entry.failed or entry.made is None or not os.path.lexists(path):
            return
        if entry.step.action is Action.MOVE:
            self._move(entry, entry.made)
            return
        obstacle = _JUDGES[entry.step.action](entry, entry.made)
        if obstacle is not None:
            self.left.append((path, obstacle))
        elif self._try(path, lambda: os.unlink(path)):  # noqa: PTH108
            self.removed += 1

    def _move(self, entry: Entry, made: Identity) -> None:
        source, destination = entry.step.source, entry.step.destination
        here = Identity.of(destination)
        if entry.link is not None:
            self._move_link(entry, made)
        elif os.path.lexists(source):
            there = Identity.of(source)
            if _equal(source, destination):
                # killed between the new name and the end of the old one
                if self._try(destination, lambda: os.unlink(destination)):  # noqa: PTH108
                    self.restored += 1
            elif here.inode == made.inode or here.same_content(made):
                self.left.append((destination, OCCUPIED))
                self.complete = False
            elif not there.same_content(made):  # otherwise the move never took place
                self.left.append((destination, CHANGED))
        elif here.inode != made.inode and not here.same_content(made):
            self.left.append((destination, CHANGED))
        elif self._try(destination, lambda: _move_back(entry)):
            self.restored += 1

    def _move_link(self, entry: Entry, made: Identity) -> None:
        source, destination, text = entry.step.source, entry.step.destination, entry.link or ""
        if not os.path.islink(destination):  # noqa: PTH114
            self.left.append((destination, CHANGED))
        elif os.path.lexists(source):
            if Identity.of(source).inode != made.inode:
                self.left.append((destination, OCCUPIED))
                self.complete = False
            elif self._try(destination, lambda: os.unlink(destination)):  # noqa: PTH108
                self.restored += 1
        elif self._try(destination, lambda: _link_back(source, destination, text)):
            self.restored += 1

    def _try(self, path: str, act: Callable[[], None]) -> bool:
        """Do it unless this is a dry run; an obstacle leaves the journal open."""
        if self._dry_run:
            return True
        try:
            act()
        except OSError as error:
            self.left.append((path, (error.strerror or str(error)).lower()))
            self.complete = False
            return False
        return True


def _equal(source: str, destination: str) -> bool:
    """Tell whether two names hold the same bytes, so that one of them can go."""
    if os.path.samestat(os.lstat(source), os.lstat(destination)):
        return not _one_name(source, destination)
    with contextlib.suppress(OSError):
        plain = not os.path.islink(source) and os.path.isfile(source)  # noqa: PTH113, PTH114
        return plain and filecmp.cmp(source, destination, shallow=False)
    return False


def _one_name(source: str, destination: str) -> bool:
    """Tell whether two paths of one file lead to the same name of it, as by a linked folder.

    Then removing either loses the file.
    """
    if os.lstat(destination).st_nlink < 2:
        return True
    folders = (os.stat(os.path.dirname(path)) for path in (source, destination))  # noqa: PTH116, PTH120
    same_name = os.path.basename(source) == os.path.basename(destination)  # noqa: PTH119
    return same_name and os.path.samestat(*folders)


def _judge_copy(entry: Entry, made: Identity) -> str | None:
    """Return why a copy must stay, or None."""
    source, destination = entry.step.source, entry.step.destination
    if not Identity.of(destination).same_content(made):
        return CHANGED
    try:
        there = os.stat(source)  # noqa: PTH116
        if os.path.samestat(there, os.lstat(destination)):
            return ONLY_COPY
        # a copy has the time of its source, as far as the file system keeps it
        if (there.st_size, there.st_mtime_ns) == (made.size_bytes, made.mtime_ns):
            return None
        return None if filecmp.cmp(source, destination, shallow=False) else OTHER_SOURCE
    except FileNotFoundError:
        return ONLY_COPY
    except OSError:
        return OTHER_SOURCE


def _judge_hardlink(entry: Entry, made: Identity) -> str | None:
    found = os.lstat(entry.step.destination)
    if found.st_ino != made.inode:
        return CHANGED
    return None if found.st_nlink > 1 else ONLY_COPY


def _judge_symlink(entry: Entry, made: Identity) -> str | None:
    del made
    path = entry.step.destination
    ours = os.path.islink(path) and os.readlink(path) == entry.step.source  # noqa: PTH114, PTH115
    return None if ours else CHANGED


_JUDGES: dict[Action, Callable[[Entry, Identity], str | None]] = {
    Action.COPY: _judge_copy,
    Action.HARDLINK: _judge_hardlink,
    Action.SYMLINK: _judge_symlink,
}


def _move_back(entry: Entry) -> None:
    source, destination = entry.step.source, entry.step.destination
    folder = os.path.dirname(source)  # noqa: PTH120
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    temp = f"{folder}/{os.path.basename(entry.temp)}"  # noqa: PTH119
    transfer.move(destination, source, temp, lambda _identity: None)


def _link_back(source: str, destination: str, text: str) -> None:
    os.makedirs(os.path.dirname(source), exist_ok=True)  # noqa: PTH103, PTH120
    os.symlink(text, source)  # noqa: PTH211
    os.unlink(destination)  # noqa: PTH108


def _remove_folders(record: Record) -> None:
    """Remove the folders that the run made, where nothing is in them."""
    for folder in reversed(record.folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106
