"""Classes from a table: a column of names."""

from collections.abc import Sequence
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.problems import Problems, listed
from vta_cli.labels.records import LabelSet
from vta_cli.labels.rows import plain, require_file
from vta_cli.labels.table import LABEL_COLUMNS, judged_rows, value_labels

CLASS_COLUMNS = ("class", "category", *LABEL_COLUMNS)
MOST_CLASSES = 1000


def read_class_table(
    file: Path,
    *,
    names: Sequence[str] = (),
    class_column: str | None = None,
    path_column: str | None = None,
) -> LabelSet:
    """Read classes from a table.

    Parameters
    ----------
    file : Path
        See `vta_cli.labels.rows.records`.
    names : sequence of str
        The classes that are meant, in their order; a row with another is reported and left out.
        Without them every value is a class: numbers in their order, then words in that of the
        alphabet. Letter case and outer blanks do not count; the first spelling names the class.
    class_column, path_column : str, optional
        Names of the columns where they are not among `CLASS_COLUMNS` and
        `vta_cli.tabular.PATH_COLUMNS`.

    Returns
    -------
    LabelSet
        Of kind ``classes``. What `vta_cli.labels.table.read_table` says of paths, weights, raters
        and problems holds here.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-class-column``, ``no-labels``;
        ``too-many-classes`` above `MOST_CLASSES`.
    """
    require_file(file)
    problems = Problems(file.name)
    rows = list(judged_rows(file, path_column, class_column, CLASS_COLUMNS, problems, "class"))
    if not names:
        spelled = {plain(row.value): row.value for row in reversed(rows)}
        names = [spelled[value] for value in sorted(spelled, key=_order)]
    if len(names) > MOST_CLASSES:
        raise UsageError(
            "too-many-classes",
            f"{file.name} holds {len(names):,} different values, too many for classes: "
            f"{listed(names)}",
            hint="numbers that measure something are scores; name the column of classes",
        )
    index = {plain(name): float(place) for place, name in enumerate(names)}
    labels = value_labels(
        file, rows, problems, lambda shown: index.get(plain(shown)), "none of the classes"
    )
    return LabelSet("classes", labels, problems.sentences(), names=tuple(names))


def _order(value: str) -> tuple[bool, float, str]:
    try:
        return (False, float(value), value)
    except ValueError:
        return (True, 0.0, value)
