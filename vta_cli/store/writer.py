"""Writes vectors into a space: buffers rows, seals them as shards, loses only what is unsealed."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from vta_cli.errors import StoreError
from vta_cli.records import KEY_BYTES, Keys, Recipe, Vectors
from vta_cli.store.commit import commit_shard
from vta_cli.store.keyindex import as_keys
from vta_cli.store.marker import Marker, SkipRow, check_key
from vta_cli.store.medium import Medium
from vta_cli.store.recipefile import write_recipe
from vta_cli.store.widen import Half, narrow
from vta_cli.words import counted


class ShardWriter:
    """Appends rows to a space and seals them as shards.

    A context manager: leaving it seals what is buffered, also on an exception or Ctrl-C, since the
    rows appended are whole and true. It seals by itself when the buffer reaches `max_bytes`, and on
    the first append later than `max_seconds` after the oldest unsealed row.

    Several writers, in several processes, may write into one space at once. One writer is used by
    one thread at a time.

    Vectors are kept in float16. From the first batch on that float16 cannot hold, this writer's
    shards are float32.

    Parameters
    ----------
    medium : Medium
    recipe : Recipe
        Of the space; its `n_views` and `dim` are held to.
    on_commit : callable
        Told of each shard committed.
    max_bytes : int
        Largest shard, keys included [bytes]; one that has to become float32 may be up to double.
    max_seconds : float
        Longest time that a row stays unsealed while others come in [s].
    clock : callable
        Monotonic seconds; tests bring their own.
    """

    def __init__(
        self,
        medium: Medium,
        recipe: Recipe,
        *,
        on_commit: Callable[[Marker], None] = lambda _: None,
        max_bytes: int = 64 << 20,
        max_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows_committed = 0
        self._medium = medium
        self._recipe = recipe
        self._on_commit = on_commit
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._clock = clock
        self._wide = False
        self._recipe_written = False
        self._rows: list[tuple[Keys, Half]] = []
        self._skips: list[SkipRow] = []
        self._bytes = 0
        self._since: float | None = None

    @property
    def rows_buffered(self) -> int:
        """Rows that a crash now would lose."""
        return sum(len(keys) for keys, _ in self._rows)

    def append(self, keys: Keys, vectors: Vectors) -> None:
        """Add rows; may seal.

        Parameters
        ----------
        keys : ndarray of shape (n, 32), uint8
        vectors : ndarray of shape (n, dim) or (n, n_views, dim), float32
            Copied.

        Raises
        ------
        StoreError
            ``wrong-shape`` if keys and vectors do not fit each other or the recipe, ``not-finite``
            if a value is NaN or infinite; nothing of the batch is taken then. When it seals, the
            errors of `seal`: part of the batch may be buffered, appending it again does no harm.
        """
        keys = as_keys(keys).copy()
        shaped = self._shaped(keys, vectors)
        start = 0
        while start < len(keys):
            room = (self._max_bytes - self._bytes) // self._row_bytes(4 if self._wide else 2)
            if room < 1 and self._bytes:
                self.seal()
                continue
            stop = start + max(room, 1)
            self._take_in(keys[start:stop], shaped[start:stop])
            start = stop

    def append_skips(self, skips: Sequence[tuple[bytes, str, str]]) -> None:
        """Add keys that have no vector, each with the reason (slug) and a detail; may seal.

        Raises
        ------
        ValueError
            If a key is not 32 bytes long.
        """
        rows = [(check_key(key), reason, _printable(detail)) for key, reason, detail in skips]
        if rows:
            self._skips.extend(rows)
            self._bytes += sum(KEY_BYTES + len(reason) + len(detail) for _, reason, detail in rows)
            self._grown()

    def seal(self) -> str | None:
        """Commit what is buffered as one shard; return its name, None if nothing was buffered.

        Raises
        ------
        StoreError
            ``disk-full``, ``store-read-only`` or ``store-io``; nothing is half committed, and the
            rows stay in the buffer.
        """
        if not self._rows and not self._skips:
            return None
        if not self._recipe_written:
            write_recipe(self._medium, self._recipe)
            self._recipe_written = True
        if self._rows:
            keys = np.concatenate([keys for keys, _ in self._rows])
            vectors = np.concatenate([vectors for _, vectors in self._rows])
        else:
            keys = np.empty((0, KEY_BYTES), np.uint8)
            vectors = np.empty((0, self._recipe.n_views, self._recipe.dim), np.float16)
        marker = commit_shard(
            self._medium,
            self._recipe.space_name,
            keys,
            vectors,
            skips=self._skips,
        )
        self._rows, self._skips, self._bytes, self._since = [], [], 0, None
        self.rows_committed += len(keys)
        self._on_commit(marker)
        return marker.shard

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.seal()
        except StoreError as error:
            if value is None:
                raise
            value.add_note(
                f"{counted(self.rows_buffered, 'row was', 'rows were')} not committed: {error}"
            )

    def _take_in(self, keys: Keys, vectors: Vectors) -> None:
        half = None if self._wide else narrow(vectors)
        if half is None and not self._wide:
            self.seal()  # the narrow rows so far stay narrow
            self._wide = True
        if half is None:
            wide = np.array(vectors, np.float32, order="C")
            self._rows.append((keys, wide))
            self._bytes += keys.nbytes + wide.nbytes
        else:
            self._rows.append((keys, half))
            self._bytes += keys.nbytes + half.nbytes
        self._grown()

    def _grown(self) -> None:
        now = self._clock()
        if self._since is None:
            self._since = now
        if self._bytes >= self._max_bytes or now - self._since >= self._max_seconds:
            self.seal()

    def _row_bytes(self, item_bytes: int) -> int:
        return KEY_BYTES + self._recipe.n_views * self._recipe.dim * item_bytes

    def _shaped(self, keys: Keys, vectors: Vectors) -> Vectors:
        recipe = self._recipe
        array = np.asarray(vectors, np.float32)
        if array.ndim == 2 and recipe.n_views == 1:
            array = array[:, None, :]  # (n, dim) -> (n, 1, dim)
        if array.shape != (len(keys), recipe.n_views, recipe.dim):
            raise StoreError(
                "wrong-shape",
                f"{len(keys)} keys came with vectors of shape {np.shape(vectors)}; space "
                f"{recipe.space_name} holds {recipe.n_views} x {recipe.dim} for each",
            )
        finite = np.isfinite(array).all(axis=(1, 2))
        if not finite.all():
            bad = int(np.flatnonzero(~finite)[0])
            raise StoreError(
                "not-finite",
                f"the vector of key {keys[bad].tobytes().hex()} has a value that is not finite",
                hint="the backbone broke down on this image; try --precision fp32",
            )
        return array


def _printable(text: str) -> str:
    """Return the text with lone surrogates (undecodable file names) written out."""
    return text.encode("utf-8", "backslashreplace").decode()
