"""What identifies the classic backbone; told without computing or importing anything heavy."""

from vta_cli.records import Preprocess, Recipe

NAME = "classic/1"
"""Full name; the number is the version of the features."""

DIM = 3514
"""Columns of a vector."""

MAX_SIDE_PX = 1024
"""Longer sides are shrunk to this before anything is measured [px]."""

DEDUPE_THRESHOLD = 0.92
"""Cosine similarity from which two pictures count as near-duplicates by default.

Vectors are centred, so that unrelated pictures lie near 0 and this is lower than for a network.
On the sample sets no two photographs that differ reach 0.86, but drawn scenes from one hand come to
0.916 (`docs/classic.md`). A missed copy does less harm than a picture taken for one."""


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
