"""Groups straight from vectors, in bounded memory however many rows are alike.

Ten thousand frames of one scene make fifty million pairs, but one keeper: its pairs are the only
ones that matter. Where a plain join finds too many pairs, rows are taken in pieces, the ones most
worth keeping first, and what a piece's keepers absorb need not be compared among itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vta_cli.errors import VtaError
from vta_cli.neighbors.groups import GroupResult, check_order, groups
from vta_cli.neighbors.join import MEMORY_BYTES, Pairs, cross_join, extend_join, self_join
from vta_cli.neighbors.rows import Ids, RowSource, as_blocks
from vta_cli.neighbors.scan import Tick

_FIRST_PIECE = 2048
_GROWTH = 4
_SMALLEST_PIECE = 256


@dataclass(frozen=True)
class _Subset:
    """Some rows of a source, as a source."""

    source: RowSource
    ids: Ids

    @property
    def shape(self) -> tuple[int, ...]:
        return (int(self.ids.shape[0]), *self.source.shape[1:])

    def __getitem__(self, index: Any, /) -> Any:
        return np.asarray(self.source[self.ids[index]])


def group_rows(
    blocks: RowSource | Sequence[RowSource],
    threshold: float,
    order: Ids,
    *,
    margin: float | None = None,
    seed: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    progress: Tick | None = None,
    check: Callable[[Pairs], None] | None = None,
    before: tuple[Ids, Pairs] | None = None,
) -> GroupResult:
    """Join and group; equal to ``groups(n, self_join(blocks, ...), order)`` wherever that ends.

    Parameters
    ----------
    blocks, threshold, margin, seed, memory_bytes, progress
        As in `self_join`.
    order : ndarray of shape (n,), int64
        As in `groups`.
    check : callable, optional
        Called with the pairs of the whole join; not where rows had to be taken in pieces.
    before : (known, pairs), optional
        What an earlier join found, as in `extend_join`.

    Raises
    ------
    UsageError, VtaError
        As `self_join` and `groups`, but ``too-many-pairs`` only where even rows unlike each other
        have more pairs with the rest than the memory holds.
    """
    sources = as_blocks(blocks)
    n = int(sources[0].shape[0])
    check_order(order, n)
    settings: dict[str, Any] = {"margin": margin, "seed": seed, "memory_bytes": memory_bytes}
    try:
        if before is None:
            pairs = self_join(sources, threshold, progress=progress, **settings)
        else:
            pairs = extend_join(sources, threshold, *before, progress=progress, **settings)
    except VtaError as error:
        if error.slug != "too-many-pairs":
            raise
        return groups(n, _keeper_pairs(sources, threshold, order, settings), order)
    if check is not None:
        check(pairs)
    return groups(n, pairs, order)


def _keeper_pairs(
    sources: tuple[RowSource, ...], threshold: float, order: Ids, settings: dict[str, Any]
) -> Pairs:
    """Find the keepers piece by piece, and return the pairs of keepers with all other rows."""
    keepers: list[Ids] = []
    waiting, size = order, _FIRST_PIECE
    while waiting.size:
        piece = waiting[:size]
        chosen = subset(sources, piece)
        try:
            inner = self_join(chosen, threshold, **settings)
        except VtaError as error:
            if error.slug != "too-many-pairs" or size <= _SMALLEST_PIECE:
                raise
            size //= _GROWTH
            continue
        found = groups(piece.shape[0], inner, np.arange(piece.shape[0]))
        stand = np.ones(piece.shape[0], bool)
        stand[found.surplus] = False
        keepers.append(piece[stand])
        waiting = waiting[size:]
        cross = cross_join(
            subset(sources, keepers[-1]), subset(sources, waiting), threshold, **settings
        )
        absorbed = np.isin(cross.right_same, cross.right)
        waiting = waiting[~absorbed]
        size *= _GROWTH
    stay = np.concatenate([np.empty(0, np.int64), *keepers])
    rest = np.setdiff1d(order, stay)
    cross = cross_join(subset(sources, stay), subset(sources, rest), threshold, **settings)
    left, right = stay[cross.left], rest[cross.right]
    same = np.arange(order.shape[0])
    same[rest] = rest[cross.right_same]
    return Pairs(
        np.minimum(left, right),
        np.maximum(left, right),
        cross.similarity,
        same,
        same,
        cross.lossless,
    )


def subset(sources: tuple[RowSource, ...], ids: Ids) -> list[RowSource]:
    """Return the rows `ids` of each source, as sources."""
    return [_Subset(source, ids) for source in sources]
