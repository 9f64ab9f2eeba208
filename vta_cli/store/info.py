"""What a store holds, in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vta_cli.records import Recipe
from vta_cli.store.layout import QUARANTINE
from vta_cli.store.shard import list_shards
from vta_cli.store.store import Store


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """Figures of one space.

    Attributes
    ----------
    name : str
    recipe : Recipe
    rows, shards : int
        Of live shards; a key that stands in two shards counts twice.
    bytes : int
        Vectors and keys of live shards [bytes].
    replaced_bytes : int
        Data of replaced shards, which `compact` removes after the grace period [bytes].
    dtypes : tuple of str
        Element types in use.
    skips : mapping of str to int
        Images skipped, by reason.
    damaged : int
        Shards that are ignored; `check` tells what is wrong with them.
    """

    name: str
    recipe: Recipe
    rows: int
    shards: int
    bytes: int
    replaced_bytes: int
    dtypes: tuple[str, ...]
    skips: Mapping[str, int]
    damaged: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """Figures of a store."""

    path: Path
    id: str
    preset: str | None
    exclusive_create: bool
    spaces: tuple[SpaceInfo, ...]
    catalogue_entries: int
    quarantine_files: int


def info(store: Store) -> StoreInfo:
    """Count what a store holds, from markers and the catalogue alone.

    Raises
    ------
    StoreError
        ``store-newer`` if a newer vta has written here.
    """
    spaces = []
    for space in store.spaces():
        listing = list_shards(store.medium, space.name)
        reasons = Counter(reason for reason, _ in space.skips().values())
        spaces.append(
            SpaceInfo(
                name=space.name,
                recipe=space.recipe,
                rows=sum(marker.rows for marker in listing.live),
                shards=len(listing.live),
                bytes=sum(marker.data_bytes for marker in listing.live),
                replaced_bytes=sum(marker.data_bytes for marker in listing.replaced),
                dtypes=tuple(sorted({m.dtype for m in listing.live if m.rows})),
                skips=dict(reasons.most_common()),
                damaged=len(listing.damaged),
            ),
        )
    return StoreInfo(
        path=store.path,
        id=store.id,
        preset=store.preset,
        exclusive_create=store.exclusive_create,
        spaces=tuple(spaces),
        catalogue_entries=store.catalogue.count(),
        quarantine_files=sum(
            len(store.medium.listing(f"{QUARANTINE}/{name}"))
            for name in store.medium.folders(QUARANTINE)
        ),
    )
