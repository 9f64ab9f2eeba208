"""The reader of `--histograms FILE`: knows NIMA's json, AVA.txt, TID2013, SAC and counts apart."""

from collections.abc import Iterable
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.ava import is_ava, read_ava
from vta_cli.labels.counts import read_counts
from vta_cli.labels.nima import read_nima
from vta_cli.labels.records import LabelSet
from vta_cli.labels.rows import JSON_LINES, require_file
from vta_cli.labels.sac import read_sac
from vta_cli.labels.tid import is_tid, read_tid
from vta_cli.records import ImageRef

TABLES = frozenset((".csv", ".tsv", *JSON_LINES))
SQLITE = b"SQLite format 3\0"


def read_histograms(
    file: Path,
    images: Iterable[ImageRef] | None = None,
    *,
    first_bin: float | None = None,
    by_rater: bool = False,
) -> LabelSet:
    """Read histograms of votes from any of the files that hold them.

    Parameters
    ----------
    file : Path
        An SQLite file is read as SAC; ``.json`` as NIMA's; ``.csv``, ``.tsv`` and ``.jsonl`` as
        counts; any other by its first line, as AVA.txt or as TID2013's list.
    images : iterable of ImageRef, optional
        The scan of the folder that holds the images of these labels; without it their names are
        paths beside the file.
    first_bin : float, optional
        Score of the first bin, where the file does not say; 1 unless given.
    by_rater : bool
        Keep single ratings with their raters, as SAC has them: the set is of kind ``scores``.

    Returns
    -------
    LabelSet
        Of kind ``histograms``, or by rater ``scores``.

    Raises
    ------
    UsageError
        ``no-raters`` if the file has votes alone;
        ``unknown-histograms``; ``bin-is-fixed`` if `first_bin` is given for a file whose format
        decides it; and what the readers raise.
    """
    require_file(file)
    with file.open("rb") as stream:
        head = stream.read(65536)
    suffix = file.suffix.lower()
    if by_rater and not head.startswith(SQLITE):
        raise UsageError(
            "no-raters",
            f"{file.name} counts votes and does not say whose they are",
            hint="the sqlite file of SAC does; in a table of --labels there may be a column rater",
        )
    if not head.startswith(SQLITE):
        if suffix in TABLES:
            return read_counts(file, images, first_bin=first_bin)
        if suffix == ".json":
            return read_nima(file, images, first_bin=1.0 if first_bin is None else first_bin)
    if first_bin is not None:
        raise UsageError(
            "bin-is-fixed",
            f"the format of {file.name} says what its bins stand for",
            hint="leave the score of the first bin out",
        )
    if head.startswith(SQLITE):
        return read_sac(file, images, by_rater=by_rater)
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    line = next((line for line in lines if line.strip()), "")
    if is_ava(line):
        return read_ava(file, images)
    if is_tid(line):
        return read_tid(file, images, histograms=True)
    raise UsageError(
        "unknown-histograms",
        f"{file.name} is no file of histograms that vta knows",
        hint="it may be NIMA's json, AVA.txt, TID2013's mos_with_names.txt, SAC's sqlite, "
        "or a csv of counts",
    )
