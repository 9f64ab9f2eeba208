"""Labels from a table: CSV, TSV or JSON lines with a column of paths and one of judgements.

Columns are found by their names, judgements by a list of common words; what does not fit is
reported with the line it stands in. File names may hold any bytes.
"""

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.labels.records import Label, LabelSet

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img")
LABEL_COLUMNS = ("label", "liked", "class", "target", "y", "judgement", "positive", "keep")

POSITIVE = frozenset(
    "1 +1 true t yes y like liked good pos positive keep kept".split()  # noqa: SIM905 - one a word
)
NEGATIVE = frozenset(
    "0 -1 false f no n dislike disliked bad neg negative drop dropped".split()  # noqa: SIM905
)
BLANK = frozenset(("", "nan", "null", "none", "n/a", "?"))
"""Spellings of no judgement at all."""
SHOWN = 6
"""Values or columns that a message lists."""


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    value: str
    weight: str
    rater: str


def read_table(
    file: Path,
    *,
    positive: str | None = None,
    label_column: str | None = None,
    path_column: str | None = None,
) -> LabelSet:
    """Read a binary label set from a table.

    Parameters
    ----------
    file : Path
        JSON lines if its name ends in ``.jsonl`` or ``.ndjson``, otherwise CSV with a header; the
        separator is the tab, semicolon or comma that the header has.
    positive : str, optional
        The value that means liked, in a column of two words of the user's own (cat, dog).
    label_column, path_column : str, optional
        Names of the columns where they are not among `LABEL_COLUMNS` and `PATH_COLUMNS`.

    Returns
    -------
    LabelSet
        Of kind ``binary``. A path is taken as absolute, else from the table's folder, else from
        the working directory. Rows without a judgement, with an unknown one, or whose file is not
        there are left out and told in `problems`; equal rows count once. Columns ``weight`` and
        ``rater`` are read where present.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-label-column``, ``no-such-label``,
        ``which-is-positive``, ``not-binary`` or ``no-labels``.
    """
    if not file.is_file():
        raise UsageError(
            "no-such-file", f"there is no file of labels {file}", hint="check the name"
        )
    rows = list(_rows(file, path_column, label_column))
    judged = [row for row in rows if _plain(row.value) not in BLANK]
    n_blank = len(rows) - len(judged)
    meaning = _meaning(judged, positive, file)
    labels: dict[tuple[str, float, str], Label] = {}
    problems: list[str] = []
    for row in judged:
        where = f"{file.name}:{row.line}"
        value = meaning.get(_plain(row.value))
        if value is None:
            problems.append(f"{where}: {row.value!r} is neither positive nor negative")
            continue
        path = _find(row.path, file)
        if path is None:
            problems.append(f"{where}: there is no file {row.path!r}")
            continue
        weight = _weight(row.weight)
        if weight is None:
            problems.append(f"{where}: the weight {row.weight!r} is no number above 0; taken as 1")
        key = (path, value, row.rater)
        labels.setdefault(key, Label(path, value, where, weight or 1.0, row.rater))
    if n_blank:
        problems.append(f"{file.name}: {n_blank:,} rows have no label and are left out")
    if not labels:
        raise UsageError(
            "no-labels",
            f"{file} holds no usable label"
            + (f": {problems[0]}" if problems else " (it has no rows)"),
            hint="relative paths are taken from the table's folder, then from the working folder",
        )
    return LabelSet("binary", tuple(labels.values()), tuple(problems))


def _rows(file: Path, path_column: str | None, label_column: str | None) -> Iterator[_Row]:
    """Yield the rows of a table as text; blank lines and rows without a path are passed over."""
    records = _json_lines(file) if file.suffix.lower() in {".jsonl", ".ndjson"} else _csv(file)
    columns: tuple[str, str] | None = None
    for line, record in records:
        if columns is None:
            columns = (
                _column(record, path_column, PATH_COLUMNS, "path", file),
                _column(record, label_column, LABEL_COLUMNS, "label", file),
            )
        path = _text(record.get(columns[0]))
        if path:
            yield _Row(
                line,
                path,
                _text(record.get(columns[1])).strip(),
                _text(record.get("weight")),
                _text(record.get("rater")),
            )


def _csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # surrogateescape: file names are bytes, and need not be UTF-8
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        header = stream.readline()
        delimiter = next((mark for mark in "\t;" if mark in header and "," not in header), ",")
        names = next(csv.reader(io.StringIO(header), delimiter=delimiter), [])
        reader = csv.reader(stream, delimiter=delimiter)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num + 1, dict(zip(names, cells, strict=False))
        except csv.Error as error:
            where = f"{file.name}:{reader.line_num + 1}"
            raise UsageError("bad-table", f"{where}: {error}", hint="is it a CSV?") from error


def _json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                record = error
            if not isinstance(record, dict):
                raise UsageError(
                    "bad-table",
                    f"{file.name}:{number}: not a JSON object",
                    hint='each line is an object such as {"path": "a.jpg", "label": 1}',
                )
            yield number, record


def _column(
    record: dict[str, Any], asked: str | None, known: Sequence[str], what: str, file: Path
) -> str:
    """Return the name of the column of paths or of labels as the table spells it."""
    by_plain = {_plain(name): name for name in reversed(record)}  # of equal names the first wins
    for name in (asked,) if asked is not None else known:
        if _plain(name) in by_plain:
            return by_plain[_plain(name)]
    raise UsageError(
        f"no-{what}-column",
        f"{file.name} has no column {asked!r}"
        if asked is not None
        else f"{file.name} has no column of {what}s that vta knows (one of {', '.join(known)})",
        hint=f"its columns are {_list(list(record))}; "
        + ("name one of these" if asked is not None else "rename the one that is meant"),
    )


def _meaning(rows: Sequence[_Row], positive: str | None, file: Path) -> dict[str, float]:
    """Decide which values are positive and which negative, on the values of the whole column."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[_plain(row.value)] = counts.get(_plain(row.value), 0) + 1
    if positive is not None:
        return _named(counts, positive, file)
    known = {v: 1.0 for v in counts if v in POSITIVE} | {v: 0.0 for v in counts if v in NEGATIVE}
    unknown = {value: n for value, n in counts.items() if value not in known}
    if {"0", "-1"} <= known.keys():
        raise _not_binary(file, counts, "it has both 0 and -1, so that 0 may be neither")
    if not known and len(unknown) == 2:
        first, second = sorted(unknown)
        raise UsageError(
            "which-is-positive",
            f"{file.name} labels images {first!r} and {second!r}",
            hint=f"say which is liked: --positive {first} or --positive {second}",
        )
    if sum(unknown.values()) > sum(counts[v] for v in known) or any(map(_is_number, unknown)):
        raise _not_binary(file, counts, "these are more than two kinds")
    return known


def _named(counts: dict[str, int], positive: str, file: Path) -> dict[str, float]:
    wanted = _plain(positive)
    if wanted not in counts:
        raise UsageError(
            "no-such-label",
            f"{file.name} labels no image {positive!r}",
            hint=f"its labels are {_list(list(counts))}",
        )
    if len(counts) > 2:
        raise _not_binary(file, counts, "a named positive value needs exactly one other")
    return {value: float(value == wanted) for value in counts}


def _not_binary(file: Path, counts: dict[str, int], why: str) -> UsageError:
    return UsageError(
        "not-binary",
        f"the labels of {file.name} are not positive and negative: {_list(list(counts))} ({why})",
        hint="use 1 and 0, yes and no, liked and disliked, or two words and --positive WORD",
    )


def _find(path: str, file: Path) -> str | None:
    """Return the absolute path of an existing file, or None."""
    for base in (file.absolute().parent, Path.cwd()):
        candidate = os.path.normpath(base / path)
        if os.path.isfile(candidate):  # noqa: PTH113 - a million rows: no Path for each
            return candidate
    return None


def _weight(text: str) -> float | None:
    if not text.strip():
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if math.isfinite(weight) and weight > 0 else None


def _plain(text: str) -> str:
    """Reduce a value to what is compared: no case, no outer blanks, 1.0 is 1."""
    plain = text.strip().casefold()
    return plain[:-2] if plain.endswith(".0") and _is_number(plain) else plain


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(value: object) -> str:
    """Spell a JSON value or a CSV cell; None is empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value) for value in values[:SHOWN])
    return f"{shown} and {len(values) - SHOWN:,} more" if len(values) > SHOWN else shown
