"""The demo's set of pictures: a folder, some labels, the truth, and how well scores agree with it.

Knows the files alone. The commands that learn from them are run by `commands/demo.py` as a user
would run them.
"""

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import ArrangeError, UsageError
from vta_cli.images.drawn import DrawnImage, make_folder
from vta_cli.pipelines.progress import Progress, Silent

DRAWING_VERSION = 1
"""Raised whenever the same seed would give other pictures."""

SETTINGS_NAME = "demo.json"
TRUTH_COLUMNS = ("path", "label", "split", "kind", "copy_of", "liked_probability")
EVEN = 0.5
"""Score from which a picture counts as liked."""

Split = Literal["labelled", "held-out", "copy", "unreadable"]


@dataclass(frozen=True)
class DemoSet:
    """Where the demo's files are.

    Attributes
    ----------
    images : pathlib.Path
        Folder of all pictures, the labelled ones included.
    liked, disliked : pathlib.Path
        Copies of the labelled examples, outside `images`.
    truth : pathlib.Path
        CSV of `TRUTH_COLUMNS`, a row per file of `images`; `path` is relative to `images`. The
        split is ``labelled``, ``held-out``, ``copy`` (a near-copy) or ``unreadable``.
    """

    images: Path
    liked: Path
    disliked: Path
    truth: Path


class Agreement(NamedTuple):
    """How well scores agree with the hidden truth on pictures that were not labelled.

    Attributes
    ----------
    auc, accuracy : float
        In 0..1; the accuracy takes scores from 0.5 upwards as liked.
    ceiling : float
        AUC of the best possible scores on the same pictures: the true probabilities. Below 1,
        because the made-up person has moods.
    n : int
        Number of pictures compared.
    """

    auc: float
    accuracy: float
    ceiling: float
    n: int


@dataclass(frozen=True)
class _Settings:
    seed: int
    n_images: int
    n_labelled: int
    version: int = DRAWING_VERSION


def prepare(
    out: Path,
    seed: int = 0,
    *,
    n_images: int = 400,
    n_labelled: int = 60,
    progress: Progress | None = None,
) -> DemoSet:
    """Draw the demo's pictures and label some of them; a set that is there already is kept.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the set; made if needed. Other files in it (a store, results) are left alone.
    seed : int
        Decides the pictures and which of them are labelled.
    n_images : int
        Readable pictures; see `make_folder`.
    n_labelled : int
        Labelled examples of each class, at most a third of it.
    progress : Progress, optional
        Told what is being done.

    Returns
    -------
    DemoSet

    Raises
    ------
    UsageError
        ``folder-not-empty`` if `out` holds such folders of another origin, ``other-demo`` if it
        holds a set of other settings, ``too-few-images``.
    ArrangeError
        ``unwritable-output`` if the files cannot be written.
    """
    out = out.absolute()
    wanted = _Settings(seed, n_images, n_labelled)
    found = DemoSet(out / "images", out / "liked", out / "disliked", out / "truth.csv")
    if _is_there(out, wanted, found):
        return found
    (progress or Silent()).note(f"drawing {n_images} pictures into {found.images}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / SETTINGS_NAME).write_text(json.dumps(asdict(wanted)) + "\n", encoding="utf-8")
        drawn = make_folder(found.images, n_images=n_images, seed=seed)
        labelled = _label_some(found, drawn, wanted)
        _write_truth(found.truth, drawn, labelled)
    except OSError as error:
        raise ArrangeError(
            "unwritable-output",
            f"the demo's pictures cannot be written to {out}: {error.strerror or error}",
            hint="name a folder that can be written to and has some 20 MB of room",
        ) from error
    return found


def _is_there(out: Path, wanted: _Settings, found: DemoSet) -> bool:
    """Tell whether the set is complete; the truth is written last, so that it is the commit."""
    try:
        settings = json.loads((out / SETTINGS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        in_the_way = [path for path in astuple(found) if os.path.lexists(path)]
        if in_the_way:
            raise UsageError(
                "folder-not-empty",
                f"{in_the_way[0]} exists and was not made by a demo",
                hint="name another folder for the demo: vta demo --out FOLDER",
            ) from None
        return False
    if settings != asdict(wanted):
        raise UsageError(
            "other-demo",
            f"{out} holds a demo with other settings: {json.dumps(settings)}",
            hint="remove that folder, or name another one",
        )
    return found.truth.is_file()


def _label_some(found: DemoSet, drawn: list[DrawnImage], wanted: _Settings) -> set[str]:
    """Copy labelled examples into the two folders; near-copies and their originals are left out."""
    copied = {one.copy_of for one in drawn if one.copy_of}
    free = [one for one in drawn if one.copy_of is None and one.name not in copied]
    rng = np.random.default_rng([wanted.seed, 3])
    chosen = set()
    for folder, label in ((found.liked, 1), (found.disliked, 0)):
        folder.mkdir(exist_ok=True)
        candidates = [one.name for one in free if one.true_label == label]
        n_chosen = min(wanted.n_labelled, len(candidates) // 3)
        for place in rng.choice(len(candidates), n_chosen, replace=False):
            name = candidates[int(place)]
            shutil.copyfile(found.images / name, folder / Path(name).name)
            chosen.add(name)
    return chosen


def _split(one: DrawnImage, labelled: set[str]) -> Split:
    if one.true_label is None:
        return "unreadable"
    if one.copy_of is not None:
        return "copy"
    return "labelled" if one.name in labelled else "held-out"


def _write_truth(path: Path, drawn: list[DrawnImage], labelled: set[str]) -> None:
    half = path.with_name(path.name + ".part")
    with half.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(TRUTH_COLUMNS)
        for one in drawn:
            label = "" if one.true_label is None else one.true_label
            chance = "" if one.liked_probability is None else f"{one.liked_probability:.4f}"
            row = (one.name, label, _split(one, labelled), one.kind, one.copy_of or "", chance)
            writer.writerow(row)
    half.replace(path)


def agreement(scores_csv: Path, truth_csv: Path) -> Agreement:
    """Compare scores with the hidden truth on the pictures that nobody labelled.

    Parameters
    ----------
    scores_csv : pathlib.Path
        What ``vta score`` prints: columns ``path`` and ``score``. A relative path is looked for
        beside this file, in the working directory, then in the pictures' folder.
    truth_csv : pathlib.Path
        `DemoSet.truth`.

    Returns
    -------
    Agreement

    Raises
    ------
    UsageError
        ``nothing-to-compare`` if the held-out pictures with a score are not of both classes.
    """
    images = truth_csv.resolve().parent / "images"
    scores = dict(_read_scores(scores_csv, images))
    known = []
    for row in _read_truth(truth_csv):
        path = str(images / row["path"])
        if row["split"] == "held-out" and path in scores:
            known.append((int(row["label"]), scores[path], float(row["liked_probability"])))
    if {label for label, _, _ in known} != {0, 1}:
        raise UsageError(
            "nothing-to-compare",
            f"{scores_csv} holds no scores of liked and disliked pictures of {images}",
            hint=f"score that folder first: vta score {images}",
        )
    table = np.array(known)  # (n, 3)
    liked, values, chances = table[:, 0] == 1, table[:, 1], table[:, 2]
    return Agreement(
        auc=_auc(liked, values),
        accuracy=float(np.mean((values >= EVEN) == liked)),
        ceiling=_auc(liked, chances),
        n=len(known),
    )


def _read_truth(truth_csv: Path) -> list[dict[str, str]]:
    with truth_csv.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read_scores(scores_csv: Path, images: Path) -> Iterator[tuple[str, float]]:
    """Yield resolved paths and scores; rows without a score are passed over."""
    # names that are not UTF-8 come as surrogates, as everywhere in vta
    with scores_csv.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            if row.get("score"):
                places = [base / row["path"] for base in (scores_csv.parent, Path(), images)]
                path = next((place for place in places if place.exists()), places[0])
                yield str(path.resolve()), float(row["score"])


def _auc(liked: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the chance that a liked picture scores above a disliked one; ties count half."""
    above, below = np.sort(scores[liked]), scores[~liked]
    beaten = np.searchsorted(above, below, side="left")
    tied = np.searchsorted(above, below, side="right") - beaten
    wins = np.sum(above.size - beaten - tied) + 0.5 * np.sum(tied)
    return float(wins) / (above.size * below.size)
