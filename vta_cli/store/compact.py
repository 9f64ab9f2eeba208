"""Merges small shards into large ones, and removes what was replaced long enough ago.

A merged shard is committed like any other; its marker names the shards it stands in for, and
readers ignore those from that moment on. Their files stay for a grace period, since readers that
listed the space before still hold them. Killed between any two steps, the store is right: either
the small shards count or the merged one does.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vta_cli.store.check import GRACE_S
from vta_cli.store.keyindex import KeyIndex
from vta_cli.store.layout import TEMP_SUFFIX, marker_name, shards_folder
from vta_cli.store.marker import Marker
from vta_cli.store.medium import Medium
from vta_cli.store.rewrite import Part, rewrite
from vta_cli.store.shard import DamagedShardError, Listing, list_shards, load_keys, verify_shard
from vta_cli.store.store import Store

TARGET_BYTES = 256 << 20
"""Size of a merged shard; it passes through memory whole [bytes]."""


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What a compaction did.

    Attributes
    ----------
    merged, written : int
        Small shards merged, and shards that they went into.
    removed, removed_bytes : int
        Replaced shards whose grace period was over, and the size of their data [bytes].
    waiting, waiting_bytes : int
        Replaced shards that stay for now.
    problems : tuple of str
        Shards that could not be read and were left alone.
    """

    merged: int
    written: int
    removed: int
    removed_bytes: int
    waiting: int
    waiting_bytes: int
    problems: tuple[str, ...]


def compact(
    store: Store,
    *,
    grace_s: float = GRACE_S,
    target_bytes: int = TARGET_BYTES,
) -> CompactReport:
    """Merge small shards, then remove those that were replaced more than `grace_s` ago.

    Parameters
    ----------
    store : Store
    grace_s : float
        How long replaced files stay for readers that still hold them [s].
    target_bytes : int
        Shards of less than half of it are merged up to this size [bytes].

    Raises
    ------
    StoreError
        ``store-read-only``, ``disk-full``; what was merged until then stays.
    """
    store.require_writable()
    merged = written = 0
    problems: list[str] = []
    sweeps = []
    for space in store.spaces():
        listing = list_shards(store.medium, space.name)
        for group in _groups(listing.live, target_bytes):
            try:
                _merge(store.medium, space.name, group, listing)
            except DamagedShardError as error:
                problems.append(f"space {space.name}: {error}; run `vta store check --repair`")
                continue
            merged += len(group)
            written += 1
        sweeps.append(sweep(store.medium, space.name, grace_s=grace_s))
        problems += sweeps[-1].problems
    return CompactReport(
        merged=merged,
        written=written,
        removed=sum(one.removed for one in sweeps),
        removed_bytes=sum(one.removed_bytes for one in sweeps),
        waiting=sum(one.waiting for one in sweeps),
        waiting_bytes=sum(one.waiting_bytes for one in sweeps),
        problems=tuple(problems),
    )


def sweep(medium: Medium, space: str, *, grace_s: float) -> CompactReport:
    """Remove the replaced shards of a space whose replacement is older than `grace_s`.

    A replacement is read whole and verified before anything that it stands in for is removed.
    """
    listing = list_shards(medium, space)
    before_ns = time.time_ns() - int(grace_s * 1e9)
    due: set[str] = set()
    problems: list[str] = []
    for marker in listing.live:
        if marker.replaces and marker.created_ns <= before_ns:
            try:
                verify_shard(medium, space, marker)
            except DamagedShardError as error:
                problems.append(f"space {space}: {error}; run `vta store check --repair`")
            else:
                due.update(digest for _, digest in marker.replaces)
    removed = [marker for marker in listing.replaced if marker.digest in due]
    waiting = [marker for marker in listing.replaced if marker.digest not in due]
    # Oldest first: a shard that replaced others must not go before they have gone.
    for marker in sorted(removed, key=lambda m: m.created_ns):
        _remove(medium, space, marker)
    if not waiting:
        for marker in listing.live:
            if not marker.rows and not marker.skips and _spent(marker, listing, due):
                _remove(medium, space, marker)
    return CompactReport(
        merged=0,
        written=0,
        removed=len(removed),
        removed_bytes=sum(marker.data_bytes for marker in removed),
        waiting=len(waiting),
        waiting_bytes=sum(marker.data_bytes for marker in waiting),
        problems=tuple(problems),
    )


def _groups(live: Sequence[Marker], target_bytes: int) -> Iterator[list[Marker]]:
    """Yield groups of small shards of one dtype that together make about one of the target size."""
    for dtype in sorted({marker.dtype for marker in live}):
        group: list[Marker] = []
        size = 0
        for marker in live:
            if marker.dtype != dtype or marker.data_bytes * 2 >= target_bytes:
                continue
            if group and size + marker.data_bytes > target_bytes:
                if len(group) > 1:
                    yield group
                group, size = [], 0
            group.append(marker)
            size += marker.data_bytes
        if len(group) > 1:
            yield group


def _merge(medium: Medium, space: str, group: list[Marker], listing: Listing) -> Marker:
    everything = np.concatenate([load_keys(medium, space, marker) for marker in group])
    index = KeyIndex(everything)
    kept = index.rows()  # of equal keys the first
    parts: list[Part] = []
    start = 0
    for marker in group:
        mine = kept[(kept >= start) & (kept < start + marker.rows)] - start
        parts.append((marker, mine))
        start += marker.rows
    skips = {skip[0]: skip for m in sorted(group, key=lambda m: m.created_ns) for skip in m.skips}
    if skips and len(everything):
        names = np.frombuffer(b"".join(skips), np.uint8).reshape(len(skips), -1)
        found = index.locate(names) >= 0
        skips = {k: v for (k, v), has in zip(skips.items(), found, strict=True) if not has}
    return rewrite(medium, space, parts, sorted(skips.values()), listing)


def _spent(marker: Marker, listing: Listing, removed: set[str]) -> bool:
    there = {other.digest for other in listing.live + listing.replaced} - removed
    return not any(digest in there for _, digest in marker.replaces)


def _remove(medium: Medium, space: str, marker: Marker) -> None:
    """Remove the marker, then the data.

    Another process may commit the same shard anew meanwhile, with data files of the same names and
    content. So data are first moved out of the way and moved back if a marker has appeared; who
    commits looks for its data once its marker stands, and writes them again if they are gone. One
    of the two sees the other.
    """
    folder = shards_folder(space)
    name = f"{folder}/{marker_name(marker.shard)}"
    medium.delete(name)
    for file in marker.data_files:
        path = f"{folder}/{file.file}"
        away = f"{folder}/.{file.file}.{secrets.token_hex(6)}{TEMP_SUFFIX}"
        medium.move(path, away)
        if medium.read(name) is None:
            medium.delete(away)
        else:
            medium.move(away, path)
