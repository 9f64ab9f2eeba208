"""Sections of two real photographs, framed like any other shot.

The photographs are the samples that scikit-learn carries, ``china.jpg`` and ``flower.jpg``
(creative commons, attribution: danielbuechele and vultilion on Flickr). They are found without
importing scikit-learn, which takes seconds.

Two sections of one photograph may come out nearly alike by chance; these are not declared as
near-copies, and a good search for duplicates may rightly find them.
"""

import importlib.util
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from vta_cli.images.drawn_shot import Shot


@dataclass(frozen=True)
class _Photograph:
    file: str
    box: tuple[int, int, int, int]  # the subject: left, top, right, bottom [px]

    @property
    def aspect(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) / (bottom - top)


PHOTOGRAPHS = (
    _Photograph("china.jpg", (72, 28, 345, 318)),  # a pagoda above trees
    _Photograph("flower.jpg", (168, 86, 446, 360)),  # a dahlia before dark leaves
)


def found() -> bool:
    """Tell whether the sample photographs are installed."""
    folder = _folder()
    return folder is not None and all((folder / photo.file).is_file() for photo in PHOTOGRAPHS)


@cache
def _folder() -> Path | None:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "datasets" / "images"


@cache
def _load(file: str) -> Image.Image:
    folder = _folder()
    if folder is None:
        raise FileNotFoundError(file)
    with Image.open(folder / file) as image:
        return image.convert("RGB")


def frame(rng: np.random.Generator, shot: Shot) -> tuple[Shot, Image.Image]:
    """Return a section of a photograph that comes as near to `shot` as the photograph allows.

    The shot is returned as it could be taken: where the wanted frame would leave the photograph,
    it is moved inside, and the subject's place and size follow.
    """
    photo = PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))]
    image = _load(photo.file)
    left, top, right, bottom = photo.box
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, right = image.width - right, image.width - left
    ratio = shot.width_px / shot.height_px
    widest = min(image.height, image.width / ratio)
    height = (bottom - top) / shot.extent
    if height > widest:  # not all of them at full width, or they would look alike
        height = widest * float(rng.uniform(0.72, 1))
    width = height * ratio
    x0 = float(np.clip((left + right) / 2 - shot.x * width, 0, image.width - width))
    y0 = float(np.clip((top + bottom) / 2 - shot.y * height, 0, image.height - height))
    section = image.resize(
        (shot.width_px, shot.height_px),
        Image.Resampling.BICUBIC,
        box=(x0, y0, x0 + width, y0 + height),
    )
    enlarged = max(0.0, shot.height_px / height - 1)
    taken = replace(
        shot,
        x=((left + right) / 2 - x0) / width,
        y=((top + bottom) / 2 - y0) / height,
        extent=(bottom - top) / height,
        aspect=photo.aspect,
        blur_px=float(np.hypot(shot.blur_px, 0.5 * enlarged)),  # enlarging softens, too
    )
    return taken, section
