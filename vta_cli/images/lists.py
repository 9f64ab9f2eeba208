"""Lists of paths as sources: standard input, ``.txt`` and ``.csv`` files.

Text holds one path a line, or NUL-terminated paths (``find -print0``). A CSV has its paths in the
first of `PATH_COLUMNS` that it has, which are those of tables of labels, or in the two columns of
judged pairs, else in the first column; with such a header its cells may be parted by semicolons or
tabs. The whole list is held in memory and sorted, since all sources yield in the order of the
paths' bytes.
"""

import csv
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator

from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.images.keys import read_bytes
from vta_cli.images.refs import Found, ScanRules, absolute, path_order, ref_of, safe_rel
from vta_cli.tabular import (
    LEFT_COLUMNS,
    LOSER_COLUMNS,
    PATH_COLUMNS,
    RIGHT_COLUMNS,
    WINNER_COLUMNS,
    delimiter_of,
)

MAX_LIST_BYTES = 4 * 2**30
"""Largest list that is read [bytes]: some thirty million paths."""

_LIKE_A_PATH = re.compile(r"/|\.\w{1,5}\Z")


def open_stdin(spec: str, rules: ScanRules) -> Iterator[Found]:  # noqa: ARG001 (a kind's signature)
    """Open the paths on standard input as a source; relative ones count from the working folder."""
    stream = rules.stdin if rules.stdin is not None else sys.stdin.buffer
    return _resolve(text_entries(stream.read()), [_here()], rules)


def open_text(spec: str, rules: ScanRules) -> Iterator[Found]:
    """Open a text file of paths; relative ones count from its folder, then the working folder."""
    return _resolve(text_entries(_read(spec)), _bases(spec), rules)


def open_csv(spec: str, rules: ScanRules) -> Iterator[Found]:
    """Open a CSV file with a column of paths; relative ones are resolved as in `open_text`."""
    bases = _bases(spec)
    try:
        entries = list(csv_entries(_read(spec)))
    except csv.Error as error:
        raise UsageError(
            "bad-list", f"{spec} is no readable CSV: {error}", hint="list the paths as plain text"
        ) from error
    return _resolve(entries, bases, rules)


def text_entries(data: bytes) -> list[str]:
    r"""Split text into paths: at NUL where there is one, else at line ends.

    Blank lines are dropped, and a carriage return before a line feed. Nothing else is trimmed,
    since a file name may begin or end with blanks.

    Examples
    --------
    >>> text_entries(b"a.jpg\r\nb c.jpg\n")
    ['a.jpg', 'b c.jpg']
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        pieces = data.split(b"\0")
    else:
        pieces = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(piece) for piece in pieces if piece.strip()]


def csv_entries(data: bytes) -> Iterator[str]:
    """Read the column of paths of a CSV, or the two of judged pairs.

    The first row is a header if it names one of `PATH_COLUMNS` or the columns of pairs, or if its
    first cell does not look like a path (no slash and no suffix).
    """
    text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    header = text.partition("\n")[0].strip().lower()
    mark = delimiter_of(header)
    if not _path_columns([cell.strip(' "') for cell in header.split(mark)]):
        mark = ","  # a path may hold any of the marks; only a header says that it is one
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    first = next(rows, None)
    if first is None:
        return
    columns = _path_columns([cell.strip().lower() for cell in first])
    if not columns:
        columns = [0]
        if first and _LIKE_A_PATH.search(first[0]):
            yield first[0]
    for row in rows:
        for column in columns:
            if len(row) > column and row[column]:
                yield row[column]


def _path_columns(names: list[str]) -> list[int]:
    """Return where a header's columns of paths stand: one, two for judged pairs, or none."""

    def first_of(known: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    path, winner = first_of(PATH_COLUMNS), first_of(WINNER_COLUMNS)
    if path is not None:
        return [path]
    sides = [first_of(LEFT_COLUMNS), first_of(RIGHT_COLUMNS)]
    if winner is not None and None in sides:  # who won may be a word; beside a loser it is a path
        sides = [winner, first_of(LOSER_COLUMNS)]
    return [] if winner is None else [at for at in sides if at is not None and None not in sides]


def _resolve(entries: Iterable[str], bases: list[str], rules: ScanRules) -> Iterator[Found]:
    found = [_resolve_one(entry, bases) for entry in entries]
    found.sort(key=path_order)
    return (one for one in found if not rules.excludes(one.path))


def _resolve_one(entry: str, bases: list[str]) -> Found:
    rel = safe_rel(entry)
    first: Found | None = None
    for base in bases:
        path = absolute(os.path.join(base, os.path.expanduser(entry)))  # noqa: PTH111, PTH118
        found = ref_of(path, rel)
        first = first or found
        if getattr(found, "reason", "") != "missing-file":
            return found
    return first or ref_of(absolute(entry), rel)


def _read(spec: str) -> bytes:
    try:
        return read_bytes(absolute(spec), max_bytes=MAX_LIST_BYTES)
    except UnreadableImageError as error:
        raise UsageError(
            "unreadable-list",
            f"the list {spec} cannot be read: {error.message}",
            hint="check the file's permissions and size",
        ) from error


def _bases(spec: str) -> list[str]:
    folder = os.path.dirname(absolute(spec))  # noqa: PTH120 (paths stay str)
    return [folder] if folder == _here() else [folder, _here()]


def _here() -> str:
    return os.getcwd()  # noqa: PTH109 (paths stay str)
