"""Reads every byte of a store again and says what is not as it was committed.

Nothing is ever deleted here. With `repair`, what is broken is moved to ``quarantine/``; the keys of
a shard moved there are missing from then on, and the next embed heals them.
"""

import time
from dataclasses import dataclass

from vta_cli.records import Recipe
from vta_cli.store.layout import (
    MARKER_SUFFIX,
    QUARANTINE,
    SPACES,
    is_temp,
    shard_of_data,
    shards_folder,
)
from vta_cli.store.marker import Marker
from vta_cli.store.medium import Item, Medium
from vta_cli.store.recipefile import DamagedRecipeError, read_recipe
from vta_cli.store.shard import (
    DamagedShardError,
    Listing,
    list_shards,
    verify_shard,
)
from vta_cli.store.store import Store

GRACE_S = 3600.0
"""Younger files without a marker may belong to a writer that is still at work [s]."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was committed.

    Attributes
    ----------
    space : str
        Name of the space.
    file : str
        The marker, data or recipe file concerned.
    what : str
        A sentence.
    rows : int
        Vectors that are lost to readers by it.
    """

    space: str
    file: str
    what: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found; sizes in bytes.

    Attributes
    ----------
    shards, rows, bytes : int
        Live shards that are right, their rows and data.
    replaced : int
        Shards that another stands in for; `compact` removes them after a grace period.
    problems : tuple of Problem
        What is damaged.
    orphans, orphan_bytes : int
        Data files without a marker: left by writers that were killed, or of writers at work.
    temps, temp_bytes : int
        Temporary files, likewise.
    quarantined : tuple of str
        Where files were moved to, relative to the store.
    """

    shards: int
    rows: int
    bytes: int
    replaced: int
    problems: tuple[Problem, ...]
    orphans: int
    orphan_bytes: int
    temps: int
    temp_bytes: int
    quarantined: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is damaged; orphans and temporary files harm nobody."""
        return not self.problems


def check(store: Store, *, repair: bool = False, grace_s: float = GRACE_S) -> CheckReport:
    """Verify every checksum of a store.

    Parameters
    ----------
    store : Store
    repair : bool
        Move damaged shards to ``quarantine/``, and with them data files without a marker and
        temporary files that are older than `grace_s`.
    grace_s : float
        Age from which such files can belong to no writer at work [s].

    Raises
    ------
    StoreError
        ``store-newer`` if a newer vta has written here; with `repair`, ``store-read-only`` if
        nothing can be moved.
    """
    if repair:
        store.require_writable()
    before_ns = time.time_ns() - int(grace_s * 1e9)
    parts = [
        _check_space(store.medium, space, repair=repair, before_ns=before_ns)
        for space in store.medium.folders(SPACES)
    ]
    return CheckReport(
        shards=sum(part.shards for part in parts),
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        replaced=sum(part.replaced for part in parts),
        problems=tuple(problem for part in parts for problem in part.problems),
        orphans=sum(part.orphans for part in parts),
        orphan_bytes=sum(part.orphan_bytes for part in parts),
        temps=sum(part.temps for part in parts),
        temp_bytes=sum(part.temp_bytes for part in parts),
        quarantined=tuple(name for part in parts for name in part.quarantined),
    )


def orphans(listing: Listing) -> list[Item]:
    """Return the data files that no whole or damaged marker names."""
    named = {file.file for marker in listing.live + listing.replaced for file in marker.data_files}
    kept = {name.removesuffix(MARKER_SUFFIX) for name in listing.damaged}
    return [
        item
        for name, item in sorted(listing.items.items())
        if (shard := shard_of_data(name)) and name not in named and shard not in kept
    ]


def _check_space(medium: Medium, space: str, *, repair: bool, before_ns: int) -> CheckReport:
    problems = _check_recipe(medium, space)
    recipe = None if problems else read_recipe(medium, space)
    listing = list_shards(medium, space)
    bad = dict(listing.damaged)
    lost_rows = dict.fromkeys(bad, 0)
    sound = []
    for marker in listing.live + listing.replaced:
        try:
            verify_shard(medium, space, marker)
            _check_fits(marker, recipe)
        except DamagedShardError as error:
            if medium.size(f"{shards_folder(space)}/{marker.shard}{MARKER_SUFFIX}") is None:
                continue  # removed meanwhile by a `compact`, which takes the marker first
            bad[marker.shard + MARKER_SUFFIX] = str(error)
            lost_rows[marker.shard + MARKER_SUFFIX] = marker.rows
        else:
            sound.append(marker)
    problems += [Problem(space, name, bad[name], lost_rows[name]) for name in sorted(bad)]
    left = orphans(listing)
    temps = [item for name, item in sorted(listing.items.items()) if is_temp(name)]
    moved: list[str] = []
    if repair:
        for name in sorted(bad):
            moved += _quarantine_shard(medium, space, name, listing)
        for item in left + temps:
            if item.mtime_ns < before_ns:
                moved.append(_quarantine(medium, space, item.name))
    live = [marker for marker in sound if marker in listing.live]
    return CheckReport(
        shards=len(live),
        rows=sum(marker.rows for marker in live),
        bytes=sum(marker.data_bytes for marker in live),
        replaced=len(sound) - len(live),
        problems=tuple(problems),
        orphans=len(left),
        orphan_bytes=sum(item.size_bytes for item in left),
        temps=len(temps),
        temp_bytes=sum(item.size_bytes for item in temps),
        quarantined=tuple(moved),
    )


def _check_recipe(medium: Medium, space: str) -> list[Problem]:
    try:
        recipe = read_recipe(medium, space)
    except DamagedRecipeError as error:
        return [Problem(space, "recipe.json", str(error))]
    if recipe is None and medium.listing(shards_folder(space)):
        return [Problem(space, "recipe.json", "the recipe is missing; embedding writes it again")]
    return []


def _check_fits(marker: Marker, recipe: Recipe | None) -> None:
    if recipe is not None and (marker.n_views, marker.dim) != (recipe.n_views, recipe.dim):
        raise DamagedShardError(f"shard {marker.shard} does not fit the recipe")


def _quarantine_shard(medium: Medium, space: str, marker: str, listing: Listing) -> list[str]:
    """Move the marker first, so that readers lose the shard at once, then what is left of it."""
    shard = marker.removesuffix(MARKER_SUFFIX)
    data = sorted(name for name in listing.items if shard_of_data(name) == shard)
    return [_quarantine(medium, space, name) for name in [marker, *data]]


def _quarantine(medium: Medium, space: str, name: str) -> str:
    target = f"{QUARANTINE}/{space}/{name}"
    if medium.size(target) is not None:
        target = f"{target}.{time.time_ns()}"
    medium.move(f"{shards_folder(space)}/{name}", target)
    return target
