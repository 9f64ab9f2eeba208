"""What the user gave as labels, read by the reader that it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vta_cli.config import nearest
from vta_cli.errors import UsageError
from vta_cli.images.swatches import swatch
from vta_cli.labels.distribution import of_rater, raters
from vta_cli.labels.journal import is_journal
from vta_cli.labels.merge import require_both
from vta_cli.labels.records import Kind, LabelSet
from vta_cli.labels.registry import reader
from vta_cli.pipelines.sources import Source, refs_of
from vta_cli.pipelines.train import labels_from_file, labels_from_folders
from vta_cli.records import ImageRef
from vta_cli.store.store import Store

MOST_RATERS = 20
"""Raters that an error names."""
MAT = ".mat"
KINDS = ("binary", "classes", "ordinal", "scores", "tags")
"""Kinds that a table of labels can be said to hold."""
STARS: dict[str, Literal["high", "low"]] = {"high-sd": "high", "low-sd": "low"}
"""How the stars of Kuler's themes become scores, see `vta_cli.labels.kuler`."""


@dataclass(frozen=True)
class Given:
    """Labels as a user names them; one way at a time.

    Attributes
    ----------
    pos, neg : Source or None
        Liked and disliked images.
    labels : Path or None
        A table, or the journal of `vta label`.
    kind : str or None
        One of `KINDS`, if the table shall not decide; ``scores`` also makes scores of tiers.
    positive, label_column, path_column : str or None
        Of the table.
    classes, tiers : Source or None
        Folders of folders.
    histograms : Path or None
        A file of votes.
    images : Source or None
        Where the images of the votes are.
    first_bin : float or None
        Of votes: the score of the first bin, where the file does not say.
    themes, swatches : Path or None
        Of votes on Kuler's themes: the file of the colours, and the folder for their pictures.
    stars : str or None
        One of `STARS`; None is the first.
    pairs : Path or None
    rater : str or None
        Whose labels alone count.
    by_rater : bool
        Of a file of votes: keep single ratings with their raters, if it has them.
    class_names : mapping of int to str
        Names of the classes of numbered folders, instead of the folders' own.
    """

    pos: Source | None = None
    neg: Source | None = None
    labels: Path | None = None
    kind: Kind | None = None
    positive: str | None = None
    label_column: str | None = None
    path_column: str | None = None
    classes: Source | None = None
    tiers: Source | None = None
    histograms: Path | None = None
    images: Source | None = None
    first_bin: float | None = None
    themes: Path | None = None
    swatches: Path | None = None
    stars: str | None = None
    pairs: Path | None = None
    rater: str | None = None
    by_rater: bool = False
    class_names: Mapping[int, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse no labels, several ways, half of one, and sources that are not there.

        Raises
        ------
        UsageError
            ``no-labels``, ``one-class-empty``, ``wrong-option``, or what `Source.check` raises.
        """
        sides = self.pos or self.neg
        ways = {
            "--pos and --neg": sides, "--labels": self.labels, "--classes": self.classes,
            "--tiers": self.tiers, "--histograms": self.histograms, "--pairs": self.pairs,
        }  # fmt: skip
        named = [option for option, way in ways.items() if way is not None]
        if len(named) != 1:
            raise UsageError(
                "no-labels",
                f"labels come in one way, not by {' and '.join(named)} together"
                if named
                else "labels are needed, of one kind",
                hint="give --pos LIKED --neg DISLIKED, or one of --labels FILE, --classes DIR, "
                "--tiers DIR, --histograms FILE, --pairs FILE",
            )
        if (self.pos is None) != (self.neg is None):
            side = "--neg" if self.neg is None else "--pos"
            raise UsageError(
                "one-class-empty",
                f"{side} is missing: a taste needs liked and disliked images",
                hint=f"add {side} FOLDER",
            )
        self._check_options()
        for source in (self.pos, self.neg, self.classes, self.tiers, self.images):
            if source is not None:
                source.check()

    def _check_options(self) -> None:
        of_table = (self.positive, self.label_column, self.path_column)
        if self.labels is None and any(option is not None for option in of_table):
            raise UsageError(
                "wrong-option",
                "--positive, --label-column and --path-column say how to read a table",
                hint="give --labels FILE with them",
            )
        if (
            self.kind is not None
            and self.labels is None
            and (self.tiers is None or self.kind not in ("ordinal", "scores"))
        ):
            raise UsageError(
                "wrong-option",
                f"--kind {self.kind} does not go with these labels",
                hint="it is for --labels FILE; ordinal and scores also for --tiers DIR",
            )
        if self.positive is not None and self.kind not in (None, "binary"):
            raise UsageError(
                "wrong-option",
                f"--positive makes yes and no of a table, --kind {self.kind} something else",
                hint="leave one of the two out",
            )
        if self.by_rater and self.histograms is None:
            raise UsageError(
                "wrong-option",
                "--by-rater is for --histograms FILE of SAC or Kuler",
                hint="a table has a column rater; --rater NAME picks one",
            )
        for option, given in (("--images", self.images), ("--first-bin", self.first_bin)):
            if given is not None and self.histograms is None:
                raise UsageError(
                    "wrong-option",
                    f"{option} is for the votes of --histograms",
                    hint="leave it out, or give --histograms FILE",
                )
        self._check_themes()

    def _check_themes(self) -> None:
        """Refuse Kuler's ratings without their colours and a folder, and the other way round."""
        hint = "say --histograms allMTurkRatings.mat --themes themeData.mat --swatches FOLDER"
        if self.themes is None:
            if self.swatches is not None or self.stars is not None:
                raise UsageError(
                    "wrong-option", "--swatches and --stars are for --themes of Kuler", hint=hint
                )
            if self.histograms is not None and self.histograms.suffix.lower() == MAT:
                raise UsageError(
                    "no-themes",
                    f"{self.histograms.name} rates themes that are not given",
                    hint=hint,
                )
            return
        if self.histograms is None or self.swatches is None:
            what = "--histograms FILE" if self.histograms is None else "--swatches FOLDER"
            raise UsageError("no-themes", f"--themes needs {what}", hint=hint)
        if self.images is not None or self.first_bin is not None:
            raise UsageError(
                "wrong-option",
                "--images and --first-bin have no part in --themes: pictures are drawn into "
                "--swatches, and --stars says what a bin is",
                hint="leave it out",
            )


def read_given(store: Store, given: Given) -> LabelSet:
    """Read the labels.

    Raises
    ------
    UsageError
        Whatever their reader says; ``no-such-rater``.
    """
    labels = _read(store, given)
    if given.rater is None:
        return labels
    known = [name for name, _ in raters(labels)]
    if given.rater not in known:
        raise UsageError(
            "no-such-rater",
            f"no label is by the rater {given.rater!r}",
            hint=nearest(given.rater, known[:MOST_RATERS]) if known else "no label names a rater",
        )
    labels = of_rater(labels, given.rater)
    if labels.kind == "binary":
        require_both(labels.labels)
    return labels


def _read(store: Store, given: Given) -> LabelSet:
    if given.pos is not None and given.neg is not None:
        return labels_from_folders(store, given.pos, given.neg)
    if given.labels is not None:
        return _of_file(given, given.labels)
    if given.classes is not None:
        return reader("classes")(_refs(store, given.classes), names=given.class_names)
    if given.tiers is not None:
        return reader("tiers")(_refs(store, given.tiers), as_scores=given.kind == "scores")
    if given.histograms is not None:
        images = None if given.images is None else _refs(store, given.images)
        single = given.by_rater or given.rater is not None
        if given.themes is not None:
            return reader("kuler")(
                given.themes, given.histograms, given.swatches, swatch,
                spread=STARS[given.stars or "high-sd"], by_rater=single,
            )  # fmt: skip
        return reader("histograms")(
            given.histograms, images, first_bin=given.first_bin, by_rater=single
        )
    return reader("pairs")(given.pairs)


def _of_file(given: Given, file: Path) -> LabelSet:
    of_page = is_journal(file)
    if of_page and given.kind not in (None, "binary"):
        raise UsageError(
            "wrong-option",
            f"{file.name} is a journal of `vta label`, which holds yes and no",
            hint="leave out --kind; its pairs are learnt with --pairs",
        )
    if of_page or given.kind == "binary" or given.positive is not None:
        return labels_from_file(file, given.positive, given.label_column, given.path_column)
    labels = reader("labels")(
        file, kind=given.kind, column=given.label_column, path_column=given.path_column
    )
    if labels.kind == "binary":
        require_both(labels.labels)
    return labels


def _refs(store: Store, source: Source) -> Sequence[ImageRef]:
    return [ref for ref in refs_of(store, source) if isinstance(ref, ImageRef)]
