"""The classic backbone: image features without training or weights, from numpy and scipy alone.

`docs/classic.md` says what each block sees, what it costs and what it is worth.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vta_cli.backbones import classic_recipe
from vta_cli.backbones.classic_blocks import assemble, measure
from vta_cli.errors import UsageError
from vta_cli.records import Pixels, Recipe, Vectors

BATCH_SIZE = 8
"""Pictures per call: enough to hide the caller's overhead; they are computed one by one."""


class Classic:
    """The backbone as an object.

    Attributes
    ----------
    recipe : Recipe
        What identifies the vectors.
    threads : bool
        True: `embed` may be called from several threads at once, and gains by it.
    batch_size : int
        Pictures per call that suit it.
    """

    threads = True
    resize = None

    def __init__(self, batch_size: int = BATCH_SIZE) -> None:
        self.recipe: Recipe = classic_recipe.recipe()
        self.batch_size = batch_size

    def embed(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed pictures; each row depends on its own picture alone.

        Parameters
        ----------
        batch : sequence of ndarray of shape (height, width, 3), uint8
            Of any sizes from 1 x 1 up, as the recipe's preprocessing leaves them.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Finite; length and absolute values at most 10.
        """
        out = np.empty((len(batch), self.recipe.dim), dtype=np.float32)
        for row, pixels in zip(out, batch, strict=True):
            row[:] = assemble(measure(pixels))
        return out

    def close(self) -> None:
        """Release nothing: there is no network and no device."""


def load(
    spec: Any = None,
    *,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool | None = None,
    batch_size: int | None = None,
) -> Classic:
    """Make the classic backbone.

    It computes on the processor in fp32 and needs neither weights nor a network, so `spec`,
    `weights` (which may be meant for another backbone of the same run), `device` and `offline`
    have no effect.

    Raises
    ------
    UsageError
        ``classic-precision`` if another precision than fp32 is asked for.
    """
    del spec, weights, device, offline
    if precision not in {"auto", "fp32"}:
        raise UsageError(
            "classic-precision",
            f"the classic backbone computes in fp32, not in {precision}",
            hint="leave the precision at auto, or use fp32",
        )
    return Classic(batch_size or BATCH_SIZE)
