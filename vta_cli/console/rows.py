r"""Rows for pipes and files, and scores read back: CSV, JSON lines, Parquet.

File names are data and are never altered, not even those that begin with ``=``, ``+``, ``-`` or
``@`` (which a spreadsheet may take for a formula: import such a file as text). A name may hold
bytes that are not UTF-8. CSV writes these bytes as they are; JSON lines write them as the escapes
``\udc80`` to ``\udcff`` that Python gives them; Parquet's text cannot hold them, so there such a
name is written as a URI, ``file://`` and the percent-encoded bytes (as is a name that itself begins
with ``file://``, so that reading is exact).

Numbers have six significant digits; what is not a number is empty (``null`` in JSON and Parquet).
"""

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, Self

from vta_cli.errors import UsageError

Kind = Literal["str", "float", "int", "bool", "floats"]
"""What cells hold; lists of numbers (``floats``) can stand in JSON lines alone."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows: its name and what its values are."""

    name: str
    kind: Kind


class Encoder(Protocol):
    """What a format has to do: the bytes of a head, of batches, of a tail."""

    def write(self, values: Sequence[Sequence[Any]]) -> None:
        """Write rows, given column by column in the order of the columns."""

    def close(self) -> None:
        """Write what has to follow the last row."""

    def abort(self) -> None:
        """Write nothing any more."""


FORMATS: dict[str, str] = {
    "csv": "vta_cli.console.rows_text:CsvEncoder",
    "jsonl": "vta_cli.console.rows_text:JsonEncoder",
    "parquet": "vta_cli.console.rows_parquet:ParquetEncoder",
}
"""Format name to ``module:class``; a class takes the columns and a binary stream."""


def open_rows(form: str, columns: Sequence[Column], out: BinaryIO | Path) -> "RowWriter":
    """Open a stream or a file for rows.

    Parameters
    ----------
    form : {"csv", "jsonl", "parquet"}
    columns : sequence of Column
    out : binary stream or Path
        A stream is flushed and left open. A file appears under its name when the writer is closed,
        whole, in place of one that was there; until then it has a temporary name beside it.

    Returns
    -------
    RowWriter

    Raises
    ------
    UsageError
        ``no-such-format``.
    """
    if form not in FORMATS:
        raise UsageError(
            "no-such-format",
            f"no rows can be written as {form!r}",
            hint=f"the formats are {', '.join(FORMATS)}",
        )
    module, _, name = FORMATS[form].partition(":")
    return RowWriter(getattr(importlib.import_module(module), name), tuple(columns), out)


class RowWriter:
    """Takes batches of rows; a context manager that closes, or after an error aborts.

    A reader that goes away (``| head``) shows as `BrokenPipeError` from `write`; `abort` is quiet
    then.
    """

    def __init__(self, encoder: Any, columns: tuple[Column, ...], out: BinaryIO | Path) -> None:
        self._names = [column.name for column in columns]
        self._temp: str | None = None
        self._open = True
        if isinstance(out, Path):
            self._target = os.path.realpath(out)
            if os.path.exists(self._target) and not os.path.isfile(self._target):  # noqa: PTH110, PTH113
                self._stream: BinaryIO = out.open("wb")  # a pipe or a device is no file to replace
            else:
                folder, name = os.path.split(self._target)
                self._temp = f"{folder}/.{name[:50]}-{secrets.token_hex(6)}"
                self._stream = Path(self._temp).open("xb")  # noqa: SIM115 - closed by `close`
            self._owned = True
        else:
            self._stream, self._owned = out, False
        self._encoder: Encoder = encoder(columns, self._stream)

    def write(self, batch: Mapping[str, Any]) -> None:
        """Write rows.

        Parameters
        ----------
        batch : mapping of str to sequence or ndarray
            One of equal length for each column.

        Raises
        ------
        ValueError
            If the columns are not those that were announced, or differ in length.
        BrokenPipeError
            If nobody reads any more.
        """
        if set(batch) != set(self._names):
            raise ValueError(f"columns {sorted(batch)} are not {sorted(self._names)}")
        values = [batch[name] for name in self._names]
        if len({len(column) for column in values}) > 1:
            raise ValueError("columns of a batch differ in length")
        if len(values[0]):
            self._encoder.write(values)

    def close(self) -> None:
        """Write the end; a file gets its name."""
        if not self._open:
            return
        self._open = False
        try:
            self._encoder.close()
            self._stream.flush()
            if self._owned:
                if self._temp is not None:
                    os.fsync(self._stream.fileno())
                self._stream.close()
            if self._temp is not None:
                os.replace(self._temp, self._target)  # noqa: PTH105
        except BaseException:  # the disk is full, mostly: what is buffered fails once more
            self._discard()
            raise

    def abort(self) -> None:
        """Give up: a file never gets its name, and one that was there stays as it was."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(OSError):
            self._encoder.abort()
        self._discard()

    def _discard(self) -> None:
        """Let go of the stream and of the temporary file, whatever fails on the way."""
        with contextlib.suppress(OSError):
            if self._owned:
                self._stream.close()
            else:
                self._stream.flush()
        if self._temp is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temp)  # noqa: PTH108

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def read_scores(
    source: Path | BinaryIO, *, column: str = "score"
) -> Iterator[tuple[str, float | None, str]]:
    """Read rows of scores, as vta or another tool wrote them.

    Parameters
    ----------
    source : Path or binary stream
        CSV, JSON lines or Parquet; the content decides which. Columns other than ``path``,
        `column` and ``reason`` are passed over.
    column : str
        The column of the score.

    Yields
    ------
    path : str
    score : float or None
        None where the row has none.
    reason : str
        Why it has none, or empty.

    Raises
    ------
    UsageError
        ``no-such-file``, ``no-path-column``, ``no-score-column``, or ``bad-scores`` with the line
        of what cannot be read.
    """
    for paths, scores, reasons in read_score_blocks(source, column=column):
        yield from zip(paths, scores, reasons, strict=True)


def read_score_blocks(
    source: Path | BinaryIO, *, column: str = "score"
) -> Iterator[tuple[list[str], list[float | None], list[str]]]:
    """Read what `read_scores` reads in blocks of columns, which is faster; see there."""
    # a room of its own: readers need csv and json, or pyarrow, and writers never do
    reading = importlib.import_module("vta_cli.console.rows_read")
    yield from reading.read(source, column)
