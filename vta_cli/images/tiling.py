"""Which readings there are of a picture, and how large their tiles: loads no decoder."""

from typing import Literal

from vta_cli.records import Preprocess

View = Literal["whole", "five-crop"]
VIEWS: tuple[View, ...] = ("whole", "five-crop")
N_VIEWS: dict[View, int] = {"whole": 1, "five-crop": 5}
"""Vectors an image."""


def tile_sizes(preprocess: Preprocess) -> tuple[int, int]:
    """Return how wide a tile is, and what the shorter side of a long picture is shrunk to [px].

    City96's CityClassifiers (2023) cut tiles of 672 px, twice what their network of 336 px looks
    at, from pictures whose shorter side is shrunk to 1536 px if the longer one exceeds that. Both
    numbers grow with the network: 2 px and 32/7 px. ``native`` readings, which have no crop, count
    with the longest side that they keep.
    """
    px = preprocess.crop_px or preprocess.resize_px
    return 2 * px, 32 * px // 7
