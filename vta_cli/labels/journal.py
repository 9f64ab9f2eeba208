"""The journal of judgements: lines of JSON that are only ever appended, each synced to the disk.

A line is an event: a judgement of one content, its withdrawal, the outcome of a heat or of a pair,
or the undoing of earlier events. What holds now is what the events say when they are read from the
first to the last; nothing is ever rewritten. Processes that share a journal take turns by a lock
on the file and read each other's events before they write. A line that a crash cut short is passed
over, and closed by the next writer.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from vta_cli.errors import UsageError, VtaError
from vta_cli.labels.records import Label, LabelSet

FORMAT = 1
"""Version of the lines; a reader refuses newer ones."""
HEAD_BYTES = 200
"""Enough of a file to see whether it is a journal."""

JUDGE, WITHDRAW, UNDO, MOVED = "judge", "withdraw", "undo", "moved"
PAIR, HEAT, CUP = "pair", "heat", "tournament"
IMPORT = "import"
"""Mode of labels that were taken over from folders or files."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What holds of one content: the latest event about it that was not undone.

    Attributes
    ----------
    key : str
        Content key, hexadecimal.
    label : int
        1 liked, 0 disliked.
    path : str
        Where the file lay, or where it was moved since.
    at : str
        When, ISO 8601 in UTC.
    rater, mode : str
        Who, and in which mode of the page (``import`` for labels from folders or files).
    score : float or None
        The head's opinion at that moment.
    batch : str
        The action that it was part of.
    """

    key: str
    label: int
    path: str
    at: str
    rater: str
    mode: str
    score: float | None
    batch: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a journal says now.

    Attributes
    ----------
    judgements : dict of str to Judgement
        By key; withdrawn ones are absent.
    withdrawn : frozenset of str
        Keys whose label was taken back by somebody, not by a change of the folders.
    pairs : tuple of (str, str)
        Winner and loser of each comparison, in order.
    heats : tuple of dict
        Events of tournaments, in order.
    paths : dict of str to str
        Last known path of each key.
    problems : tuple of str
        Lines that could not be read.
    """

    judgements: dict[str, Judgement]
    withdrawn: frozenset[str]
    pairs: tuple[tuple[str, str], ...]
    heats: tuple[dict[str, Any], ...]
    paths: dict[str, str]
    problems: tuple[str, ...] = ()


def is_journal(file: Path) -> bool:
    """Tell whether a file begins as a journal does."""
    try:
        with file.open("rb") as stream:
            return b'"vta_journal"' in stream.read(HEAD_BYTES).split(b"\n", 1)[0]
    except OSError:
        return False


class Journal:
    """An open journal: appends events, and knows all events so far.

    Parameters
    ----------
    path : Path
        Made with its folder if it is not there.

    Attributes
    ----------
    events : list of dict
        All events, those of other processes included as far as they were read.
    problems : list of str
        Lines that could not be read.
    alone : bool
        Whether no other process had the journal open when this one opened it.

    Raises
    ------
    UsageError
        ``not-a-journal`` if the file is something else, ``newer-journal`` if a newer vta wrote it.
    VtaError
        ``journal-unwritable`` if it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._offset = 0
        self._line = 0
        self._heard = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("a+b", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            with self._locked():
                self._catch_up()
                if not self._line:
                    self._write([{"vta_journal": FORMAT, "at": now()}])
                    _sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise
        self._presence = _Presence(path)
        self.alone = self._presence.alone

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._presence.close()

    def append(self, events: Sequence[Mapping[str, Any]], *, batch: str | None = None) -> str:
        """Write events as one action, and return once they are on the disk.

        Parameters
        ----------
        events : sequence of mapping
            JSON values; `at` and `batch` are added.
        batch : str, optional
            Name of the action; a new one by default.

        Returns
        -------
        str
            The batch, for `undo`.

        Raises
        ------
        VtaError
            ``journal-unwritable`` if they could not be written; then none of them holds. Likewise
            ``journal-gone`` if the file was deleted or replaced: what is written is lost then.
        """
        batch = batch or uuid.uuid4().hex[:12]
        stamped = [{"batch": batch, "at": now(), **event} for event in events]
        with self._locked():
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise VtaError(
                    "journal-gone",
                    f"the journal {self.path} was deleted or replaced while it was open",
                    hint="restore it if need be, then start again: nothing more can be kept in it",
                )
            self._catch_up()
            self._write(stamped)
        return batch

    def undo(self, batch: str) -> None:
        """Take back an action; it stays in the file, with the word that it no longer holds."""
        self.append([{"event": UNDO, "undone": batch}])

    def refresh(self) -> bool:
        """Read what other processes appended.

        Returns
        -------
        bool
            Whether there was anything since the last call; what `append` came across counts.
        """
        with self._locked():
            self._catch_up()
        heard, self._heard = self._heard, False
        return heard

    def standing(self) -> Standing:
        """Return what the events say now."""
        return standing(self.events, self.problems)

    def _locked(self) -> "_Lock":
        return _Lock(self._file)

    def _catch_up(self) -> None:
        """Read lines from where we stopped; called under the lock."""
        size = os.fstat(self._file.fileno()).st_size
        if size <= self._offset:
            return
        data = os.pread(self._file.fileno(), size - self._offset, self._offset)
        if not data.endswith(b"\n"):
            # Only a crash leaves a line without its end: writers hold the lock for whole lines.
            self._put(b"\n")
            data += b"\n"
        self._offset += len(data)
        for raw in data.splitlines():
            self._line += 1
            self._read_line(raw)

    def _read_line(self, raw: bytes) -> None:
        if not raw.strip():
            return
        try:
            event = json.loads(raw.decode("utf-8", "surrogateescape"))
        except ValueError:
            event = None
        if not isinstance(event, dict):
            if self._line == 1:
                raise _not_a_journal(self.path)
            self.problems.append(f"{self.path.name}:{self._line}: cut short, passed over")
            return
        if self._line == 1 or "vta_journal" in event:
            _check_header(self.path, event)
            return
        self.events.append(event)
        self._heard = True

    def _write(self, events: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(_line(event) for event in events)
        data = text.encode("utf-8", "surrogateescape")
        self._put(data)
        self._offset += len(data)
        self._line += len(events)
        self.events.extend(dict(event) for event in events if "vta_journal" not in event)

    def _put(self, data: bytes) -> None:
        start = os.fstat(self._file.fileno()).st_size
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), start)  # half an action is none
            raise _unwritable(self.path, error) from error


class _Presence:
    """Tells whether another process has the journal open, by a shared lock on a file beside it.

    Only for a notice: where the lock cannot be had, one is taken to be alone.
    """

    def __init__(self, journal: Path) -> None:
        self.alone = True
        self._handle = -1
        try:
            name = journal.with_name(f".{journal.name}.lock")
            self._handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.alone = False
            fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class _Lock:
    """The exclusive lock of a file, as a context."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> None:
        fcntl.flock(self._file.fileno(), fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file.fileno(), fcntl.LOCK_UN)


def now() -> str:
    """Return this moment, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def judge_event(
    key: str,
    label: int | None,
    path: str,
    *,
    mode: str,
    rater: str = "",
    score: float | None = None,
) -> dict[str, Any]:
    """Make the event of a judgement; a `label` of None withdraws what held."""
    if label is None:
        return {"event": WITHDRAW, "key": key, "path": path, "rater": rater, "mode": mode}
    event: dict[str, Any] = {"event": JUDGE, "key": key, "label": label, "path": path}
    event |= {"rater": rater, "mode": mode}
    if score is not None:
        event["score"] = round(float(score), 6)
    return event


def undone_batches(events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the actions that were taken back."""
    return {str(event.get("undone")) for event in events if event.get("event") == UNDO}


def standing(events: Iterable[Mapping[str, Any]], problems: Sequence[str] = ()) -> Standing:
    """Replay events; those of actions that were undone do not count."""
    events = list(events)
    undone = undone_batches(events)
    judgements: dict[str, Judgement] = {}
    withdrawn: set[str] = set()
    paths: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    heats: list[dict[str, Any]] = []
    for event in events:
        kind, key = event.get("event"), str(event.get("key", ""))
        if kind == MOVED:  # where a file is remains true whatever was undone
            paths[key] = str(event.get("path", ""))
        if event.get("batch") in undone:
            continue
        if kind == JUDGE and event.get("label") in (0, 1):
            judgements[key] = _judgement(event)
            withdrawn.discard(key)
            paths[key] = judgements[key].path
        elif kind == WITHDRAW:
            judgements.pop(key, None)
            if event.get("mode") != IMPORT:
                withdrawn.add(key)
        elif kind == PAIR:
            pairs.append((str(event.get("winner")), str(event.get("loser"))))
        elif kind in (HEAT, CUP):
            heats.append(dict(event))
    return Standing(
        judgements, frozenset(withdrawn), tuple(pairs), tuple(heats), paths, tuple(problems)
    )


def read_events(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read a journal without opening it for writing.

    Returns
    -------
    events : list of dict
    problems : list of str
        Lines that were passed over.

    Raises
    ------
    UsageError
        As `Journal`; ``no-such-file`` if there is none.
    """
    if not file.is_file():
        raise UsageError("no-such-file", f"there is no journal {file}", hint="check the name")
    events: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, event in _lines(file):
        if event is None:
            if number == 1:
                raise _not_a_journal(file)
            problems.append(f"{file.name}:{number}: cut short, passed over")
        elif number == 1 or "vta_journal" in event:
            _check_header(file, event)
        else:
            events.append(event)
    return events, problems


def read_journal(file: Path) -> LabelSet:
    """Read the label set that a journal stands for.

    Returns
    -------
    LabelSet
        Of kind ``binary``: the latest judgement of each content, without the withdrawn ones. A
        file that lies no longer where it was judged is told in `problems`.

    Raises
    ------
    UsageError
        As `read_events`; ``no-labels`` if nothing holds.
    """
    events, problems = read_events(file)
    now_holds = standing(events)
    labels: list[Label] = []
    for judged in now_holds.judgements.values():
        path = now_holds.paths.get(judged.key) or judged.path
        if os.path.isfile(path):  # noqa: PTH113 - paths may be undecodable bytes
            labels.append(Label(path, float(judged.label), f"{file.name} {judged.at}", 1.0, ""))
        else:
            problems.append(f"{file.name}: there is no file {path!r} any more")
    if not labels:
        raise UsageError(
            "no-labels",
            f"the journal {file} holds no label of a file that is there"
            + (f": {problems[0]}" if problems else ""),
            hint="label some images first: vta label FOLDER",
        )
    return LabelSet("binary", tuple(labels), tuple(problems))


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            try:
                event = json.loads(raw.decode("utf-8", "surrogateescape"))
            except ValueError:
                event = None
            yield number, event if isinstance(event, dict) else None


def _judgement(event: Mapping[str, Any]) -> Judgement:
    score = event.get("score")
    return Judgement(
        key=str(event.get("key", "")),
        label=int(event["label"]),
        path=str(event.get("path", "")),
        at=str(event.get("at", "")),
        rater=str(event.get("rater", "")),
        mode=str(event.get("mode", "")),
        score=float(score) if isinstance(score, int | float) else None,
        batch=str(event.get("batch", "")),
    )


def _line(event: Mapping[str, Any]) -> str:
    # ASCII: undecodable bytes of file names survive as escaped surrogates
    return json.dumps(event, separators=(",", ":"), allow_nan=False) + "\n"


def _check_header(path: Path, event: Mapping[str, Any]) -> None:
    version = event.get("vta_journal")
    if not isinstance(version, int):
        raise _not_a_journal(path)
    if version > FORMAT:
        raise UsageError(
            "newer-journal",
            f"{path} was written by a newer vta (format {version}; this one knows {FORMAT})",
            hint="upgrade vta",
        )


def _not_a_journal(path: Path) -> UsageError:
    return UsageError(
        "not-a-journal",
        f"{path} is not a journal of judgements",
        hint="name a new file with --journal; existing labels are read with --labels",
    )


def _unwritable(path: Path, error: OSError) -> VtaError:
    return VtaError(
        "journal-unwritable",
        f"the journal {path} cannot be written: {error.strerror or error}",
        hint="free some space, or name another file with --journal",
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
