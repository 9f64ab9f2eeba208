"""New shards in the place of old ones: what `compact` and `gc` have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys
from vta_cli.store.commit import commit_shard
from vta_cli.store.marker import Marker, SkipRow
from vta_cli.store.medium import Medium
from vta_cli.store.shard import Listing, load_keys, map_vectors, verify_shard

Part = tuple[Marker, NDArray[np.int64]]
"""A shard and the rows of it that live on, ascending."""


def rewrite(
    medium: Medium,
    space: str,
    parts: Sequence[Part],
    skips: Sequence[SkipRow],
    listing: Listing,
) -> Marker:
    """Commit one shard of what lives on of several, which it replaces.

    It also replaces what they replaced and what still lies there, so that no older shard comes back
    to life when the ones between are removed.

    Parameters
    ----------
    medium : Medium
    space : str
    parts : sequence of (Marker, rows)
        Whole shards of one dtype, except for those without any row left.
    skips : sequence of (key, reason, detail)
        Skips that live on.
    listing : Listing
        That the parts were taken from.

    Raises
    ------
    DamagedShardError
        If a part cannot be read as it was committed.
    StoreError
        As `commit_shard`.
    """
    keys: list[Keys] = []
    vectors: list[NDArray[Any]] = []
    for marker, rows in parts:
        if len(rows):
            verify_shard(medium, space, marker)  # a flipped byte must not get a fresh checksum
            keys.append(load_keys(medium, space, marker)[rows])
            vectors.append(map_vectors(medium, space, marker)[rows])
    first = parts[0][0]
    if not vectors:
        vectors.append(np.empty((0, first.n_views, first.dim), np.float16))
    merged: NDArray[Any] = np.concatenate(vectors)
    there = {marker.digest for marker in listing.live + listing.replaced}
    older = {named for marker, _ in parts for named in marker.replaces if named[1] in there}
    return commit_shard(
        medium,
        space,
        np.concatenate(keys) if keys else np.empty((0, KEY_BYTES), np.uint8),
        merged,
        skips=skips,
        replaces=sorted(older | {(marker.shard, marker.digest) for marker, _ in parts}),
    )
