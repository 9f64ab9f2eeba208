"""A folder of made pictures with a hidden taste, for the demo and for tests.

Everything is drawn or cut from two sample photographs: no download. The same seed gives the same
files with the same versions of Pillow and numpy.

The truth: each picture has a liking, a smooth function of how it was taken (`drawn_shot`); the
made-up person's mood adds a little noise, and what comes out above the median is liked. Because of
the mood nobody can agree perfectly: ordering the pictures by `liked_probability`, the best that
can be known, reaches an AUC of about 0.98 and an accuracy of about 0.92.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median

import numpy as np
from PIL import Image

from vta_cli.errors import UsageError
from vta_cli.images import (
    drawn_faces,
    drawn_landmarks,
    drawn_lens,
    drawn_odd,
    drawn_photos,
    drawn_scenes,
    drawn_stills,
)
from vta_cli.images.drawn_canvas import OVERSAMPLING, Sheet
from vta_cli.images.drawn_shot import TASTE, WOBBLE, Shot, take

LEAST_IMAGES = 20
"""Fewer do not hold every kind of picture and of awkward file."""

COPIES_PER_IMAGE = 0.04
"""Share of near-copies among the pictures."""


@dataclass(frozen=True)
class DrawnImage:
    """The truth about one file.

    Attributes
    ----------
    name : str
        Path relative to the folder, with forward slashes.
    kind : str
        Name of an entry of `KINDS`, or ``unreadable``.
    true_label : int or None
        1 liked, 0 not; None for a file that is no picture.
    liked_probability : float or None
        Chance of label 1, given all but the person's mood.
    copy_of : str or None
        Name of the file that this one is a near-copy of; it has the same label.
    """

    name: str
    kind: str
    true_label: int | None
    liked_probability: float | None
    copy_of: str | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of picture: how often it comes, in which shapes, and who draws it."""

    folder: str
    per_twenty: int
    shapes: tuple[tuple[int, int], ...]  # width : height
    aspect: float  # of the subject
    draw: Callable[[np.random.Generator, Sheet, Shot], None] | None  # None: cut from a photograph
    tint: float


KINDS = {
    "scene": Kind(
        "scenes", 7, ((3, 2), (16, 9), (4, 5)), drawn_landmarks.ASPECT, drawn_scenes.draw, 0.4
    ),
    "face": Kind("faces", 5, ((3, 4), (4, 5), (1, 1)), drawn_faces.ASPECT, drawn_faces.draw, 0.5),
    "still": Kind(
        "stills", 5, ((4, 3), (1, 1), (3, 4)), drawn_stills.ASPECT, drawn_stills.draw, 0.5
    ),
    "photo": Kind("photos", 3, ((3, 2), (4, 3), (1, 1), (3, 4)), 1.0, None, 1.3),
}

_TURNS = [name for name, kind in KINDS.items() for _ in range(kind.per_twenty)]
_STRIDE = 7
"""Coprime to twenty: steps through the turns so that the kinds alternate."""


@dataclass(frozen=True)
class _Made:
    name: str
    kind: str
    liking: float
    mood: float


def describe_taste() -> str:
    """Return the hidden taste in one sentence."""
    return TASTE


def make_folder(
    out: Path, *, n_images: int = 400, seed: int = 0, side_px: int = 384
) -> list[DrawnImage]:
    """Write a folder of made pictures and return the truth about each file.

    Parameters
    ----------
    out : pathlib.Path
        Folder to write into; made if needed. Files of the same names are overwritten.
    n_images : int
        Readable pictures, near-copies included; two unreadable files come on top.
    seed : int
        Decides everything; non-negative.
    side_px : int
        Longest side of a picture [px].

    Returns
    -------
    list of DrawnImage
        In order of drawing; near-copies and unreadable files last.

    Raises
    ------
    UsageError
        ``too-few-images`` for less than `LEAST_IMAGES`.
    """
    if n_images < LEAST_IMAGES:
        raise UsageError(
            "too-few-images",
            f"a made folder of {n_images} pictures would not hold every kind",
            hint=f"ask for at least {LEAST_IMAGES}",
        )
    n_copies = max(len(drawn_odd.COPY_WAYS), round(COPIES_PER_IMAGE * n_images))
    for kind in KINDS.values():
        (out / kind.folder).mkdir(parents=True, exist_ok=True)
    made = [_make(out, seed, index, side_px) for index in range(n_images - n_copies)]
    truth = _judge(made)
    copies = _copy_some(out, truth, n_copies, seed)
    return [*truth, *copies, *_write_unreadable(out, truth)]


def _make(out: Path, seed: int, index: int, side_px: int) -> _Made:
    rng = np.random.default_rng([seed, index])
    name = _TURNS[index * _STRIDE % len(_TURNS)]
    if name == "photo" and not drawn_photos.found():
        name = "scene"
    kind = KINDS[name]
    wide, high = kind.shapes[int(rng.choice(len(kind.shapes)))]
    size = (side_px * wide // max(wide, high), side_px * high // max(wide, high))
    shot = take(rng, size, kind.aspect)
    if kind.draw is None:
        shot, image = drawn_photos.frame(rng, shot)
    else:
        sheet = Sheet(size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
        kind.draw(rng, sheet, shot)
        image = sheet.image.reduce(OVERSAMPLING)
    image = drawn_lens.expose(image, shot, rng, tint=kind.tint)
    path = _write(image, rng, out / kind.folder, name, index)
    mood = float(np.random.default_rng([seed, index, 1]).normal(0, WOBBLE))
    return _Made(path.relative_to(out).as_posix(), name, shot.liking, mood)


def _write(
    image: Image.Image, rng: np.random.Generator, folder: Path, kind: str, index: int
) -> Path:
    """Write the picture in some format; one early portrait and one still life are special."""
    turn = index * _STRIDE % len(_TURNS)
    first = index < len(_TURNS) and turn == _TURNS.index(kind)
    if first and kind == "still":
        path = folder / f"{kind}-{index:04d}-transparent.png"
        drawn_odd.write_transparent(image, path)
    elif first and kind == "face":
        path = folder / f"{kind}-{index:04d}-rotated.jpg"
        drawn_odd.write_rotated(image, path)
    else:
        suffix = str(rng.choice((".jpg", ".png", ".webp"), p=(0.8, 0.1, 0.1)))
        path = folder / f"{kind}-{index:04d}{suffix}"
        drawn_lens.write(image, path, rng)
    return path


def _judge(made: list[_Made]) -> list[DrawnImage]:
    limit = median(one.liking + one.mood for one in made)
    return [
        DrawnImage(
            name=one.name,
            kind=one.kind,
            true_label=int(one.liking + one.mood > limit),
            liked_probability=(1 + math.erf((one.liking - limit) / (WOBBLE * math.sqrt(2)))) / 2,
        )
        for one in made
    ]


def _copy_some(out: Path, truth: list[DrawnImage], n_copies: int, seed: int) -> list[DrawnImage]:
    plain = [one for one in truth if not one.name.endswith(("-rotated.jpg", "-transparent.png"))]
    rng = np.random.default_rng([seed, len(truth), 2])
    copies = []
    for number, place in enumerate(rng.choice(len(plain), n_copies, replace=False)):
        original = plain[int(place)]
        way = drawn_odd.COPY_WAYS[number % len(drawn_odd.COPY_WAYS)]
        source = PurePosixPath(original.name)
        suffix = source.suffix if way == "same-bytes" else ".jpg"
        name = source.with_name(f"{source.stem}-{way}{suffix}").as_posix()
        drawn_odd.write_copy(out / original.name, out / name, way, rng)
        copies.append(
            DrawnImage(
                name,
                original.kind,
                original.true_label,
                original.liked_probability,
                copy_of=original.name,
            )
        )
    return copies


def _write_unreadable(out: Path, truth: list[DrawnImage]) -> list[DrawnImage]:
    whole = next(one.name for one in truth if one.name.endswith(".jpg"))
    drawn_odd.write_truncated(out / whole, out / "broken.jpg")
    drawn_odd.write_text(out / "not-a-picture.jpg")
    return [
        DrawnImage(name, "unreadable", None, None) for name in ("broken.jpg", "not-a-picture.jpg")
    ]
