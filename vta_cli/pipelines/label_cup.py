"""Tournaments of a sitting: begun, played and replayed from the journal."""

import csv
import io
import uuid
from collections.abc import Sequence
from heapq import nlargest
from itertools import pairwise
from typing import Any

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.labels.journal import HEAT
from vta_cli.labels.tournament import TARGETS, Tournament, replay, start_event
from vta_cli.pipelines.label import Session
from vta_cli.pipelines.label_load import ENDED
from vta_cli.words import counted

FEWEST, MOST = 2, 16
"""Images that a heat may show."""
MOST_SHOWN = 60
"""Images of the highest tiers that are shown at the end."""


class Cups:
    """The tournaments of a session; the last one is the one that is played."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(
        self, n_images: int, per_heat: int, targets: Sequence[float] = TARGETS, page: str = ""
    ) -> None:
        """Begin a tournament among images drawn from the source.

        Raises
        ------
        UsageError
            ``bad-tournament`` if the numbers make no sense, ``too-few-images``.
        """
        falling = all(a > b for a, b in pairwise(targets))
        if (
            not FEWEST <= per_heat <= MOST
            or not targets
            or not falling
            or not (targets[-1] > 0 and targets[0] < 1)
        ):
            raise UsageError(
                "bad-tournament", f"{per_heat} a heat, target rates {list(targets)}",
                hint="2 to 16 images a heat; rates that fall, between 0 and 1",
            )  # fmt: skip
        session = self._session
        with session.lock:
            rows = np.flatnonzero(session.pool.askable)
            if len(rows) < per_heat:
                raise UsageError(
                    "too-few-images", f"{counted(len(rows), 'image is', 'images are')} too few"
                )
            drawn = np.random.default_rng(uuid.uuid4().int).permutation(rows)
            entrants = [session.pool.hex(int(row)) for row in drawn[: max(n_images, per_heat)]]
            cup = Tournament(uuid.uuid4().hex[:12], entrants, tuple(targets), per_heat)
            session.act([start_event(cup)], page)

    def current(self) -> Tournament | None:
        """Return the tournament that is on, or was last finished; None before the first."""
        return replay(self._session.standing.heats)

    def _here(self, key: str) -> bool:
        row = self._session.pool.row(key)
        return row is not None and row not in self._session.lost

    def view(self) -> dict[str, Any]:
        """Return the state and the images of the present heat."""
        with self._session.lock:
            pool, cup = self._session.pool, self.current()
            loaded = self._session.loader.loading.step in ENDED
            heat = cup.heat(self._here) if cup is not None and not cup.done else []
            while cup is not None and not cup.done and not heat:
                if not loaded:  # its images may yet come
                    return {"on": True, "waiting": True}
                if not any(map(self._here, cup.entrants)):
                    break
                self._write(cup, cup.left(), [], None)  # these went away, so nobody can judge them
                cup = self.current()
                heat = cup.heat(self._here) if cup is not None and not cup.done else []
            askable = int(pool.askable.sum())
            if cup is None or not (heat or any(map(self._here, cup.entrants))):
                return {"on": False, "askable": askable}
            items = [self._session.item(self._session.row(key)) for key in heat]
            tiers = cup.tier.items() if cup.done else ()
            ranked = nlargest(MOST_SHOWN, tiers, key=lambda entry: entry[1])
            best = [
                self._session.item(row) | {"tier": tier}
                for key, tier in ranked
                if tier > 0 and (row := pool.row(key)) is not None
            ]
            return {
                "on": True, "askable": askable, "items": items,
                "best": best, **cup.to_json(),
            }  # fmt: skip

    def advance(self, shown: Sequence[str], winners: Sequence[str], page: str = "") -> None:
        """Write down the outcome of a heat.

        Raises
        ------
        UsageError
            ``no-tournament`` if none is on; ``stale-heat`` if the images are not those of the
            present heat, as when another page was faster.
        """
        with self._session.lock:
            cup = self.current()
            if cup is None or cup.done:
                raise UsageError("no-tournament", "no tournament is on")
            heat = set(cup.heat(self._here))
            if not set(shown) <= heat or not set(winners) <= set(shown) or not shown:
                raise UsageError("stale-heat", "these are not the images of the present heat")
            self._write(cup, shown, winners, page)

    def _write(
        self, cup: Tournament, shown: Sequence[str], winners: Sequence[str], page: str | None
    ) -> None:
        event = {
            "event": HEAT, "id": cup.id, "round": cup.round, "shown": list(shown),
            "winners": list(winners), "rater": self._session.rater,
        }  # fmt: skip
        self._session.act([event], page)

    def to_labels(self, page: str = "") -> int:
        """Judge by the finished tournament: who passed the first round is liked, the rest is not.

        Returns
        -------
        int
            Images judged.
        """
        with self._session.lock:
            cup = self.current()
            if cup is None or not cup.done:
                raise UsageError("no-tournament", "no tournament is finished")
            verdicts = [
                (key, int(tier > 0))
                for key, tier in cup.tier.items()
                if self._session.pool.row(key) is not None
            ]
            self._session.judge(verdicts, "tournament", page)
            return len(verdicts)

    def tiers_csv(self) -> str:
        """Return the tiers as a table with columns path and score."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["path", "score"])
        with self._session.lock:
            cup = self.current()
            for key, tier in sorted(cup.tier.items(), key=lambda e: -e[1]) if cup else ():
                row = self._session.pool.row(key)
                if row is not None:
                    writer.writerow([self._session.pool.paths[row], tier])
        return out.getvalue()

    def pairs_csv(self) -> str:
        """Return all comparisons as a table with columns left, right and winner."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["left", "right", "winner"])
        with self._session.lock:
            pool = self._session.pool
            for winner, loser in self._session.standing.pairs:
                rows = pool.row(winner), pool.row(loser)
                if rows[0] is not None and rows[1] is not None:
                    writer.writerow([pool.paths[rows[0]], pool.paths[rows[1]], "left"])
        return out.getvalue()
