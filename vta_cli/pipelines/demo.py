"""The demo's set of pictures: a folder, some labels, the truth, and how well scores agree with it.

Knows the files alone. The commands that learn from them are run by `commands/demo.py` as a user
would run them.
"""

import csv
import json
import shutil
from dataclasses import asdict, dataclass
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
        Folder of the set: absent, empty, or made by an earlier call. Other files in it (a store,
        results) are left alone.
    seed : int
        Decides the pictures and which of them are labelled.
    n_images : int
        Readable pictures; see `make_folder`.
    n_labelled : int
        Labelled examples of each class, at most a third of the class.
    progress : Progress, optional
        Told what is being done.

    Returns
    -------
    DemoSet

    Raises
    ------
    UsageError
        ``folder-not-empty`` if `out` holds something else, ``other-demo`` if it holds a set of
        other settings, ``too-few-images``.
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
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(
                "folder-not-empty",
                f"{out} exists and holds no demo",
                hint="name a folder that does not exist yet",
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
        in the working directory, then in the pictures' folder.
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
    images = truth_csv.absolute().parent / "images"
    scores = _read_scores(scores_csv, images)
    with truth_csv.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "held-out"]
    known = [
        (row, scores[(images / row["path"]).resolve()])
        for row in rows
        if (images / row["path"]).resolve() in scores
    ]
    labels = np.array([int(row["label"]) for row, _ in known], np.int8)
    if labels.size == 0 or labels.min() == labels.max():
        raise UsageError(
            "nothing-to-compare",
            f"{scores_csv} scores no liked and disliked pictures of {images}",
            hint=f"score that folder first: vta score {images}",
        )
    values = np.array([score for _, score in known])
    chances = np.array([float(row["liked_probability"]) for row, _ in known])
    return Agreement(
        auc=_auc(labels, values),
        accuracy=float(np.mean((values >= 0.5) == (labels == 1))),
        ceiling=_auc(labels, chances),
        n=int(labels.size),
    )


def _read_scores(scores_csv: Path, images: Path) -> dict[Path, float]:
    scores = {}
    # names that are not UTF-8 come as surrogates, as everywhere in vta
    with scores_csv.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            if row.get("score"):
                path = Path(row["path"])
                path = path if path.exists() else images / path
                scores[path.resolve()] = float(row["score"])
    return scores


def _auc(labels: NDArray[np.int8], scores: NDArray[np.float64]) -> float:
    """Return the chance that a liked picture scores above a disliked one; ties count half."""
    liked = np.sort(scores[labels == 1])
    disliked = scores[labels == 0]
    below = np.searchsorted(liked, disliked, side="left")
    up_to = np.searchsorted(liked, disliked, side="right")
    wins = np.sum(liked.size - up_to) + 0.5 * np.sum(up_to - below)
    return float(wins) / (liked.size * disliked.size)
