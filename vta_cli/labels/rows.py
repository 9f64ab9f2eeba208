"""Rows of CSV, TSV and JSON-lines files with their line numbers, and columns found by name.

File names may hold any bytes: undecodable ones come through as surrogates.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError, excerpt
from vta_cli.labels.problems import Problems, listed
from vta_cli.tabular import delimiter_of, has_decimal_commas, with_point

WEIGHT_COLUMN, RATER_COLUMN = "weight", "rater"
JSON_LINES = frozenset((".jsonl", ".ndjson"))

LONGEST_INT = 18
"""Digits of a whole number that still is one; longer ones are noise, and slow to convert."""

BLANK = frozenset(("", "nan", "null", "none", "n/a", "?"))
"""Spellings of no judgement at all."""

Record = Mapping[str, Any]


def records(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line number and the cells of each row of a table.

    Parameters
    ----------
    file : Path
        JSON lines if its name ends in ``.jsonl`` or ``.ndjson``, otherwise CSV with a header; the
        separator is the tab, semicolon or comma that the header has.

    Raises
    ------
    UsageError
        ``no-such-file`` or ``bad-table``, naming the line.
    """
    require_file(file)
    yield from _json_lines(file) if file.suffix.lower() in JSON_LINES else _csv(file)


def require_file(file: Path) -> None:
    """Check that a file of labels is there.

    Raises
    ------
    UsageError
        ``no-such-file``.
    """
    if not file.is_file():
        hint = "check the name"
        if file.is_dir():
            hint = "it is a folder: folders of labelled images go to --classes or --tiers"
        raise UsageError("no-such-file", f"there is no file of labels {file}", hint=hint)


def _csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # surrogateescape: file names are bytes, and need not be UTF-8
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        header = stream.readline()
        delimiter = delimiter_of(header)
        reader = csv.reader(stream, delimiter=delimiter)
        try:
            names = _spelled(next(csv.reader(io.StringIO(header), delimiter=delimiter), []))
            for cells in reader:
                if any(cells[len(names) :]):
                    where = f"{file.name}:{reader.line_num + 1}"
                    raise UsageError(
                        "bad-table",
                        f"{where}: the row has {len(cells)} cells, the header {len(names)}",
                        hint="put quotes around what holds the separator, such as 3,5",
                    )
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
                record = parse_json(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise UsageError(
                    "bad-table",
                    f"{file.name}:{number}: not a JSON object",
                    hint='each line is an object such as {"path": "a.jpg", "label": 1}',
                )
            yield number, dict(zip(_spelled(list(record)), record.values(), strict=True))


def _spelled(names: list[str]) -> list[str]:
    """Spell the optional columns as the readers ask for them; as all others, in any letter case."""
    for known in (WEIGHT_COLUMN, RATER_COLUMN):
        if known not in names:
            at = next((place for place, name in enumerate(names) if plain(name) == known), None)
            names = [known if place == at else name for place, name in enumerate(names)]
    return names


def parse_json(shown: str) -> Any:
    """Return what a JSON text says; whole numbers too long to count with become floats.

    Raises
    ------
    ValueError
        If it is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(shown, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INT else float(digits)


def find_column(record: Record, asked: str | None, known: Sequence[str]) -> str | None:
    """Return the name of a column as the table spells it, or None.

    Parameters
    ----------
    record : mapping
        A row.
    asked : str or None
        The name that the user gave; without one the first of `known` that is there.
    """
    by_plain = {
        plain(name): name for name in reversed(list(record))
    }  # of equal names the first wins
    for name in (asked,) if asked is not None else known:
        if plain(name) in by_plain:
            return by_plain[plain(name)]
    return None


def column(record: Record, asked: str | None, known: Sequence[str], what: str, file: Path) -> str:
    """Return the name of a column that has to be there.

    Raises
    ------
    UsageError
        ``no-WHAT-column``, listing the columns.
    """
    found = find_column(record, asked, known)
    if found is not None:
        return found
    option = "--path-column" if what == "path" else "--label-column"
    raise UsageError(
        f"no-{what}-column",
        f"{file.name} has no column {asked!r}"
        if asked is not None
        else f"{file.name} has no column of {what}s that vta knows (one of {', '.join(known)})",
        hint=f"its columns are {listed(list(record))}; "
        + (
            "name one of these"
            if asked is not None
            else f"rename the one that is meant, or tell `vta train` with {option}"
        ),
    )


def weight_of(record: Record, where: str, problems: Problems) -> float:
    """Return the weight in a row's column ``weight``; 1 where it has none, or none above 0."""
    shown = text(record.get(WEIGHT_COLUMN))
    if not shown.strip():
        return 1.0
    weight = numbers_of([shown], where, strict=False)(shown)
    if weight is None or weight <= 0:
        problems.add(
            "rows whose weight is no number above 0",
            where,
            f"the weight {excerpt(shown)} is no number above 0; taken as 1",
        )
        return 1.0
    return weight


def rater_of(record: Record) -> str:
    """Return who judged, of a row's column ``rater``; outer blanks make no other person."""
    return text(record.get(RATER_COLUMN)).strip()


def number(shown: str) -> float | None:
    """Return the finite number that a cell spells, or None."""
    try:
        value = float(shown)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers_of(
    cells: Sequence[str], where: str, *, strict: bool = True
) -> Callable[[str], float | None]:
    """Return what reads the numbers of a column: `number`, or the same for decimal commas.

    Parameters
    ----------
    cells : sequence of str
        The whole column.
    where : str
        For the error.
    strict : bool
        Refuse commas that may mean two things; else they make no number.

    Raises
    ------
    UsageError
        ``ambiguous-comma``.
    """
    try:
        commas = has_decimal_commas(cells, where)
    except UsageError:
        if strict:
            raise
        commas = False
    return (lambda shown: number(with_point(shown))) if commas else number


def plain(shown: str) -> str:
    """Reduce a value to what is compared: no case, no outer blanks, 1.0 is 1."""
    reduced = shown.strip().casefold()
    return reduced[:-2] if reduced.endswith(".0") and number(reduced) is not None else reduced


def text(value: object) -> str:
    """Spell a JSON value or a CSV cell; None is empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def no_labels(file: Path, sentences: Sequence[str], hint: str = "") -> UsageError:
    """Return the error of a file in which nothing can be used, with the first reason."""
    return UsageError(
        "no-labels",
        f"{file} holds no usable label"
        + (f": {sentences[0]}" if sentences else " (it has no rows)"),
        hint=hint
        or "relative paths are taken from the table's folder, then from the working folder",
    )
