"""Fill the store: every image of a source gets a vector in every wanted space, once.

Unchanged files are told by path, size and time, and are not opened. What is left is read once,
hashed, decoded once for all backbones that want the same size, and viewed, in worker processes or
threads, while the network runs in the calling thread. Rows reach the store in sealed shards, so a
killed run loses the unsealed rows only.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import numpy as np

from vta_cli.images.reasons import is_outdated
from vta_cli.pipelines.crew import Crew, CrewLostError
from vta_cli.pipelines.interrupt import StopRequest
from vta_cli.pipelines.lanes import Lane, key_rows
from vta_cli.pipelines.opening import Content as Bytes
from vta_cli.pipelines.opening import Look, look, one_at_a_time, read
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.sources import SIDE_FILE, Found, Source, known_contents
from vta_cli.pipelines.staff import (
    GIVEN_BYTES,
    files_at_once,
    hire,
    one_thread_each,
    processors,
    reading_of,
    told,
)
from vta_cli.records import ImageRef, Pixels, Skip, Vectors
from vta_cli.store.catalogue import Entry
from vta_cli.store.contents import Contents
from vta_cli.store.store import Store

PLAN_IMAGES = 100_000
"""Images planned at once: bounds the memory of the plan, and the scan runs no further ahead."""
WINDOW_PER_WORKER = 4
"""Images in flight per worker: enough to keep the network fed, few enough to bound memory."""
RECORD_EVERY = 512
"""Catalogue entries written together."""


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
    """What became of one file."""

    entry: Entry
    claimed: list[Lane] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)
    """What each claimed lane gets: vectors or pixels."""
    seconds: dict[str, float] = field(default_factory=dict)


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
        Processes that read and decode; 0: threads of this process. Without it, whatever is
        faster (see `staff`).
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
    start, before = time.perf_counter(), [lane.n_embedded for lane in lanes]
    with (
        one_thread_each([lane.spec.family for lane in lanes]),
        StopRequest() as stop,
        ExitStack() as stack,
    ):
        run = _Run(store, lanes, report, progress, stop, workers)
        stack.callback(run.finish)
        stage = stack.enter_context(progress.stage("embed"))
        for todo in _plans(store, source, lanes, report, stop, retry_skipped=retry_skipped):
            stage.set_total(report.n_opened + len(todo))
            run.work(todo, stage.advance)
            if stop.requested:
                break
    report.interrupted = stop.requested
    report.embedded = {
        lane.spec.name: lane.n_embedded - n for lane, n in zip(lanes, before, strict=True)
    }
    report.seconds = time.perf_counter() - start
    return report


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
    for found, contents in known_contents(store, source, ctime=True):
        todo.extend(_lacking(found, contents, lanes, report, retry_skipped=retry_skipped))
        if len(todo) >= PLAN_IMAGES:
            yield todo
            todo = []
        if stop.requested:
            return
    if todo:
        yield todo


def _lacking(
    found: Sequence[Found],
    contents: Contents,
    lanes: Sequence[Lane],
    report: EmbedReport,
    *,
    retry_skipped: bool,
) -> list[ImageRef]:
    """Return the refs that have to be opened, in order; no step for each file that has vectors."""
    report.n_files += len(found)
    images = contents.images
    wanted = ~images
    if images.any():
        keys = contents.keys if images.all() else contents.keys[images]
        lacks = np.logical_or.reduce([lane.missing(keys) for lane in lanes])
        wanted[images] = lacks
        n_known = len(keys) - int(np.count_nonzero(lacks))
        report.n_known += n_known
        report.n_images += n_known
    todo: list[ImageRef] = []
    for at in np.flatnonzero(wanted).tolist():
        item = found[at]
        reason, detail = contents.why(at)
        if isinstance(item, Skip):
            report.skip(item)
        elif not reason or (reason != SIDE_FILE and (retry_skipped or is_outdated(reason))):
            todo.append(item)
        else:
            report.skip(Skip(item.path, reason, detail))
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
        workers: int | None,
    ) -> None:
        self._store, self._lanes, self._report = store, lanes, report
        self._progress, self._stop = progress, stop
        self._wish, self._workers, self._at_once = workers, workers or processors(), 1
        self._crew: Crew | None = None
        self._readings: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._bad: dict[bytes, tuple[str, str]] = {}
        self._entries: list[Entry] = []
        self._open = False

    def work(self, todo: Sequence[ImageRef], done: Callable[[int], None]) -> None:
        """Open, decode and embed the refs, in order, until the end or a request to stop."""
        if not self._open:
            for lane in self._lanes:
                lane.open()
            self._open = True
        self._hire(len(todo))
        waiting: deque[tuple[int, Future[list[_Outcome]]]] = deque()
        chunks, n_waiting = self._chunks(todo), 0
        with ThreadPoolExecutor(self._workers, thread_name_prefix="vta-decode") as pool:
            try:
                while not self._stop.requested:
                    while n_waiting < self._window():
                        refs = next(chunks, None)
                        if refs is None:
                            break
                        waiting.append((len(refs), pool.submit(self._open_images, refs)))
                        n_waiting += len(refs)
                    if not waiting:
                        return
                    n_files, future = waiting.popleft()
                    n_waiting -= n_files
                    for outcome in future.result():
                        self._take(outcome)
                    done(n_files)
                for _, future in waiting:
                    future.cancel()
                for _, future in waiting:
                    if not future.cancelled():
                        for outcome in future.result():
                            self._take(outcome)
            except BaseException:
                for _, future in waiting:
                    future.cancel()
                self._dismiss()  # ends what is under way: nothing more is to be had of it
                raise

    def _hire(self, n_images: int) -> None:
        """Get workers for a plan, if there are none and they are worth it."""
        if self._crew is None or not self._crew.alive:
            self._dismiss()
            self._crew = hire(self._lanes, n_images, self._wish)
        self._at_once = 1
        if self._crew is not None:
            self._workers, self._at_once = self._crew.n_workers, files_at_once(self._lanes)
            self._stop.then(self._crew.halt)
            if self._wish and not self._crew.wait():
                self._progress.note("worker processes cannot be started here: threads do the work")

    def _dismiss(self) -> None:
        if self._crew is not None:
            self._crew.close()
            self._crew = None

    def _chunks(self, todo: Sequence[ImageRef]) -> Iterator[list[ImageRef]]:
        """Cut the refs into what one worker is given together."""
        chunk: list[ImageRef] = []
        n_bytes = 0
        for ref in todo:
            if chunk and (len(chunk) >= self._at_once or n_bytes + ref.size_bytes > GIVEN_BYTES):
                yield chunk
                chunk, n_bytes = [], 0
            chunk.append(ref)
            n_bytes += ref.size_bytes
        if chunk:
            yield chunk

    def _window(self) -> int:
        """Images in flight: while the network runs one batch, the workers prepare two more."""
        wanted = max((lane.n_wanted for lane in self._lanes), default=0)
        each = WINDOW_PER_WORKER if self._at_once == 1 else 2 * self._at_once
        return max(self._workers * each, 2 * wanted)

    def _open_images(self, refs: Sequence[ImageRef]) -> list[_Outcome]:
        """Open files in order, in a thread: here, or by asking a worker as soon as there is one."""
        outcomes: list[_Outcome] = []
        crew, claims = self._crew, _Claims(self._lanes)
        while len(outcomes) < len(refs) and not (outcomes and self._stop.requested):
            if crew is not None and crew.closed:
                raise CancelledError
            if crew is not None and crew.ready:
                with suppress(CrewLostError):
                    return outcomes + self._ask(crew, refs, len(outcomes), claims)
            else:
                place = len(outcomes)
                outcomes.append(_open_here(refs[place], partial(claims.of, place)))
        return outcomes

    def _ask(
        self, crew: Crew, refs: Sequence[ImageRef], first: int, claims: "_Claims"
    ) -> list[_Outcome]:
        """Have the files from `first` on opened by a worker process."""

        def choose(place: int, content: Bytes) -> list[int] | None:
            if content.key is None:
                return None
            return sorted({self._number(lane) for lane in claims.of(first + place, content.key)})

        outcomes = []
        opened = crew.open([ref.path for ref in refs[first:]], choose, self._readings)
        for place, (content, found) in enumerate(opened, start=first):
            claimed = [] if content.key is None else claims.of(place, content.key)
            shown = []
            if found is not None and found.reason is None and claimed:
                numbers = sorted({self._number(lane) for lane in claimed})
                shown = [found.shown[numbers.index(self._number(lane))] for lane in claimed]
            outcomes.append(_outcome(refs[place], content, found, claimed, shown))
        return outcomes

    def _number(self, lane: Lane) -> int:
        """Return the number of a lane's reading; lanes that want the same share it."""
        name = lane.spec.name
        if name not in self._numbers:
            words = told(lane)
            with self._lock:
                if words not in self._readings:
                    self._readings.append(words)
                self._numbers[name] = self._readings.index(words)
        return self._numbers[name]

    def _take(self, outcome: _Outcome) -> None:
        """Hand one outcome to the lanes and the catalogue."""
        entry, report = outcome.entry, self._report
        report.n_opened += 1
        for name, seconds in outcome.seconds.items():
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
        if entry.key is None or not outcome.shown:
            report.n_known += 1
            return
        start, forward = time.perf_counter(), False
        for lane, shown in zip(outcome.claimed, outcome.shown, strict=True):
            if lane.backbone.threads:
                lane.add_vectors(entry.key, cast("Vectors", shown))
            else:
                lane.add_pixels(entry.key, cast("Sequence[Pixels]", shown))
                forward = True
        if forward:
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
            stack.callback(self._dismiss)


class _Claims:
    """Which lanes wait for a file of a chunk: asked of them once, however often it is opened."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._found: dict[tuple[int, bytes], list[Lane]] = {}

    def of(self, place: int, key: bytes) -> list[Lane]:
        """Return the lanes that wait for these bytes at this place of the chunk."""
        if (place, key) not in self._found:
            row = key_rows([key])
            self._found[place, key] = [lane for lane in self._lanes if lane.claim(key, row)]
        return self._found[place, key]


def _open_here(ref: ImageRef, claim: Callable[[bytes], list[Lane]]) -> _Outcome:
    """Read, hash, decode and view one file in this thread."""
    content, data = read(ref.path)
    if content.key is None:
        return _outcome(ref, content, None, [], [])
    claimed = claim(content.key)
    found = look(data, [reading_of(lane) for lane in claimed], one_at_a_time)
    return _outcome(ref, content, found, claimed, found.shown)


def _outcome(
    ref: ImageRef, content: Bytes, found: Look | None, claimed: list[Lane], shown: list[Any]
) -> _Outcome:
    """Put together what is known of a file."""
    side = SIDE_FILE if content.side else None
    about = found or Look(reason=content.reason or side, detail=content.detail)
    entry = Entry(
        path=ref.path, size_bytes=ref.size_bytes, mtime_ns=ref.mtime_ns, ctime_ns=ref.ctime_ns,
        key=content.key, width=about.width, height=about.height, format=about.format,
        reason=about.reason, detail=about.detail, read_ns=content.read_ns,
    )  # fmt: skip
    times = [content.read_s, content.hash_s, *about.seconds]
    names = ("read", "hash", "decode", "view", "features")
    return _Outcome(entry, claimed, shown, dict(zip(names, times, strict=True)))
