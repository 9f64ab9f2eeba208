"""The catalogue: which file holds which content, so that a second run opens no file.

A local, disposable index (SQLite): path, size and time of change to content key. It can be deleted
at any time; the truth is in the files and in the shards.

When is an entry believed? If path, size and mtime are the same as when the file was read - and if
the mtime was old enough by then. A file that was changed just before it was read may be changed
again without its mtime moving on, since clocks of file systems advance in steps. So its entry is
kept but never believed: the next run reads it once more, and by then it is old enough. git calls
such entries racily clean. The moment of reading is `Entry.read_ns`; without it the moment at which
this catalogue was opened stands in, which is always earlier. The clocks of this machine and of a
file server are taken to agree within the same margin.
"""

import contextlib
import itertools
import os
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vta_cli.errors import StoreError
from vta_cli.records import ImageRef
from vta_cli.store.catalogue_file import (
    catalogue_path,
    connect,
    connect_read_only,
    is_corrupt,
    set_aside,
    translated,
)
from vta_cli.store.contents import Contents, contents_of

if TYPE_CHECKING:
    from vta_cli.store.column_scan import ColumnScan
    from vta_cli.store.columns import Page

RACY_NS = 2_000_000_000
"""Coarsest step of mtimes in use: FAT's two seconds; for mtimes of whole seconds [ns]."""

RACY_FINE_NS = 100_000_000
"""For other mtimes: ten times the 10 ms of exFAT and of the slowest Linux clock [ns]."""

_WINDOW = 512
_WINDOW_ROWS = 4 * _WINDOW
"""A window of paths is read as one range if the range holds at most so many rows."""

_PAGE = 4096
COLUMNS_ROWS = 20_000
"""Fewer files are read from the database in no time."""
COLUMNS_REFS = 256
"""Fewer files are looked up in the database."""
_IDENTITY = "path, size_bytes, mtime_ns, ctime_ns, trusted"
_COLUMNS = f"{_IDENTITY}, key, width, height, format, reason, detail"
_UPSERT = f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES ({','.join('?' * 11)})"  # noqa: S608 - constants alone
_CONTENT_COLUMNS = f"{_IDENTITY}, key, reason, detail"

_Row = tuple[
    bytes, int, int, int, int,
    bytes | None, int | None, int | None, str | None, str | None, str | None,
]  # fmt: skip
_FILE_NAMES = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
_Value = bytes | str | int
_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """What is known of one file.

    Attributes
    ----------
    path : str
        Absolute path.
    size_bytes, mtime_ns : int
        From `stat`, before the file was read.
    key : bytes or None
        Content key; None if the file could not be read.
    width, height : int or None
        Of the picture as decoded [px].
    format : str or None
        Name of the image format.
    reason : str or None
        Slug of why the file is skipped; None for a good image.
    detail : str
        The reason for people.
    read_ns : int
        Wall clock just before the bytes were read [ns since 1970]; 0 if not known. Not kept.
    ctime_ns : int
        From `stat`, before the file was read; 0 if not known.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    key: bytes | None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    reason: str | None = None
    detail: str = ""
    read_ns: int = 0
    ctime_ns: int = 0


class Catalogue:
    """Path, size and mtime to content key; used by many processes at once.

    Safe to use from several threads. Opened read-only it records and forgets nothing, without
    complaint.

    Parameters
    ----------
    path : Path
        The database file.
    read_only : bool
        Write nothing, not even beside the file.

    Attributes
    ----------
    notes : list of str
        Sentences for the user: what was broken and set aside.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.notes: list[str] = []
        self._read_only = read_only
        self._distrusted = False
        self._changed = False
        self._scan: ColumnScan | None = None
        self._scan_stamp = -1
        self._n_by_rows = 0
        self._lock = threading.RLock()
        self._stack = contextlib.ExitStack()
        self._opened_ns = time.time_ns()
        self._connection = self._connect()

    @classmethod
    def of_store(cls, store: Path, store_id: str, *, read_only: bool = False) -> Self:
        """Open the catalogue of a store; on a network file system it lies in the user's cache."""
        return cls(catalogue_path(store, store_id), read_only=read_only)

    def lookup(self, refs: Sequence[ImageRef]) -> list[Entry | None]:
        """Return the entry of each ref, None unless path, size and mtime match one to be believed.

        Fastest for refs in folder order, since neighbours are read as one range.
        """
        rows = self._match(refs, _COLUMNS)
        return [
            None if row is None else _entry(ref.path, row)
            for ref, row in zip(refs, rows, strict=True)
        ]

    def contents(self, refs: Sequence[ImageRef], *, ctime: bool = False) -> Contents:
        """Return of each ref what `lookup` would, less what only decoding tells; in columns.

        Many refs in the order of their paths are found in the file of columns, where that is
        sound, ten times as fast as in the database.

        Parameters
        ----------
        refs : sequence of ImageRef
        ctime : bool
            Believe no entry whose file has another `ctime_ns`. That tells an edit that keeps the
            size and sets the mtime back. But new rights or another hard link change it as well,
            so only who reads the file again should ask for it.
        """
        if len(refs) >= COLUMNS_REFS:
            with self._lock:
                scan = self._column_scan()
                found = None if scan is None else scan.find(refs, ctime=ctime)
            if found is not None:
                return found
            self._n_by_rows += len(refs)
        rows = self._match(refs, _CONTENT_COLUMNS, ctime=ctime)
        return contents_of([None if row is None else row[5:] for row in rows])

    def doubted(self, refs: Sequence[ImageRef]) -> list[Entry | None]:
        """Return the entries that `lookup` keeps back: all is as it was, but the file was too new.

        Whoever reads the file again can tell by its content key whether it still is what it was.
        """
        rows = self._match(refs, _COLUMNS, trusted=False)
        return [
            None if row is None else _entry(ref.path, row)
            for ref, row in zip(refs, rows, strict=True)
        ]

    def pages(self) -> Iterator["Page"]:
        """Iterate over all entries as `entries` does, some thousands at a time, column by column.

        From the file beside the database (see `columns`) as far as that is sound, else from the
        database.
        """
        from vta_cli.store.columns import batch_of, page_of, read_columns  # noqa: PLC0415 - pyarrow

        last: bytes | None = None
        stamp = self._stamp()
        if stamp and not self._distrusted:
            for page in read_columns(self._columns_path, stamp):
                yield page
                last = page.paths.arrow[-1].as_py()
        for rows in self._pages_after(last):
            yield page_of(batch_of(rows))

    def record(self, entries: Iterable[Entry]) -> None:
        """Keep the entries, over older ones of the same paths.

        Raises
        ------
        StoreError
            ``disk-full``, ``store-read-only`` or ``catalogue-busy``.
        """
        if self._read_only:
            return
        stream = iter(entries)
        while rows := [self._row(entry) for entry in itertools.islice(stream, _PAGE)]:
            self._write(_UPSERT, rows)

    def entries(self) -> Iterator[Entry]:
        """Iterate over the entries in order of their paths' bytes, in little memory.

        Entries not to be believed come as well: this tells what was, `lookup` what still is.
        """
        for page in self._pages_after(None, _COLUMNS):
            for found in page:
                yield _entry(os.fsdecode(found[0]), found)

    def paths_of(self, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
        """Return the paths that hold each key, sorted; keys that no path holds are left out."""
        found: dict[bytes, list[str]] = {}
        stream = iter(keys)
        while chunk := list(itertools.islice(stream, _WINDOW)):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, path FROM files WHERE key IN ({marks}) ORDER BY key, path"  # noqa: S608 - question marks alone
            for key, path in self._fetch(query, chunk):
                found.setdefault(bytes(key), []).append(os.fsdecode(path))
        return found

    def count(self) -> int:
        """Return the number of entries."""
        return int(self._fetch("SELECT count(*) FROM files", [])[0][0])

    def forget(self, paths: Iterable[str]) -> None:
        """Drop the entries of these paths.

        Raises
        ------
        StoreError
            As `record`.
        """
        if self._read_only:
            return
        stream = iter(paths)
        while rows := [(os.fsencode(path),) for path in itertools.islice(stream, _PAGE)]:
            self._write("DELETE FROM files WHERE path = ?", rows)

    def close(self) -> None:
        """Close the database; a large one leaves its columns beside it, unless they are there."""
        with self._lock:
            self._close_scan()
            # a scan that had to do without them is reason enough to write them
            if not self._read_only and (self._changed or self._n_by_rows >= COLUMNS_ROWS):
                # it saves work and nothing else, so nothing is lost without it
                with contextlib.suppress(sqlite3.Error, StoreError):
                    self._keep_columns()
                self._changed = False
            self._n_by_rows = 0
            self._stack.close()

    # Inside.

    @property
    def _columns_path(self) -> Path:
        return self.path.with_suffix(".arrow")

    def _stamp(self) -> int:
        """Return the stamp of the last change; 0 of an empty catalogue."""
        return int(self._fetch("PRAGMA user_version", [])[0][0])

    def _column_scan(self) -> "ColumnScan | None":
        """Return the file of columns if it is of the database's present moment."""
        if self._distrusted or not (self._scan or self._columns_path.exists()):
            return None
        stamp = self._stamp()
        if stamp != self._scan_stamp:
            from vta_cli.store.column_scan import open_scan  # noqa: PLC0415 - pyarrow

            self._close_scan()
            self._scan, self._scan_stamp = open_scan(self._columns_path, stamp), stamp
        return self._scan

    def _close_scan(self) -> None:
        if self._scan is not None:
            self._scan.close()
        self._scan, self._scan_stamp = None, -1

    def _keep_columns(self) -> None:
        few = self._fetch("SELECT 1 FROM files LIMIT ?", [COLUMNS_ROWS])
        if len(few) < COLUMNS_ROWS:
            return
        from vta_cli.store.columns import is_current, write_columns  # noqa: PLC0415 - pyarrow

        connection = self._connection
        connection.execute("BEGIN")  # stamp and rows are of one moment
        try:
            if not is_current(self._columns_path, self._stamp()):
                write_columns(self._columns_path, self._stamp(), self._pages_after(None))
        finally:
            connection.execute("COMMIT")

    def _pages_after(
        self, low: bytes | None, columns: str = _CONTENT_COLUMNS
    ) -> Iterator[list[Any]]:
        """Yield some columns of all entries after a path, in pages."""
        query = f"SELECT {columns} FROM files WHERE path > ? ORDER BY path LIMIT ?"  # noqa: S608 - constants alone
        while True:
            found = self._fetch(query, [low or b"", _PAGE])
            if not found:
                return
            yield found
            low = found[-1][0]

    def _match(
        self,
        refs: Sequence[ImageRef],
        columns: str,
        *,
        trusted: bool = True,
        ctime: bool = False,
    ) -> list[Any]:
        """Return the row of each ref, None unless one is to be believed, or else only in doubt.

        The first of `columns` are `_IDENTITY`.
        """
        if not refs:
            return []
        names, _, sizes, mtimes, ctimes = zip(*refs, strict=True)
        # One call encodes all: no path holds a null byte.
        paths = "\0".join(names).encode(*_FILE_NAMES).split(b"\0")
        order: Sequence[int] = range(len(refs))
        if sorted(paths) != paths:  # a source gives them in order
            order = sorted(order, key=paths.__getitem__)
        found: list[Any] = [None] * len(refs)
        skip_ranges = 0
        for start in range(0, len(order), _WINDOW):
            window = order[start : start + _WINDOW]
            wanted = [paths[number] for number in window]
            rows: list[Any] = []
            covered = 0
            if skip_ranges:
                skip_ranges -= 1
            else:
                rows, covered = self._range(wanted, columns)
                # Where refs are thin among the rows, ranges are tried only now and then.
                skip_ranges = 0 if covered == len(wanted) else 15
            rows += self._points(wanted[covered:], columns)
            if [row[0] for row in rows] != wanted:  # something came or went since
                rows = list(map({row[0]: row for row in rows}.get, wanted))
            for number, row in zip(window, rows, strict=True):
                if (
                    row
                    and row[2] == mtimes[number]
                    and row[1] == sizes[number]
                    and bool(row[4]) is trusted
                    and (not ctime or row[3] in {0, ctimes[number]} or not ctimes[number])
                ):
                    found[number] = row
        return found

    def _range(self, names: Sequence[bytes], columns: str) -> tuple[list[Any], int]:
        """Return the rows between the first and the last name, and how many names they cover."""
        query = f"SELECT {columns} FROM files WHERE path >= ? AND path <= ? ORDER BY path LIMIT ?"  # noqa: S608 - constants alone
        rows = self._fetch(query, [names[0], names[-1], _WINDOW_ROWS])
        if len(rows) < _WINDOW_ROWS:
            return rows, len(names)
        last = rows[-1][0]
        return rows, sum(name <= last for name in names)

    def _points(self, names: Sequence[bytes], columns: str) -> list[Any]:
        if not names:
            return []
        marks = ",".join("?" * len(names))
        return self._fetch(f"SELECT {columns} FROM files WHERE path IN ({marks})", names)  # noqa: S608 - constants and question marks alone

    def _row(self, entry: Entry) -> _Row:
        age_ns = (entry.read_ns or self._opened_ns) - entry.mtime_ns
        margin_ns = RACY_FINE_NS if entry.mtime_ns % 1_000_000_000 else RACY_NS
        return (
            os.fsencode(entry.path),
            entry.size_bytes,
            entry.mtime_ns,
            entry.ctime_ns,
            int(age_ns >= margin_ns),
            entry.key,
            entry.width,
            entry.height,
            entry.format,
            entry.reason,
            entry.detail.encode("utf-8", "backslashreplace").decode() or None,
        )

    def _fetch(self, query: str, values: Sequence[_Value]) -> list[Any]:
        return self._guarded(lambda: self._connection.execute(query, values).fetchall())

    def _write(self, statement: str, rows: Sequence[Sequence[_Value | None]]) -> None:
        def work() -> None:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
                # any number that the file of columns does not bear
                connection.execute(f"PRAGMA user_version={1 + secrets.randbelow(1 << 30)}")
                connection.execute("COMMIT")
                self._changed = True
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._guarded(work)

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Run `work`; if the file proves broken, set it aside and run it on an empty one."""
        with self._lock:
            try:
                return work()
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise translated(error, self.path) from error
            with contextlib.suppress(sqlite3.Error):
                self._stack.close()
            self._replace_broken()
            self._connection = self._connect()
            try:
                return work()
            except sqlite3.DatabaseError as error:
                raise translated(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        """Open the file; one that is broken or may not be written is worked around, with a note."""
        for _ in range(3):
            self._stack = contextlib.ExitStack()
            try:
                return self._open()
            except sqlite3.DatabaseError as error:
                if is_corrupt(error):
                    self._replace_broken()
                    continue
                trouble = translated(error, self.path)
            except StoreError as error:
                trouble = error
            if self._read_only or trouble.slug != "store-read-only":
                raise trouble
            self._read_only = True
            self.notes.append(f"{trouble.message}: what is learnt of files is not kept")
        raise StoreError("catalogue-failed", f"catalogue {self.path} cannot be opened")

    def _open(self) -> sqlite3.Connection:
        if self._read_only:
            path = None if self._distrusted else self.path
            return self._stack.enter_context(connect_read_only(path))
        connection = connect(self.path)
        self._stack.callback(connection.close)
        return connection

    def _replace_broken(self) -> None:
        if self._read_only:
            self._distrusted = True
            self.notes.append(f"catalogue {self.path} is broken and is ignored")
        elif (aside := set_aside(self.path)) is not None:
            self.notes.append(f"catalogue {self.path} was broken; it is rebuilt, see {aside.name}")


def _entry(path: str, row: _Row) -> Entry:
    """Make an entry of a row.

    The constructor of a frozen dataclass sets field by field and takes 2.0 us, this 0.5 us; it is
    more than half of what a look-up costs.
    """
    _, size_bytes, mtime_ns, ctime_ns, _, key, width, height, kind, reason, detail = row
    entry = object.__new__(Entry)
    entry.__dict__.update(
        path=path,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        key=key,
        width=width,
        height=height,
        format=kind,
        reason=reason,
        detail=detail or "",
        read_ns=0,
        ctime_ns=ctime_ns,
    )
    return entry
