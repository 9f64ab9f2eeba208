"""Rows as CSV and JSON lines, encoded a batch at a time by one format string.

`csv.writer` formats each value on its own and needs 3 CPU seconds for a million rows of path and
score; `%` over zipped columns needs 0.6, and `rows_arrow` 0.2, which takes large batches that hold
nothing special. Only batches that hold a special character pay for it.
"""

import importlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from vta_cli.console.rows import Column

DIGITS = "%.6g"
"""Six significant digits: a score is not known better."""
MANY_ROWS = 512
"""From here on a batch is worth loading pyarrow for."""
SPECIAL = ',"\n\r'
JSON_TEXT = json.JSONEncoder(ensure_ascii=False)
"""Leaves letters readable; lone surrogates are escaped when the text is encoded."""


def plain(values: Any) -> Sequence[Any]:
    """Return a column as a list of Python's own types, whatever array it came in."""
    tolist = getattr(values, "tolist", None)
    return values if tolist is None else tolist()  # type: ignore[no-any-return]  # an array's list


class CsvEncoder:
    """CSV as RFC 4180 has it, with lines that end in a newline alone."""

    def __init__(self, columns: Sequence[Column], out: BinaryIO) -> None:
        self._kinds = [column.kind for column in columns]
        self._out = out
        head = ",".join(quoted(column.name) for column in columns)
        out.write(head.encode() + b"\n")

    def write(self, values: Sequence[Sequence[Any]]) -> None:
        """Write a batch of rows."""
        if len(values) > 1 and len(values[0]) >= MANY_ROWS:
            arrow = importlib.import_module("vta_cli.console.rows_arrow")
            text: bytes | None = arrow.batch_text(self._kinds, values)
            if text is not None:
                self._out.write(text)
                return
        columns, marks = [], []
        for kind, column in zip(self._kinds, values, strict=True):
            cells, mark = _csv_column(kind, plain(column))
            columns.append(cells)
            marks.append(mark)
        if len(columns) == 1:  # an empty line would be no row at all
            columns = [[cell if cell != "" else '""' for cell in columns[0]]]
        line = ",".join(marks) + "\n"
        joined = "".join(map(line.__mod__, zip(*columns, strict=True)))
        self._out.write(joined.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """CSV has no end."""

    def abort(self) -> None:
        """What was written is written."""


class JsonEncoder:
    """One JSON object a line."""

    def __init__(self, columns: Sequence[Column], out: BinaryIO) -> None:
        self._kinds = [column.kind for column in columns]
        self._out = out
        names = [JSON_TEXT.encode(column.name).replace("%", "%%") for column in columns]
        self._line = "{" + ", ".join(f"{name}: %s" for name in names) + "}\n"

    def write(self, values: Sequence[Sequence[Any]]) -> None:
        """Write a batch of rows."""
        columns = [
            _json_column(kind, plain(column))
            for kind, column in zip(self._kinds, values, strict=True)
        ]
        text = "".join(map(self._line.__mod__, zip(*columns, strict=True)))
        # a lone surrogate becomes \udcXX, which is how JSON spells it
        self._out.write(text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """JSON lines have no end."""

    def abort(self) -> None:
        """What was written is written."""


def quoted(text: str) -> str:
    """Return a CSV cell, in quotes only if it needs them.

    >>> quoted("a, b")
    '"a, b"'
    """
    if not any(mark in text for mark in SPECIAL):
        return text
    return '"' + text.replace('"', '""') + '"'


def _csv_column(kind: str, values: Sequence[Any]) -> tuple[Iterable[Any], str]:
    """Return cells and the mark that formats them."""
    if kind == "float":
        if _all_finite(values):
            return values, DIGITS
        return [_number(value, "") for value in values], "%s"
    if kind == "bool":
        names = {True: "true", False: "false", None: ""}
        return [names[value] for value in values], "%s"
    if None in values:
        values = ["" if value is None else value for value in values]
    if kind == "str":
        joined = "".join(values)
        if any(mark in joined for mark in SPECIAL):
            values = [quoted(value) for value in values]
    return values, "%s"


def _json_column(kind: str, values: Sequence[Any]) -> Iterable[str]:
    if kind == "float":
        return [_number(value, "null") for value in values]
    if kind == "str":
        return ["null" if value is None else JSON_TEXT.encode(value) for value in values]
    if kind == "floats":
        return ["null" if one is None else _list(one) for one in values]
    return [json.dumps(value) for value in values]


def _list(values: Sequence[float]) -> str:
    return "[" + ", ".join(_number(value, "null") for value in values) + "]"


def _all_finite(values: Sequence[Any]) -> bool:
    """Tell whether all are numbers, in one pass of C: any NaN or infinity shows in the sum."""
    try:
        return math.isfinite(sum(values))
    except TypeError:  # None
        return False


def _number(value: float | None, missing: str) -> str:
    """Return a number as text; NaN, infinity (which JSON has not) and None as `missing`."""
    if value is None or not math.isfinite(value):
        return missing
    return DIGITS % value
