"""Fill the store: every image of a source gets a vector in every wanted space, once.

Unchanged files are told by path, size and time, and are not opened. What is left is read once,
hashed, decoded once for all backbones that want the same size, and viewed in worker threads, while
the network runs in the calling thread. Rows reach the store in sealed shards, so a killed run loses
the unsealed rows only.
"""

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np

from vta_cli.backbones.protocol import is_exact
from vta_cli.errors import UnreadableImageError
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.picture import Picture
from vta_cli.images.reasons import is_outdated
from vta_cli.images.sources import is_side_file, sniff
from vta_cli.pipelines.interrupt import StopRequest
from vta_cli.pipelines.lanes import Lane, key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.sources import SIDE_FILE, Found, Source, known_contents
from vta_cli.records import ImageRef, Pixels, Skip, Vectors
from vta_cli.store.catalogue import Content, Entry
from vta_cli.store.store import Store

PLAN_IMAGES = 100_000
"""Images planned at once: bounds the memory of the plan, and the scan runs no further ahead."""
WINDOW_PER_WORKER = 4
"""Images in flight per worker: enough to keep the network fed, few enough to bound memory."""
RECORD_EVERY = 512
"""Catalogue entries written together."""
LARGE_PIXELS = 32_000_000
"""Pictures beyond this are decoded and viewed one at a time, whatever the number of workers."""
_UNKNOWN: Content = (None, None, "")
HEAD_BYTES = 64
"""Bytes that tell whether a side file is an image after all."""


@dataclass
class EmbedReport:
    """What a run did.

    Attributes
    ----------
    n_files : int
        Files of the source, side files not counted.
    n_images : int
        Files that are readable images.
    n_known : int
        Images whose vectors were all in the store already (or made for an equal file of this run).
    n_opened : int
        Files that had to be opened to know that.
    embedded : dict of str to int
        Rows added, per backbone.
    skips : Counter of str
        Files left out, per reason. Side files have their own count: they never claimed to be
        images.
    n_side_files : int
    examples : dict of str to Skip
        One skip of each reason.
    stages : dict of str to float
        Seconds spent reading, decoding, viewing and running networks, summed over threads.
    interrupted : bool
        Whether the user stopped the run.
    seconds : float
        Wall time.
    """

    n_files: int = 0
    n_images: int = 0
    n_known: int = 0
    n_opened: int = 0
    embedded: dict[str, int] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)
    n_side_files: int = 0
    examples: dict[str, Skip] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0

    def skip(self, skip: Skip) -> None:
        """Count a skip and keep the first of its reason."""
        if skip.reason == SIDE_FILE:
            self.n_files -= 1
            self.n_side_files += 1
        else:
            self.skips[skip.reason] += 1
        self.examples.setdefault(skip.reason, skip)


@dataclass
class _Outcome:
    """What a worker made of one file."""

    entry: Entry
    vectors: list[tuple[Lane, Vectors]] = field(default_factory=list)
    pixels: list[tuple[Lane, list[Pixels]]] = field(default_factory=list)
    claimed: list[Lane] = field(default_factory=list)
    seconds: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


_large = threading.Semaphore(1)


def embed(
    store: Store,
    source: Source,
    lanes: Sequence[Lane],
    progress: Progress,
    *,
    workers: int | None = None,
    retry_skipped: bool = False,
) -> EmbedReport:
    """Embed what a source names and the store lacks.

    Parameters
    ----------
    lanes : sequence of Lane
        The backbones; those with nothing to do are never loaded.
    workers : int, optional
        Threads that read and decode; default: the processors that this process may use.
    retry_skipped : bool
        Look again at files that were unreadable before.

    Returns
    -------
    EmbedReport

    Raises
    ------
    StoreError
        If the store cannot be written; what was sealed before stays.
    BackboneError
        If a backbone cannot be had.
    """
    report = EmbedReport()
    start = time.perf_counter()
    with StopRequest() as stop, ExitStack() as stack:
        run = _Run(store, lanes, report, progress, stop, workers or _processors())
        stack.callback(run.finish)
        stage = stack.enter_context(progress.stage("embed"))
        for todo in _plans(store, source, lanes, report, stop, retry_skipped=retry_skipped):
            stage.set_total(report.n_opened + len(todo))
            run.work(todo, stage.advance)
            if stop.requested:
                break
    report.interrupted = stop.requested
    report.embedded = {lane.spec.name: lane.n_embedded for lane in lanes}
    report.seconds = time.perf_counter() - start
    return report


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plans(
    store: Store,
    source: Source,
    lanes: Sequence[Lane],
    report: EmbedReport,
    stop: StopRequest,
    *,
    retry_skipped: bool,
) -> Iterator[list[ImageRef]]:
    """Yield lists of refs that have to be opened; count what needs no opening."""
    todo: list[ImageRef] = []
    for batch in known_contents(store, source):
        todo.extend(_lacking(batch, lanes, report, retry_skipped=retry_skipped))
        if len(todo) >= PLAN_IMAGES:
            yield todo
            todo = []
        if stop.requested:
            return
    if todo:
        yield todo


def _lacking(
    batch: Sequence[tuple[Found, Content | None]],
    lanes: Sequence[Lane],
    report: EmbedReport,
    *,
    retry_skipped: bool,
) -> list[ImageRef]:
    todo: list[ImageRef] = []
    refs: list[ImageRef] = []
    keys: list[bytes] = []
    report.n_files += len(batch)
    for item, content in batch:
        key, reason, detail = content or _UNKNOWN
        if isinstance(item, Skip):
            report.skip(item)
        elif key is not None and reason is None:
            refs.append(item)
            keys.append(key)
        elif content is None or (
            reason and reason != SIDE_FILE and (retry_skipped or is_outdated(reason))
        ):
            todo.append(item)
        else:
            report.skip(Skip(item.path, reason or "unknown", detail))
    if keys:
        rows = key_rows(keys)
        lacks = np.logical_or.reduce([lane.missing(rows) for lane in lanes])
        todo.extend(refs[index] for index in np.flatnonzero(lacks).tolist())
        n_known = len(keys) - int(np.count_nonzero(lacks))
        report.n_known += n_known
        report.n_images += n_known
    return todo


class _Run:
    """The state of one run: workers, lanes, what is to be recorded."""

    def __init__(
        self,
        store: Store,
        lanes: Sequence[Lane],
        report: EmbedReport,
        progress: Progress,
        stop: StopRequest,
        workers: int,
    ) -> None:
        self._store, self._lanes, self._report = store, lanes, report
        self._progress, self._stop, self._workers = progress, stop, workers
        self._bad: dict[bytes, tuple[str, str]] = {}
        self._entries: list[Entry] = []
        self._open = False
        self._forward_s = 0.0

    def work(self, todo: Sequence[ImageRef], done: Callable[[int], None]) -> None:
        """Open, decode and embed the refs, in order, until the end or a request to stop."""
        if not self._open:
            for lane in self._lanes:
                lane.open()
            self._open = True
        waiting: deque[Future[_Outcome]] = deque()
        refs = iter(todo)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="vta-decode") as pool:
            try:
                while not self._stop.requested:
                    while len(waiting) < self._window():
                        ref = next(refs, None)
                        if ref is None:
                            break
                        waiting.append(pool.submit(_open_image, ref, self._lanes))
                    if not waiting:
                        return
                    self._take(waiting.popleft().result())
                    done(1)
            finally:
                for future in waiting:
                    future.cancel()
                for future in waiting:
                    if not future.cancelled() and self._stop.requested:
                        self._take(future.result())

    def _window(self) -> int:
        """Images in flight: while the network runs one batch, the workers prepare two more."""
        wanted = max((lane.n_wanted for lane in self._lanes), default=0)
        return max(self._workers * WINDOW_PER_WORKER, 2 * wanted)

    def _take(self, outcome: _Outcome) -> None:
        """Hand one outcome to the lanes and the catalogue."""
        entry, report = outcome.entry, self._report
        report.n_opened += 1
        for name, seconds in zip(
            ("read", "decode", "view", "features"), outcome.seconds, strict=True
        ):
            report.stages[name] = report.stages.get(name, 0.0) + seconds
        if entry.key is not None and entry.reason is None and entry.key in self._bad:
            reason, detail = self._bad[entry.key]  # a copy of bytes that failed earlier in this run
            entry = replace(entry, reason=reason, detail=detail)
        self._entries.append(entry)
        if len(self._entries) >= RECORD_EVERY:
            self._record()
        if entry.reason is not None:
            report.skip(Skip(entry.path, entry.reason, entry.detail))
            if entry.key is not None and entry.key not in self._bad:
                self._bad[entry.key] = (entry.reason, entry.detail)
                for lane in outcome.claimed:
                    lane.skip(entry.key, entry.reason, entry.detail)
            return
        report.n_images += 1
        if entry.key is None or not (outcome.vectors or outcome.pixels):
            report.n_known += 1
            return
        start = time.perf_counter()
        for lane, vectors in outcome.vectors:
            lane.add_vectors(entry.key, vectors)
        for lane, shown in outcome.pixels:
            lane.add_pixels(entry.key, shown)
        if outcome.pixels:
            report.stages["forward"] = (
                report.stages.get("forward", 0.0) + time.perf_counter() - start
            )

    def _record(self) -> None:
        entries, self._entries = self._entries, []
        self._store.catalogue.record(entries)

    def finish(self) -> None:
        """Commit everything that is whole, whatever ended the run."""
        with ExitStack() as stack:
            if self._entries:
                stack.callback(self._record)
            if self._open:
                for lane in self._lanes:
                    stack.callback(lane.close)


def _open_image(ref: ImageRef, lanes: Sequence[Lane]) -> _Outcome:
    """Read, hash, decode and view one file, in a worker thread; bad files are an outcome."""
    entry = Entry(
        path=ref.path, size_bytes=ref.size_bytes, mtime_ns=ref.mtime_ns,
        key=None, width=0, height=0, format="", reason=None, detail="",
    )  # fmt: skip
    times = [0.0, 0.0, 0.0, 0.0]
    claimed: list[Lane] = []
    try:
        clock = time.perf_counter()
        entry = replace(entry, read_ns=time.time_ns())
        if is_side_file(ref.path) and _head_format(ref.path) is None:
            return _Outcome(replace(entry, reason=SIDE_FILE))
        data = read_bytes(ref.path)
        key = key_of(data)
        entry = replace(entry, key=key)
        times[0] = time.perf_counter() - clock
        row = key_rows([key])
        claimed = [lane for lane in lanes if lane.claim(key, row)]
        picture = Picture(data)
        width, height = picture.width, picture.height
        entry = replace(entry, width=width, height=height, format=picture.format)
        if not claimed:
            return _Outcome(entry, seconds=(times[0], 0.0, 0.0, 0.0))
        if width * height > LARGE_PIXELS:
            with _large:
                return _look(picture, entry, claimed, times)
        return _look(picture, entry, claimed, times)
    except UnreadableImageError as error:
        bad = replace(entry, reason=error.slug, detail=error.message)
        return _Outcome(bad, claimed=claimed, seconds=(times[0], times[1], times[2], times[3]))


def _head_format(path: str) -> str | None:
    """Return the image format that a file's first bytes announce, if any."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the path may hold undecodable bytes
            return sniff(file.read(HEAD_BYTES))
    except OSError as error:
        raise UnreadableImageError("io-error", error.strerror or str(error)) from None


def _look(picture: Picture, entry: Entry, claimed: list[Lane], times: list[float]) -> _Outcome:
    """Decode, make each reading once, and run the backbones that like many threads."""
    outcome = _Outcome(entry, claimed=claimed)
    for lane in claimed:
        clock = time.perf_counter()
        recipe = lane.space.recipe  # known already; the network is loaded only if there are pixels
        picture.pixels(recipe.preprocess, lane.view, exact=is_exact(recipe))
        times[1] += time.perf_counter() - clock
        backbone = lane.backbone
        clock = time.perf_counter()
        shown = picture.readings(recipe.preprocess, lane.view, backbone.resize)
        times[2] += time.perf_counter() - clock
        if backbone.threads:
            clock = time.perf_counter()
            outcome.vectors.append((lane, backbone.embed(shown)))
            times[3] += time.perf_counter() - clock
        else:
            outcome.pixels.append((lane, shown))
    outcome.entry = replace(entry, width=picture.width, height=picture.height)
    outcome.seconds = (times[0], times[1], times[2], times[3])
    return outcome
