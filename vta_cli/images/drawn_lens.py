"""What a camera does to a picture: light, focus, exposure, grain, and the file that it writes.

Works on finished drawings and photographs alike. Nothing here knows what the picture shows.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vta_cli.images.drawn_shot import Shot

GAMMA = 2.2
"""Approximate decoding exponent of sRGB; exposure multiplies linear light."""


def expose(image: Image.Image, shot: Shot, rng: np.random.Generator, *, tint: float) -> Image.Image:
    """Return `image` as the shot's light, focus, exposure and some grain make it.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB picture of the shot's size.
    shot : Shot
        What was decided.
    rng : numpy.random.Generator
        Source of grain and vignette.
    tint : float
        How strongly the light's warmth colours the picture; drawings that are painted in warm or
        cold colours already need less than photographs.
    """
    if shot.blur_px > 0:
        image = image.filter(ImageFilter.GaussianBlur(shot.blur_px))
    # stops per channel: warm light has more red and less blue, at about equal brightness
    stops = shot.exposure_ev + tint * shot.warmth * np.array([0.35, 0.0, -0.55])
    levels = (np.arange(256) / 255) ** GAMMA
    table = 255 * np.clip(levels * 2 ** stops[:, None], 0, 1) ** (1 / GAMMA)  # (3, 256)
    image = image.point(np.round(table).astype(int).ravel().tolist())
    grain = float(rng.choice((0.8, 2.0, 4.5), p=(0.55, 0.35, 0.1)))
    return _develop(image, rng, grain=grain, vignette=float(rng.choice((0.0, 0.2, 0.35))))


def _develop(
    image: Image.Image, rng: np.random.Generator, *, grain: float, vignette: float
) -> Image.Image:
    width, height = image.size
    pixels = np.asarray(image).astype(np.float32)  # (height, width, 3)
    if vignette:
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        pixels *= (1 - vignette * (x**2 + y**2) / 2)[..., None]
    # Grain of the light, the same in all channels; drawn as a tile that is laid side by side,
    # for normal deviates of every pixel would be the slowest step of the whole picture.
    tile = rng.standard_normal((97, 101), np.float32) * grain
    times = (height // tile.shape[0] + 1, width // tile.shape[1] + 1)
    pixels += np.tile(tile, times)[:height, :width, None]
    return _to_image(pixels)


def _to_image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def write(image: Image.Image, path: Path, rng: np.random.Generator) -> None:
    """Write a JPEG, PNG or WebP file, by the path's suffix.

    A few JPEG files are compressed so hard that it shows.
    """
    if path.suffix == ".png":
        image.save(path, compress_level=2)
    elif path.suffix == ".webp":
        image.save(path, quality=int(rng.integers(70, 92)), method=0)
    else:
        harsh = rng.random() < 0.12
        quality = int(rng.integers(14, 30) if harsh else rng.integers(70, 95))
        image.save(path, quality=quality)
