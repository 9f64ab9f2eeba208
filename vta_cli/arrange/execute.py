"""Carries out a plan under a journal, so that all of it can be taken back at any moment."""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vta_cli.arrange import transfer
from vta_cli.arrange.journal import Journal, temp_path
from vta_cli.arrange.plan import Action, Plan, Step
from vta_cli.arrange.transfer import Identity
from vta_cli.errors import ArrangeError
from vta_cli.words import counted

BATCH = 64
"""Steps between two syncs of the journal; a move starts only after the sync of its batch."""
SYNCS = 8
"""Threads that wait for the disk."""
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
FATAL = FULL | {errno.EROFS}
"""What no later step can do better."""
FORBIDDEN = frozenset((errno.EACCES, errno.EPERM))
GONE = "the file is gone"
"""Why a step failed whose source is not there."""
DOING = {
    Action.COPY: "copying",
    Action.HARDLINK: "linking",
    Action.SYMLINK: "linking",
    Action.MOVE: "moving",
}


class Watch(Protocol):
    """The part of a progress that this room needs."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Any:
        """Begin a counted piece of work: a context manager with `advance`."""


class _Nobody:
    """Watches nothing."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Any:
        del name, total, unit
        return contextlib.nullcontext(self)

    def advance(self, n: int = 1) -> None:
        del n


NOBODY = _Nobody()


@dataclass(frozen=True)
class Outcome:
    """What became of a plan.

    Attributes
    ----------
    journal : Path
        For `undo`.
    done, already : int
        Files that were arranged now, and that an earlier run had arranged.
    failed : tuple of (Step, str)
        What could not be done, with the reason; the rest went on.
    """

    journal: Path
    done: int
    already: int
    failed: tuple[tuple[Step, str], ...]


def execute(
    plan: Plan,
    journal_dir: Path,
    *,
    command: str,
    progress: Watch = NOBODY,
    on_error: Callable[[Step, str], None] = lambda _step, _reason: None,
) -> Outcome:
    """Copy, link or move what a plan says.

    Parameters
    ----------
    plan : Plan
    journal_dir : Path
        Where the journal of the run is kept; made if it is not there.
    command : str
        What the user typed, kept in the journal.
    progress : Watch
    on_error : callable
        Told each step that fails, with the reason, at once.

    Returns
    -------
    Outcome

    Raises
    ------
    ArrangeError
        ``output-unwritable``; ``cross-device-link`` if a hard link would have to lead to another
        file system; ``disk-full``; ``journal-unwritable``. What was done until then is in the
        journal and stays.
    KeyboardInterrupt
        After the step under way was cleaned up; the journal is complete.
    """
    with Journal(journal_dir, plan, command) as journal:
        run = _Run(plan, journal, on_error)
        end = "failed"
        try:
            run.make_folder(str(plan.out))
            run.check_output()
            with progress.stage(DOING[plan.action], len(plan), "files") as stage:
                for batch in _batches(plan):
                    run.steps(batch, stage.advance)
            end = "complete"
        except KeyboardInterrupt:
            end = "interrupted"
            raise
        except OSError as error:
            raise run.fatal(error) from error
        finally:
            run.finish(end)
    return Outcome(journal.path, run.done, len(plan.already), tuple(run.failed))


def _batches(plan: Plan) -> Iterator[list[tuple[int, Step]]]:
    numbered = enumerate(plan)
    while batch := list(itertools.islice(numbered, BATCH)):
        yield batch


class _Run:
    """One execution: the journal, the folders known to be there, the counts."""

    def __init__(self, plan: Plan, journal: Journal, on_error: Callable[[Step, str], None]) -> None:
        self.done = 0
        self.failed: list[tuple[Step, str]] = []
        self._plan = plan
        self._journal = journal
        self._on_error = on_error
        self._folders: set[str] = set()

    def check_output(self) -> None:
        """Find out before the first step what would stop them all."""
        out = str(self._plan.out)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission", out)
        if self._plan.action is not Action.HARDLINK:
            return
        device = os.stat(out).st_dev  # noqa: PTH116
        for folder in {os.path.dirname(step.source) for step in self._plan}:  # noqa: PTH120
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if os.stat(folder).st_dev != device:  # noqa: PTH116
                    raise OSError(errno.EXDEV, "another file system", folder)

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it, each told to the journal first."""
        if folder in self._folders:
            return
        missing = list(
            itertools.takewhile(
                lambda place: not os.path.isdir(place),  # noqa: PTH112
                [folder, *map(str, Path(folder).parents)],
            )
        )
        for place in reversed(missing):
            self._journal.folder(place)
            os.mkdir(place)  # noqa: PTH102
        self._folders.add(folder)

    def steps(self, batch: Sequence[tuple[int, Step]], advance: Callable[[], None]) -> None:
        """Carry out some steps; what concerns one file alone is noted, the rest goes on."""
        if self._plan.action is Action.COPY:
            self._copies(batch, advance)
            return
        refused = self._announce_moves(batch) if self._plan.action is Action.MOVE else None
        for number, step in batch:
            with self._noting(number, step):
                self.make_folder(os.path.dirname(step.destination))  # noqa: PTH120
                if refused is None:
                    self._journal.begin(number, step)
                elif number in refused:
                    raise refused[number]
                self._one(number, step)
                self.done += 1
            advance()
        if refused is None:
            self._journal.sync()

    def _copies(self, batch: Sequence[tuple[int, Step]], advance: Callable[[], None]) -> None:
        """Copy a batch in three rounds: write all, sync all, name all.

        Syncs at once share the file system's commits: 1,000 files of 50 kB took 0.2 s by eight
        threads, 3.5 s one by one. On a full disk what was written still gets its name.
        """
        fatal: OSError | None = None
        temps = {
            number: temp_path(self._journal.id, number, step.destination) for number, step in batch
        }
        ready: list[tuple[int, Step]] = []
        try:
            for number, step in batch:
                try:
                    with self._noting(number, step):
                        self.make_folder(os.path.dirname(step.destination))  # noqa: PTH120
                        self._journal.begin(number, step)
                        transfer.write_temp(step.source, temps[number])
                        ready.append((number, step))
                except OSError as error:
                    fatal = error
                    transfer.discard(temps[number])  # its room may be what the others need
                    break
            with ThreadPoolExecutor(SYNCS) as pool:
                syncs = [pool.submit(transfer.sync_file, temps[number]) for number, _ in ready]
            for (number, step), sync in zip(ready, syncs, strict=True):
                with self._noting(number, step):
                    sync.result()
                    self._journal.made(number, Identity.of(temps[number]))
                    transfer.put(temps[number], step.destination)
                    self.done += 1
                advance()
            self._journal.sync()
        finally:
            for temp in temps.values():
                with contextlib.suppress(OSError):
                    transfer.discard(temp)
        if fatal is not None:
            raise fatal

    @contextlib.contextmanager
    def _noting(self, number: int, step: Step) -> Iterator[None]:
        """Note what goes wrong with one file; let pass what stops the run."""
        try:
            yield
        except OSError as error:
            if error.errno in FATAL or (
                error.errno == errno.EXDEV and self._plan.action is Action.HARDLINK
            ):
                raise
            reason = _reason(error, step)
            self._journal.failed(number, reason)
            self.failed.append((step, reason))
            self._on_error(step, reason)

    def _announce_moves(self, batch: Iterable[tuple[int, Step]]) -> dict[int, OSError]:
        """Journal a batch of moves with one sync: a move that no journal knows is a lost file.

        Returns the errors of the sources that cannot even be looked at.
        """
        refused: dict[int, OSError] = {}
        for number, step in batch:
            try:
                identity = Identity.of(step.source)
                is_link = os.path.islink(step.source)  # noqa: PTH114
                link = os.readlink(step.source) if is_link else None  # noqa: PTH115
            except OSError as error:
                refused[number] = error
            else:
                self._journal.begin(number, step, link)
                self._journal.made(number, identity)
        self._journal.sync()
        return refused

    def _one(self, number: int, step: Step) -> None:
        def announce(identity: Identity) -> None:
            self._journal.made(number, identity)
            if step.action is Action.MOVE:
                self._journal.sync()

        if step.action is Action.HARDLINK:
            transfer.hardlink(step.source, step.destination, announce)
        elif step.action is Action.SYMLINK:
            transfer.symlink(step.source, step.destination, announce)
        else:
            temp = temp_path(self._journal.id, number, step.destination)
            transfer.move(step.source, step.destination, temp, announce)

    def finish(self, end: str) -> None:
        """Close the books; on a full disk the last line may not fit, and need not."""
        with contextlib.suppress(OSError):
            self._journal.write(end=end, done=self.done, failed=len(self.failed))
            self._journal.sync()
        for folder in self._folders:
            transfer.sync_folder(Path(folder))

    def fatal(self, error: OSError) -> ArrangeError:
        """Turn what stopped the run into an error with a remedy."""
        out = self._plan.out
        so_far = f"{self.done:,} of {counted(len(self._plan), 'file')} done"
        back = "; `vta undo` takes back what was done" if self.done else ""
        if error.errno in FULL:
            return ArrangeError(
                "disk-full",
                f"the disk of {out} is full; {so_far}",
                hint=f"make room and run the same again: it goes on where it stopped{back}",
            )
        if error.errno == errno.EXDEV:
            return ArrangeError(
                "cross-device-link",
                f"hard links cannot lead from {out} to another file system "
                f"({error.filename}); {so_far}",
                hint=f"copy instead, or make symbolic links{back}",
            )
        return ArrangeError(
            "output-unwritable",
            f"cannot write in {out}: {error.strerror or error}; {so_far}",
            hint=f"check its permissions or choose another folder{back}",
        )


def _reason(error: OSError, step: Step) -> str:
    """Say in a few words why a step failed."""
    if isinstance(error, FileExistsError):
        return "the name was taken meanwhile"
    if isinstance(error, FileNotFoundError) and not os.path.exists(step.source):  # noqa: PTH110
        return GONE
    if error.errno in FORBIDDEN:
        return "no permission"
    return (error.strerror or str(error)).lower()
