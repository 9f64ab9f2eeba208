"""Tournaments of a sitting: begun, played and replayed from the journal."""

import csv
import io
import uuid
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.labels.journal import HEAT
from vta_cli.labels.tournament import TARGETS, Tournament, replay, start_event
from vta_cli.pipelines.label import Session

FEWEST, MOST = 2, 16
"""Images that a heat may show."""


class Cups:
    """The tournaments of a session; the last one is the one that is played."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, n_images: int, per_heat: int, targets: Sequence[float] = TARGETS) -> None:
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
                "bad-tournament", f"{per_heat} images a heat, target rates {list(targets)}",
                hint="2 to 16 images a heat; rates that fall, between 0 and 1",
            )  # fmt: skip
        session = self._session
        with session.lock:
            rows = np.flatnonzero(session.pool.askable)
            if len(rows) < per_heat:
                raise UsageError("too-few-images", f"{len(rows)} images are too few")
            drawn = np.random.default_rng(uuid.uuid4().int).permutation(rows)
            entrants = [session.pool.hex(int(row)) for row in drawn[: max(n_images, per_heat)]]
            cup = Tournament(uuid.uuid4().hex[:12], entrants, tuple(targets), per_heat)
            session.act([start_event(cup)])

    def current(self) -> Tournament | None:
        """Return the tournament that is on, or was last finished; None before the first."""
        return replay(self._session.standing.heats)

    def view(self) -> dict[str, Any]:
        """Return the state and the images of the present heat."""
        with self._session.lock:
            cup = self.current()
            if cup is None:
                return {"on": False, "askable": int(self._session.pool.askable.sum())}
            rows = [self._session.pool.row(key) for key in cup.heat()] if not cup.done else []
            items = [self._session.item(row) for row in rows if row is not None]
            ranked = sorted(cup.tier.items(), key=lambda entry: -entry[1])[:60]
            best = [
                self._session.item(row) | {"tier": tier}
                for key, tier in ranked
                if tier > 0 and (row := self._session.pool.row(key)) is not None
            ]
            lost = len(rows) - len(items)  # images that went away since are passed over
            if lost and not items and not cup.done:
                self.advance(cup.heat(), [])
                return self.view()
            askable = int(self._session.pool.askable.sum())
            return {
                "on": True, "askable": askable, "items": items,
                "best": best if cup.done else [], **cup.to_json(),
            }  # fmt: skip

    def advance(self, shown: Sequence[str], winners: Sequence[str]) -> None:
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
            heat = set(cup.heat())
            if not set(shown) <= heat or not set(winners) <= set(shown) or not shown:
                raise UsageError("stale-heat", "these are not the images of the present heat")
            self._session.act(
                [
                    {
                        "event": HEAT, "id": cup.id, "round": cup.round, "shown": list(shown),
                        "winners": list(winners), "rater": self._session.rater,
                    }
                ]
            )  # fmt: skip

    def to_labels(self) -> int:
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
            self._session.judge(verdicts, "tournament")
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
