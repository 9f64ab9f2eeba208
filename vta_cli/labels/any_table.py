"""The reader of `--labels FILE`: decides which kind of judgement the file holds."""

from collections import Counter
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.labels.journal import is_journal, read_journal
from vta_cli.labels.records import Kind, LabelSet
from vta_cli.labels.rows import BLANK, find_column, number, plain, records, require_file, text
from vta_cli.labels.table import LABEL_COLUMNS, NEGATIVE, POSITIVE, read_table
from vta_cli.labels.table_classes import read_class_table
from vta_cli.labels.table_scores import SCORE_COLUMNS, read_scores, read_tier_table
from vta_cli.labels.tags import PREFIXES, TAG_COLUMNS, read_tags
from vta_cli.tabular import with_point

KINDS: tuple[Kind, ...] = ("binary", "classes", "ordinal", "scores", "tags")
"""Kinds that a plain table can hold; histograms and pairs have readers of their own."""


def read_labels(
    file: Path,
    *,
    kind: Kind | None = None,
    positive: str | None = None,
    column: str | None = None,
    path_column: str | None = None,
) -> LabelSet:
    """Read whatever labels a table holds.

    Parameters
    ----------
    file : Path
        See `vta_cli.labels.rows.records`; or the journal of the labelling page, which is binary.
    kind : Kind, optional
        What the labels are; without it `kind_of` decides, by the columns and what stands in them.
    positive : str, optional
        As in `vta_cli.labels.table.read_table`; makes the set binary.
    column, path_column : str, optional
        Names of the columns of judgements and of paths.

    Returns
    -------
    LabelSet

    Raises
    ------
    UsageError
        ``no-such-kind``, and what the reader of the kind raises.
    """
    require_file(file)
    if kind in {None, "binary"} and is_journal(file):
        return read_journal(file)
    found = kind or ("binary" if positive is not None else kind_of(file, column))
    if found == "binary":
        return read_table(file, positive=positive, label_column=column, path_column=path_column)
    if found == "scores":
        return read_scores(file, score_column=column, path_column=path_column)
    if found == "ordinal":
        return read_tier_table(file, tier_column=column, path_column=path_column)
    if found == "classes":
        return read_class_table(file, class_column=column, path_column=path_column)
    if found == "tags":
        asked = (column,) if column is not None else ()
        return read_tags(file, tag_columns=asked, path_column=path_column)
    raise UsageError(
        "no-such-kind",
        f"a table of labels cannot be read as {found!r}",
        hint=f"it may hold {', '.join(KINDS)}; histograms and pairs have options of their own",
    )


def kind_of(file: Path, asked: str | None = None) -> Kind:
    """Tell what kind of labels a table holds.

    The column that was asked for, or the first of `LABEL_COLUMNS`, decides by its values: words for
    liked and disliked are ``binary``, so are two words (`read_table` then asks which is liked);
    other numbers are ``scores``; more than two words are ``classes``; lists are ``tags``. A few
    stray values decide nothing: the reader reports them. Without such a column one of
    `SCORE_COLUMNS` makes it ``scores``, and one of tags ``tags``. Tiers look like scores and have
    to be asked for.
    """
    counts: Counter[str] = Counter()
    name: str | None = None
    for _, record in records(file):
        if name is None:
            name = find_column(record, asked, LABEL_COLUMNS)
            if name is None:
                return _without_labels(record)
        value = record.get(name)
        if isinstance(value, list | dict):
            return "tags"
        if plain(text(value)) not in BLANK:
            counts[plain(text(value))] += 1
    three_way = {"0", "-1"} <= counts.keys()  # then 0 may be neither
    known = {v for v in counts if v in POSITIVE | NEGATIVE} if not three_way else set()
    strange = counts.keys() - known
    n_numbers = sum(counts[value] for value in counts if number(with_point(value)) is not None)
    if (
        any(number(with_point(value)) is not None for value in strange)
        and 2 * n_numbers > counts.total()
    ):
        return "scores"
    if not strange or (not known and len(strange) == 2):
        return "binary"
    n_strange = sum(counts[value] for value in strange)
    return "classes" if 2 * n_strange > counts.total() else "binary"


def _without_labels(record: dict[str, Any]) -> Kind:
    if find_column(record, None, SCORE_COLUMNS) is not None:
        return "scores"
    if find_column(record, None, TAG_COLUMNS) is not None:
        return "tags"
    wide = any(plain(name).startswith(PREFIXES) for name in record)
    return "tags" if wide else "binary"  # whose reader says which column is missing
