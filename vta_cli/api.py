"""vta from Python: load a taste, score files or pictures.

>>> from vta_cli.api import load_taste              # doctest: +SKIP
>>> taste = load_taste("photos/.vta")               # doctest: +SKIP
>>> taste.score(["a.jpg", "b.jpg"])                 # doctest: +SKIP
array([0.91, 0.08])
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.protocol import Backbone
from vta_cli.backbones.registry import load, resolve
from vta_cli.errors import UsageError
from vta_cli.heads.taste import Taste
from vta_cli.images.decode import decode
from vta_cli.images.keys import read_bytes
from vta_cli.images.views import apply
from vta_cli.pipelines.score import find_head
from vta_cli.records import Pixels, Recipe
from vta_cli.store.store import Store

BATCH = 32


class LoadedTaste:
    """A head together with the backbones that it reads; embeds what it is given.

    For many images use the commands, which keep vectors; this is for a handful at a time.
    """

    def __init__(self, taste: Taste, *, weights: str | None = None, device: str = "auto") -> None:
        self.taste = taste
        self._backbones: list[Backbone] = []
        for data in taste.recipes:
            recipe = Recipe.from_json(data)
            backbone = load(
                resolve(recipe.backbone), weights=weights, device=device, precision=recipe.precision
            )
            if backbone.recipe.digest != recipe.digest:
                raise UsageError(
                    "other-recipe",
                    f"the head was trained with another {recipe.backbone} "
                    f"(weights {recipe.weights[:12]}, here {backbone.recipe.weights[:12]})",
                    hint="give the weights it was trained with",
                )
            self._backbones.append(backbone)

    def score(self, images: Sequence[Any]) -> NDArray[np.float64]:
        """Score images.

        Parameters
        ----------
        images : sequence of path, Pillow image, or uint8 array of shape (height, width, 3)

        Returns
        -------
        ndarray of shape (n,), float64
            Calibrated probabilities of being liked.

        Raises
        ------
        UnreadableImageError
            If a file is no readable image.
        """
        scores = np.empty(len(images))
        for start in range(0, len(images), BATCH):
            pixels = [_pixels(image) for image in images[start : start + BATCH]]
            blocks = [
                backbone.embed([apply(p, backbone.recipe.preprocess) for p in pixels])
                for backbone in self._backbones
            ]
            scores[start : start + len(pixels)] = self.taste.score(blocks)
        return scores


def load_taste(
    where: str | Path, name: str | None = None, *, weights: str | None = None, device: str = "auto"
) -> LoadedTaste:
    """Load a head from a store or from its own file.

    Parameters
    ----------
    where : path
        A store's folder, or a ``.safetensors`` head.
    name : str, optional
        Name of the head in the store; default: the newest.
    """
    path = Path(where)
    if path.is_dir():
        with Store.open(path, read_only=True) as store:
            path = find_head(store, name)
    return LoadedTaste(Taste.load(path), weights=weights, device=device)


def _pixels(image: Any) -> Pixels:
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
        return np.asarray(image.convert("RGB"))
    return decode(read_bytes(str(image))).pixels
