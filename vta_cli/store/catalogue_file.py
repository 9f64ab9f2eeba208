"""The catalogue's database file: where it lies, how it is opened, what happens if it is broken.

The catalogue only saves work. So a file that SQLite cannot read is renamed and an empty one takes
its place: images are hashed again, and nothing else is lost.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from vta_cli.errors import StoreError
from vta_cli.store.layout import CATALOGUE
from vta_cli.store.medium import storage_errors

FILE = "files-1.sqlite"
"""The number is the version of the tables: another version has a file of its own."""

BUSY_SECONDS = 60.0
"""How long a writer waits for others; a transaction takes milliseconds."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SIDE_FILES = ("", "-wal", "-shm", "-journal")

# File systems of other machines: SQLite's write-ahead log needs shared memory, which they lack.
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "glusterfs", "beegfs", "gpfs")
_REMOTE_FUSE = ("sshfs", "s3fs", "gcsfuse", "rclone", "goofys", "davfs", "glusterfs", "cephfs")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY NOT NULL,  -- bytes as the system has them, so any file name fits
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    trusted INTEGER NOT NULL,        -- 0: it may have changed after it was read, see Catalogue
    key BLOB,
    width INTEGER,
    height INTEGER,
    format TEXT,
    reason TEXT,
    detail TEXT,
    ctime_ns INTEGER NOT NULL DEFAULT 0  -- 0: not known
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_key ON files (key) WHERE key IS NOT NULL;
"""


def catalogue_path(store: Path, store_id: str) -> Path:
    """Return where the database of a store lies.

    Inside the store, unless that is on a network file system: then in the user's cache folder,
    where each machine keeps its own.
    """
    if is_remote(store):
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(cache) / "vta" / CATALOGUE / store_id / FILE
    return store / CATALOGUE / FILE


def is_remote(path: Path, mounts: str | None = None) -> bool:
    """Tell whether a path lies on a network file system; False where that cannot be known.

    Parameters
    ----------
    path : Path
    mounts : str, optional
        Text in the form of Linux's ``/proc/self/mountinfo``, if not that of this machine.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return False
    place = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace("\\040", " ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0].lower()
    if kind.startswith("fuse."):
        return kind.removeprefix("fuse.").startswith(_REMOTE_FUSE)
    return kind.startswith(_REMOTE)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for reading and writing, making it if there is none.

    Raises
    ------
    sqlite3.DatabaseError
        If the file is not readable as a database.
    StoreError
        If the folder cannot be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _switch_to_log(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")  # 64 MiB
        connection.executescript(_SCHEMA)
        if not _has_ctime(connection):
            _add_ctime(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def connect_read_only(path: Path | None) -> Iterator[sqlite3.Connection]:
    """Open the database without writing a byte near it; empty and in memory if there is none.

    A database whose log has not been folded in yet is copied to a temporary folder first, since
    SQLite cannot read a log beside a file that it may not write.
    """
    with contextlib.ExitStack() as stack:
        connection: sqlite3.Connection
        if path is None or not path.exists():
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.executescript(_SCHEMA)
        elif (log := path.with_name(path.name + "-wal")).exists() and log.stat().st_size:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vta-")))
            for source in (path, log):
                shutil.copyfile(source, folder / source.name)
            connection = sqlite3.connect(
                folder / path.name,
                isolation_level=None,
                check_same_thread=False,
            )
        else:
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?immutable=1",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        stack.callback(connection.close)
        if not _has_ctime(connection):  # of an older vta, and not ours to change
            connection.execute("CREATE TEMP VIEW files AS SELECT *, 0 AS ctime_ns FROM main.files")
        yield connection


def _has_ctime(connection: sqlite3.Connection) -> bool:
    columns = connection.execute("PRAGMA main.table_info(files)").fetchall()
    return not columns or "ctime_ns" in {column[1] for column in columns}


def _add_ctime(connection: sqlite3.Connection) -> None:
    """Give a table of an older vta the column that it lacks; that vta can go on using it."""
    try:
        connection.execute("ALTER TABLE files ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0")
    except sqlite3.OperationalError:
        if not _has_ctime(connection):  # nor has another process been faster
            raise


def _switch_to_log(connection: sqlite3.Connection) -> None:
    """Choose the write-ahead log; SQLite does not wait for others here, so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = (error.sqlite_errorcode & 0xFF) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def is_corrupt(error: sqlite3.Error) -> bool:
    """Tell whether SQLite says that the file is broken, not that it is busy or full."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _CORRUPT


def set_aside(path: Path) -> Path | None:
    """Rename a broken database, unless another process has done so; return its new name.

    Whoever holds the lock file looks once more, so that of many processes that meet the broken
    file one renames it and the others find a sound one.
    """
    with storage_errors(path), path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists() or _sound(path):
            return None
        aside = path.with_name(f"{path.name}.broken-{time.time_ns()}")
        for suffix in reversed(_SIDE_FILES):
            side = path.with_name(path.name + suffix)
            with contextlib.suppress(FileNotFoundError):
                side.rename(aside.with_name(aside.name + suffix))
        return aside


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the `StoreError` that tells what SQLite met."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            "disk-full",
            f"no space left to write {path}",
            hint="free some space and run the same command again: what was committed is kept",
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
        return StoreError(
            "store-read-only",
            f"catalogue {path} cannot be opened for writing: {error}",
            hint="change its permissions or give another store with --store",
        )
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreError(
            "catalogue-busy",
            f"catalogue {path} was locked by another process for {BUSY_SECONDS:.0f} s",
            hint="run the command again when the other has finished",
        )
    return StoreError(
        "catalogue-failed",
        f"catalogue {path} failed: {error}",
        hint="see that its disk is sound and not full; the catalogue itself can be deleted at any "
        "time: images are then hashed again",
    )


def _sound(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        return not is_corrupt(error)
