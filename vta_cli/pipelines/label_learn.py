"""Learns while the user labels: fits in a thread, rescores the pool, saves the head with its story.

What is fitted is the quick linear head; a fit reads a copy of the labels and swaps its results in
at the end, so that the page is never held up.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import vta_cli
from vta_cli.errors import VtaError
from vta_cli.heads.blocks import Columns
from vta_cli.heads.parts import LinearPart
from vta_cli.heads.ridge import QuickFit, fit_quick
from vta_cli.heads.taste import Member, Taste
from vta_cli.labels.design import N_REFERENCE, Design, Ground, make_design, make_ground
from vta_cli.neighbors.components import components
from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.scan import COSINE_TOLERANCE
from vta_cli.pipelines.label_pool import Pool, Sketch, unit_rows
from vta_cli.pipelines.remembered import LABELS, by_judgement
from vta_cli.pipelines.spaces import default_threshold
from vta_cli.store.space import Space

SCORE_ROWS = 8_192
"""Rows scored together: enough for the matrix product, little memory."""
GROUP_LABELS = 4_000
"""With more labels near-copies are no longer looked for at every fit."""


@dataclass(frozen=True)
class Fit:
    """A fit that is in force.

    Attributes
    ----------
    head : QuickFit
    rows : ndarray of shape (n,), int64
        The labelled rows that it learnt from.
    targets : ndarray of shape (n,), int8
    design : Design or None
        What the labels leave unknown about the pool, for choosing what to ask next.
    seconds : float
        Wall time of fit and rescoring.
    """

    head: QuickFit
    rows: NDArray[np.int64]
    targets: NDArray[np.int8]
    design: Design | None
    seconds: float


class Learner:
    """The thread that fits.

    Parameters
    ----------
    lock : RLock
        Guards the pool.
    target : Path
        Where the head is saved after each fit.
    spaces : callable
        Returns the spaces and the sketch of the pool, once they are known.
    """

    def __init__(
        self,
        pool: Pool,
        lock: threading.RLock,
        target: Path,
        spaces: Callable[[], tuple[Sequence[Space], Sketch | None]],
        on_fit: Callable[[], None],
    ) -> None:
        self._pool, self._lock, self._target = pool, lock, target
        self._spaces, self._on_fit = spaces, on_fit
        self._wanted = threading.Event()
        self._stop = False
        self.busy = False
        self.fit: Fit | None = None
        self.history: list[dict[str, Any]] = _history_of(target)
        self.problem = ""
        self._ground: tuple[int, Ground | None] = (-1, None)
        self._thread = threading.Thread(target=self._run, name="vta-learn", daemon=True)

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the fit under way."""
        self._stop = True
        self._wanted.set()
        self._thread.join(timeout=60)

    def request(self) -> None:
        """Ask for a fit; one that is under way is followed by another."""
        self.busy = True
        self._wanted.set()

    def can_learn(self) -> bool:
        """Whether there is a label with a vector on either side."""
        usable = self._pool.label[self._pool.has]
        return bool((usable == 1).any() and (usable == 0).any())

    def score_new(self, rows: NDArray[np.int64]) -> None:
        """Score rows whose vectors came after the fit; called under the lock."""
        if self.fit is not None and len(rows):
            found = self.fit.head.opinions(self._pool.vectors[rows])
            self._pool.scores[rows], self._pool.spread[rows] = found

    def forget(self) -> None:
        """Let go of a fit on columns that are no more; called under the lock, before `request`."""
        self.fit, self._ground = None, (-1, None)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stop:
                return
            try:
                self.learn()
                self.problem = ""
            except VtaError as error:
                self.problem = str(error)
            except Exception as error:  # noqa: BLE001 - the page says it, and labelling goes on
                self.problem = f"{type(error).__name__}: {error}"
            if not self._wanted.is_set():
                self.busy = False

    def learn(self) -> None:
        """Fit, rescore the pool, and save the head; the thread does so whenever it is asked to."""
        start = datetime.now(UTC)
        with self._lock:
            if not self.can_learn():
                return
            rows = np.flatnonzero((self._pool.label >= 0) & self._pool.has)
            targets = self._pool.label[rows].copy()
            vectors, has = self._pool.vectors, self._pool.has.copy()
            spaces, sketch = self._spaces()
        own = vectors[rows]
        head = fit_quick(own, targets, near_copies(own, default_threshold(spaces)))
        scores, spread = rescore(head, vectors, has)
        ground = self._ground_of(vectors, has)
        design = None
        if ground is not None:
            design = make_design(ground, own, rows, targets, head.penalty)
        seconds = (datetime.now(UTC) - start).total_seconds()
        with self._lock:
            if vectors.shape[1] != self._pool.vectors.shape[1]:
                self.request()
                return
            n = len(scores)
            self._pool.scores[:n], self._pool.spread[:n] = scores, spread
            self.fit = Fit(head, rows, targets, design, seconds)
            late = np.flatnonzero(self._pool.has & np.isnan(self._pool.scores))
            self.score_new(late)
            keys = [self._pool.hex(int(row)) for row in rows]
            self.history.append(_entry(head, targets, seconds))
        self._on_fit()
        if sketch is not None:
            self._save(head, sketch, spaces, keys, targets)

    def _ground_of(self, vectors: NDArray[np.float32], has: NDArray[np.bool_]) -> Ground | None:
        """Return the axes of the pool; those of the last fit while no vectors have come."""
        n_vectors, ground = self._ground
        if n_vectors != has.sum():
            ground = ground_of(vectors, has)
            with self._lock:
                if vectors.shape[1] == self._pool.vectors.shape[1]:
                    self._ground = int(has.sum()), ground
        return ground

    def _save(
        self,
        head: QuickFit,
        sketch: Sketch,
        spaces: Sequence[Space],
        keys: Sequence[str],
        targets: NDArray[np.int8],
    ) -> None:
        width = sum(sketch.dims)
        off = Columns(np.zeros(width), np.zeros(width), np.ones(width))
        part = LinearPart(sketch.widen(head.coef), np.array([head.intercept]))
        member = Member("ridge", part, head.calibrator, 1.0, 1.0)
        taste = Taste(
            [member], head.calibrator, off, sketch.dims,
            recipes=[space.recipe.to_json() for space in spaces],
            meta=self._meta(head, spaces, keys, targets),
        )  # fmt: skip
        self._target.parent.mkdir(parents=True, exist_ok=True)
        taste.save(self._target)

    def _meta(
        self,
        head: QuickFit,
        spaces: Sequence[Space],
        keys: Sequence[str],
        targets: NDArray[np.int8],
    ) -> dict[str, object]:
        return {
            "name": self._target.stem,
            "vta": vta_cli.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "backbones": [space.recipe.backbone for space in spaces],
            "n_positive": int(np.sum(targets == 1)),
            "n_negative": int(np.sum(targets == 0)),
            "auc": _number(head.auc.value),
            "accuracy": _number(head.accuracy.value),
            "margins": {"left": head.margins.left, "right": head.margins.right},
            "thresholds": {},
            LABELS: by_judgement(keys, ("positive" if one else "negative" for one in targets)),
            "history": self.history[-1000:],
        }


def rescore(
    head: QuickFit, vectors: NDArray[np.float32], has: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return probability and spread of each row; NaN and 0 where there is no vector."""
    scores, spread = np.full(len(has), np.nan), np.zeros(len(has))
    for start in range(0, len(has), SCORE_ROWS):
        part = slice(start, min(start + SCORE_ROWS, len(has)))
        if has[part].any():
            scores[part], spread[part] = head.opinions(vectors[part])
    scores[~has] = np.nan
    spread[~has] = 0.0
    return scores, spread


def ground_of(vectors: NDArray[np.float32], has: NDArray[np.bool_]) -> Ground | None:
    """Find the axes of a pool from a sample of its vectors."""
    known = np.flatnonzero(has)
    if len(known) > N_REFERENCE:
        known = np.random.default_rng(0).choice(known, N_REFERENCE, replace=False)
    return make_ground(vectors[known])


def near_copies(rows: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Number near-copies alike, so that they share a fold; with too many labels all differ.

    So few rows are compared each with each: looking for cells first, as the join of large sets
    does, took seven times as long.
    """
    alone = np.arange(len(rows))
    if len(rows) > GROUP_LABELS:
        return alone
    unit = unit_rows([rows])
    with threadpool_limits(1):  # under load, threads wait for each other
        close = unit @ unit.T >= threshold - COSINE_TOLERANCE
    left, right = np.nonzero(np.triu(close, 1))
    return components(Pairs(left, right, np.ones(len(left), np.float32), alone, alone))


def _entry(head: QuickFit, targets: NDArray[np.int8], seconds: float) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "n": len(targets),
        "n_positive": int(np.sum(targets == 1)),
        "auc": _number(head.auc.value),
        "auc_low": _number(head.auc.low),
        "auc_high": _number(head.auc.high),
        "accuracy": _number(head.accuracy.value),
        "seconds": round(seconds, 3),
    }


def _history_of(target: Path) -> list[dict[str, Any]]:
    """Return the story that a saved head of this page tells; empty for any other."""
    if not target.is_file():
        return []
    try:
        story = Taste.load(target).meta.get("history", [])
    except VtaError:
        return []
    return [dict(entry) for entry in story if isinstance(entry, dict)]


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(float(value), 5) if np.isfinite(value) else None
