"""Awkward files that every real folder holds: near-copies, and what cannot be read."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

COPY_WAYS = ("encoded-again", "resized", "brightened", "same-bytes")
"""How a near-copy differs from its original."""

EXIF_ORIENTATION = 0x0112
ROTATED_90_CW = 6
"""Value of that tag: the stored rows have to be turned by 90 degrees clockwise to be seen right."""


def write_copy(source: Path, target: Path, way: str, rng: np.random.Generator) -> None:
    """Write a near-copy of a picture file, in one of `COPY_WAYS`."""
    if way == "same-bytes":
        shutil.copyfile(source, target)
        return
    with Image.open(source) as image:
        copy = image.convert("RGB")
    if way == "resized":
        share = float(rng.uniform(0.7, 0.85))
        copy = ImageOps.scale(copy, share, Image.Resampling.LANCZOS)
    elif way == "brightened":
        copy = ImageEnhance.Brightness(copy).enhance(float(rng.uniform(1.03, 1.06)))
    copy.save(target, quality=88 if way != "encoded-again" else int(rng.integers(60, 75)))


def write_transparent(image: Image.Image, path: Path) -> None:
    """Write a PNG whose corners are rounded off by transparency."""
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *image.size), image.height // 10, fill=255)
    cut = image.copy()
    cut.putalpha(mask)
    cut.save(path, compress_level=2)


def write_rotated(image: Image.Image, path: Path) -> None:
    """Write a JPEG that lies on its side, as phones do, with the tag that sets it upright."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = ROTATED_90_CW
    image.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=exif)


def write_truncated(source: Path, target: Path) -> None:
    """Write the first part of a JPEG file, as a download that broke off leaves it."""
    data = source.read_bytes()
    target.write_bytes(data[: len(data) * 2 // 5])


def write_text(path: Path) -> None:
    """Write a text file, whatever the name says."""
    path.write_text("This is a text file with the name of a picture.\n" * 20, encoding="ascii")
