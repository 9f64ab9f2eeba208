"""AVA.txt: votes, tags and challenge of 255,530 photographs of a competition site.

Murray, Marchesotti, Perronnin: AVA, a large-scale database for aesthetic visual analysis, CVPR
2012. Fifteen whole numbers a line: row, image id, votes for 1 to 10, two tags (0: none), challenge.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.finding import finder
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import ABSENT, PRESENT, Label, LabelSet
from vta_cli.labels.rows import require_file
from vta_cli.labels.votes import N_BINS, Votes, bins_from, histogram_set, nothing_found
from vta_cli.records import ImageRef

N_NUMBERS = 15
VOTES = slice(2, 2 + N_BINS)
TAGS = slice(12, 14)


def read_ava(file: Path, images: Iterable[ImageRef] | None = None) -> LabelSet:
    """Read the votes of AVA.txt.

    Parameters
    ----------
    file : Path
    images : iterable of ImageRef, optional
        The scan of the folder of images, ``953619.jpg`` for id 953619.

    Returns
    -------
    LabelSet
        Of kind ``histograms``, bins 1 to 10.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-histograms`` or ``no-labels``.
    """
    problems = Problems(file.name)
    found = (
        Votes(where, str(numbers[1]), numbers[VOTES]) for where, numbers in _lines(file, problems)
    )
    return histogram_set(found, bins_from(1.0, N_BINS), finder(file, images), problems)


def read_ava_tags(
    file: Path, images: Iterable[ImageRef] | None = None, *, tags_file: Path | None = None
) -> LabelSet:
    """Read the tags of AVA.txt.

    Parameters
    ----------
    tags_file : Path, optional
        AVA's tags.txt, lines of a number and a name; without it a tag is called ``tag 22``.

    Returns
    -------
    LabelSet
        Of kind ``tags``. An image bears at most two tags; the photographers chose them, so that a
        missing one says little about the picture, but it counts as absent.

    Raises
    ------
    UsageError
        As `read_ava`.
    """
    problems = Problems(file.name)
    names = _tag_names(tags_file) if tags_file is not None else {}
    where_is = finder(file, images)
    found: list[tuple[str, str, frozenset[int]]] = []
    for where, numbers in _lines(file, problems):
        path, why = where_is.find(str(numbers[1]))
        if path is None:
            problems.add("rows whose image is not there", where, why)
            continue
        found.append((path, where, frozenset(numbers[TAGS]) - {0}))
    order = sorted(frozenset().union(*(tags for _, _, tags in found)))
    if not order:
        raise nothing_found(problems.sentences() or ("no image bears a tag",))
    labels = tuple(
        Label(
            path, float(len(tags)), where,
            values=tuple(float(PRESENT if tag in tags else ABSENT) for tag in order),
        )
        for path, where, tags in found
    )  # fmt: skip
    shown = tuple(names.get(tag, f"tag {tag}") for tag in order)
    return LabelSet("tags", labels, problems.sentences(), names=shown)


def is_ava(line: str) -> bool:
    """Tell whether a line looks like one of AVA.txt."""
    return _numbers(line) is not None


def _lines(file: Path, problems: Problems) -> Iterator[tuple[str, list[int]]]:
    require_file(file)
    any_good = False
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            numbers = _numbers(line)
            if numbers is None:
                what = f"not {N_NUMBERS} whole numbers"
                problems.add("lines that cannot be read", f"{file.name}:{number}", what)
                continue
            any_good = True
            yield f"{file.name}:{number}", numbers
    if not any_good:
        raise UsageError(
            "bad-histograms",
            f"{file.name} has no line of {N_NUMBERS} whole numbers",
            hint="AVA.txt holds row, image id, ten counts, two tags and a challenge in each line",
        )


def _numbers(line: str) -> list[int] | None:
    parts = line.split()
    if len(parts) != N_NUMBERS:
        return None
    try:
        return [int(part) for part in parts]
    except ValueError:
        return None


def _tag_names(file: Path) -> dict[int, str]:
    require_file(file)
    names: dict[int, str] = {}
    for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        head, _, name = line.strip().partition(" ")
        if head.isdecimal() and name.strip():
            names[int(head)] = name.strip()
    return names
