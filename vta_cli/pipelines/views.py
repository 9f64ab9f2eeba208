"""Several vectors an image: which recipe they have, and how they become one where one is needed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.images.tiling import N_VIEWS, VIEWS, View, tile_sizes
from vta_cli.records import Recipe, Vectors

TILING = "tiling"
"""Field of `Recipe.extra` with the sizes of the tiles [px]."""
MARK = "@five-crop"
"""End of the pin of a store whose images are cut into tiles."""


def check_view(name: str) -> None:
    """Refuse a view that there is none of, before anything is opened.

    Raises
    ------
    UsageError
        ``unknown-view``.
    """
    if name not in ("auto", *VIEWS):
        raise UsageError(
            "unknown-view", f"there are no views {name!r}", hint=f"use auto, {' or '.join(VIEWS)}"
        )


def with_view(recipe: Recipe, view: View) -> Recipe:
    """Return the recipe of the same backbone with another view of the pictures."""
    if recipe.view == view:
        return recipe
    extra = {name: value for name, value in recipe.extra.items() if name != TILING}
    if view == "five-crop":
        tile_px, limit_px = tile_sizes(recipe.preprocess)
        extra[TILING] = {"tile_px": tile_px, "limit_px": limit_px}
    return replace(recipe, view=view, n_views=N_VIEWS[view], extra=extra)


def whole_recipes(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return the recipes as they would be of whole pictures, each once.

    A space of tiles tells as much of its backbone as one of whole pictures.
    """
    return list(
        {found.digest: found for found in (with_view(r, "whole") for r in recipes)}.values()
    )


def split_pin(pin: str) -> tuple[str, View]:
    """Return the backbones' part of a pin, and the view that it asks for."""
    return (pin.removesuffix(MARK), "five-crop") if pin.endswith(MARK) else (pin, "whole")


def join_pin(backbones: str, view: View) -> str:
    """Return the pin that `split_pin` reads."""
    return backbones + MARK * (view == "five-crop")


def choose_view(wish: str, pin: str | None) -> View:
    """Return the view of a run: the one asked for, else the one that the store is pinned to."""
    check_view(wish)
    if wish == "auto":
        return "whole" if pin is None else split_pin(pin)[1]
    return "five-crop" if wish == "five-crop" else "whole"


def shown_view(wish: str) -> View | None:
    """Return the view that a head is to be shown, None for what it was made for."""
    check_view(wish)
    return None if wish == "auto" else choose_view(wish, None)


def all_views(vectors: Vectors, counts: Sequence[int], n_views: int) -> Vectors:
    """Return the views of images from the vectors of what was shown of them.

    Parameters
    ----------
    vectors : ndarray of shape (sum of counts, dim), float32
        Of the readings of each image, in order.
    counts : sequence of int
        Readings of each image: `n_views`, or 1 that stands for all views, as of a picture that is
        too small for tiles.

    Returns
    -------
    ndarray of shape (n, n_views, dim), float32
    """
    n_readings = np.asarray(counts, np.int64)
    times = np.repeat(n_views // n_readings, n_readings)
    return np.repeat(vectors, times, axis=0).reshape(len(counts), n_views, vectors.shape[1])


def one_vector(vectors: Vectors) -> Vectors:
    """Return one vector an image, for comparing images with one another.

    Parameters
    ----------
    vectors : ndarray of shape (n, n_views, dim), float32

    Returns
    -------
    ndarray of shape (n, dim), float32
        The vector itself of a single view; else the mean of the views' vectors, each scaled to unit
        length, so that no tile counts for more than another.
    """
    if vectors.shape[1] == 1:
        return vectors[:, 0, :]
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1.0)
    found: Vectors = units.mean(axis=1, dtype=np.float64).astype(np.float32)
    return found


def to_learn(vectors: Sequence[Vectors]) -> list[Vectors]:
    """Return blocks to learn from: with views, unless the views of every image are all alike.

    They are alike where no picture is large enough for tiles; learning from each vector five times
    would only cost time.
    """
    if all((block == block[:, :1]).all() for block in vectors):
        return [block[:, 0, :] for block in vectors]
    return [as_read(block) for block in vectors]


def as_read(vectors: Vectors) -> Vectors:
    """Return vectors as heads read them: (n, dim) of a single view, else (n, n_views, dim)."""
    return vectors[:, 0, :] if vectors.shape[1] == 1 else vectors
