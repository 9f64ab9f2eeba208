"""Reads rows of scores back, from whatever format they are in; the content decides which."""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vta_cli.errors import UsageError, excerpt
from vta_cli.tabular import PATH_COLUMNS, delimiter_of, has_decimal_commas, with_point

Block = tuple[list[str], list[float | None], list[str]]

ROWS = 16_384
"""Rows of a block."""
PARQUET_MAGIC = b"PAR1"


def read(source: Path | BinaryIO, column: str) -> Iterator[Block]:
    """Yield blocks of paths, scores and reasons; see `rows.read_scores`."""
    if not isinstance(source, Path):
        yield from _read(io.BufferedReader(_Raw(source)), "standard input", column)
        return
    if not source.is_file():
        raise UsageError(
            "no-such-file",
            f"there is no file of scores {source}",
            hint="make one: vta score FOLDER > scores.csv",
        )
    with source.open("rb") as stream:
        yield from _read(stream, source.name, column)


class _Raw(io.RawIOBase):
    """A stream as something that can be peeked into without taking it over."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _read(stream: io.BufferedReader, name: str, column: str) -> Iterator[Block]:
    head = stream.peek(64)
    if head.startswith(PARQUET_MAGIC):
        yield from _parquet(stream, name, column)
    elif head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        yield from _json_lines(stream, name, column)
    else:
        yield from _csv(stream, name, column)


def _csv(stream: io.BufferedReader, name: str, column: str) -> Iterator[Block]:
    # surrogateescape: file names are bytes, and need not be UTF-8
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        first = text.readline()
        reader = csv.reader(itertools.chain([first], text), delimiter=delimiter_of(first))
        header = next(reader, [])
        at_path, at_score, at_reason = _columns(header, name, column)
        least = max(at_path, at_score) + 1
        while True:
            start = reader.line_num
            rows = list(itertools.islice(reader, ROWS))
            if not rows:
                return
            if any(len(row) < least for row in rows):
                rows = _whole(rows, least, name, start)
            yield (
                [row[at_path] for row in rows],
                _scores([row[at_score] for row in rows], name, start),
                [row[at_reason] for row in rows] if at_reason is not None else [""] * len(rows),
            )
    except csv.Error as error:
        raise UsageError("bad-scores", f"{name}: {error}", hint="is it a CSV?") from error
    finally:
        text.detach()


def _whole(rows: list[list[str]], least: int, name: str, start: int) -> list[list[str]]:
    """Drop blank lines; complain of rows that are too short."""
    for number, row in enumerate(rows, start=start + 1):
        if row and len(row) < least:
            raise UsageError(
                "bad-scores",
                f"{name}, about line {number}: the row has {len(row)} cells, not {least}",
                hint="was the file cut short?",
            )
    return [row for row in rows if row]


def _scores(cells: Sequence[Any], name: str, start: int) -> list[float | None]:
    """Turn cells into numbers; an empty one, None and NaN are no score."""
    try:
        values = [None if c is None or c == "" else float(c) for c in cells]
        return [None if v is None or v != v else v for v in values]  # noqa: PLR0124 - NaN
    except (TypeError, ValueError):
        words = [cell for cell in cells if isinstance(cell, str)]
        if len(words) == len(cells) and has_decimal_commas(words, f"{name}, from line {start + 1}"):
            return _scores([with_point(cell) for cell in words], name, start)
        for number, cell in enumerate(cells, start=start + 1):
            try:
                float(0.0 if cell is None or cell == "" else cell)
            except (TypeError, ValueError) as error:
                raise UsageError(
                    "bad-scores",
                    f"{name}, about line {number}: the score {excerpt(cell)} is no number",
                    hint="a row without a score has an empty one",
                ) from error
        raise


def _json_lines(stream: io.BufferedReader, name: str, column: str) -> Iterator[Block]:
    paths: list[str] = []
    scores: list[Any] = []
    reasons: list[str] = []
    start = 0
    keys: tuple[str, str, str | None] | None = None
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            if keys is None:
                header = list(row)
                at_path, at_score, at_reason = _columns(header, name, column)
                reason = None if at_reason is None else header[at_reason]
                keys = (header[at_path], header[at_score], reason)
            if not isinstance(row[keys[0]], str):
                raise TypeError
            paths.append(row[keys[0]])
            scores.append(row.get(keys[1]))
            reasons.append(row.get(keys[2]) or "" if keys[2] is not None else "")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                "bad-scores",
                f"{name}, line {number}: not an object with a path and a score",
                hint='each line is an object such as {"path": "a.jpg", "score": 0.7}',
            ) from error
        if len(paths) == ROWS:
            yield paths, _scores(scores, name, start), reasons
            paths, scores, reasons, start = [], [], [], number
    if paths:
        yield paths, _scores(scores, name, start), reasons


def _parquet(stream: io.BufferedReader, name: str, column: str) -> Iterator[Block]:
    import pyarrow as pa  # noqa: PLC0415 - CSV and JSON lines are read without it
    import pyarrow.parquet as pq  # noqa: PLC0415

    from vta_cli.console.rows_parquet import unescaped  # noqa: PLC0415

    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(
            "bad-scores", f"{name}: {error}", hint="was the file cut short?"
        ) from error
    header = file.schema_arrow.names
    at_path, at_score, at_reason = _columns(header, name, column)
    wanted = [header[i] for i in (at_path, at_score, at_reason) if i is not None]
    start = 0
    for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
        paths = [unescaped(path or "") for path in batch.column(wanted[0]).to_pylist()]
        scores = _scores(batch.column(wanted[1]).to_pylist(), name, start)
        reasons = [""] * len(paths)
        if at_reason is not None:
            reasons = [reason or "" for reason in batch.column(wanted[2]).to_pylist()]
        yield paths, scores, reasons
        start += len(paths)


def _columns(header: Sequence[str], name: str, column: str) -> tuple[int, int, int | None]:
    """Return where path, score and reason stand; the reason may be missing."""
    shown = excerpt(", ".join(header)) if header else "none"
    at_path = next((header.index(known) for known in PATH_COLUMNS if known in header), None)
    if at_path is None:
        raise UsageError(
            "no-path-column",
            f"{name} has no column path",
            hint=f"its columns are: {shown}; scores come from: vta score FOLDER > scores.csv",
        )
    if column not in header:
        raise UsageError(
            "no-score-column",
            f"{name} has no column {column}",
            hint=f"its columns are: {shown}; --column NAME says which one counts",
        )
    at_reason = header.index("reason") if "reason" in header else None
    return at_path, header.index(column), at_reason
