"""What `vta dedupe` remembers of a source, so that the next run compares only what is new.

A memory belongs to the source as it was named, to the recipes, the threshold and the margin. Keys
that vanished are passed over; a key whose vectors lie elsewhere than they did counts as new.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import StoreError
from vta_cli.neighbors.join import Pairs, lossless_margin, restrict
from vta_cli.pipelines.sources import Source
from vta_cli.records import Keys
from vta_cli.store.pairs import KeptPairs, pairs_path, read_pairs, touch_pairs, write_pairs
from vta_cli.store.space import Space
from vta_cli.store.store import Store

FEWEST = 1000
"""Fewer images are compared in no time."""
SHARE = 0.25
"""With a smaller part of the images known, all are compared anew."""


class Memory:
    """The memory of one comparison.

    Parameters
    ----------
    store : Store
        One that was opened for reading only remembers nothing new.
    source : Source
    spaces, threshold, margin
        As `vta_cli.pipelines.dedupe.dedupe` is given them.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        spaces: Sequence[Space],
        threshold: float,
        margin: float | None,
    ) -> None:
        reach = lossless_margin(threshold)
        told = {
            "source": sorted(str(Path(spec).absolute()) for spec in source.specs),
            "recipes": [space.recipe.digest for space in spaces],
            "threshold": threshold,
            "margin": None if margin is None or margin >= reach else margin,
        }
        name = hashlib.sha256(json.dumps(told).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = pairs_path(store.path, name[:24])
        self._read_only = store.read_only
        self._lossless = told["margin"] is None
        self._kept: KeptPairs | None = None

    def recall(
        self, keys: Keys, marks: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], Pairs] | None:
        """Return which of the keys were compared before and their pairs, as `extend_join` asks.

        Parameters
        ----------
        keys : ndarray of shape (n, 32), uint8
        marks : ndarray of shape (n, n_spaces), uint64
        """
        kept = read_pairs(self._path, marks.shape[1])
        if kept is None:
            return None
        places = kept.locate(keys, marks)
        known = np.flatnonzero(places >= 0)
        if len(known) < SHARE * len(keys):
            return None
        self._kept = kept
        pairs = Pairs(kept.left, kept.right, kept.similarity, kept.same, kept.same, self._lossless)
        return known, restrict(pairs, places[known])

    def keep(self, keys: Keys, marks: NDArray[np.uint64], pairs: Pairs) -> None:
        """Remember a comparison of all the keys, unless it is what is remembered already.

        A store that cannot be written forgets it, at no other cost than time.
        """
        kept = self._kept
        if self._read_only or len(keys) < FEWEST:
            return
        if kept and len(kept.keys) == len(keys) and (kept.locate(keys, marks) >= 0).all():
            touch_pairs(self._path)
            return
        made = KeptPairs(keys, marks, pairs.left, pairs.right, pairs.similarity, pairs.left_same)
        try:
            write_pairs(self._path, made)
        except StoreError:
            return
