"""Drops the vectors of images that nobody has any more, when asked to.

Shards are never changed: what is left of one is written as a new shard that replaces it, and the
old files go with the next `compact` after the grace period.
"""

from dataclasses import dataclass

import numpy as np

from vta_cli.records import Keys
from vta_cli.store.keyindex import KeyIndex
from vta_cli.store.marker import SkipRow
from vta_cli.store.rewrite import rewrite
from vta_cli.store.shard import DamagedShardError, list_shards, load_keys
from vta_cli.store.store import Store


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a collection dropped, or would drop.

    Attributes
    ----------
    rows, skips : int
        Vectors and skip records of keys that are not to be kept.
    bytes : int
        Their size, about [bytes].
    kept_rows : int
        Vectors that stay.
    shards : int
        Shards written anew without them.
    dry_run : bool
        Whether nothing was done.
    problems : tuple of str
        Shards that could not be read and were left alone.
    """

    rows: int
    skips: int
    bytes: int
    kept_rows: int
    shards: int
    dry_run: bool
    problems: tuple[str, ...]


def gc(store: Store, keep_keys: Keys, *, dry_run: bool = True) -> GcReport:
    """Drop the vectors and skip records of all keys but `keep_keys`.

    Disk space comes back with the first `compact` after the grace period. Keys that another process
    embeds meanwhile may be dropped as well and are then embedded again.

    Parameters
    ----------
    store : Store
    keep_keys : ndarray of shape (n, 32), uint8
    dry_run : bool
        Count only; the default.

    Raises
    ------
    StoreError
        ``store-read-only``, ``disk-full``; what was done until then stays.
    """
    if not dry_run:
        store.require_writable()
    keep = KeyIndex(keep_keys)
    rows = skips = size = kept_rows = shards = 0
    problems: list[str] = []
    for space in store.spaces():
        listing = list_shards(store.medium, space.name)
        for marker in listing.live:
            try:
                keys = load_keys(store.medium, space.name, marker)
                stay = np.flatnonzero(keep.locate(keys) >= 0)
                skips_left = _kept_skips(marker.skips, keep)
                dropped = len(keys) - len(stay)
                if not dropped and len(skips_left) == len(marker.skips):
                    kept_rows += len(stay)
                    continue
                if not dry_run:
                    rewrite(store.medium, space.name, [(marker, stay)], skips_left, listing)
            except DamagedShardError as error:
                problems.append(
                    f"space {space.name}: {error}; run `vta store check --repair`",
                )
                continue
            kept_rows += len(stay)
            rows += dropped
            skips += len(marker.skips) - len(skips_left)
            size += marker.data_bytes * dropped // max(marker.rows, 1)
            shards += 1
    return GcReport(rows, skips, size, kept_rows, shards, dry_run, tuple(problems))


def _kept_skips(skips: tuple[SkipRow, ...], keep: KeyIndex) -> list[SkipRow]:
    if not skips:
        return []
    keys = np.frombuffer(b"".join(key for key, _, _ in skips), np.uint8).reshape(len(skips), -1)
    return [skip for skip, row in zip(skips, keep.locate(keys), strict=True) if row >= 0]
