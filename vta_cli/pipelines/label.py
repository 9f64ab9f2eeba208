"""A sitting at the labelling page: what it asks, what it was told, what it has learned so far.

The session owns the pool, the journal and the two threads beside it (`label_load` brings images
and vectors, `label_learn` fits). It knows nothing of HTTP; the page's server calls its methods,
each of which is safe to call from many threads.
"""

import getpass
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.labels.acquisition import STRATEGIES, choose, focus
from vta_cli.labels.acquisition import Pool as Candidates
from vta_cli.labels.journal import IMPORT, PAIR, Journal, Judgement, judge_event
from vta_cli.pipelines.label_learn import Learner
from vta_cli.pipelines.label_load import Inputs, Loader
from vta_cli.pipelines.label_load import Told as Found
from vta_cli.pipelines.label_move import Mover
from vta_cli.pipelines.label_pool import Pool
from vta_cli.pipelines.label_review import reviewed
from vta_cli.pipelines.label_sitting import Action, Sitting
from vta_cli.pipelines.label_stats import histograms, sitting_figures
from vta_cli.pipelines.score import SUFFIX
from vta_cli.store.store import Store

REMEMBERED_ASKS = 64
"""Images shown last that are not shown again at once, as when they were skipped."""
MAX_PAGE = 500
"""Images that one request may ask for."""


@dataclass
class Settings:
    """What is set on the page.

    `follow` says whether the limits are set anew after each fit, until the user moves one.
    """

    strategy: str = "band"
    low: float = 0.35
    high: float = 0.65
    follow: bool = True
    every: int = 10


@dataclass(frozen=True)
class Plan:
    """How a sitting is held.

    Attributes
    ----------
    journal : Path
        File of the judgements.
    name : str
        Name of the head that is saved in the store.
    rater : str
        Who judges.
    every : int
        Labels between two fits without asking; 0 for none.
    seed : int
        Of the draws.
    move : tuple of (Path, Path), optional
        Folders for liked and disliked images, into which judged images are moved.
    """

    journal: Path
    name: str = "label"
    rater: str = ""
    every: int = 10
    seed: int = 0
    move: tuple[Path, Path] | None = None


class Session:
    """One sitting over a store.

    Parameters
    ----------
    on_error : callable
        Told of what goes wrong beside the page, such as a file that could not be moved.

    Raises
    ------
    UsageError, VtaError
        As `Journal`.
    """

    def __init__(
        self,
        store: Store,
        inputs: Inputs,
        plan: Plan,
        *,
        on_error: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.store, self.inputs, self.plan = store, inputs, plan
        self.rater = plan.rater or _user()
        self.lock = threading.RLock()
        self.pool = Pool()
        self.settings = Settings(every=plan.every)
        self.journal = Journal(plan.journal)
        self.standing = self.journal.standing()
        self._random = np.random.default_rng(plan.seed)
        self._sitting = Sitting()
        self.lost: set[int] = set()
        self._version = 0
        self._on_error = on_error
        self._notes: list[str] = []
        self._mover = Mover(store, self.journal, plan.move, self._tell_of) if plan.move else None
        self.loader = Loader(
            store, self.pool, inputs, self.lock,
            on_labels=self._import, on_vectors=self._vectors_came, on_scanned=self._scanned,
            on_axes=self._axes_came, on_lost=self.lose,
        )  # fmt: skip
        self.learner = Learner(
            self.pool, self.lock, store.heads_dir / f"{plan.name}{SUFFIX}",
            lambda: (self.loader.spaces, self.loader.sketch), self._fitted,
        )  # fmt: skip

    def start(self) -> None:
        """Begin to load and to learn."""
        self.learner.start()
        self.loader.start()

    def close(self) -> None:
        """End the threads; what was embedded is committed, what was judged is on the disk."""
        self.loader.stop()
        self.learner.stop()
        self.journal.close()

    def _tell_of(self, note: str) -> None:
        """Tell of what went wrong beside the page: on it, and to whoever began the sitting."""
        self._notes.append(note)
        self._on_error(note)

    # what the threads tell

    def _import(self, found: list[Found]) -> None:
        """Take over labels of folders and files, unless the journal knows better."""
        with self.lock:
            events = []
            for row, label, where in found:
                key = self.pool.hex(row)
                held = self.standing.judgements.get(key)
                if key in self.standing.withdrawn or (held is not None and held.mode != IMPORT):
                    continue
                if label != (None if held is None else held.label):
                    path = self.pool.paths[row]
                    events.append(judge_event(key, label, path, mode=IMPORT, rater=where))
            if events:
                self.journal.append(events)
            self._replay()

    def _vectors_came(self, rows: NDArray[np.int64]) -> None:
        with self.lock:
            self.learner.score_new(rows)
            self._version += 1
            # labels of folders count once their vectors are there
            more = self.learner.fit is None or bool((self.pool.label[rows] >= 0).any())
            if more and self.learner.can_learn():
                self.learner.request()

    def _axes_came(self) -> None:
        self.learner.forget()
        self._version += 1

    def _scanned(self) -> None:
        with self.lock:
            self._replay()

    def _fitted(self) -> None:
        with self.lock:
            self._sitting.since_fit = 0
            self._sitting.recent.clear()
            if self.settings.follow:
                self.follow()
            self._version += 1

    def follow(self) -> None:
        """Set the limits around even odds, so that some of what is unlabelled lies inside."""
        free = self.pool.scores[(self.pool.label < 0) & self.pool.askable]
        known = free[~np.isnan(free)]
        if len(known):
            self.settings.low, self.settings.high = focus(known)

    def _replay(self) -> None:
        """Bring the pool's labels in line with the journal."""
        self.standing = self.journal.standing()
        self.pool.clear_labels()
        for key, held in self.standing.judgements.items():
            row = self.pool.row(key)
            if row is not None:
                self.pool.label[row] = held.label
        for key, path in self.standing.paths.items():
            row = self.pool.row(key)
            if row is not None and path and path != self.pool.paths[row] and Path(path).is_file():
                self.pool.paths[row] = path
        self._sitting.keep(self.standing.judgements)
        self._version += 1

    # what the page asks

    def state(self, page: str = "") -> dict[str, Any]:
        """Return counters, figures, histograms and settings: all that stands beside the image.

        `page` is who asks: each browser page takes back what it did itself.
        """
        with self.lock:
            if self.journal.refresh():
                self._replay()
            pool, fit, loading = self.pool, self.learner.fit, self.loader.loading
            free, coming = pool.askable & (pool.label < 0), self.loader.coming()
            last = self.learner.history[-1] if self.learner.history else None
            return {
                "version": self._version,
                "left": int(free.sum()) + coming.unlabelled,
                "images": int(pool.askable.sum()) + coming.images,
                "vectors": int((pool.has & pool.askable).sum()),
                "positive": int((pool.label == 1).sum()) + coming.liked,
                "negative": int((pool.label == 0).sum()) + coming.disliked,
                "waiting": int(((pool.label >= 0) & ~pool.has).sum()) + coming.liked
                + coming.disliked,
                "sitting": len(self._sitting.judged),
                "trained_on": None
                if fit is None
                else [int((fit.targets == 0).sum()), int((fit.targets == 1).sum())],
                "untrained": self._sitting.since_fit,
                "fit": last if fit is not None else None,
                "history": self.learner.history[-60:],
                "training": self.learner.busy,
                "problem": self.learner.problem or loading.problem,
                "notes": {"n": len(self._notes), "last": self._notes[-1] if self._notes else ""},
                "loading": {
                    "step": loading.step, "done": loading.n_done, "total": loading.n_total,
                    "skipped": loading.n_skipped, "clashes": loading.n_clashes,
                },
                "histograms": histograms(pool, fit, self._sitting.judged),
                "session": sitting_figures(self._sitting.judged),
                "strategies": list(STRATEGIES),
                "settings": {**self.settings.__dict__},
                "can_undo": self._sitting.last(page) is not None,
                "journal": str(self.plan.journal),
                "head": self.plan.name,
                "pairs": len(self.standing.pairs),
            }  # fmt: skip

    def configure(
        self,
        *,
        strategy: str | None = None,
        low: float | None = None,
        high: float | None = None,
        follow: bool | None = None,
        every: int | None = None,
    ) -> None:
        """Change settings; moving a limit ends the following of the head.

        Raises
        ------
        UsageError
            ``unknown-strategy`` or ``bad-limit``.
        """
        with self.lock:
            if strategy is not None:
                if strategy not in STRATEGIES:
                    raise UsageError("unknown-strategy", f"there is no strategy {strategy!r}")
                self.settings.strategy = strategy
                self._sitting.recent.clear()
            if low is not None or high is not None:
                new = (
                    self.settings.low if low is None else low,
                    self.settings.high if high is None else high,
                )
                if not 0.0 <= new[0] <= new[1] <= 1.0:
                    raise UsageError("bad-limit", f"limits {new[0]} to {new[1]}")
                self.settings.low, self.settings.high = new
                self.settings.follow = False
                self._sitting.recent.clear()  # given ahead by the old limits, hardly shown
            if follow is not None:
                self.settings.follow = follow
                if follow:
                    self.follow()
            if every is not None:
                self.settings.every = max(0, every)
            self._version += 1

    def next(self, n: int, exclude: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the images to ask about next, by the strategy that is set."""
        with self.lock:
            pool = self.pool
            free = np.flatnonzero(pool.askable & (pool.label < 0))
            given = [row for row in map(pool.row, exclude) if row is not None]
            free = free[~np.isin(free, given)]
            fresh = free[~np.isin(free, self._sitting.recent)]
            if len(fresh) < n:  # all were shown a moment ago: begin again with the skipped ones
                self._sitting.recent.clear()
                fresh = free
            seen = np.flatnonzero((pool.label >= 0) & pool.has)
            seen = np.union1d(seen, np.array([r for r in given if pool.has[r]], dtype=np.int64))
            design = None if self.learner.fit is None else self.learner.fit.design
            candidates = Candidates(
                fresh, pool.scores, pool.spread, pool.vectors, seen,
                self.settings.low, self.settings.high, design, pool.has,
            )  # fmt: skip
            rows = choose(self.settings.strategy, candidates, min(n, MAX_PAGE), self._random)
            recent = self._sitting.recent
            recent.extend(int(row) for row in rows)
            del recent[:-REMEMBERED_ASKS]
            return [self.item(int(row)) for row in rows]

    def item(self, row: int) -> dict[str, Any]:
        """Return what the page shows of an image."""
        score = float(self.pool.scores[row])
        width, height = self.pool.sizes[row]
        label = int(self.pool.label[row])
        return {
            "key": self.pool.hex(row),
            "name": self.pool.rels[row].encode("utf-8", "replace").decode("utf-8", "replace"),
            "score": round(score, 4) if np.isfinite(score) else None,
            "width": width,
            "height": height,
            "label": label if label >= 0 else None,
        }

    def row(self, key: str) -> int:
        """Return the row of a key.

        Raises
        ------
        UsageError
            ``unknown-image``.
        """
        row = self.pool.row(key)
        if row is None:
            raise UsageError("unknown-image", "no image of this source has that key")
        return row

    def judge(self, verdicts: Sequence[tuple[str, int | None]], mode: str, page: str = "") -> str:
        """Write judgements down; they are on the disk when this returns.

        Parameters
        ----------
        verdicts : sequence of (key, label)
            1 liked, 0 disliked, None withdraws.
        page : str
            The browser page that says so, and may take it back.

        Returns
        -------
        str
            The batch, as one action that `undo` takes back.

        Raises
        ------
        UsageError
            ``unknown-image``; then nothing is written.
        VtaError
            ``journal-unwritable``; then nothing holds.
        """
        with self.lock:
            rows = [self.row(key) for key, _ in verdicts]
            events = []
            for row, (key, label) in zip(rows, verdicts, strict=True):
                score = float(self.pool.scores[row])
                known = score if np.isfinite(score) else None
                path = self.pool.paths[row]
                events.append(
                    judge_event(key, label, path, mode=mode, rater=self.rater, score=known)
                )
            if not events:
                raise UsageError("no-judgement", "nothing was judged")
            batch = self.journal.append(events)
            for row, (key, label), event in zip(rows, verdicts, events, strict=True):
                self.pool.label[row] = -1 if label is None else label
                self._keep(key, label, event, batch)
            told = {
                key: None if label is None else (label, event.get("score"))
                for (key, label), event in zip(verdicts, events, strict=True)
            }
            self._done(Action(batch, page, told))
            if None in told.values():
                self._replay()
            if self._mover is not None:
                self._mover.settle(self.pool, rows, batch)
            return batch

    def _keep(self, key: str, label: int | None, event: dict[str, Any], batch: str) -> None:
        """Note one judgement in what holds, without reading the journal anew."""
        if label is None:
            self.standing.judgements.pop(key, None)
            return
        at = self.journal.events[-1].get("at", "")
        self.standing.judgements[key] = Judgement(
            key, label, event["path"], at, self.rater, event["mode"], event.get("score"), batch
        )

    def _done(self, action: Action) -> None:
        sitting = self._sitting
        sitting.add(action)
        self._version += 1
        if not action.told or not self.learner.can_learn():
            return
        due = self.settings.every and sitting.since_fit >= self.settings.every
        if due or (self.learner.fit is None and not self.learner.busy):
            sitting.since_fit = 0
            self.learner.request()

    def undo(self, page: str = "") -> dict[str, Any]:
        """Take back the last action of a page in this sitting.

        Returns
        -------
        dict
            The images concerned, the last `MAX_PAGE` of them.

        Raises
        ------
        UsageError
            ``nothing-to-undo``; ``built-upon`` of a heat after which others were played, which
            stays then.
        """
        with self.lock:
            action = self._sitting.last(page)
            if action is None:
                raise UsageError("nothing-to-undo", "this page did nothing in this sitting")
            if self.journal.refresh():
                self._replay()
            heats = [heat.get("batch") for heat in self.standing.heats]
            if action.batch in heats[:-1]:
                self._sitting.remove(action)
                raise UsageError("built-upon", "the tournament went on since, so this heat stays")
            events = [event for event in self.journal.events if event.get("batch") == action.batch]
            self.journal.undo(action.batch)
            self._sitting.remove(action)
            if self._mover is not None:
                self._mover.back(self.pool, action.batch)
            self._replay()
            rows = [self.pool.row(str(event.get("key"))) for event in events[-MAX_PAGE:]]
            return {
                "undone": str(events[0].get("event")) if events else "",
                "items": [self.item(row) for row in rows if row is not None],
            }

    def lose(self, row: int) -> None:
        """Ask no more about an image whose file went away or was changed."""
        with self.lock:
            if row not in self.lost:
                self.lost.add(row)
                self.pool.askable[row] = False
                self._version += 1

    def retrain(self) -> None:
        """Ask for a fit now.

        Raises
        ------
        UsageError
            ``too-few-labels`` if a side has no label with a vector.
        """
        with self.lock:
            if not self.learner.can_learn():
                raise UsageError(
                    "too-few-labels", "one liked and one disliked image are needed to learn from"
                )
            self._sitting.since_fit = 0
            self.learner.request()

    def grid(self, order: str, n: int, start: int = 0) -> list[dict[str, Any]]:
        """Return unlabelled images for the grid: the surest liked, disliked, or the least sure.

        `start` images are passed over; past the last one it begins again.
        """
        with self.lock:
            pool = self.pool
            rows = np.flatnonzero(pool.askable & (pool.label < 0))
            scores = pool.scores[rows]
            costs = {"liked": -scores, "disliked": scores, "unsure": np.abs(scores - 0.5)}
            if order not in costs:
                raise UsageError("unknown-order", f"there is no order {order!r}")
            known = ~np.isnan(scores)
            cost = np.where(known, costs[order], np.inf)
            start = start if start < len(rows) else 0
            best = rows[np.argsort(cost, kind="stable")[start : start + min(n, MAX_PAGE)]]
            return [self.item(int(row)) for row in best]

    def review(self, *, show: str, order: str, start: int, n: int) -> dict[str, Any]:
        """Return labels for the review, see `label_review.reviewed`."""
        with self.lock:
            found = reviewed(
                self.pool, self.learner.fit, self.standing.judgements, show=show, order=order
            )
            page = found[start : start + min(n, MAX_PAGE)]
            items = [self.item(row) | facts for row, facts in page]
            return {"total": len(found), "start": start, "items": items}

    # comparisons; tournaments are in `label_cup`

    def pair(self) -> list[dict[str, Any]]:
        """Return two images to compare: a random one, and one whose score is near to it."""
        with self.lock:
            rows = np.flatnonzero(self.pool.askable)
            if len(rows) < 2:
                raise UsageError("too-few-images", "two images are needed to compare")
            first = int(self._random.choice(rows))
            others = rows[rows != first]
            if len(others) > 64:
                others = self._random.choice(others, 64, replace=False)
            gap = np.abs(self.pool.scores[others] - self.pool.scores[first])
            gap = np.where(np.isnan(gap), 1.0, gap)
            second = int(others[int(np.argmin(gap))])
            return [self.item(first), self.item(second)]

    def prefer(self, winner: str, loser: str, page: str = "") -> None:
        """Write down which of two images is the better one."""
        with self.lock:
            rows = self.row(winner), self.row(loser)
            if rows[0] == rows[1]:
                raise UsageError("same-image", "an image cannot be compared with itself")
            event = {
                "event": PAIR, "winner": winner, "loser": loser, "rater": self.rater,
                "paths": [self.pool.paths[row] for row in rows],
            }  # fmt: skip
            self.act([event], page)

    def act(self, events: Sequence[dict[str, Any]], page: str | None = "") -> str:
        """Write events of heats and pairs as one action of a page; None if nobody asked for it."""
        with self.lock:
            batch = self.journal.append(events)
            pairs = [(e["winner"], e["loser"]) for e in events if e["event"] == PAIR]
            heats = [event | {"batch": batch} for event in events if event["event"] != PAIR]
            self.standing = replace(
                self.standing,
                pairs=(*self.standing.pairs, *pairs),
                heats=(*self.standing.heats, *heats),
            )
            if page is not None:
                self._done(Action(batch, page, {}))
            self._version += 1
            return batch


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
