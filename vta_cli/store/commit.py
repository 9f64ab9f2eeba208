"""Commit of one shard: data first, marker last; safe to do twice, and by many at once."""

import io
import secrets
import time
from collections.abc import Sequence

import numpy as np
from blake3 import blake3

from vta_cli.errors import StoreError
from vta_cli.records import Keys
from vta_cli.store.layout import KEYS_SUFFIX, VECTORS_SUFFIX, marker_name, shards_folder
from vta_cli.store.marker import DataFile, Marker, SkipRow, shard_name
from vta_cli.store.medium import Buffer, Medium
from vta_cli.store.shard import DamagedShardError, list_shards, verified_view
from vta_cli.store.widen import Half

MAX_ATTEMPTS = 64
"""Names to try before giving up: each was taken by a damaged or replaced shard of the same work."""

_Files = list[tuple[DataFile, list[Buffer]]]


def commit_shard(
    medium: Medium,
    space: str,
    keys: Keys,
    vectors: Half,
    *,
    skips: Sequence[SkipRow] = (),
    replaces: Sequence[tuple[str, str]] = (),
) -> Marker:
    """Write a shard and commit it.

    The data files are written under names that hold their digest; then the marker is created if its
    name is free. If the name is taken by a live shard, the same work had been committed before and
    that shard is returned. If it is taken by one that readers ignore (damaged, or replaced by one
    that left these keys out), the next name is tried.

    Parameters
    ----------
    medium : Medium
    space : str
        Name of the space.
    keys : ndarray of shape (n, 32), uint8
    vectors : ndarray of shape (n, n_views, dim), float16 or float32
    skips : sequence of (key, reason, detail)
    replaces : sequence of (shard, marker digest)
        Shards that this one stands in for.

    Returns
    -------
    Marker
        Of the live shard that holds these keys now.

    Raises
    ------
    StoreError
        ``disk-full``, ``store-read-only`` or ``store-io``; then nothing is committed.
    """
    folder = shards_folder(space)
    for attempt in range(MAX_ATTEMPTS):
        name = shard_name(keys, skips, replaces, attempt)
        path = f"{folder}/{marker_name(name)}"
        if medium.read(path) is None:
            files = _encode(name, keys, vectors) if len(keys) else []
            _put(medium, folder, files)
            marker = Marker(
                shard=name,
                rows=len(keys),
                n_views=vectors.shape[1],
                dim=vectors.shape[2],
                dtype=vectors.dtype.name,
                vectors=files[0][0] if files else None,
                keys=files[1][0] if files else None,
                skips=tuple(skips),
                replaces=tuple(replaces),
                created_ns=time.time_ns(),
                nonce=secrets.token_hex(8),
            )
            content = marker.to_bytes()
            if medium.create(path, content):
                # Whoever removes a replaced shard of the same name may have met our data files
                # before our marker stood.
                _put(medium, folder, [f for f in files if _lacks(medium, folder, f[0])])
                return Marker.from_bytes(content, name=marker_name(name))
        taken = _live(medium, space, name)
        if taken is not None:
            return taken
    raise StoreError(
        "shard-names-taken",
        f"{MAX_ATTEMPTS} unusable shards of space {space} hold the same keys",
        hint="run `vta store check --repair` to set them aside",
    )


def _put(medium: Medium, folder: str, files: _Files) -> None:
    for file, parts in files:
        medium.put(f"{folder}/{file.file}", parts)


def _lacks(medium: Medium, folder: str, file: DataFile) -> bool:
    return medium.size(f"{folder}/{file.file}") != file.size_bytes


def _live(medium: Medium, space: str, shard: str) -> Marker | None:
    """Return the marker of that name if readers see the shard and all its bytes are right."""
    for marker in list_shards(medium, space).live:
        if marker.shard == shard:
            try:
                for file in marker.data_files:
                    verified_view(medium, space, file)
            except DamagedShardError:
                return None
            return marker
    return None


def _encode(
    shard: str,
    keys: Keys,
    vectors: Half,
) -> _Files:
    from vta_cli.store.keyfile import encode_keys  # noqa: PLC0415 - pyarrow costs 250 ms

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        np.lib.format.header_data_from_array_1_0(vectors),
    )
    return [
        _named(shard, VECTORS_SUFFIX, [header.getvalue(), vectors.data.cast("B")]),
        _named(shard, KEYS_SUFFIX, [encode_keys(keys)]),
    ]


def _named(shard: str, suffix: str, parts: list[Buffer]) -> tuple[DataFile, list[Buffer]]:
    hasher = blake3()
    for part in parts:
        hasher.update(part)
    digest = hasher.hexdigest()
    size = sum(len(part) for part in parts)
    return DataFile(f"{shard}-{digest[:16]}{suffix}", size, digest), parts
