"""Several tags of one image from a table: a column of lists, or a column for each tag."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vta_cli.errors import UsageError, excerpt
from vta_cli.labels.finding import Beside
from vta_cli.labels.problems import Problems, listed, without
from vta_cli.labels.records import ABSENT, PRESENT, UNKNOWN, Label, LabelSet
from vta_cli.labels.rows import (
    BLANK,
    Record,
    column,
    find_column,
    no_labels,
    plain,
    rater_of,
    records,
    require_file,
    text,
    weight_of,
)
from vta_cli.labels.table import NEGATIVE, POSITIVE
from vta_cli.tabular import PATH_COLUMNS

TAG_COLUMNS = ("tags", "tag", "keywords", "labels")
PREFIXES = ("tag:", "tag_", "tag.")
"""Begin the name of a column that says of each image whether it bears one tag."""
SEPARATORS = re.compile(r"[;|,]")
NOT = "!"
"""Before a tag: the image does not bear it."""
NONE = frozenset(("-", "[]"))
"""Cells of an image that bears no tag at all (an empty cell says nothing)."""

Unlisted = Literal["absent", "unknown"]


@dataclass(frozen=True, slots=True)
class _Tagged:
    path: str
    source: str
    weight: float
    rater: str
    states: Mapping[str, int]


def read_tags(
    file: Path,
    *,
    names: Sequence[str] = (),
    tag_columns: Sequence[str] = (),
    path_column: str | None = None,
    unlisted: Unlisted = "absent",
) -> LabelSet:
    """Read tags from a table.

    Parameters
    ----------
    file : Path
        See `vta_cli.labels.rows.records`. Either a column of lists (one of `TAG_COLUMNS`; tags
        parted by ``;``, ``|`` or ``,``, in JSON lines an array; ``!tag`` says that it is absent,
        ``-`` that all are), or a column for each tag with yes and no, whose name begins with one
        of `PREFIXES`. A path may have several rows, one for each tag.
    names : sequence of str
        The tags that are meant, in their order; others are reported and left out. Without them
        every tag that occurs, in the order of the alphabet.
    tag_columns : sequence of str
        Names of the columns with yes and no, two or more, or of the one column of lists.
    path_column : str, optional
        Where it is not one of `vta_cli.tabular.PATH_COLUMNS`.
    unlisted : {"absent", "unknown"}
        What a list says of the tags that it leaves out.

    Returns
    -------
    LabelSet
        Of kind ``tags``; an empty cell leaves a tag `UNKNOWN`.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-table``, ``no-path-column``, ``no-tag-column`` or ``no-labels``.
    """
    require_file(file)
    problems = Problems(file.name)
    images = Beside(file)
    wanted = {plain(name): name for name in names}
    found: list[_Tagged] = []
    reader: _Lists | _Columns | None = None
    path_name = ""
    n_blank = 0
    for line, record in records(file):
        if reader is None:
            path_name = column(record, path_column, PATH_COLUMNS, "path", file)
            reader = _reader(record, tag_columns, file)
        where = f"{file.name}:{line}"
        path, why = images.find(text(record.get(path_name)))
        if path is None:
            problems.add("rows whose image is not there", where, why)
            continue
        states = reader.states(record, where, problems)
        if states is None:
            n_blank += 1
            continue
        for tag in [tag for tag in states if wanted and plain(tag) not in wanted]:
            problems.add(
                "tags that were not asked for", where, f"the tag {excerpt(tag)} is not known"
            )
            del states[tag]
        weight = weight_of(record, where, problems)
        found.append(_Tagged(path, where, weight, rater_of(record), states))
    if n_blank:
        problems.add("", file.name, without(n_blank, "row", "tags"))
    open_world = unlisted == "unknown" or isinstance(reader, _Columns)
    return _tag_set(found, names, UNKNOWN if open_world else ABSENT, problems, file)


def _tag_set(
    found: Sequence[_Tagged], names: Sequence[str], unlisted: int, problems: Problems, file: Path
) -> LabelSet:
    """Make a label set of what was said of each image; spellings of a tag differ in case alone."""
    if not found:
        raise no_labels(file, problems.sentences())
    spelled = {plain(tag): tag for one in reversed(found) for tag in reversed(list(one.states))}
    order = [plain(name) for name in names] or sorted(spelled)
    if not order:
        raise no_labels(file, ("no row bears a tag",))
    shown = tuple(names) or tuple(spelled[tag] for tag in order)
    labels = []
    for one in found:
        states = {plain(tag): state for tag, state in one.states.items()}
        values = tuple(float(states.get(tag, unlisted)) for tag in order)
        n_present = float(values.count(PRESENT))
        labels.append(Label(one.path, n_present, one.source, one.weight, one.rater, values))
    return LabelSet("tags", tuple(labels), problems.sentences(), names=shown)


def _reader(record: Record, asked: Sequence[str], file: Path) -> "_Lists | _Columns":
    if asked:
        columns = [column(record, name, (), "tag", file) for name in asked]
        if len(columns) > 1 or plain(columns[0]).startswith(PREFIXES):
            return _Columns({name: _without_prefix(name) for name in columns})
        return _Lists(columns[0])
    single = {name: _without_prefix(name) for name in record if plain(name).startswith(PREFIXES)}
    if single:
        return _Columns(single)
    lists = find_column(record, None, TAG_COLUMNS)
    if lists is None:
        raise UsageError(
            "no-tag-column",
            f"{file.name} has no column of tags (one of {', '.join(TAG_COLUMNS)}, or such as "
            f"{PREFIXES[0]}dog)",
            hint=f"its columns are {listed(list(record))}; name those that hold tags",
        )
    return _Lists(lists)


def _without_prefix(name: str) -> str:
    shown = name.strip()
    return shown[len(PREFIXES[0]) :] if shown.casefold().startswith(PREFIXES) else shown


class _Lists:
    """Reads a column whose cells list tags."""

    def __init__(self, name: str) -> None:
        self._name = name

    def states(self, record: Record, where: str, problems: Problems) -> dict[str, int] | None:
        """Return a state for each tag that the cell names; None for an empty cell."""
        cell = record.get(self._name)
        if isinstance(cell, dict):
            return {
                str(tag).strip(): _state(text(said), str(tag), where, problems)
                for tag, said in cell.items()
            }
        if isinstance(cell, list):
            return _listed(map(text, cell))
        shown = text(cell).strip()
        if shown in NONE:
            return {}
        return None if plain(shown) in BLANK else _listed(SEPARATORS.split(shown))


class _Columns:
    """Reads columns of which each says yes or no of one tag."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        self._tags = tags

    def states(self, record: Record, where: str, problems: Problems) -> dict[str, int] | None:
        """Return a state for each tag; None if every cell is empty."""
        states: dict[str, int] = {}
        for name, tag in self._tags.items():
            states[tag] = _state(text(record.get(name)), tag, where, problems)
        return None if set(states.values()) <= {UNKNOWN} else states


def _state(shown: str, tag: str, where: str, problems: Problems) -> int:
    """Read yes or no of one tag; what is neither leaves it unknown."""
    if plain(shown) in POSITIVE:
        return PRESENT
    if plain(shown) in NEGATIVE:
        return ABSENT
    if plain(shown) not in BLANK:
        said = f"{excerpt(shown)} is neither yes nor no of the tag {excerpt(tag)}"
        problems.add("cells that are neither yes nor no", where, said)
    return UNKNOWN


def _listed(tags: Iterable[str]) -> dict[str, int]:
    states: dict[str, int] = {}
    for tag in tags:
        shown = tag.strip()
        absent = shown.startswith(NOT)
        shown = shown[len(NOT) :].strip() if absent else shown
        if shown:
            states[shown] = ABSENT if absent else PRESENT
    return states
