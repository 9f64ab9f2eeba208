"""What identifies the classic backbone, without computing anything: imports nothing heavy."""

from vta_cli.records import Preprocess, Recipe

NAME = "classic/1"
"""Full name; the number is the version of the features."""

DIM = 3642
"""Columns of a vector."""

MAX_SIDE_PX = 1024
"""Longer sides are shrunk to this before anything is measured [px]."""

DEDUPE_THRESHOLD = 0.97
"""Cosine similarity from which two pictures count as near-duplicates by default."""


def recipe() -> Recipe:
    """Return the recipe of the vectors that this version of the classic backbone makes."""
    return Recipe(
        backbone=NAME,
        weights="none",
        dim=DIM,
        preprocess=Preprocess(
            mode="native", resize_px=MAX_SIDE_PX, crop_px=0, interpolation="bicubic"
        ),
        precision="fp32",
        extra={"version": 1},
    )
