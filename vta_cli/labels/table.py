"""Labels from a table: CSV, TSV or JSON lines with a column of paths and one of judgements.

This file reads liked and disliked; scores, classes and tags have their own. Columns are found by
their names, judgements by a list of common words; what does not fit is reported with its line.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vta_cli.errors import UsageError, excerpt
from vta_cli.labels.finding import Beside
from vta_cli.labels.problems import Problems, listed, without
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import (
    BLANK,
    Record,
    column,
    no_labels,
    number,
    plain,
    rater_of,
    records,
    require_file,
    text,
    weight_of,
)
from vta_cli.tabular import PATH_COLUMNS, with_point

LABEL_COLUMNS = ("label", "liked", "class", "target", "y", "judgement", "positive", "keep")

POSITIVE = frozenset(
    "1 +1 true t yes y like liked good pos positive keep kept".split()  # noqa: SIM905 - one a word
)
NEGATIVE = frozenset(
    "0 -1 false f no n dislike disliked bad neg negative drop dropped".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table whose path and judgement are known as text."""

    line: int
    path: str
    value: str
    record: Record


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
        See `vta_cli.labels.rows.records`.
    positive : str, optional
        The value that means liked, in a column of two words of the user's own (cat, dog).
    label_column, path_column : str, optional
        Names of the columns where they are not among `LABEL_COLUMNS` and `PATH_COLUMNS`.

    Returns
    -------
    LabelSet
        Of kind ``binary``. A path is taken as absolute, else from the table's folder, else from
        the working directory. Rows without a judgement, with an unknown one, or whose file is not
        there are left out and told in `problems`; each other row is a judgement of its own. Columns
        ``weight`` and ``rater`` are read where present.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-label-column``, ``no-such-label``,
        ``which-is-positive``, ``not-binary`` or ``no-labels``.
    """
    require_file(file)
    problems = Problems(file.name)
    rows = list(judged_rows(file, path_column, label_column, LABEL_COLUMNS, problems))
    meaning = _meaning(rows, positive, file)
    found = value_labels(
        file, rows, problems, lambda shown: meaning.get(plain(shown)),
        "neither positive nor negative",
    )  # fmt: skip
    return LabelSet("binary", found, problems.sentences())


def judged_rows(
    file: Path,
    path_column: str | None,
    value_column: str | None,
    known: Sequence[str],
    problems: Problems,
    what: str = "label",
) -> Iterator[Row]:
    """Yield the rows of a table that have a path and a judgement; count those without the latter.

    Parameters
    ----------
    known : sequence of str
        Names of the column of judgements, where the user gave none.
    problems : Problems
        Gets the number of rows without a judgement, at the end.
    what : str
        What the column holds, for messages.
    """
    columns: tuple[str, str] | None = None
    n_blank = 0
    for line, record in records(file):
        if columns is None:
            columns = (
                column(record, path_column, PATH_COLUMNS, "path", file),
                column(record, value_column, known, what, file),
            )
        path = text(record.get(columns[0]))
        value = text(record.get(columns[1])).strip()
        if path and plain(value) in BLANK:
            n_blank += 1
        elif path:
            yield Row(line, path, value, record)
    if n_blank:
        problems.add("", file.name, without(n_blank, "row", what))


def value_labels(
    file: Path,
    rows: Sequence[Row],
    problems: Problems,
    meaning: Callable[[str], float | None],
    unknown: str,
) -> tuple[Label, ...]:
    """Make a label of each row whose value has a meaning and whose image is there.

    Parameters
    ----------
    meaning : callable
        Gives the value of a cell, or None for one that has no place here.
    unknown : str
        What such a cell is, in words that follow "'maybe' is ...".

    Raises
    ------
    UsageError
        ``no-labels`` if no row is left.
    """
    images = Beside(file)
    labels: list[Label] = []
    for row in rows:
        where = f"{file.name}:{row.line}"
        value = meaning(row.value)
        if value is None:
            problems.add(
                f"rows whose value is {unknown}", where, f"{excerpt(row.value)} is {unknown}"
            )
            continue
        path, why = images.find(row.path)
        if path is None:
            problems.add("rows whose image is not there", where, why)
            continue
        weight = weight_of(row.record, where, problems)
        # equal rows stay: of several votes each counts in the mean, the majority and the ceiling
        labels.append(Label(path, value, where, weight, rater_of(row.record)))
    if not labels:
        raise no_labels(file, problems.sentences())
    return tuple(labels)


def _meaning(rows: Sequence[Row], positive: str | None, file: Path) -> dict[str, float]:
    """Decide which values are positive and which negative, on the values of the whole column."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[plain(row.value)] = counts.get(plain(row.value), 0) + 1
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
            f"{file.name} labels images {excerpt(first)} and {excerpt(second)}",
            hint=f"say which is liked, --positive {first} or --positive {second}, or "
            "--kind classes",
        )
    if sum(unknown.values()) > sum(counts[v] for v in known) or any(
        number(with_point(value)) is not None for value in unknown
    ):
        raise _not_binary(file, counts, "these are more than two kinds")
    return known


def _named(counts: dict[str, int], positive: str, file: Path) -> dict[str, float]:
    wanted = plain(positive)
    if wanted not in counts:
        raise UsageError(
            "no-such-label",
            f"{file.name} labels no image {positive!r}",
            hint=f"its labels are {listed(list(counts))}",
        )
    if len(counts) > 2:
        raise _not_binary(file, counts, "a named positive value needs exactly one other")
    return {value: float(value == wanted) for value in counts}


def _not_binary(file: Path, counts: dict[str, int], why: str) -> UsageError:
    return UsageError(
        "not-binary",
        f"the labels of {file.name} are not positive and negative: {listed(list(counts))} ({why})",
        hint="use 1 and 0, yes and no, liked and disliked, or two words and --positive WORD",
    )
