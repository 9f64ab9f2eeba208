"""Histograms from a table: a column of counts for each score, or an array in JSON lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.labels.finding import finder
from vta_cli.labels.nima import COUNT_FIELDS, ID_FIELDS
from vta_cli.labels.problems import Problems, listed
from vta_cli.labels.records import LabelSet
from vta_cli.labels.rows import (
    Record,
    column,
    numbers_of,
    rater_of,
    records,
    require_file,
    text,
    weight_of,
)
from vta_cli.labels.votes import Votes, bins_from, histogram_set
from vta_cli.records import ImageRef
from vta_cli.tabular import PATH_COLUMNS

NUMBERED = re.compile(r"(.*?)(\d+(?:\.\d+)?)")
"""Name of a column of counts: anything, then the score of its bin (c1, 5, score_10)."""
PREFIXES = ("", "c", "n", "count", "counts", "votes", "score", "rating", "bin", "stars", "r")
"""What may stand before the score, if several groups of columns are numbered."""


def read_counts(
    file: Path,
    images: Iterable[ImageRef] | None = None,
    *,
    count_columns: Sequence[str] = (),
    first_bin: float | None = None,
    path_column: str | None = None,
) -> LabelSet:
    """Read histograms from a table.

    Parameters
    ----------
    file : Path
        See `vta_cli.labels.rows.records`. The columns ``1 2 3 4 5`` or ``c1 c2 c3`` hold counts (or
        shares) of these scores; in JSON lines one field may hold an array.
    images : iterable of ImageRef, optional
        The scan of the folder of images; without it the names are paths beside the file.
    count_columns : sequence of str
        Names of the columns of counts, in the order of their bins. Where they are not numbered, the
        bins are.
    first_bin : float, optional
        Score of the first bin of an array, or of columns that are not numbered; 1 unless given.
    path_column : str, optional
        Where it is not one of `vta_cli.tabular.PATH_COLUMNS`.

    Returns
    -------
    LabelSet
        Of kind ``histograms``.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-count-columns``, ``no-labels``;
        ``bin-is-fixed`` if the columns' numbers say otherwise than `first_bin`.
    """
    require_file(file)
    problems = Problems(file.name)
    rows = records(file)
    first = next(rows, None)
    if first is None:
        raise _no_columns(file, {})
    path_name = column(first[1], path_column, (*PATH_COLUMNS, *ID_FIELDS), "path", file)
    array = None if count_columns else _array(first[1])
    start = 1.0 if first_bin is None else first_bin
    if array is not None:
        bins = bins_from(start, len(first[1][array]))
        names: tuple[str, ...] = ()
    else:
        names, bins = _columns(first[1], count_columns, path_name, start, file)
        if bins[0] != start and first_bin is not None:
            raise UsageError(
                "bin-is-fixed",
                f"the columns of {file.name} begin with {names[0]}, and not with {start:g}",
                hint="leave the score of the first bin out, or number the columns anew",
            )

    def found() -> Iterator[Votes]:
        yield from _votes([first], path_name, array, names, file, problems)
        yield from _votes(rows, path_name, array, names, file, problems)

    return histogram_set(found(), bins, finder(file, images), problems)


def _votes(
    rows: Iterable[tuple[int, dict[str, Any]]],
    path_name: str,
    array: str | None,
    names: Sequence[str],
    file: Path,
    problems: Problems,
) -> Iterator[Votes]:
    for line, record in rows:
        where = f"{file.name}:{line}"
        cells = record.get(array) if array is not None else [record.get(name) for name in names]
        shown = [text(cell).strip() for cell in cells] if isinstance(cells, list) else []
        # an empty cell of a table of counts is a score that nobody gave
        reads = numbers_of(shown, where, strict=False)
        counts = [reads(cell) if cell else 0.0 for cell in shown]
        usable = [count for count in counts if count is not None]
        if len(usable) < len(counts) or not counts:
            strange = [cell for cell in shown if cell and reads(cell) is None]
            what = f"no counts: {listed(strange)}" if strange else "no counts"
            problems.add("rows whose counts are no numbers", where, what)
            continue
        rater = rater_of(record)
        weight = weight_of(record, where, problems)
        yield Votes(where, text(record.get(path_name)), usable, weight, rater)


def _array(record: Record) -> str | None:
    return next((name for name in COUNT_FIELDS if isinstance(record.get(name), list)), None)


def _columns(
    record: Record, asked: Sequence[str], path_name: str, first_bin: float, file: Path
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the columns of counts and the scores of their bins, ascending."""
    if asked:
        names = [column(record, name, (), "count", file) for name in asked]
        numbered = [found for found in map(_numbered, names) if found]
        if len({value for _, value in numbered}) != len(names):
            return tuple(names), bins_from(first_bin, len(names))
        return _sorted([(name, value) for name, (_, value) in zip(names, numbered, strict=True)])
    groups: dict[str, list[tuple[str, float]]] = {}
    for name in record:
        found = _numbered(name)
        if found and name != path_name:
            groups.setdefault(found[0], []).append((name, found[1]))
    several = {prefix: group for prefix, group in groups.items() if len(group) > 1}
    if len(several) > 1:
        known = [prefix for prefix in PREFIXES if prefix in several]
        several = {known[0]: several[known[0]]} if known else several
    group = next(iter(several.values()), [])
    if len(several) != 1 or len({value for _, value in group}) < len(group):
        raise _no_columns(file, record)
    return _sorted(group)


def _numbered(name: str) -> tuple[str, float] | None:
    """Split a name into its plain prefix and the score; a lone minus belongs to the score."""
    match = NUMBERED.fullmatch(name.strip())
    if match is None:
        return None
    if match[1] == "-":
        return "", -float(match[2])
    return match[1].casefold().rstrip("_ -."), float(match[2])


def _sorted(group: Sequence[tuple[str, float]]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    order = sorted((value, name) for name, value in group)
    return tuple(name for _, name in order), tuple(value for value, _ in order)


def _no_columns(file: Path, record: Record) -> UsageError:
    columns = f"its columns are {listed(list(record))}; " if record else ""
    return UsageError(
        "no-count-columns",
        f"{file.name} has no group of columns whose names end in the scores they count",
        hint=f"{columns}call them 1, 2, 3... or c1, c2, c3...",
    )
