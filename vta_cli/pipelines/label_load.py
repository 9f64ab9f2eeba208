"""Fills the labelling page's pool behind its back: scan, vectors that are there, then the rest.

The page works from the first image on. Images without vectors are embedded in chunks that grow, so
that the first ones are of use after seconds and a large folder still makes few shards.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import UnreadableImageError, VtaError
from vta_cli.images.decode import decode
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.tiling import View
from vta_cli.labels.records import Label
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.label_pool import (
    BASIS_ROWS,
    EXACT_FLOATS,
    Pool,
    Sketch,
    make_sketch,
    read_blocks,
    unit_rows,
)
from vta_cli.pipelines.lanes import Engine, Lane, choose
from vta_cli.pipelines.progress import Silent, Stage
from vta_cli.pipelines.sources import Known, Source, known_refs, listed
from vta_cli.records import ImageRef, Skip
from vta_cli.store.catalogue import Entry
from vta_cli.store.space import Space
from vta_cli.store.store import Store

VECTOR_ROWS = 2_048
"""Rows whose vectors are read together."""
Labelling = Callable[[str], tuple[int, str]]
"""From the path of an image to its label, and where that was found."""
Told = tuple[int, int | None, str]
"""A row, its label, and where that was found; without a label if two sources contradict."""
FIRST_LOOK = 24
"""Images to ask about that are kept at hand while the store knows none: they are opened, not
embedded, so that the page begins at once. Those opened before the first fit are embedded first."""
FIRST_FEW = 4
"""Images of these that are opened before a large folder is listed to its end."""
ENDED = frozenset(("done", "failed", "stopped"))
"""Steps after which nothing more comes."""
LOOK_S = 0.5
"""Seconds between two looks whether enough are at hand [s]."""
FIRST_CHUNK, LAST_CHUNK = 32, 2_048
"""Images embedded together: the first chunk is of use at once, the later ones make few shards."""


@dataclass(frozen=True)
class Inputs:
    """What the page was pointed at.

    Attributes
    ----------
    source : Source
        The images to label.
    labelled : sequence of (Source, int)
        Folders of images that are labelled already, with their label.
    labels : sequence of Label
        Labels from a file.
    preset, backbones, engine
        As for `vta embed`.
    embed_missing : bool
        Whether images without vectors are embedded behind.
    """

    source: Source
    labelled: Sequence[tuple[Source, int]] = ()
    labels: Sequence[Label] = ()
    preset: str = "auto"
    backbones: Sequence[str] = ()
    engine: Engine = field(default_factory=Engine)
    embed_missing: bool = True


@dataclass
class Loading:
    """How far it is: read by the page, written by the loader."""

    step: str = "scan"
    n_done: int = 0
    n_total: int = 0
    n_skipped: int = 0
    n_clashes: int = 0
    problem: str = ""


@dataclass
class Later:
    """A file that the store does not know yet.

    Attributes
    ----------
    label : (int, str) or None
        Its label, and where that was found.
    askable : bool
        Whether it is of the source.
    """

    ref: ImageRef
    label: tuple[int, str] | None
    askable: bool


@dataclass(frozen=True)
class Coming:
    """How many files have yet to be opened: of the source, of these unlabelled, and labelled."""

    images: int
    unlabelled: int
    liked: int
    disliked: int


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """Raised inside the loader when the page ends."""


class _Watch(Silent):
    """Counts embedded images, and stops the run between two of them when the page ends."""

    def __init__(self, loading: Loading, stop: threading.Event) -> None:
        self._loading, self._stop = loading, stop

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Stage:
        """Return a stage that counts into the loading state."""
        inner = super().stage(name, total, unit)
        loading, stop = self._loading, self._stop

        class _Counting:
            def advance(self, n: int = 1) -> None:
                loading.n_done += n
                if stop.is_set():
                    raise Stopped

            def set_total(self, total: int) -> None:
                inner.set_total(total)

            def close(self) -> None:
                inner.close()

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                return None

        return _Counting()


class Loader:
    """One pass over the inputs, in a thread of its own.

    Parameters
    ----------
    lock : RLock
        Guards the pool.
    on_labels : callable
        Given a list of `Told`.
    on_vectors : callable
        Told of rows that got vectors.
    on_scanned : callable
        Told once the scan is over.
    on_axes : callable
        Told, under the lock, that compact vectors have other columns from now on.
    on_lost : callable
        Told of rows whose file went away or was changed before it was embedded.
    """

    def __init__(
        self,
        store: Store,
        pool: Pool,
        inputs: Inputs,
        lock: threading.RLock,
        *,
        on_labels: Callable[[list[Told]], None],
        on_vectors: Callable[[NDArray[np.int64]], None],
        on_scanned: Callable[[], None],
        on_axes: Callable[[], None],
        on_lost: Callable[[int], None],
    ) -> None:
        self._store, self._pool, self._inputs, self._lock = store, pool, inputs, lock
        self._on_labels, self._on_vectors, self._on_scanned = on_labels, on_vectors, on_scanned
        self._on_axes, self._on_lost = on_axes, on_lost
        self._stop = threading.Event()
        self.loading = Loading()
        self.spaces: list[Space] = []
        self.sketch: Sketch | None = None
        self._lanes: list[Lane] = []
        self.specs: tuple[BackboneSpec, ...] = ()
        self.view: View = "whole"
        self._waiting: list[str] = []
        self._looked: list[str] = []
        self._refused: set[str] = set()
        self._looker = threading.Thread(target=self._look_ahead, name="vta-look", daemon=True)
        self._row_at: dict[str, int] = {}
        self._random = np.random.default_rng(0)
        self._later: dict[str, Later] = {}
        self._told: dict[int, int] = {}
        self._found: list[Told] = []
        self._thread = threading.Thread(target=self._run, name="vta-load", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the image under way; what was embedded is committed."""
        self._stop.set()
        self._thread.join(timeout=60)
        if self._looker.is_alive():
            self._looker.join(timeout=60)

    def coming(self) -> Coming:
        """Return how many files have yet to be opened; called under the lock."""
        images = unlabelled = liked = disliked = 0
        for later in self._later.values():
            images += later.askable
            if later.label is None:
                unlabelled += later.askable
            elif later.label[0]:
                liked += 1
            else:
                disliked += 1
        return Coming(images, unlabelled, liked, disliked)

    def _run(self) -> None:
        try:
            self._scan()
            self._on_scanned()
            self._look(FIRST_LOOK)
            self._looker.start()
            if not self._inputs.embed_missing:
                self._open_labelled()
            self._open_lanes()
            self._read_vectors()
            if self._inputs.embed_missing:
                self._embed_rest()
            self.loading.step = "done"
        except Stopped:
            self.loading.step = "stopped"
        except VtaError as error:
            self.loading.step, self.loading.problem = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - the thread's end must be seen on the page
            self.loading.step = "failed"
            self.loading.problem = f"{type(error).__name__}: {error}"

    def _scan(self) -> None:
        for source, label in self._inputs.labelled:
            self._take(source, _always(label), askable=False)
        if self._inputs.labels:
            by_path = {label.path: label for label in self._inputs.labels}
            self._take(
                listed(sorted(by_path)),
                lambda path: (int(by_path[path].value > 0.5), by_path[path].source),
                askable=False,
            )
        self._tell()
        self._take(self._inputs.source, None, askable=True)

    def _take(self, source: Source, label: Labelling | None, *, askable: bool) -> None:
        for batch in known_refs(self._store, source):
            self._add(batch, label, askable=askable)
            if askable and not self._looked:
                self._look(FIRST_FEW)
            if self._stop.is_set():
                raise Stopped

    def _add(
        self, batch: Sequence[Known | Skip], label: Labelling | None, *, askable: bool
    ) -> None:
        with self._lock:
            for item in batch:
                if isinstance(item, Skip):
                    self.loading.n_skipped += 1
                elif item.entry is None:
                    path = item.ref.path
                    self._waiting.append(path)
                    given = None if label is None else label(path)
                    before = self._later.setdefault(path, Later(item.ref, given, askable))
                    before.askable |= askable
                    if given and before.label and given[0] != before.label[0]:
                        before.label, before.askable = None, True
                        self.loading.n_clashes += 1
                elif item.entry.key is None or item.entry.reason:
                    self.loading.n_skipped += 1
                else:
                    entry, ref = item.entry, item.ref
                    size = (entry.width or 0, entry.height or 0)
                    row = self._pool.add(entry.key or b"", ref.path, ref.rel, size, askable=askable)
                    if label is not None:
                        self._note(row, *label(ref.path))

    def _note(self, row: int, label: int, where: str) -> None:
        """Note the label of a row; one that is labelled both ways is asked about instead."""
        if self._told.setdefault(row, label) == label:
            self._found.append((row, label, where))
        elif self._told[row] >= 0:
            self._told[row] = -1
            self.loading.n_clashes += 1
            self._pool.askable[row] = True
            self._found.append((row, None, where))

    def _tell(self) -> None:
        """Hand on the labels that were found; of a contradicted one only that."""
        with self._lock:
            found = [
                told for told in self._found if told[1] is None or self._told[told[0]] == told[1]
            ]
            self._found = []
        if found:
            self._on_labels(found)

    def _look_ahead(self) -> None:
        """Keep a few images to ask about while the network is busy with others."""
        while self._look(FIRST_LOOK) and not self._stop.wait(LOOK_S):
            pass

    def _look(self, n_wanted: int) -> bool:
        """Open a few images that the store does not know; return whether some are left."""
        with self._lock:
            free = int((self._pool.askable & (self._pool.label < 0)).sum())
            unknown = [
                path
                for path, later in self._later.items()
                if later.askable and later.label is None and path not in self._refused
            ]
        if free >= n_wanted:
            return bool(unknown)
        self._random.shuffle(unknown)
        for path in unknown[: max(0, n_wanted - free)]:
            if self._stop.is_set():
                break
            try:
                content = read_bytes(path)
                decoded = decode(content)
            except UnreadableImageError:
                self._refused.add(path)  # told of when its turn comes to be embedded
                continue
            with self._lock:
                later = self._later.pop(path, None)
                if later is None:  # it was embedded meanwhile
                    continue
                size = decoded.width, decoded.height
                row = self._pool.add(key_of(content), path, later.ref.rel, size, askable=True)
                self._row_at[path] = row
                self._looked.append(path)
            self._on_scanned()
        return bool(unknown)

    def _open_labelled(self) -> None:
        """Open the labelled files that the store does not know, since no embedding will do so.

        They may be known by their content, as those that an earlier page moved to their folder.
        """
        with self._lock:
            named = [path for path, later in self._later.items() if later.label is not None]
        for path in named:
            if self._stop.is_set():
                raise Stopped
            with self._lock:
                later = self._later.pop(path)
            label = None if later.label is None else _given(later.label)
            self._add([Known(later.ref, _entry_of(later.ref))], label, askable=later.askable)
        self._tell()

    def _open_lanes(self) -> None:
        inputs = self._inputs
        self.loading.step = "vectors"
        chosen = choose(self._store, inputs.preset, inputs.backbones, inputs.engine)
        if self._store.preset is None and inputs.embed_missing:
            self._store.pin(chosen.pin)
        self._lanes = [
            Lane(self._store, spec, inputs.engine, Silent(), chosen.view) for spec in chosen.specs
        ]
        self.specs, self.view = chosen.specs, chosen.view

    def _read_vectors(self) -> None:
        """Read the vectors that the store has, and list the images that lack any."""
        if any(lane.recipe is None for lane in self._lanes) and not self._inputs.embed_missing:
            return
        self.spaces = [lane.space for lane in self._lanes]
        with self._lock:
            rows = np.arange(len(self._pool))
            keys = self._pool.key_array(rows)
        if len(rows):
            lacking = np.logical_or.reduce([space.missing(keys) for space in self.spaces])
            with self._lock:
                found = {self._pool.paths[row]: int(row) for row in rows[lacking]}
                self._row_at |= found
                self._waiting.extend(found)
            rows = rows[~lacking]
        self._decide_sketch(rows)
        self.loading.n_total = len(rows)
        for part in _parts(rows, VECTOR_ROWS):
            self._put(part)
            self.loading.n_done += len(part)

    def _decide_sketch(self, rows: NDArray[np.int64]) -> None:
        dims = [space.recipe.dim for space in self.spaces]
        n_images = len(self._pool) + len(self._later)
        unit = np.zeros((0, sum(dims)), np.float32)
        if sum(dims) * n_images > EXACT_FLOATS and len(rows):
            random = np.random.default_rng(0)
            sample = np.sort(random.choice(rows, min(len(rows), BASIS_ROWS), replace=False))
            unit = unit_rows(read_blocks(self.spaces, self._pool.key_array(sample)))
        self.sketch = make_sketch(dims, n_images, unit)

    def _compact(self) -> None:
        """Go over to principal axes as soon as a new store has the vectors to find them."""
        if self.sketch is None or self.sketch.axes is not None:
            return
        with self._lock:
            rows = np.flatnonzero(self._pool.has)
            unit, n_images = self._pool.vectors, len(self._pool) + len(self._later)
        if len(rows) < BASIS_ROWS:
            return
        sample = np.sort(np.random.default_rng(0).choice(rows, BASIS_ROWS, replace=False))
        sketch = make_sketch(self.sketch.dims, n_images, unit[sample])
        if sketch.axes is None:
            return
        compact = unit[rows] @ sketch.axes  # this thread alone adds vectors
        with self._lock:
            self._pool.set_vectors(rows, compact)
            self.sketch = sketch
            self._on_axes()
        self._on_vectors(rows)

    def _put(self, rows: NDArray[np.int64]) -> None:
        if self._stop.is_set():
            raise Stopped
        if self.sketch is None:
            return
        with self._lock:
            keys = self._pool.key_array(rows)
        vectors = self.sketch.rows(read_blocks(self.spaces, keys))
        with self._lock:
            self._pool.set_vectors(rows, vectors)
        self._on_vectors(rows)

    def _embed_rest(self) -> None:
        """Embed what waits; the networks are loaded once for all chunks."""
        for lane in self._lanes:
            lane.keeps = True
        try:
            self._embed_chunks()
        finally:
            for lane in self._lanes:
                lane.release()

    def _embed_chunks(self) -> None:
        waiting = self._in_order()
        self.loading.step, self.loading.n_done, self.loading.n_total = "embed", 0, len(waiting)
        tried: set[str] = set()
        size = FIRST_CHUNK
        while waiting:
            chunk = [self._where(path) for path in waiting[:size]]
            done = self.loading.n_done
            watch = _Watch(self.loading, self._stop)
            embed(self._store, listed(chunk), self._lanes, watch)
            self.loading.n_done = done + len(chunk)
            self._after(chunk)
            tried.update(chunk)
            waiting = waiting[size:] or self._moved(tried)
            size = min(size * 2, LAST_CHUNK)

    def _in_order(self) -> list[str]:
        """Order what waits: what is on view, then what is labelled, then the rest.

        The rest comes shuffled: of a large folder that is sorted by date, the head should not learn
        from the first day alone.
        """
        with self._lock:
            labelled = {path for path, later in self._later.items() if later.label is not None}
            first = list(dict.fromkeys(self._looked))
        waiting = [path for path in dict.fromkeys(self._waiting) if path not in set(first)]
        self._random.shuffle(waiting)
        waiting.sort(key=lambda path: path not in labelled)  # stable
        return first + waiting

    def _where(self, path: str) -> str:
        """Return where a file is now: one that was judged with --move has another path."""
        with self._lock:
            row = self._row_at.get(path)
            return path if row is None else self._pool.paths[row]

    def _moved(self, tried: set[str]) -> list[str]:
        """Return the files that were moved while their turn came."""
        with self._lock:
            rows = [row for row in self._row_at.values() if not self._pool.has[row]]
            return [p for row in rows if (p := self._pool.paths[row]) not in tried]

    def _after(self, chunk: Sequence[str]) -> None:
        """Take in what a chunk brought."""
        for space in self.spaces:
            space.refresh()
        rows: set[int] = set()
        with self._lock:  # where files are now: those moved meanwhile have their turn again
            opened = {self._pool.paths[row]: row for row in self._row_at.values()}
        for batch in known_refs(self._store, listed(chunk)):
            for item in batch:
                if isinstance(item, Skip):
                    with self._lock:
                        self._later.pop(item.path, None)
                        self.loading.n_skipped += 1
                    if item.path in opened:
                        self._on_lost(opened[item.path])
                    continue
                entry = item.entry or _entry_of(item.ref)
                was = opened.get(item.ref.path)
                changed = was is not None and entry.key != self._pool.keys[was]
                with self._lock:
                    later = self._later.pop(item.ref.path, Later(item.ref, None, askable=changed))
                if was is not None and changed:
                    self._on_lost(was)
                label = None if later.label is None else _given(later.label)
                self._add([Known(later.ref, entry)], label, askable=later.askable)
                key = entry.key
                row = None if key is None else self._pool.row(key.hex())
                if row is not None and not self._pool.has[row]:
                    rows.add(row)
        with self._lock:
            for path in chunk:  # what is left is neither image nor skip, such as a caption
                self._later.pop(path, None)
        self._tell()
        found = np.array(sorted(rows), dtype=np.int64)
        if len(found):
            keys = self._pool.key_array(found)
            lacking = np.logical_or.reduce([space.missing(keys) for space in self.spaces])
            if len(found[~lacking]):
                self._put(found[~lacking])
                self._compact()
        self._on_scanned()


def _always(label: int) -> Labelling:
    return lambda _path: (label, "folder")


def _given(label: tuple[int, str]) -> Labelling:
    return lambda _path: label


def _entry_of(ref: ImageRef) -> Entry:
    """Look at a file that the catalogue does not believe in yet: it was changed a moment ago."""
    key, reason, detail = None, None, ""
    try:
        content = read_bytes(ref.path)
        key = key_of(content)
        decode(content)  # else what is no image would be shown as one that waits for its vectors
    except UnreadableImageError as error:
        reason, detail = error.slug, error.message
    return Entry(
        path=ref.path, size_bytes=ref.size_bytes, mtime_ns=ref.mtime_ns, ctime_ns=ref.ctime_ns,
        key=key, width=0, height=0, format="", reason=reason, detail=detail,
    )  # fmt: skip


def _parts(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
