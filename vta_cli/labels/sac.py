"""Simulacra Aesthetic Captions: ratings 1 to 10 of generated images, in an SQLite file.

JD Pressman, Katherine Crowson and others, 2022. Tables ``ratings(sid, iid, rating, verified)`` and
``paths(iid, path)`` are joined on the image's number; ``sid`` is the survey, one sitting of one
person, and so the nearest thing to a rater.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote

from vta_cli.errors import UsageError, excerpt
from vta_cli.labels.finding import finder
from vta_cli.labels.problems import Problems, without
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import require_file
from vta_cli.labels.votes import N_BINS, Votes, bins_from, histogram_set, nothing_found
from vta_cli.records import ImageRef

QUERY = """
SELECT paths.path, ratings.rating, ratings.sid, ratings.rowid, ratings.iid
FROM ratings LEFT JOIN paths ON ratings.iid = paths.iid
WHERE ratings.verified = 1 OR NOT :verified_only
ORDER BY paths.path, ratings.rowid
"""

_Row = tuple[str, int, str, int]
"""Path, rating, rater, row of the table of ratings."""


def read_sac(
    file: Path,
    images: Iterable[ImageRef] | None = None,
    *,
    by_rater: bool = False,
    verified_only: bool = False,
) -> LabelSet:
    """Read the ratings of SAC.

    Parameters
    ----------
    file : Path
        ``sac_public_2022_06_29.sqlite``; it is opened for reading only.
    images : iterable of ImageRef, optional
        The scan of the folder of images; without it the paths are taken from the file's folder.
    by_rater : bool
        Keep each rating with its rater, instead of counting the ratings of an image.
    verified_only : bool
        Leave out ratings that their makers did not verify.

    Returns
    -------
    LabelSet
        Of kind ``histograms`` with bins 1 to 10, or by rater of kind ``scores``.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-database`` or ``no-labels``.
    """
    require_file(file)
    problems = Problems(file.name)
    rows = _ratings(file, verified_only, problems)
    where_is = finder(file, images)
    if not by_rater:
        return histogram_set(_histograms(rows, file), bins_from(1.0, N_BINS), where_is, problems)
    labels: list[Label] = []
    for name, of_image in groupby(rows, key=itemgetter(0)):
        path, why = where_is.find(name)
        for _, rating, rater, number in of_image:
            where = f"{file.name} rating {number}"
            if path is None:
                problems.add("ratings whose image is not there", where, why)
            else:
                labels.append(Label(path, float(rating), where, rater=rater))
    if not labels:
        raise nothing_found(problems.sentences())
    return LabelSet("scores", tuple(labels), problems.sentences())


def _histograms(rows: Iterable[_Row], file: Path) -> Iterator[Votes]:
    for name, of_image in groupby(rows, key=itemgetter(0)):
        counts = [0.0] * N_BINS
        numbers: list[int] = []
        for _, rating, _, number in of_image:
            counts[rating - 1] += 1  # bins are scores 1..10, places 0..9
            numbers.append(number)
        several = f"s {numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else f" {numbers[0]}"
        yield Votes(f"{file.name} rating{several}", name, counts)


def _ratings(file: Path, verified_only: bool, problems: Problems) -> Iterator[_Row]:
    n_blank = 0
    address = f"file:{quote(str(file.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.text_factory = os.fsdecode  # names of files need not be UTF-8
            for path, rating, sid, number, image in database.execute(
                QUERY, {"verified_only": verified_only}
            ):
                where = f"{file.name} rating {number}"
                if rating is None:
                    n_blank += 1
                elif path is None:
                    what = f"the table of paths has no image {excerpt(image)}"
                    problems.add("ratings of unknown images", where, what)
                elif isinstance(rating, int | float) and rating in range(1, N_BINS + 1):
                    yield str(path), int(rating), "" if sid is None else str(sid), int(number)
                else:
                    what = f"{excerpt(rating)} is no whole rating from 1 to {N_BINS}"
                    problems.add("ratings off the scale", where, what)
    except sqlite3.Error as error:
        raise UsageError(
            "bad-database",
            f"{file.name} cannot be read as the database of SAC: {error}",
            hint="it has the tables ratings(sid, iid, rating, verified) and paths(iid, path)",
        ) from error
    if n_blank:
        problems.add("", file.name, without(n_blank, "rating", "value"))
