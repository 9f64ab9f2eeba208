"""Pairs from a table: which of two images won."""

from collections.abc import Callable
from pathlib import Path

from vta_cli.errors import QUOTED_PATH, UsageError, excerpt
from vta_cli.labels.finding import Beside
from vta_cli.labels.journal import is_journal
from vta_cli.labels.journal_pairs import read_journal_pairs
from vta_cli.labels.problems import Problems, listed, without
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import (
    BLANK,
    Record,
    find_column,
    no_labels,
    plain,
    rater_of,
    records,
    require_file,
    text,
    weight_of,
)
from vta_cli.tabular import LEFT_COLUMNS, LOSER_COLUMNS, RIGHT_COLUMNS, WINNER_COLUMNS

LEFT = frozenset(("left", "l", "a", "first"))
RIGHT = frozenset(("right", "r", "b", "second"))
TIE = frozenset(("tie", "draw", "equal", "both", "neither", "same", "="))

_Names = tuple[str, str, float | None]
"""Left, right, and the left one's share of the victory; None if nobody won or tied."""


def read_pairs(file: Path) -> LabelSet:
    """Read pairs from a table, or from a journal of the labelling page.

    Parameters
    ----------
    file : Path
        A journal, or a table, see `vta_cli.labels.rows.records`. Columns ``left``, ``right`` and
        ``winner`` (``left``, ``right``, ``tie``, or the winner's own name), or ``winner`` and
        ``loser`` with two paths; ``weight`` and ``rater`` are read where present. Other spellings
        are in `vta_cli.tabular`. A winner ``1`` or ``0`` could mean either side and is reported.

    Returns
    -------
    LabelSet
        Of kind ``pairs``. Each row is a judgement of its own: repeated and contrary ones are kept.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-pair-columns`` or ``no-labels``.
    """
    require_file(file)
    if is_journal(file):
        return read_journal_pairs(file)
    problems = Problems(file.name)
    images = Beside(file)
    labels: list[Label] = []
    names_of: Callable[[Record], _Names] | None = None
    n_blank = 0
    for line, record in records(file):
        names_of = names_of or _columns(record, file)
        where = f"{file.name}:{line}"
        left, right, value = names_of(record)
        if value is None:
            shown = _winner(record)
            if plain(shown) in BLANK:
                n_blank += 1
            else:
                what = f"the winner {excerpt(shown, QUOTED_PATH)} is neither left, right, tie "
                what += "nor one of the two images"
                problems.add("rows without a clear winner", where, what)
            continue
        found = [images.find(name) for name in (left, right)]
        (first, why), (second, why_not) = found
        if first is None or second is None:
            problems.add("pairs of which an image is not there", where, why or why_not)
        elif first == second:
            problems.add(
                "pairs of an image with itself",
                where,
                f"{excerpt(left, QUOTED_PATH)} stands on both sides",
            )
        else:
            weight = weight_of(record, where, problems)
            rater = rater_of(record)
            labels.append(Label(first, value, where, weight, rater, other=second))
    if n_blank:
        problems.add("", file.name, without(n_blank, "pair", "winner"))
    if not labels:
        raise no_labels(file, problems.sentences())
    return LabelSet("pairs", tuple(labels), problems.sentences())


def _columns(record: Record, file: Path) -> Callable[[Record], _Names]:
    """Return what reads a row, by the columns that there are."""
    left, right, winner, loser = (
        find_column(record, None, known)
        for known in (LEFT_COLUMNS, RIGHT_COLUMNS, WINNER_COLUMNS, LOSER_COLUMNS)
    )
    if winner is not None and left is not None and right is not None:
        return lambda row: _three(row, left, right, winner)
    if winner is not None and loser is not None:
        return lambda row: (text(row.get(winner)), text(row.get(loser)), 1.0)
    raise UsageError(
        "no-pair-columns",
        f"{file.name} has no columns left, right and winner",
        hint=f"its columns are {listed(list(record))}; winner and loser, two paths, will do too",
    )


def _three(row: Record, left: str, right: str, winner: str) -> _Names:
    first, second, said = text(row.get(left)), text(row.get(right)), text(row.get(winner))
    word = plain(said)
    if word in LEFT or (said == first and first != second):
        return first, second, 1.0
    if word in RIGHT or (said == second and first != second):
        return first, second, 0.0
    return first, second, 0.5 if word in TIE else None


def _winner(row: Record) -> str:
    name = find_column(row, None, WINNER_COLUMNS)
    return text(row.get(name)) if name is not None else ""
