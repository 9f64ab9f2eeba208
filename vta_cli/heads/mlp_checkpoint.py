"""Where a training of the network stands, written now and then: a kill costs half a minute.

One safetensors file beside the head: the fits that are done, and the one under way between two of
its batches, with everything that decides the next. It names the training that it belongs to by a
digest of rows, judgements, folds, settings, seed and versions, and goes once the head is saved.
Numpy alone; torch is in `network_fit`.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError
from vta_cli.heads.network import Arrays
from vta_cli.heads.persist import read, unreadable, write
from vta_cli.records import Curve
from vta_cli.words import counted

TYPE = "network-checkpoint"
SUFFIX = ".checkpoint"
EVERY_S = 30.0
SHARE = 20
"""Writing takes at most one part in so many of the time, whatever the disk."""

Point = tuple[int, float, float, float]
"""Rows seen, loss of the epoch, loss of the held-out rows, learning rate."""


@dataclass(frozen=True)
class Moments:
    """State of AdamW: running means of gradients and of their squares, and the updates made."""

    first: Arrays
    second: Arrays
    n_updates: int


@dataclass(frozen=True)
class Fit:
    """A fitted network: its arrays at the best epoch, the optimiser's state then, its losses."""

    arrays: Arrays
    moments: Moments
    curve: Curve


@dataclass(frozen=True)
class Standing:
    """Where a fit stands between two batches.

    Attributes
    ----------
    now : (dict, Moments)
        Weights and the optimiser's state.
    best : (dict, Moments) or None
        The same at the epoch that would be kept.
    rng : ndarray, uint8
        State of torch's generator.
    shuffled : ndarray of int64
        Rows of the epoch in their order; empty between two epochs.
    place, counted, seen : int
        Rows taken of it, rows that `lost` counts, rows seen in all.
    lost, least : float
        Sum of the epoch's losses, and the least loss of the held-out rows so far.
    since, best_at : int
        Epochs since then, and its place.
    points : list of Point
        One for each epoch.
    """

    now: tuple[Arrays, Moments]
    best: tuple[Arrays, Moments] | None
    rng: NDArray[np.uint8]
    shuffled: NDArray[np.int64]
    place: int
    counted: int
    seen: int
    lost: float
    least: float
    since: int
    best_at: int
    points: list[Point]


Each = Callable[[Callable[[], Standing]], None]
"""Called after each batch, with what tells where the fit stands."""


def _never() -> bool:
    return False


def _silent(text: str) -> None:
    del text


class Checkpoint:
    """The file of a training, and what of it is done.

    Parameters
    ----------
    path : Path, optional
        Without one nothing is written.
    every_s : float
        Seconds between two writings.
    clock : callable
        Seconds of a clock; asked once a batch.
    stop : callable
        Whether someone asked to stop; the fit then writes where it stands and raises
        `KeyboardInterrupt`.
    say : callable
        Told what the user should know.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
        stop: Callable[[], bool] = _never,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self._path, self._every_s, self._clock = path, every_s, clock
        self._stop, self._say = stop, say
        self._digest, self._due, self._failed = "", math.inf, False
        self._done: list[Fit] = []
        self._open: Standing | None = None
        self._at = 0

    def begin(self, *parts: object) -> None:
        """Begin the training that `parts` decide, or go on with it if the file is of the same."""
        self._digest, self._at, self._done, self._open = digest_of(parts), 0, [], None
        self._due = self._clock() + self._every_s
        if self._path is None or not self._path.is_file():
            return
        try:
            self._take_up(self._path)
        except HeadError as error:
            self._say(f"{error.message}: the training begins anew")

    def fit(self, make: Callable[[Standing | None, Each], Fit]) -> Fit:
        """Return the next fit of the training: as it was kept, or as made from where it stood."""
        at, self._at = self._at, self._at + 1
        if at < len(self._done):
            return self._done[at]
        start, self._open = self._open, None
        self._done.append(make(start, self._each))
        self._each(None)
        return self._done[-1]

    def remove(self) -> None:
        """Remove the file: the head is saved."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _each(self, standing: Callable[[], Standing] | None) -> None:
        stopping = self._stop()
        began = self._clock()
        if not stopping and began < self._due:
            return
        written = self._write(None if standing is None else standing())
        ended = self._clock()
        self._due = ended + max(self._every_s, SHARE * (ended - began))
        if stopping:
            if written:
                self._say(f"{self._path} holds what was learnt: the same command goes on from it")
            raise KeyboardInterrupt

    def _write(self, standing: Standing | None) -> bool:
        if self._path is None:
            return False
        arrays: dict[str, NDArray[Any]] = {}
        done = [_put_fit(arrays, f"done.{at}", fit) for at, fit in enumerate(self._done)]
        under_way = None if standing is None else _put_standing(arrays, standing)
        document = {"type": TYPE, "digest": self._digest, "done": done, "open": under_way}
        try:
            write(self._path, document | {"sum": digest_of((document, arrays))}, arrays)
        except HeadError as error:  # a full disk need not end the training
            if not self._failed:
                self._say(f"{error.message}: without it, a kill loses what was learnt")
            self._failed = True
            return False
        return True

    def _take_up(self, path: Path) -> None:
        document, arrays = read(path)
        try:
            claimed = document.pop("sum")
            plain = {key: document[key] for key in ("type", "digest", "done", "open")}
            if plain["type"] != TYPE or claimed != digest_of((plain, arrays)):
                raise ValueError("it is damaged, or no checkpoint")
            if plain["digest"] != self._digest:
                self._say(
                    f"{path} is of other labels or settings: the training begins anew, and "
                    "replaces it"
                )
                return
            self._done = [
                _get_fit(arrays, f"done.{at}", one) for at, one in enumerate(plain["done"])
            ]
            self._open = None if plain["open"] is None else _get_standing(arrays, plain["open"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unreadable(path, str(error)) from error
        epochs = 0 if self._open is None else len(self._open.points)
        done, of = counted(len(self._done), "fit"), counted(epochs, "epoch")
        self._say(f"going on from {path}: {done}, {of} of the next")


def digest_of(what: object) -> str:
    """Return a digest of arrays, records, mappings and sequences of such, to the last bit."""
    found = hashlib.blake2b(digest_size=16)
    _feed(found, what)
    return found.hexdigest()


def _feed(found: Any, what: object) -> None:
    if isinstance(what, np.ndarray):
        found.update(f"{what.dtype.str}{what.shape}".encode())
        found.update(np.ascontiguousarray(what).tobytes())
    elif is_dataclass(what):
        _feed(found, vars(what))
    elif isinstance(what, Mapping):
        found.update(f"map{len(what)}".encode())
        for key in sorted(what):
            _feed(found, (key, what[key]))
    elif isinstance(what, list | tuple):
        found.update(f"row{len(what)}".encode())
        for one in what:
            _feed(found, one)
    else:
        found.update(f"{what!r}\0".encode())


def _put(arrays: dict[str, NDArray[Any]], prefix: str, group: Mapping[str, NDArray[Any]]) -> None:
    arrays.update({f"{prefix}/{name}": array for name, array in group.items()})


def _get(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}


def _put_weights(
    arrays: dict[str, NDArray[Any]], prefix: str, weights: Arrays, moments: Moments
) -> None:
    _put(arrays, f"{prefix}.weights", weights)
    _put(arrays, f"{prefix}.first", moments.first)
    _put(arrays, f"{prefix}.second", moments.second)


def _get_weights(
    arrays: Mapping[str, NDArray[Any]], prefix: str, n_updates: int
) -> tuple[Arrays, Moments]:
    weights, first, second = (
        _get(arrays, f"{prefix}.{what}") for what in ("weights", "first", "second")
    )
    return weights, Moments(first, second, n_updates)


def _put_fit(arrays: dict[str, NDArray[Any]], prefix: str, fit: Fit) -> dict[str, int]:
    _put_weights(arrays, prefix, fit.arrays, fit.moments)
    points = zip(fit.curve.samples, fit.curve.train, fit.curve.held, fit.curve.rate, strict=True)
    arrays[f"{prefix}.points"] = np.array(list(points), dtype=np.float64)
    return {"n_updates": fit.moments.n_updates, "best": fit.curve.best}


def _get_fit(arrays: Mapping[str, NDArray[Any]], prefix: str, said: Mapping[str, int]) -> Fit:
    weights, moments = _get_weights(arrays, prefix, said["n_updates"])
    return Fit(weights, moments, curve_of(_points(arrays[f"{prefix}.points"]), said["best"]))


def _put_standing(arrays: dict[str, NDArray[Any]], at: Standing) -> dict[str, int | None]:
    _put_weights(arrays, "now", *at.now)
    if at.best is not None:
        _put_weights(arrays, "best", *at.best)
    arrays["points"] = np.array(at.points, dtype=np.float64).reshape(-1, 4)
    arrays["rng"], arrays["shuffled"] = at.rng, at.shuffled
    arrays["losses"] = np.array([at.lost, at.least])  # JSON has no infinity
    return {
        "place": at.place, "counted": at.counted, "seen": at.seen, "since": at.since,
        "best_at": at.best_at, "now": at.now[1].n_updates,
        "best": None if at.best is None else at.best[1].n_updates,
    }  # fmt: skip


def _get_standing(arrays: Mapping[str, NDArray[Any]], said: Mapping[str, Any]) -> Standing:
    best = None if said["best"] is None else _get_weights(arrays, "best", said["best"])
    lost, least = arrays["losses"].tolist()
    return Standing(
        now=_get_weights(arrays, "now", said["now"]), best=best, rng=arrays["rng"],
        shuffled=arrays["shuffled"], place=said["place"], counted=said["counted"],
        seen=said["seen"], lost=lost, least=least, since=said["since"], best_at=said["best_at"],
        points=_points(arrays["points"]),
    )  # fmt: skip


def _points(rows: NDArray[Any]) -> list[Point]:
    return [(int(seen), train, held, rate) for seen, train, held, rate in rows.tolist()]


def curve_of(points: list[Point], best: int) -> Curve:
    """Return the losses by their names."""
    samples, train, held, rate = zip(*points, strict=True)
    return Curve(samples, train, held, rate, best)
