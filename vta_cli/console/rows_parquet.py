"""Rows as Parquet; the only module of this room that imports pyarrow, with `rows_read`."""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_to_bytes

import pyarrow as pa
import pyarrow.parquet as pq

from vta_cli.console.rows import Column
from vta_cli.console.rows_text import DIGITS, plain

TYPES: dict[str, Any] = {
    "str": pa.string(),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
}
ROWS_PER_GROUP = 131_072
URI = "file://"


class ParquetEncoder:
    """Gathers batches to row groups of a useful size."""

    def __init__(self, columns: Sequence[Column], out: BinaryIO) -> None:
        self._columns = columns
        self._schema = pa.schema([(column.name, TYPES[column.kind]) for column in columns])
        self._sink = _Counted(out)
        sink: Any = self._sink
        self._writer = pq.ParquetWriter(pa.PythonFile(sink, "w"), self._schema)
        self._waiting: list[Any] = []
        self._n_waiting = 0

    def write(self, values: Sequence[Sequence[Any]]) -> None:
        """Take a batch of rows."""
        arrays = [
            _array(column, plain(cells))
            for column, cells in zip(self._columns, values, strict=True)
        ]
        self._waiting.append(pa.record_batch(arrays, schema=self._schema))
        self._n_waiting += len(arrays[0])
        if self._n_waiting >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def abort(self) -> None:
        """Give up; pyarrow writes a footer even then, and half a file must not look whole."""
        self._sink.mute()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, schema=self._schema)
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
            self._waiting, self._n_waiting = [], 0


class _Counted:
    """A stream that knows how much was written: a pipe cannot tell, and Parquet asks."""

    closed = False

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._n_bytes = 0
        self._muted = False

    def mute(self) -> None:
        self._muted = True

    def write(self, data: bytes) -> int:
        if not self._muted:
            self._out.write(data)
        self._n_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self._n_bytes

    def flush(self) -> None:
        if not self._muted:
            self._out.flush()

    def close(self) -> None:
        """Leave the stream open: it belongs to the caller."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def escaped(text: str) -> str:
    """Return a file name as Parquet's text can hold it; see the head of `rows`."""
    if text.isascii() and not text.startswith(URI):
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return URI + quote(os.fsencode(text))
    return URI + quote(os.fsencode(text)) if text.startswith(URI) else text


def unescaped(text: str) -> str:
    """Turn `escaped` back."""
    return os.fsdecode(unquote_to_bytes(text[len(URI) :])) if text.startswith(URI) else text


def _array(column: Column, cells: Sequence[Any]) -> Any:
    if column.kind == "str":
        cells = [None if cell is None else escaped(cell) for cell in cells]
    elif column.kind == "float":
        cells = [None if c is None or c != c else float(DIGITS % c) for c in cells]  # noqa: PLR0124
    return pa.array(cells, TYPES[column.kind])
