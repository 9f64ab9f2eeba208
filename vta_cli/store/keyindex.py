"""Which row holds which key: sorted 8-byte prefixes, checked against the whole key.

Ten million keys cost 480 MB (320 the keys, 80 prefixes, 80 rows) and about three seconds to index.
Prefixes of digests hardly ever meet, but nothing here depends on that: equal prefixes form a run
that a look-up walks along, so made-up keys are found as well.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys

Rows = NDArray[np.int64]
"""Row numbers, shape (n,); -1 stands for "nowhere"."""

_RUN = 16
"""Fewer keys are not worth the guess that they stand in a row."""


def as_keys(keys: Keys) -> Keys:
    """Return the keys as a contiguous array of shape (n, 32).

    Raises
    ------
    ValueError
        If they are anything else than whole keys of bytes.
    """
    array = np.ascontiguousarray(keys)
    if array.dtype != np.uint8 or array.size % KEY_BYTES or array.shape[-1:] != (KEY_BYTES,):
        if array.size == 0:
            return np.empty((0, KEY_BYTES), np.uint8)
        raise ValueError(
            f"keys are uint8 of shape (n, {KEY_BYTES}), not {array.dtype} {array.shape}"
        )
    return array.reshape(-1, KEY_BYTES)


def words(keys: Keys) -> NDArray[np.uint64]:
    """Return the keys as four 64-bit words each, shape (n, 4)."""
    return keys.view("<u8").reshape(len(keys), KEY_BYTES // 8)


class KeyIndex:
    """An immutable index over an array of keys; of equal keys the first row counts.

    Parameters
    ----------
    keys : ndarray of shape (n, 32), uint8
        Kept, not copied.
    first_row : int
        Row number of the first key.
    starts : sequence of int
        Where in `keys` stretches begin that were written one by one, such as shards: a guess where
        keys go on that are asked for in the order of writing.
    """

    def __init__(self, keys: Keys, first_row: int = 0, starts: Sequence[int] = ()) -> None:
        self.keys = as_keys(keys)
        self.first_row = first_row
        self.starts = [start for start in starts if start < len(self.keys)]
        self._next = 0

    @cached_property
    def _start_of(self) -> dict[int, int]:
        """Prefix of the first key of each stretch to its place."""
        return dict(zip(words(self.keys)[self.starts, 0].tolist(), self.starts, strict=True))

    @cached_property
    def _repeats(self) -> bool:
        """Whether two prefixes are equal. Sorting them takes an eighth of making the index."""
        prefixes = np.sort(words(self.keys)[:, 0])
        return bool((prefixes[1:] == prefixes[:-1]).any())

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Order of the keys by prefix, and the prefixes; of equal keys the first alone."""
        prefixes = np.ascontiguousarray(words(self.keys)[:, 0])
        order = np.argsort(prefixes)
        prefixes = prefixes[order]
        repeated = prefixes[1:] == prefixes[:-1]
        if repeated.any():
            return self._resolve(order, prefixes, repeated)
        return order, prefixes

    def __len__(self) -> int:
        """Number of distinct keys."""
        return len(self._sorted[0]) if self._repeats else len(self.keys)

    def rows(self) -> Rows:
        """Return the row of each distinct key, ascending."""
        order = np.sort(self._sorted[0]) if self._repeats else np.arange(len(self.keys))
        return order + self.first_row

    def locate(self, keys: Keys) -> Rows:
        """Return the row of each key, -1 where it is absent."""
        found = np.full(len(keys), -1, np.int64)
        if not len(self.keys) or not len(keys):
            return found
        if len(keys) >= _RUN and not self._repeats:
            return self._locate_run(keys)
        return self._search(keys)

    def _locate_run(self, keys: Keys) -> NDArray[np.int64]:
        """Guess that the keys stand one after the other, as images embedded in order do.

        First behind those of the last call, then from the start of a stretch on. Comparing them
        costs a tenth of a search, and may save making the index. Right only where no key stands
        twice.
        """
        found = np.full(len(keys), -1, np.int64)
        wanted = words(keys)
        at, start = 0, self._next
        while True:
            stored = words(self.keys[start : start + len(keys) - at])
            same = (stored == wanted[at : at + len(stored)]).all(axis=1)
            n_same = len(same) if same.all() else int(np.argmin(same))
            found[at : at + n_same] = np.arange(start, start + n_same) + self.first_row
            at += n_same
            if at == len(keys):
                break
            jump = self._start_of.get(int(wanted[at, 0]))
            if jump is None or jump == start:
                break
            start = jump
        if at < len(keys):
            found[at:] = self._search(keys[at:])
        if found[-1] >= 0:
            self._next = int(found[-1]) - self.first_row + 1
        return found

    def _search(self, keys: Keys) -> NDArray[np.int64]:
        """Look each key up."""
        found = np.full(len(keys), -1, np.int64)
        wanted = words(keys)
        order, prefixes = self._sorted
        # Searching in sorted order is fifteen times faster: neighbours share cache lines.
        queue = np.argsort(wanted[:, 0])
        prefix = wanted[queue, 0]
        position = np.searchsorted(prefixes, prefix)
        mine = words(self.keys)
        last = len(prefixes) - 1
        while len(queue):
            inside = position <= last
            inside &= prefixes[np.minimum(position, last)] == prefix
            queue, prefix, position = queue[inside], prefix[inside], position[inside]
            candidate = order[position]
            same = (mine[candidate] == wanted[queue]).all(axis=1)
            found[queue[same]] = candidate[same] + self.first_row
            other = ~same
            queue, prefix, position = queue[other], prefix[other], position[other] + 1
        return found

    def _resolve(
        self,
        order: NDArray[np.int64],
        prefixes: NDArray[np.uint64],
        repeated: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Keep the first row of each key among those whose prefixes are equal."""
        in_run = np.zeros(len(order), np.bool_)
        in_run[1:] |= repeated
        in_run[:-1] |= repeated
        spots = np.flatnonzero(in_run)
        rows = order[spots]
        runs = words(self.keys)[rows]
        arranged = np.lexsort((rows, runs[:, 3], runs[:, 2], runs[:, 1], runs[:, 0]))
        runs = runs[arranged]
        order = order.copy()
        order[spots] = rows[arranged]
        keep = np.ones(len(order), np.bool_)
        keep[spots[1:]] = (runs[1:] != runs[:-1]).any(axis=1)
        return order[keep], prefixes[keep]
