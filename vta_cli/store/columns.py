"""The catalogue's columns in one file: read at the speed of memory instead of row by row.

SQLite makes a Python object of each value, which for a million files costs more than scoring them.
So whoever closes a large catalogue that it changed leaves an Arrow file of the columns that
scoring reads beside it. The file carries the stamp of the catalogue's last change and counts for
nothing if the catalogue has another; like the catalogue it can be deleted at any time.
"""

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys
from vta_cli.store.contents import UNKNOWN
from vta_cli.store.layout import TEMP_SUFFIX
from vta_cli.store.medium import storage_errors

_STAMP = b"stamp"
_NO_KEY = bytes(KEY_BYTES)
SCHEMA = pa.schema(
    [
        pa.field("path", pa.binary(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("ctime_ns", pa.int64(), nullable=False),  # 0: not known
        pa.field("trusted", pa.bool_(), nullable=False),
        pa.field("key", pa.binary(KEY_BYTES), nullable=False),
        pa.field("reason", pa.string()),  # null: an image
        pa.field("detail", pa.string()),
    ]
)
Row = tuple[bytes, int, int, int, int, bytes | None, str | None, str | None]
"""Path, size, mtime, ctime, trusted, key, reason, detail."""


class Texts(Sequence[str]):
    """File names as one Arrow column, strings only when somebody asks.

    Attributes
    ----------
    arrow : pyarrow.BinaryArray
        The names' bytes as the system has them; not always UTF-8.
    """

    def __init__(self, arrow: Any) -> None:
        self.arrow = arrow

    def __len__(self) -> int:
        return len(self.arrow)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> "Texts": ...
    def __getitem__(self, at: int | slice) -> "str | Texts":
        if isinstance(at, slice):
            return Texts(self.arrow[at])
        return os.fsdecode(self.arrow[at].as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return bool(self.arrow.equals(other.arrow))
        return self.tolist() == other

    __hash__ = None  # type: ignore[assignment]

    def tolist(self) -> list[str]:
        """Return the names as strings."""
        if not len(self.arrow):
            return []
        # no path holds a null byte, and one call decodes all
        return os.fsdecode(b"\0".join(self.arrow.to_pylist())).split("\0")

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Return some of the names."""
        return Texts(self.arrow.take(pa.array(rows)))


@dataclass(frozen=True, slots=True)
class Page:
    """Some catalogued files in order of their paths' bytes, column by column; fields of `Entry`.

    Attributes
    ----------
    paths : Texts
    sizes_bytes, mtimes_ns : ndarray of shape (n,), int64
    keys : ndarray of shape (n, 32), uint8
        Zeros where a file has no key.
    reasons, details : list of str or None
        Empty for images; None if all are images.
    """

    paths: Texts
    sizes_bytes: NDArray[np.int64]
    mtimes_ns: NDArray[np.int64]
    keys: Keys
    reasons: list[str] | None
    details: list[str] | None


def batch_of(rows: Sequence[Row]) -> Any:
    """Return rows of the database as a record batch; a file without a whole key has a reason."""
    names, sizes, mtimes, ctimes, trusted, keys, reasons, details = zip(*rows, strict=True)
    if None in keys or set(map(len, keys)) != {KEY_BYTES}:
        whole = [key is not None and len(key) == KEY_BYTES for key in keys]
        reasons = tuple(
            reason if good or reason else UNKNOWN
            for good, reason in zip(whole, reasons, strict=True)
        )
        keys = tuple(key if good else _NO_KEY for good, key in zip(whole, keys, strict=True))
    sure = tuple(map(bool, trusted))
    lists = (names, sizes, mtimes, ctimes, sure, keys, reasons, details)
    columns = [pa.array(some, kind) for some, kind in zip(lists, SCHEMA.types, strict=True)]
    return pa.record_batch(columns, schema=SCHEMA)


def page_of(batch: Any) -> Page:
    """Return a record batch as a page."""
    names, sizes, mtimes, _, _, keys, reasons, details = batch.columns
    return Page(
        Texts(names),
        sizes.to_numpy(),
        mtimes.to_numpy(),
        keys_of(keys),
        texts_of(reasons),
        texts_of(details),
    )


def keys_of(column: Any) -> Keys:
    """Return a column of keys as an array of shape (n, 32); it shares the column's memory."""
    data = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * KEY_BYTES :]
    return data[: len(column) * KEY_BYTES].reshape(-1, KEY_BYTES)


def texts_of(column: Any) -> list[str] | None:
    """Return a column of texts, empty ones for nulls; None if there are only nulls."""
    if column.null_count == len(column):
        return None
    return [text or "" for text in column.to_pylist()]


def write_columns(path: Path, stamp: int, pages: Iterable[Sequence[Row]]) -> None:
    """Write the file anew, whole or not at all.

    Raises
    ------
    StoreError
        If there is no place for it.
    """
    schema = SCHEMA.with_metadata({_STAMP: str(stamp).encode()})
    with storage_errors(path):
        temp = path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMP_SUFFIX}")
        try:
            with temp.open("xb") as file:
                with pa.ipc.new_file(file, schema) as writer:
                    for rows in pages:
                        writer.write_batch(batch_of(rows))
                file.flush()
                os.fsync(file.fileno())
            temp.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temp.unlink()
            raise


def is_current(path: Path, stamp: int) -> bool:
    """Tell whether the file can be read, has the columns of this version, and bears the stamp."""
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            schema = reader.schema
            return bool(schema.equals(SCHEMA)) and int(schema.metadata[_STAMP]) == stamp
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return False


def read_columns(path: Path, stamp: int) -> Iterator[Page]:
    """Yield the pages of the file; none if it has another stamp, fewer if it is damaged."""
    if not is_current(path, stamp):
        return
    # not mapped: pages of a map would count as memory until the end
    with (
        contextlib.suppress(OSError, pa.ArrowException),
        pa.OSFile(str(path)) as file,
        pa.ipc.open_file(file) as reader,
    ):
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            batch.validate(full=True)
            yield page_of(batch)
