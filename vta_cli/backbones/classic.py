"""The classic backbone: image features without training or weights, from numpy and scipy alone.

`docs/classic.md` says what each block sees, what it costs and what it is worth.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones import classic_recipe
from vta_cli.backbones.classic_features import colour, layout
from vta_cli.backbones.classic_features.planes import Planes, read
from vta_cli.backbones.classic_features.scattering import mirror_fold, scattering
from vta_cli.errors import UsageError
from vta_cli.records import Pixels, Recipe, Vectors


def _scatter(planes: Planes) -> NDArray[np.float32]:
    first, second = scattering(64, 16, 3, 8)(planes.opponent[64][0])
    first, second = mirror_fold(first, (1,)), mirror_fold(second, (1, 2))
    return np.log(np.concatenate([first.ravel(), second.ravel()]) + np.float32(1e-3)) + 4


def _shape(planes: Planes) -> NDArray[np.float32]:
    height, width = planes.luma.shape
    return np.array([np.log(width / height), 0.2 * np.log(width * height / 2**18)], np.float32)


BLOCKS: dict[str, Callable[[Planes], NDArray[np.float32]]] = {
    "scattering": _scatter,
    "colour_histogram": colour.histogram,
    "colour_layout": colour.layout,
    "thumbnail": layout.thumbnail,
    "composition": layout.composition,
    "shape": _shape,
}
"""Feature blocks in the order of the columns."""


class Classic:
    """The backbone object; holds no state but tables, so any thread may call it."""

    threads = True

    def __init__(self, batch_size: int | None = None) -> None:
        self.recipe: Recipe = classic_recipe.recipe()
        self.batch_size = batch_size or 8

    def embed(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed pictures of any size, (height, width, 3) uint8, to (n, dim) float32."""
        out = np.empty((len(batch), self.recipe.dim), dtype=np.float32)
        for row, pixels in zip(out, batch, strict=True):
            row[:] = vector(pixels)
        return out

    def close(self) -> None:
        """Nothing to release."""


def vector(pixels: Pixels) -> NDArray[np.float32]:
    """Return the vector of one picture, shape (dim,)."""
    planes = read(pixels)
    parts = []
    for block in BLOCKS.values():
        values = block(planes)
        parts.append(values / np.float32(np.sqrt(values.size)))
    return np.concatenate(parts)


def load(
    spec: Any = None,
    *,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool | None = None,
    batch_size: int | None = None,
) -> Classic:
    """Make the classic backbone. It runs on the CPU in fp32, whatever `device` says.

    Raises
    ------
    UsageError
        ``no-weights-needed`` if weights are given, ``unknown-precision`` for another than fp32.
    """
    del spec, device, offline
    if weights and "=" not in weights:
        del weights
    if precision not in ("auto", "fp32"):
        raise UsageError(
            "unknown-precision",
            f"the classic backbone computes in fp32, not in {precision}",
            hint="leave --precision out, or use fp32",
        )
    return Classic(batch_size)
