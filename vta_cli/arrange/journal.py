r"""The journal of a run: JSON lines, append-only, each written before what it tells is done.

The first line is the header. Then ``folder`` lines (a folder that is about to be made), ``begin``
lines (a step is about to start), ``made`` lines (a file with this identity is about to get its
name), ``failed`` lines, and an ``end`` line. A line that a crash cut short is the last one and is
ignored. Paths with undecodable bytes are kept by JSON's ``\udcXX`` escapes.
"""

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from vta_cli.arrange.plan import Action, Plan, Step
from vta_cli.arrange.transfer import Identity, sync_folder
from vta_cli.errors import ArrangeError

VERSION = 1
SUFFIX = ".jsonl"
UNDONE = ".undone"


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a journal.

    Attributes
    ----------
    id : str
        Name of the run; sorts by time.
    command : str
        The command line, for people.
    when : str
        Local time of the start, ISO 8601 to the second, with the offset to UTC.
    action : Action
    out : str
        The output folder.
    n_steps : int
        Steps that were planned.
    """

    id: str
    command: str
    when: str
    action: Action
    out: str
    n_steps: int


@dataclass(slots=True)
class Entry:
    """What a journal knows of one step; `made` is None if its file never got its name."""

    step: Step
    temp: str
    made: Identity | None = None
    link: str | None = None
    failed: bool = False


@dataclass(frozen=True)
class Record:
    """A journal as read back: entries and folders in the order in which they were made."""

    header: Header
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]


def temp_path(run: str, number: int, destination: str) -> str:
    """Return the temporary name of a step, in the folder of its destination."""
    folder = os.path.dirname(destination)  # noqa: PTH120 - hot path
    return f"{folder}/.vta-{run[-8:]}-{number}.part"


class Journal:
    """The writing end; a context manager that closes the file."""

    def __init__(self, folder: Path, plan: Plan, command: str) -> None:
        now = datetime.now(UTC)
        # microseconds, so that the order of names is the order of runs
        run = f"{now:%Y%m%dT%H%M%S.%f}-{plan.action.value}-{secrets.token_hex(4)}"
        self.id = run
        self.path = folder / (run + SUFFIX)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except OSError as error:
            raise ArrangeError(
                "journal-unwritable",
                f"no journal can be written in {folder}: {error.strerror}",
                hint="without a journal nothing is done; make room or choose another --store",
            ) from error
        sync_folder(folder)
        when = now.astimezone().isoformat(timespec="seconds")
        self.write(
            vta_journal=VERSION,
            id=run,
            command=command,
            when=when,
            action=plan.action.value,
            out=str(plan.out),
            n_steps=len(plan.steps),
        )

    def write(self, **line: Any) -> None:
        """Append a line; it is with the system, safe from a kill, when this returns."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        start = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:  # disk full: half a line must not stand before the next one
            os.ftruncate(self._file, start)
            os.lseek(self._file, start, os.SEEK_SET)
            raise

    def folder(self, path: str) -> None:
        """Tell that a folder is about to be made."""
        self.write(folder=path)

    def begin(self, number: int, step: Step, link: str | None = None) -> None:
        """Tell that a step starts; `link` is the text of a symbolic link that is to be moved."""
        extra = {} if link is None else {"link": link}
        self.write(begin=number, source=step.source, destination=step.destination, **extra)

    def made(self, number: int, identity: Identity) -> None:
        """Tell that a file with this identity is about to get its final name."""
        self.write(made=number, **_identity_json(identity))

    def failed(self, number: int, reason: str) -> None:
        """Tell that a step did not come about."""
        self.write(failed=number, reason=reason)

    def sync(self) -> None:
        """Bring what was written to the disk, safe from a loss of power."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; the journal stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_header(path: Path) -> Header:
    """Read the first line of a journal.

    Raises
    ------
    ArrangeError
        ``not-a-journal``, or ``newer-journal`` for one of a later version of vta.
    """
    for line in _lines(path):
        return _header(line, path)
    raise _not_a_journal(path)


def read_journal(path: Path) -> Record:
    """Read a journal, finished or cut short.

    Raises
    ------
    ArrangeError
        As `read_header`.
    """
    lines = _lines(path)
    for first in lines:
        header = _header(first, path)
        try:
            return _record(header, lines)
        except (KeyError, TypeError) as error:
            raise _not_a_journal(path) from error
    raise _not_a_journal(path)


def _record(header: Header, lines: Iterator[dict[str, Any]]) -> Record:
    entries: dict[int, Entry] = {}
    folders: list[str] = []
    for line in lines:
        if "folder" in line:
            folders.append(line["folder"])
        elif "begin" in line:
            step = Step(line["source"], line["destination"], header.action)
            temp = temp_path(header.id, line["begin"], step.destination)
            entries[line["begin"]] = Entry(step, temp, link=line.get("link"))
        elif "made" in line:
            entries[line["made"]].made = Identity(
                line["size_bytes"], line["mtime_ns"], line["inode"]
            )
        elif "failed" in line and "end" not in line and line["failed"] in entries:
            entries[line["failed"]].failed = True  # one that could not even begin has no entry
    return Record(header, tuple(entries.values()), tuple(folders))


def _identity_json(identity: Identity) -> dict[str, int]:
    return {
        "size_bytes": identity.size_bytes,
        "mtime_ns": identity.mtime_ns,
        "inode": identity.inode,
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for raw in stream:
            if not raw.endswith(b"\n"):
                return  # cut short by a crash: what it tells was not done
            try:
                line = json.loads(raw)
            except ValueError as error:
                raise _not_a_journal(path) from error
            if not isinstance(line, dict):
                raise _not_a_journal(path)
            yield line


def _header(line: dict[str, Any], path: Path) -> Header:
    version = line.get("vta_journal")
    if isinstance(version, int) and version > VERSION:
        raise ArrangeError(
            "newer-journal",
            f"{path.name} was written by a later vta (journal format {version})",
            hint="undo it with that version",
        )
    try:
        return Header(
            id=line["id"],
            command=line["command"],
            when=line["when"],
            action=Action(line["action"]),
            out=line["out"],
            n_steps=int(line["n_steps"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _not_a_journal(path) from error


def _not_a_journal(path: Path) -> ArrangeError:
    return ArrangeError(
        "not-a-journal",
        f"{path} is no journal of vta, or a damaged one",
        hint="`vta undo --list` shows the runs that can be taken back",
    )
