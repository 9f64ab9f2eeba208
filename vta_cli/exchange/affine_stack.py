"""Linear layers taken out of a file's tensors, checked against the shapes that a kind must have."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vta_cli.errors import HeadError
from vta_cli.exchange.tensor_files import Tensors
from vta_cli.records import Layer


def affine(tensors: Tensors, name: str) -> Layer:
    """Return ``NAME.weight`` and ``NAME.bias`` (or ``weight`` and ``bias``) as a layer of float32.

    Raises
    ------
    HeadError
        ``head-unreadable`` if they are missing, of wrong shapes, or not finite.
    """
    prefix = f"{name}." if name else ""
    weight, bias = tensors.get(f"{prefix}weight"), tensors.get(f"{prefix}bias")
    if weight is None or bias is None:
        raise broken(f"it has no {prefix}weight and {prefix}bias")
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or not weight.size:
        raise broken(f"{prefix}weight is {weight.shape}, {prefix}bias {bias.shape}")
    if weight.dtype.kind != "f" or bias.dtype.kind != "f":
        raise broken(f"{prefix}weight and {prefix}bias hold {weight.dtype} and {bias.dtype}")
    with np.errstate(over="ignore"):  # what is too large is told below
        weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise broken(f"{prefix}weight or {prefix}bias holds values that are not finite")
    return Layer("affine", weight, bias)


def widths(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the number of columns before, between and after the affine layers."""
    shapes = [layer.weight.shape for layer in layers if layer.weight is not None]
    return (shapes[0][1], *(shape[0] for shape in shapes))


def chain(layers: Sequence[Layer], between: Layer | None) -> tuple[Layer, ...]:
    """Return the layers with `between` after each but the last."""
    if between is None:
        return tuple(layers)
    steps = [step for layer in layers for step in (layer, between)]
    return tuple(steps[:-1])


def require_widths(layers: Sequence[Layer], wanted: Sequence[int | None]) -> None:
    """Raise `HeadError` if the affine layers do not have the wanted widths (None: any)."""
    found = widths(layers)
    fits = len(found) == len(wanted) and all(
        want is None or have == want for have, want in zip(found, wanted, strict=True)
    )
    chained = all(
        before.weight is not None
        and after.weight is not None
        and before.weight.shape[0] == after.weight.shape[1]
        for before, after in pairwise(layers)
    )
    if not fits or not chained:
        raise broken(f"its layers have the widths {found}")


def broken(why: str) -> HeadError:
    """Return the error of a file whose tensors are not what its kind has."""
    return HeadError(
        "head-unreadable",
        f"the tensors are not those of this kind of head: {why}",
        hint="fetch the file again, or name another --kind",
    )
