"""Which spaces of a store a command compares in, and their vectors as the comparison reads them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_recipe import DEDUPE_THRESHOLD
from vta_cli.backbones.registry import resolve
from vta_cli.errors import UsageError
from vta_cli.pipelines.lanes import pinned
from vta_cli.pipelines.sources import Source
from vta_cli.pipelines.views import choose_view, one_vector
from vta_cli.records import Vectors
from vta_cli.store.space import Space
from vta_cli.store.store import Store

NETWORK_THRESHOLD = 0.96
"""Mean cosine from which network embeddings count as near-copies (between the 0.95 and 0.99 of the
original Visual Taste Approximator)."""


class SpaceRows:
    """One vector for each of some rows of a space, read in slices: nothing is held in memory."""

    def __init__(self, space: Space, rows: NDArray[np.int64]) -> None:
        self._space, self._rows = space, rows
        self.shape = (len(rows), space.recipe.dim)

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Vectors:
        return one_vector(self._space.take(self._rows[index]))  # (n, dim)


def spaces_for(store: Store, backbones: Sequence[str]) -> list[Space]:
    """Return the spaces of the named backbones, else of the store's pin, else all with vectors.

    Of a backbone with several views the store's own view counts: to compare in both would look at
    every image twice.

    Raises
    ------
    UsageError
        If the store has no vectors of a backbone that was asked for, or none at all.
    """
    filled = [space for space in store.spaces() if space.n_rows]
    if not filled:
        raise UsageError(
            "not-embedded",
            f"the store {store.path} has no vectors yet",
            hint="run: vta embed SOURCE",
        )
    filled = _of_own_view(store, filled)
    if backbones:
        return [_named(store, filled, resolve(name).name) for name in backbones]
    if store.preset is not None:
        names = [spec.name for spec in pinned(store.preset)]
        found = [space for name in names for space in filled if space.recipe.backbone == name]
        if found:
            return found
    return filled


def read_in(source: Source, store: Store, spaces: Sequence[Space]) -> Source:
    """Have a source name, in the command that embeds it, the backbones whose vectors are read.

    A store that has no others says them itself.
    """
    reads = dict.fromkeys(space.recipe.backbone for space in spaces)
    if {space.recipe.backbone for space in store.spaces()} == set(reads):
        return source
    return replace(source, backbones=tuple(reads))


def _of_own_view(store: Store, spaces: Sequence[Space]) -> list[Space]:
    """Leave out spaces of another view than the store's, where their backbone has that one too."""
    view = choose_view("auto", store.preset)
    own = {space.recipe.backbone for space in spaces if space.recipe.view == view}
    return [s for s in spaces if s.recipe.view == view or s.recipe.backbone not in own]


def _named(store: Store, filled: Sequence[Space], name: str) -> Space:
    for space in filled:
        if space.recipe.backbone == name:
            return space
    have = ", ".join(space.recipe.backbone for space in filled)
    raise UsageError(
        "missing-space",
        f"the store {store.path} has no vectors of {name}; it has {have}",
        hint=f"run: vta embed SOURCE --backbone {name}",
    )


def default_threshold(spaces: Sequence[Space]) -> float:
    """Return the similarity from which images of these spaces count as near-copies."""
    values = [
        DEDUPE_THRESHOLD if space.recipe.backbone.startswith("classic/") else NETWORK_THRESHOLD
        for space in spaces
    ]
    return sum(values) / len(values)
