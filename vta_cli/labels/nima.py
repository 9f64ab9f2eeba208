"""Histograms in the JSON of NIMA's implementations: stems of images and ten numbers each."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.labels.finding import finder
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import LabelSet
from vta_cli.labels.rows import parse_json, require_file
from vta_cli.labels.votes import Votes, all_geometric, bins_from, histogram_set
from vta_cli.records import ImageRef

ID_FIELDS = ("image_id", "image", "path", "file")
COUNT_FIELDS = ("label", "counts", "histogram", "votes", "ratings")


def read_nima(
    file: Path, images: Iterable[ImageRef] | None = None, *, first_bin: float = 1.0
) -> LabelSet:
    """Read NIMA's label JSON (idealo/image-quality-assessment).

    Parameters
    ----------
    file : Path
        A list of ``{"image_id": stem, "label": [numbers]}``, counts or shares.
    images : iterable of ImageRef, optional
        The scan of the folder of images; without it the ids are paths beside the file.
    first_bin : float
        Score of the first bin. 1 for AVA; 0 for the files made of TID2013, whose scores begin at 0:
        NIMA's implementations read them from 1 and so predict one too much.

    Returns
    -------
    LabelSet
        Of kind ``histograms``, as many bins as most entries have.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-histograms`` or ``no-labels``.
    """
    require_file(file)
    problems = Problems(file.name)
    found = list(_entries(file, problems))
    if not found:
        raise _bad(file, "it has no entry with an image and a list of numbers")
    n_bins = Counter(len(one.counts) for one in found).most_common(1)[0][0]
    bins = bins_from(first_bin, n_bins)
    usable = [one.counts for one in found if len(one.counts) == n_bins]
    labels = histogram_set(found, bins, finder(file, images), problems)
    if first_bin == 1.0 and all_geometric(usable):
        note = (
            f"{file.name}: these are no votes but maximum-entropy curves about a mean; if they "
            "were made of TID2013, their first bin is 0 and not 1: say --first-bin 0"
        )
        labels = replace(labels, problems=(note, *labels.problems))
    return labels


def _entries(file: Path, problems: Problems) -> Iterator[Votes]:
    try:
        data = parse_json(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise _bad(file, f"it is no JSON ({error})") from error
    if not isinstance(data, list):
        raise _bad(file, "it is no list")
    for number, entry in enumerate(data, start=1):
        where = f"{file.name} entry {number}"
        fields = entry if isinstance(entry, dict) else {}
        name = _first(fields, ID_FIELDS)
        counts = _first(fields, COUNT_FIELDS)
        if name is None or not isinstance(counts, list) or not all(map(_is_number, counts)):
            problems.add("entries that cannot be used", where, "no image or no list of numbers")
        else:
            yield Votes(where, str(name), counts)


def _first(fields: dict[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(file: Path, why: str) -> UsageError:
    return UsageError(
        "bad-histograms",
        f"{file.name} is no label file of NIMA: {why}",
        hint='it is a list of {"image_id": "953619", "label": [0, 1, 5, 17, 38, 36, 15, 6, 5, 1]}',
    )
