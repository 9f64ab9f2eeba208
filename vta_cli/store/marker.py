"""The marker: a small JSON file whose appearance commits a shard.

A marker says which data files belong to the shard, how long they are, what they must hash to, which
images were skipped, and which older shards this one replaces. It carries a checksum of itself, so
that half of a marker is never taken for a whole one. A shard without a valid marker does not exist.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from blake3 import blake3

from vta_cli.errors import StoreError
from vta_cli.records import KEY_BYTES, Keys
from vta_cli.store.layout import FORMAT

SkipRow = tuple[bytes, str, str]
"""A key, the reason (slug) why it has no vector, and the detail for people."""


class DamagedMarkerError(Exception):
    """The bytes are not a whole marker; such a shard counts as absent."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file of a shard: bare name, size [bytes], BLAKE3 digest (64 hex digits)."""

    file: str
    size_bytes: int
    blake3: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the marker."""
        return {"file": self.file, "bytes": self.size_bytes, "blake3": self.blake3}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(str(data["file"]), int(data["bytes"]), str(data["blake3"]))


@dataclass(frozen=True, slots=True)
class Marker:
    """What a shard's marker says.

    Attributes
    ----------
    shard : str
        24 hex digits, see `shard_name`.
    rows, n_views, dim : int
        Shape of the vector file.
    dtype : {"float16", "float32"}
        Its element type.
    vectors, keys : DataFile or None
        The two data files; None for a shard that holds skips alone.
    skips : tuple of (key, reason, detail)
    replaces : tuple of (shard, marker digest)
        Shards that readers ignore because this one holds what is left of them. Named with the
        digest of their marker, since a later shard may carry the same name.
    created_ns : int
        Wall clock of the writer when it committed [ns since 1970].
    nonce : str
        Random, so that two commits never have the same digest.
    digest : str
        BLAKE3 of the marker's other fields: its checksum and its identity. Empty before `to_bytes`.
    """

    shard: str
    rows: int
    n_views: int
    dim: int
    dtype: str
    vectors: DataFile | None
    keys: DataFile | None
    skips: tuple[SkipRow, ...]
    replaces: tuple[tuple[str, str], ...]
    created_ns: int
    nonce: str
    digest: str = ""

    @property
    def data_files(self) -> tuple[DataFile, ...]:
        """The data files, vectors first."""
        return tuple(file for file in (self.vectors, self.keys) if file is not None)

    @property
    def data_bytes(self) -> int:
        """Size of the data files together [bytes]."""
        return sum(file.size_bytes for file in self.data_files)

    def to_bytes(self) -> bytes:
        """Return the file's content, checksum included."""
        body = {
            "format": FORMAT,
            "shard": self.shard,
            "rows": self.rows,
            "n_views": self.n_views,
            "dim": self.dim,
            "dtype": self.dtype,
            "vectors": self.vectors.to_json() if self.vectors else None,
            "keys": self.keys.to_json() if self.keys else None,
            "skips": [[key.hex(), reason, detail] for key, reason, detail in self.skips],
            "replaces": [{"shard": shard, "marker": digest} for shard, digest in self.replaces],
            "created_ns": self.created_ns,
            "nonce": self.nonce,
        }
        return json.dumps(body | {"blake3": _checksum(body)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str) -> Self:
        """Read a marker.

        Parameters
        ----------
        content : bytes
            The file's content.
        name : str
            For messages.

        Raises
        ------
        DamagedMarkerError
            If the content is not a whole marker.
        StoreError
            ``store-newer`` if a newer vta wrote it.
        """
        try:
            body = json.loads(content)
            checksum = body.pop("blake3")
            whole = checksum == _checksum(body)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise DamagedMarkerError(f"marker {name} is not readable") from error
        if not whole:
            raise DamagedMarkerError(f"marker {name} does not match its own checksum")
        if body.get("format", 0) > FORMAT:
            raise newer_error(f"shard marker {name}", body["format"])
        try:
            return cls(
                shard=str(body["shard"]),
                rows=int(body["rows"]),
                n_views=int(body["n_views"]),
                dim=int(body["dim"]),
                dtype=str(body["dtype"]),
                vectors=DataFile.from_json(body["vectors"]) if body["vectors"] else None,
                keys=DataFile.from_json(body["keys"]) if body["keys"] else None,
                skips=tuple((bytes.fromhex(k), str(r), str(d)) for k, r, d in body["skips"]),
                replaces=tuple((str(r["shard"]), str(r["marker"])) for r in body["replaces"]),
                created_ns=int(body["created_ns"]),
                nonce=str(body["nonce"]),
                digest=str(checksum),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedMarkerError(f"marker {name} lacks a field: {error}") from error


def newer_error(what: str, version: object) -> StoreError:
    """Return the refusal of something that a newer vta wrote."""
    return StoreError(
        "store-newer",
        f"{what} has format {version}, this vta reads up to {FORMAT}",
        hint="upgrade vta",
    )


def shard_name(
    keys: Keys,
    skips: Sequence[SkipRow],
    replaces: Iterable[tuple[str, str]],
    attempt: int,
) -> str:
    """Return the name of the shard that holds exactly this: 24 hex digits of a BLAKE3.

    The same piece of work has the same name whoever does it, so that a replay finds the name taken
    and nothing is stored twice. `attempt` gives another name where the first is taken by a shard
    that readers ignore.
    """
    hasher = blake3(len(keys).to_bytes(8, "little"))
    hasher.update(keys.tobytes())
    for key, reason, _ in sorted(skips):
        hasher.update(key + reason.encode() + b"\0")
    for shard, digest in sorted(replaces):
        hasher.update(f"{shard} {digest}\n".encode())
    hasher.update(attempt.to_bytes(4, "little"))
    return hasher.hexdigest(12)


def check_key(key: bytes) -> bytes:
    """Return the key, or raise `ValueError` if it is not `KEY_BYTES` long."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return key


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return blake3(text.encode()).hexdigest()
