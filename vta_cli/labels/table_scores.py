"""Scores and tiers from a table: a column of numbers."""

from collections.abc import Sequence
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import numbers_of, require_file
from vta_cli.labels.table import LABEL_COLUMNS, Row, judged_rows, value_labels

SCORE_COLUMNS = ("score", "rating", "mos", "mean", "stars", "mean_score", "aesthetic", "quality")
TIER_COLUMNS = ("tier", "grade", "level", "rank", *SCORE_COLUMNS, *LABEL_COLUMNS)
MOST_TIERS = 50
"""More distinct values than this are scores, not tiers."""


def read_scores(
    file: Path, *, score_column: str | None = None, path_column: str | None = None
) -> LabelSet:
    """Read scores from a table.

    Parameters
    ----------
    file : Path
        See `vta_cli.labels.rows.records`.
    score_column, path_column : str, optional
        Names of the columns where they are not among `SCORE_COLUMNS` (after these
        `vta_cli.labels.table.LABEL_COLUMNS`) and `vta_cli.tabular.PATH_COLUMNS`.

    Returns
    -------
    LabelSet
        Of kind ``scores``, in the table's own units. What `vta_cli.labels.table.read_table` says of
        paths, weights, raters and problems holds here.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-score-column``,
        ``ambiguous-comma`` or ``no-labels``.
    """
    require_file(file)
    problems = Problems(file.name)
    known = (*SCORE_COLUMNS, *LABEL_COLUMNS)
    rows = list(judged_rows(file, path_column, score_column, known, problems, "score"))
    labels = _numbered(file, rows, problems)
    return LabelSet("scores", labels, problems.sentences())


def read_tier_table(
    file: Path, *, tier_column: str | None = None, path_column: str | None = None
) -> LabelSet:
    """Read ordinal tiers (grades, stars) from a table.

    Returns
    -------
    LabelSet
        Of kind ``ordinal``; its `bins` are the tiers that occur. The rest is as in `read_scores`.

    Raises
    ------
    UsageError
        As `read_scores`, with ``no-tier-column``; ``too-many-tiers`` if the column holds more than
        `MOST_TIERS` different numbers.
    """
    require_file(file)
    problems = Problems(file.name)
    rows = list(judged_rows(file, path_column, tier_column, TIER_COLUMNS, problems, "tier"))
    labels = _numbered(file, rows, problems)
    tiers = tuple(sorted({label.value for label in labels}))
    if len(tiers) > MOST_TIERS:
        raise UsageError(
            "too-many-tiers",
            f"{file.name} holds {len(tiers):,} different numbers, too many for tiers",
            hint="read them as scores",
        )
    return LabelSet("ordinal", labels, problems.sentences(), bins=tiers)


def _numbered(file: Path, rows: Sequence[Row], problems: Problems) -> tuple[Label, ...]:
    meaning = numbers_of([row.value for row in rows], file.name)
    return value_labels(file, rows, problems, meaning, "no number")
