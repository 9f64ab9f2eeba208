"""A space: all vectors of one recipe, found by key, read as memory maps."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import StoreError
from vta_cli.records import KEY_BYTES, Keys, Recipe, Vectors
from vta_cli.store.keyindex import KeyIndex, Rows, as_keys
from vta_cli.store.marker import Marker
from vta_cli.store.medium import Medium
from vta_cli.store.shard import (
    DamagedShardError,
    MarkerCache,
    VectorMaps,
    list_shards,
    load_keys,
)
from vta_cli.store.widen import Half, gather, widen
from vta_cli.store.writer import ShardWriter
from vta_cli.words import counted


class Stored:
    """Vectors of some rows of a space, read from the memory map a slice at a time.

    A slice gives float32 of shape (n, n_views, dim), or (n, dim) of a space with one view an image;
    it is good until the next.

    Attributes
    ----------
    shape : tuple of int
        Of all rows.
    """

    def __init__(
        self, rows: Rows, shape: tuple[int, int], fill: Callable[[Rows, Vectors], None]
    ) -> None:
        self._rows = rows
        self._fill = fill
        self._room = np.empty((0, *shape), np.float32)
        self._one_view = shape[0] == 1
        self.shape = (len(rows), *(shape[1:] if self._one_view else shape))

    def __getitem__(self, some: slice, /) -> Vectors:
        rows = self._rows[some]
        if len(self._room) < len(rows):
            self._room = np.empty((len(rows), *self._room.shape[1:]), np.float32)
        found = self._room[: len(rows)]
        self._fill(rows, found)
        return found[:, 0, :] if self._one_view else found


class Space:
    """All vectors of one recipe.

    Row numbers run through the shards in listing order. They hold until `refresh` finds that
    shards were replaced; shards that were only added come after those known.

    A key that stands in two shards is read once: the shard that comes first by name counts, or, in
    a space that is open already, the one that was known first.

    Parameters
    ----------
    medium : Medium
        Where the store lies.
    recipe : Recipe
        Identity of the space.
    root : Path
        The store's folder, for messages and to see whether it may be written.
    read_only : bool
        Refuse to make writers.
    """

    def __init__(
        self,
        medium: Medium,
        recipe: Recipe,
        *,
        root: Path,
        read_only: bool = False,
    ) -> None:
        self.recipe = recipe
        self.name = recipe.space_name
        self.problems: list[str] = []
        self._medium = medium
        self._root = root
        self._read_only = read_only
        self._lock = threading.RLock()
        self._maps = VectorMaps(medium, self.name)
        self._cache: MarkerCache = {}
        self._distrust: set[str] = set()
        self._shards: list[Marker] = []
        self._starts = np.zeros(1, np.int64)
        self._indexes: list[KeyIndex] = []
        self._n_indexed = 0
        self.refresh()

    @property
    def n_rows(self) -> int:
        """Rows of all live shards; a key that stands in two counts twice here."""
        return int(self._starts[-1])

    @property
    def n_shards(self) -> int:
        """Live shards."""
        return len(self._shards)

    @property
    def markers(self) -> Sequence[Marker]:
        """Markers of the live shards, in row order."""
        return tuple(self._shards)

    def refresh(self) -> None:
        """List the markers again and take in what other writers have committed.

        Raises
        ------
        StoreError
            ``store-newer`` if a newer vta has written here; ``wrong-shape`` if a shard does not
            fit the recipe.
        """
        with self._lock:
            listing = list_shards(
                self._medium,
                self.name,
                cache=self._cache,
                distrust=self._distrust,
            )
            for name, problem in listing.damaged.items():
                self._note(f"shard marker {name} of space {self.name} is ignored: {problem}")
            live = {marker.digest: marker for marker in listing.live}
            known = {marker.digest for marker in self._shards}
            if not known <= live.keys():
                self._forget_all()
                known = set()
            self._add([marker for digest, marker in live.items() if digest not in known])

    def locate(self, keys: Keys) -> Rows:
        """Return the row of each key, -1 where there is no vector; shape (n,), int64."""
        keys = as_keys(keys)
        with self._lock:
            found = np.full(len(keys), -1, np.int64)
            for index in self._ready():
                open_ = np.flatnonzero(found < 0)
                if not len(open_):
                    break
                found[open_] = index.locate(keys[open_] if len(open_) < len(keys) else keys)
            return found

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Tell for each key whether it has no vector here (skipped ones have none)."""
        return self.locate(keys) < 0

    def marks(self, rows: Rows) -> NDArray[np.uint64]:
        """Return for each row a number that no other vector of the store is likely to have.

        Made of the digest of the shard's marker and of the place in it; so another vector of the
        same key, committed or read in its place since, has another one.
        """
        rows = np.asarray(rows, np.int64)
        with self._lock:
            starts = self._starts[:-1]
            digests = [int(marker.digest[:16], 16) for marker in self._shards]
        if not len(rows):
            return np.empty(0, np.uint64)
        shards = np.searchsorted(starts, rows, side="right") - 1
        place = (rows - starts[shards]).astype(np.uint64)
        # an odd factor, 2^64 over the golden ratio, so that near rows of two shards do not meet
        return np.array(digests, np.uint64)[shards] + place * np.uint64(0x9E3779B97F4A7C15)

    def take(self, rows: Rows) -> Vectors:
        """Return the vectors of any rows, in any order: shape (n, n_views, dim), float32.

        Raises
        ------
        IndexError
            If a row number is negative or too large.
        StoreError
            ``shard-damaged`` if a file is not what was committed.
        """
        rows = np.asarray(rows, np.int64)
        out = np.empty((len(rows), self.recipe.n_views, self.recipe.dim), np.float32)
        self._fill(rows, out)
        return out

    def read(self, keys: Keys) -> Vectors:
        """Return the vectors of the keys: shape (n, n_views, dim), float32.

        Raises
        ------
        StoreError
            ``missing-vectors`` if a key has none.
        """
        rows = self.locate(keys)
        absent = np.flatnonzero(rows < 0)
        if len(absent):
            first = as_keys(keys)[absent[0]].tobytes().hex()[:16]
            raise StoreError(
                "missing-vectors",
                f"no vector in space {self.name} for {len(absent):,} of "
                f"{counted(len(rows), 'image')} (the first has key {first}...)",
                hint="run `vta embed` on them first",
            )
        return self.take(rows)

    def blocks(
        self, rows: Rows, block_rows: int = 1024, *, reuse: bool = False
    ) -> Iterator[tuple[slice, Vectors]]:
        """Iterate over the vectors of the rows, in the order given, in little memory.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
        block_rows : int
            Rows of a block; the last may be shorter.
        reuse : bool
            Read all blocks into the same memory, which is faster: a block is good until the next.

        Yields
        ------
        slice
            The block's place in `rows`.
        ndarray of shape (n, n_views, dim), float32
            Its vectors, the caller's to keep unless `reuse` says otherwise.
        """
        rows = np.asarray(rows, np.int64)
        shape = (min(block_rows, len(rows)), self.recipe.n_views, self.recipe.dim)
        room = np.empty(shape, np.float32)
        before: set[int] = set()
        for start in range(0, len(rows), block_rows):
            part = slice(start, min(start + block_rows, len(rows)))
            if not reuse:
                room = np.empty(shape, np.float32)
            vectors = room[: part.stop - start]
            touched = self._fill(rows[part], vectors)
            for number in before - touched:
                self._maps.release(self._shards[number])
            before = touched
            yield part, vectors
        for number in before:
            self._maps.release(self._shards[number])

    @contextmanager
    def reading(self, rows: Rows) -> Iterator[Stored]:
        """Give the vectors of the rows to someone who reads a few at a time, in little memory.

        Raises
        ------
        IndexError
            If a row number is negative or too large.
        """
        rows = np.asarray(rows, np.int64)
        touched: set[int] = set()
        stretch = self._stretch(rows) if len(rows) else None
        if stretch is not None:
            touched.add(stretch[0])

        def fill(some: Rows, out: Vectors) -> None:
            if stretch is not None:
                start = int(some[0] - rows[0]) if len(some) else 0
                widen(stretch[1][start : start + len(some)], out)
            else:
                touched.update(self._fill(some, out))

        try:
            yield Stored(rows, (self.recipe.n_views, self.recipe.dim), fill)
        finally:
            for number in touched:
                self._maps.release(self._shards[number])

    def skips(self) -> Mapping[bytes, tuple[str, str]]:
        """Return reason and detail of each key that writers skipped and that has no vector.

        Where writers disagree, the latest says.
        """
        with self._lock:
            found: dict[bytes, tuple[str, str]] = {}
            for marker in sorted(self._shards, key=lambda m: (m.created_ns, m.shard)):
                for key, reason, detail in marker.skips:
                    found[key] = (reason, detail)
            if found and self.n_rows:
                names = list(found)
                array = np.frombuffer(b"".join(names), np.uint8).reshape(len(names), -1)
                for number in np.flatnonzero(self.locate(array) >= 0).tolist():
                    del found[names[number]]
            return found

    def keys(self) -> Keys:
        """Return every key that has a vector, once, in row order: shape (n, 32)."""
        with self._lock:
            self._ready()
            self._merge(lambda *_: True)
            if not self._indexes:
                return np.empty((0, KEY_BYTES), np.uint8)
            rows = self._indexes[0].rows()
            everything = self._indexes[0].keys
            return everything.copy() if len(rows) == len(everything) else everything[rows]

    def writer(self, *, max_bytes: int = 64 << 20, max_seconds: float = 60.0) -> ShardWriter:
        """Return a writer into this space; see `ShardWriter`.

        Raises
        ------
        StoreError
            ``store-read-only`` if the store was opened so, or its folder may not be written.
        """
        if self._read_only or not os.access(self._root, os.W_OK):
            why = "was opened for reading only" if self._read_only else "cannot be written"
            raise StoreError(
                "store-read-only",
                f"store {self._root} {why}",
                hint="change its permissions or give another store with --store",
            )
        return ShardWriter(
            self._medium,
            self.recipe,
            on_commit=self._adopt,
            max_bytes=max_bytes,
            max_seconds=max_seconds,
        )

    # Inside.

    def _adopt(self, marker: Marker) -> None:
        """Take in a shard that a writer of our own has committed."""
        with self._lock:
            if all(marker.digest != known.digest for known in self._shards):
                self._add([marker])

    def _add(self, markers: list[Marker]) -> None:
        wanted = (self.recipe.n_views, self.recipe.dim)
        for marker in markers:
            if marker.rows and (marker.n_views, marker.dim) != wanted:
                raise StoreError(
                    "wrong-shape",
                    f"shard {marker.shard} of space {self.name} has vectors of "
                    f"{marker.n_views} x {marker.dim}, the recipe says {wanted[0]} x {wanted[1]}",
                    hint="run `vta store check --repair` to set it aside",
                )
        self._shards.extend(markers)
        self._starts = np.cumsum([0, *(marker.rows for marker in self._shards)], dtype=np.int64)

    def _forget_all(self) -> None:
        self._shards = []
        self._starts = np.zeros(1, np.int64)
        self._indexes = []
        self._n_indexed = 0
        self._maps.clear()

    def _ready(self) -> list[KeyIndex]:
        """Return indexes that cover all shards known."""
        while self._n_indexed < len(self._shards):
            first = int(self._starts[self._n_indexed])
            keys = np.empty((self.n_rows - first, KEY_BYTES), np.uint8)
            try:
                for number in range(self._n_indexed, len(self._shards)):
                    marker = self._shards[number]
                    start = int(self._starts[number]) - first
                    keys[start : start + marker.rows] = load_keys(
                        self._medium,
                        self.name,
                        marker,
                    )
            except DamagedShardError:
                # Counts as absent from now on; what it replaced may stand in for it again.
                self._distrust.add(marker.digest)
                self._forget_all()
                self.refresh()
                continue
            starts = (self._starts[self._n_indexed : -1] - first).tolist()
            self._n_indexed = len(self._shards)
            if len(keys):
                self._indexes.append(KeyIndex(keys, first, starts))
                # Each index is at least twice as large as the next, so there are few of them and
                # a shard that comes in costs little beside a large store.
                self._merge(lambda before, last: len(before.keys) <= 2 * len(last.keys))
        return self._indexes

    def _merge(self, wanted: Callable[[KeyIndex, KeyIndex], bool]) -> None:
        """Merge the last two indexes for as long as `wanted` says so."""
        while len(self._indexes) > 1 and wanted(*self._indexes[-2:]):
            last, before = self._indexes.pop(), self._indexes.pop()
            keys = np.concatenate([before.keys, last.keys])
            starts = [*before.starts, *(len(before.keys) + start for start in last.starts)]
            self._indexes.append(KeyIndex(keys, before.first_row, starts))

    def _stretch(self, rows: Rows) -> tuple[int, Half] | None:
        """Return the shard's number and its stored rows, if `rows` are a stretch of one shard."""
        with self._lock:
            markers = tuple(self._shards)
            starts = self._starts
        if int(rows.min()) < 0 or int(rows.max()) >= starts[-1]:
            raise IndexError(f"rows of space {self.name} lie in 0..{starts[-1] - 1}")
        first, n = int(rows[0]), len(rows)
        number = int(np.searchsorted(starts, first, side="right")) - 1
        if first + n > starts[number + 1] or not (rows == np.arange(first, first + n)).all():
            return None
        begin = first - int(starts[number])
        return number, self._source(markers[number])[begin : begin + n]

    def _fill(self, rows: Rows, out: Vectors) -> set[int]:
        """Read rows into `out`, shard by shard; return the numbers of the shards."""
        if not len(rows):
            return set()
        stretch = self._stretch(rows)
        if stretch is not None:
            widen(stretch[1], out)
            return {stretch[0]}
        with self._lock:
            markers = tuple(self._shards)
            starts = self._starts
        shards = np.searchsorted(starts, rows, side="right") - 1
        borders = np.flatnonzero(shards[1:] != shards[:-1]) + 1
        order: Rows | None = None
        if len(borders) > len(rows) // 16:  # not whole stretches of one shard each: sort
            order = np.argsort(rows, kind="stable")
            rows, shards = rows[order], shards[order]
            borders = np.flatnonzero(shards[1:] != shards[:-1]) + 1
        for begin, end in itertools.pairwise([0, *borders.tolist(), len(rows)]):
            number = int(shards[begin])
            source = self._source(markers[number])
            if order is None:
                gather(source, rows[begin:end] - starts[number], out[begin:end])
            else:
                part = np.empty((end - begin, *out.shape[1:]), np.float32)
                gather(source, rows[begin:end] - starts[number], part)
                out[order[begin:end]] = part
        return set(np.unique(shards).tolist())

    def _source(self, marker: Marker) -> Half:
        with self._lock:
            return self._maps.get(marker)

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
