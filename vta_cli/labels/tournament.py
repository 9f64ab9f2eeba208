"""A tournament: from a few images at a time any number advance, in rounds that grow stricter.

After the Beholder ("Beholder-GAN"-like galleries judged four at a time): the first round keeps
about half, later rounds fewer, and the round in which an image stops is its tier. The state is
replayed from the heats, so that it survives whatever ends the page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

TARGETS = (0.5, 0.05, 0.02)
"""Share of all entrants that should have advanced after each round: the Beholder's 50 %, top 5 %
and top 2 %."""
PER_HEAT = 4
"""Images shown together there."""


@dataclass
class Tournament:
    """The state of one tournament.

    Attributes
    ----------
    id : str
    entrants : list of str
        Keys, in the order of the first round.
    targets : tuple of float
        Share of all entrants wanted after each round.
    per_heat : int
        Images shown together.
    round : int
        From 0; equal to the number of rounds when all is done.
    """

    id: str
    entrants: list[str]
    targets: tuple[float, ...] = TARGETS
    per_heat: int = PER_HEAT
    round: int = 0
    tier: dict[str, int] = field(default_factory=dict)
    _left: dict[str, None] = field(default_factory=dict)
    _advanced: list[str] = field(default_factory=list)
    _shown: int = 0

    def __post_init__(self) -> None:
        self.tier = dict.fromkeys(self.entrants, 0)
        self._left = dict.fromkeys(self.entrants)

    @property
    def done(self) -> bool:
        """Whether all rounds were played."""
        return self.round >= len(self.targets)

    @property
    def target(self) -> float:
        """Share of this round's entrants that should advance, 0 to 1."""
        if self.done:
            return 0.0
        n_round = self._shown + len(self._left)
        return min(1.0, self.targets[self.round] * len(self.entrants) / max(n_round, 1))

    @property
    def rate(self) -> float | None:
        """Share that advanced of those shown in this round so far; None before the first heat."""
        return len(self._advanced) / self._shown if self._shown else None

    def heat(self, here: Callable[[str], bool] = lambda _key: True) -> list[str]:
        """Return the keys that are to be shown now: the next ones of this round that are `here`."""
        return list(islice(filter(here, self._left), self.per_heat))

    def left(self) -> list[str]:
        """Return the keys of this round that were not shown yet."""
        return list(self._left)

    def advance(self, shown: Sequence[str], winners: Sequence[str]) -> None:
        """Take the outcome of a heat: of those `shown`, the `winners` go on.

        Keys that are not in this round are passed over, so that an outcome that arrives twice
        changes nothing.
        """
        judged = [key for key in dict.fromkeys(shown) if key in self._left]
        for key in judged:
            del self._left[key]
        self._shown += len(judged)
        wanted = set(winners)
        for key in judged:
            if key in wanted:
                self.tier[key] = self.round + 1
                self._advanced.append(key)
        if not self._left:
            self._next_round()

    def _next_round(self) -> None:
        survivors, self._advanced, self._shown = self._advanced, [], 0
        self.round += 1
        if len(survivors) < 2:  # nothing is left to compare
            self.round = len(self.targets)
        if not self.done:
            order = np.random.default_rng(self.round).permutation(len(survivors))
            self._left = dict.fromkeys(survivors[at] for at in order)

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows."""
        counts = [0] * (len(self.targets) + 1)
        for tier in self.tier.values():
            counts[tier] += 1
        return {
            "id": self.id, "round": self.round, "rounds": len(self.targets), "done": self.done,
            "target": self.target, "rate": self.rate, "shown": self._shown,
            "left": len(self._left), "entrants": len(self.entrants), "tiers": counts,
        }  # fmt: skip


def start_event(tournament: Tournament) -> dict[str, Any]:
    """Return the event that begins a tournament."""
    return {
        "event": "tournament", "id": tournament.id, "entrants": tournament.entrants,
        "targets": list(tournament.targets), "per_heat": tournament.per_heat,
    }  # fmt: skip


def replay(events: Sequence[dict[str, Any]]) -> Tournament | None:
    """Return the last tournament that the events tell of, in the state that they leave it in."""
    found: Tournament | None = None
    for event in events:
        if event.get("event") == "tournament":
            found = Tournament(
                str(event["id"]), [str(key) for key in event["entrants"]],
                tuple(float(t) for t in event["targets"]), int(event["per_heat"]),
            )  # fmt: skip
        elif found is not None and event.get("id") == found.id:
            found.advance(event.get("shown", []), event.get("winners", []))
    return found
