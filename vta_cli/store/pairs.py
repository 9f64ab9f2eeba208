"""Pairs of keys that were found alike, kept so that the next comparison makes only what is new.

Derived and disposable, like the catalogue: whatever is wrong with a file, it counts as not there,
and all is compared anew. A file is one numpy archive, named by what its owner compared and how;
the room knows keys and arrays, not what makes two of them alike.
"""

import contextlib
import io
import os
import secrets
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys
from vta_cli.store.keyindex import KeyIndex, Rows
from vta_cli.store.layout import PAIRS, TEMP_SUFFIX
from vta_cli.store.medium import storage_errors

MOST_FILES = 16
"""Files kept; the one used longest ago goes first."""

_SUFFIX = ".npz"
_DEAD_S = 86_400.0
"""A temporary file of this age is that of a killed run [s]."""
_FIELDS = ("keys", "marks", "left", "right", "similarity", "same_row", "same_first")


@dataclass(frozen=True)
class KeptPairs:
    """A comparison of n keys, every one with every other.

    Attributes
    ----------
    keys : ndarray of shape (n, 32), uint8
    marks : ndarray of shape (n, n_spaces), uint64
        Which vectors were compared, see `Space.marks`.
    left, right : ndarray of shape (m,), int64
        Pairs of places in `keys`, ``left < right``.
    similarity : ndarray of shape (m,), float32
    same : ndarray of shape (n,), int64
        The first place that has the same vectors; only such places occur in pairs.
    """

    keys: Keys
    marks: NDArray[np.uint64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]
    same: NDArray[np.int64]

    def locate(self, keys: Keys, marks: NDArray[np.uint64]) -> Rows:
        """Return the place of each key, -1 where it or its vectors were not compared."""
        found = KeyIndex(self.keys).locate(keys)
        if not len(self.keys):
            return found
        same = (self.marks[found] == marks).all(axis=1)  # -1 reads the last, and stays -1
        return np.where(same, found, -1)


def pairs_path(store: Path, name: str) -> Path:
    """Return where a store keeps the pairs of a comparison."""
    return store / PAIRS / f"{name}{_SUFFIX}"


def read_pairs(path: Path, n_spaces: int) -> KeptPairs | None:
    """Read a file; None if there is none that is sound."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            keys, marks, left, right, similarity, row, first = (archive[name] for name in _FIELDS)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None
    n = len(keys)
    same = np.arange(n)
    sound = (
        (keys.dtype, keys.shape) == (np.uint8, (n, KEY_BYTES))
        and (marks.dtype, marks.shape) == (np.uint64, (n, n_spaces))
        and left.shape == right.shape == similarity.shape
        and row.shape == first.shape
        and similarity.dtype == np.float32
        and all(_within(ids, n) for ids in (left, right, row, first))
    )
    if not sound:
        return None
    same[row] = first
    return KeptPairs(keys, marks, left, right, similarity, same)


def write_pairs(path: Path, kept: KeptPairs) -> None:
    """Write a file anew, whole or not at all, and let the oldest go beyond `MOST_FILES`.

    Raises
    ------
    StoreError
        ``disk-full`` or ``store-read-only``.
    """
    row = np.flatnonzero(kept.same != np.arange(len(kept.same)))
    values = (kept.keys, kept.marks, kept.left, kept.right, kept.similarity, row, kept.same[row])
    arrays: dict[str, Any] = dict(zip(_FIELDS, values, strict=True))
    with storage_errors(path):
        path.parent.mkdir(exist_ok=True)
        temp = path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMP_SUFFIX}")
        try:
            with temp.open("xb") as file:
                np.savez(file, **arrays)
            temp.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temp.unlink()
            raise
        left = [temp for temp in path.parent.glob(f".*{TEMP_SUFFIX}") if _age_s(temp) > _DEAD_S]
        whole = sorted(path.parent.glob(f"[!.]*{_SUFFIX}"), key=_age_s)
        for old in (*left, *whole[MOST_FILES:]):
            old.unlink(missing_ok=True)


def touch_pairs(path: Path) -> None:
    """Note that a file was used; where that cannot be noted, it may go the sooner."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # another process was faster
        return 0.0


def _within(ids: NDArray[np.int64], n: int) -> bool:
    if ids.dtype != np.int64 or ids.ndim != 1:
        return False
    return not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < n)
