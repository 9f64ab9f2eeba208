"""Names of the folders and files of a store, and nothing else.

Everything that the rest of the room writes is named here, so that the layout on disk can be read on
one page. `docs/store-format.md` is the same page for people who do not read Python.
"""

import re
from collections.abc import Iterable

FORMAT = 1
"""Version of the layout; a store or a shard of a higher one is refused by name."""

STORE_FILE = "store.json"
PRESET_FILE = "preset.json"
CATALOGUE = "catalogue"
SPACES = "spaces"
HEADS = "heads"
LABELS = "labels"
JOURNAL = "journal"
QUARANTINE = "quarantine"
PAIRS = "pairs"
RECIPE_FILE = "recipe.json"
SHARDS = "shards"

MARKER_SUFFIX = ".json"
VECTORS_SUFFIX = ".npy"
KEYS_SUFFIX = ".parquet"
TEMP_SUFFIX = ".tmp"
"""Temporary files are hidden and end so; no reader ever looks at them."""

OWN_NAMES = frozenset(
    {STORE_FILE, PRESET_FILE, CATALOGUE, SPACES, HEADS, LABELS, JOURNAL, QUARANTINE, PAIRS},
)

_SHARD = re.compile(r"[0-9a-f]{24}")
_DATA = re.compile(r"([0-9a-f]{24})-[0-9a-f]{16}\.(npy|parquet)")


def space_folder(space: str) -> str:
    """Return the folder of a space, relative to the store."""
    return f"{SPACES}/{space}"


def shards_folder(space: str) -> str:
    """Return the folder of a space's shards, relative to the store."""
    return f"{SPACES}/{space}/{SHARDS}"


def marker_name(shard: str) -> str:
    """Return the marker's file name of a shard."""
    return shard + MARKER_SUFFIX


def shard_of_marker(name: str) -> str | None:
    """Return the shard that a marker's file name speaks of, or None for any other file."""
    shard = name.removesuffix(MARKER_SUFFIX)
    return shard if name.endswith(MARKER_SUFFIX) and _SHARD.fullmatch(shard) else None


def shard_of_data(name: str) -> str | None:
    """Return the shard that a data file belongs to, or None for any other file."""
    match = _DATA.fullmatch(name)
    return match.group(1) if match else None


def is_temp(name: str) -> bool:
    """Tell whether a file is the temporary file of some writer, alive or dead."""
    return name.startswith(".") and name.endswith(TEMP_SUFFIX)


def only_own(names: Iterable[str]) -> bool:
    """Tell whether a folder with these entries can only be the beginning of a store."""
    return all(name in OWN_NAMES or is_temp(name) for name in names)
