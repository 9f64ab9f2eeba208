"""TID2013's ``mos_with_names.txt``: a mean opinion score and a file name in each line.

Ponomarenko et al.: Image database TID2013, Signal Processing: Image Communication 30, 2015. The
scores lie on 0..9 (observed: 0.242 to 7.214), not on 1..10, and are kept as they are. The list
writes ``I01`` and ``i01`` for one reference image, so that names are looked up in any letter case.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.finding import finder
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import number, require_file
from vta_cli.labels.votes import N_BINS, bins_from, maximum_entropy, nothing_found
from vta_cli.records import ImageRef

FIRST_BIN = 0.0
LAST_BIN = FIRST_BIN + N_BINS - 1


def read_tid(
    file: Path, images: Iterable[ImageRef] | None = None, *, histograms: bool = False
) -> LabelSet:
    """Read TID2013's list of scores.

    Parameters
    ----------
    file : Path
    images : iterable of ImageRef, optional
        The scan of the folder of distorted images.
    histograms : bool
        Make of each score the maximum-entropy distribution on 0..9 that has it as its mean, as NIMA
        did; see `vta_cli.labels.votes.maximum_entropy`.

    Returns
    -------
    LabelSet
        Of kind ``scores`` on 0..9, or ``histograms`` with bins 0 to 9.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-scores`` or ``no-labels``.
    """
    problems = Problems(file.name)
    where_is = finder(file, images)
    labels: list[Label] = []
    for where, score, name in _lines(file, problems):
        path, why = where_is.find(name)
        if path is None:
            problems.add("lines whose image is not there", where, why)
        else:
            labels.append(Label(path, score, where))
    if not labels:
        raise nothing_found(problems.sentences())
    if not histograms:
        return LabelSet("scores", tuple(labels), problems.sentences())
    bins = bins_from(FIRST_BIN, N_BINS)
    rows = maximum_entropy([label.value for label in labels], bins).tolist()
    made = tuple(
        Label(label.path, label.value, label.source, values=tuple(row))
        for label, row in zip(labels, rows, strict=True)
    )
    return LabelSet("histograms", made, problems.sentences(), bins=bins)


def is_tid(line: str) -> bool:
    """Tell whether a line looks like one of TID2013's list."""
    return _score_and_name(line) is not None


def _lines(file: Path, problems: Problems) -> Iterator[tuple[str, float, str]]:
    require_file(file)
    any_good = False
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        for line_number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            where = f"{file.name}:{line_number}"
            found = _score_and_name(line)
            if found is None:
                problems.add("lines that cannot be read", where, "not a score and a file name")
                continue
            any_good = True
            score, name = found
            if FIRST_BIN <= score <= LAST_BIN:
                yield where, score, name
            else:
                what = f"the score {score:g} lies outside {FIRST_BIN:g}..{LAST_BIN:g}"
                problems.add("scores outside the scale", where, what)
    if not any_good:
        raise UsageError(
            "bad-scores",
            f"{file.name} has no line of a score and a file name",
            hint="TID2013's list has lines such as: 5.51429 I01_01_1.bmp",
        )


def _score_and_name(line: str) -> tuple[float, str] | None:
    head, _, name = line.strip().partition(" ")
    score = number(head)
    name = name.strip()
    return (score, name) if score is not None and name and number(name.split()[0]) is None else None
