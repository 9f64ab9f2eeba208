"""Sample pictures beside the checkout, for the benchmarks of the classic backbone."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vta_cli.backbones.classic_recipe import MAX_SIDE_PX

DATA = Path(__file__).parents[1].parent / "shared" / "data"
"""Where the sample sets are looked for unless told otherwise."""


def read_picture(path: Path) -> np.ndarray:
    """Decode as the recipe's preprocessing does: upright, RGB, shrunk only if it is larger."""
    with Image.open(path) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
        longest = max(picture.size)
        if longest > MAX_SIDE_PX:
            size = tuple(max(1, round(n * MAX_SIDE_PX / longest)) for n in picture.size)
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        return np.asarray(picture)
