"""From pictures to a batch, through a network in pieces that fit into memory, to checked vectors.

Knows nothing of torch or onnxruntime: an out-of-memory error is told by its class and words.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import BackboneError
from vta_cli.records import Pixels, Recipe, Vectors

WORDS = (
    "out of memory",  # CUDA and MPS
    "can't allocate memory",  # torch on the CPU
    "not enough memory",  # torch on the CPU, Windows
    "failed to allocate",  # onnxruntime
    "bad_alloc",  # either, from the C++ library
)


def stack(batch: Sequence[Pixels], px: int) -> NDArray[np.uint8]:
    """Stack pictures of px x px into (n, px, px, 3) uint8.

    Raises
    ------
    ValueError
        If one has another shape or type: it did not go through the recipe's preprocessing.
    """
    for pixels in batch:
        if pixels.shape != (px, px, 3) or pixels.dtype != np.uint8:
            msg = f"expected ({px}, {px}, 3) uint8, got {pixels.shape} {pixels.dtype}"
            raise ValueError(msg)
    return np.stack(list(batch))


def checked(vectors: Vectors, recipe: Recipe) -> Vectors:
    """Return the vectors if they are of the recipe's dim and finite.

    Raises
    ------
    BackboneError
        ``wrong-dim`` or ``not-finite``.
    """
    if vectors.ndim != 2 or vectors.shape[1] != recipe.dim:
        raise BackboneError(
            "wrong-dim",
            f"{recipe.backbone} answered with shape {vectors.shape}, not (n, {recipe.dim})",
            hint="the weights do not belong to this backbone",
        )
    if not np.isfinite(vectors).all():
        other = "give intact weights" if recipe.precision == "fp32" else "use --precision fp32"
        raise BackboneError(
            "not-finite",
            f"{recipe.backbone} answered with values that are not finite in {recipe.precision}",
            hint=other,
        )
    return vectors


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that a smaller batch may work."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | Exception) and any(word in text for word in WORDS)


def in_pieces(
    forward: Callable[[NDArray[np.uint8]], Vectors],
    batch: NDArray[np.uint8],
    size: int,
    *,
    name: str,
    after_failure: Callable[[], None] = lambda: None,
) -> tuple[Vectors, int]:
    """Run `forward` over a batch in pieces of at most `size` rows, halving `size` as memory asks.

    Parameters
    ----------
    forward : callable
        From (k, height, width, 3) uint8 to (k, dim) float32.
    batch : ndarray of shape (n, height, width, 3), uint8
    size : int
        Rows to try at once.
    name : str
        Of the backbone, for the error.
    after_failure : callable
        Called before each new try, to give cached memory back.

    Returns
    -------
    vectors : ndarray of shape (n, dim), float32
    size : int
        The size that worked; begin with it next time.

    Raises
    ------
    BackboneError
        ``out-of-memory`` if a single picture does not fit.
    """
    parts: list[Vectors] = []
    start = 0
    while start < len(batch):
        part = _try(forward, batch[start : start + size])
        if part is not None:
            parts.append(part)
            start += size
            continue
        # outside the `except`, so that the failed pass's tensors are no longer referred to
        after_failure()
        if size == 1:
            raise BackboneError(
                "out-of-memory",
                f"{name} does not fit into memory even with one picture at a time",
                hint="close other programs, or use --device cpu or a smaller backbone",
            )
        size = max(1, min(size, len(batch) - start) // 2)
    return np.concatenate(parts), size


def _try(
    forward: Callable[[NDArray[np.uint8]], Vectors], piece: NDArray[np.uint8]
) -> Vectors | None:
    try:
        return forward(piece)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
