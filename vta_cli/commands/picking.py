"""What sort, filter and report share: scored blocks from a source or from a scores file."""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vta_cli.commands.asked import Asked
from vta_cli.commands.common import choice, one_way
from vta_cli.commands.rows import Replayed, read_blocks
from vta_cli.errors import UsageError
from vta_cli.heads.pooling import check_pool
from vta_cli.pipelines.chosen import speak_of
from vta_cli.pipelines.route import load_route, score_routed
from vta_cli.pipelines.score import ScoreBlock, ScoreReport, load_model, require_scores, score
from vta_cli.pipelines.select import FIRST_BYTES, Rule, check_range, is_scores, is_scores_file
from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
from vta_cli.pipelines.spaces import read_in
from vta_cli.pipelines.views import shown_view
from vta_cli.records import ImageRef, Promise

if TYPE_CHECKING:
    from vta_cli.pipelines.progress import Progress
    from vta_cli.store.store import Store

MEAN, AUTO = "mean", "auto"
"""How views are pooled and which are shown, if nothing is said."""


@dataclass
class Picking:
    """Scored blocks of one command, with the counts once they are consumed.

    `folders` are the source folders, which an output must not lie in; `low` and `high` the range of
    the scores, which is `bounded` if none can lie outside.
    """

    asked: Asked
    store: "Store | None"
    watch: "Progress"
    report: ScoreReport = field(default_factory=ScoreReport)
    low: float = 0.0
    high: float = 1.0
    bounded: bool = True

    def __post_init__(self) -> None:
        asked = self.asked
        specs, self._route = asked.source or [], asked.route or ()
        one_way(asked.model, self._route, asked.score_class or ())
        self._how, self._views = check_pool(asked.pool), shown_view(asked.views)
        links = cast("Symlinks", choice(asked.symlinks, SYMLINKS, "--symlinks"))
        self._column = asked.column or "score"
        self._stdin, piped = sys.stdin.buffer, False
        if specs == ["-"]:
            first = self._stdin.readline(FIRST_BYTES)
            self._stdin = io.BufferedReader(Replayed(first, self._stdin))
            piped = is_scores(first, self._column)
        self._source = Source(specs, links, asked.hidden, self._stdin, store=asked.store)
        self._files = specs if piped else [s for s in specs if is_scores_file(s, self._column)]
        self.bounded = not self._files  # a file's scores may be ratings of any range
        if self._files and len(self._files) != len(specs):
            raise UsageError(
                "mixed-sources",
                "scores files and images cannot be mixed in one run",
                hint="run `vta score` over the images first",
            )
        if self._files and (asked.model or asked.route or asked.score_class):
            # a note, no error: a settings file may name the model of every day
            self.watch.note(f"{self._files[0]} holds scores already; no head is asked for others")
        for option, given in (("--pool", asked.pool != MEAN), ("--views", asked.views != AUTO)):
            if self._files and given:
                told = f"{self._files[0]} holds scores already; {option} has no part in them"
                self.watch.note(told)
        if asked.column is not None and not self._files:
            raise UsageError(
                "no-scores-file",
                f"--column {asked.column} says which column of a scores file counts, and there is "
                "none with such a column",
                hint="name a file that `vta score` wrote",
            )
        if not self._files:
            self._source.check()

    @property
    def of_scores(self) -> bool:
        """Whether the scores come from a scores file, or such rows on stdin."""
        return bool(self._files)

    @property
    def folders(self) -> list[Path]:
        """The source's folders."""
        return self._source.folders()

    def blocks(self, rule: Rule) -> Iterator[tuple[list[ImageRef], NDArray[np.float64]]]:
        """Yield refs and scores block by block.

        Raises
        ------
        UsageError
            If a bound of the rule is outside the head's scores, or nothing has a score.
        """
        if self._files:
            for spec in self._files:
                rows = self._stdin if spec == "-" else spec
                for refs, scores in read_blocks(rows, self._column):
                    self.report.n_scored += int(np.count_nonzero(~np.isnan(scores)))
                    self.report.reasons["no-score"] += int(np.count_nonzero(np.isnan(scores)))
                    yield refs, scores
            return
        if self.store is None:
            raise UsageError("no-store", "there is no store", hint="run `vta embed FOLDER` first")
        name, promise, blocks = self._scored(self.store)
        self.low, self.high, self.bounded = promise.low, promise.high, promise.bounded
        if self.bounded:
            check_range(rule, self.low, self.high, what=name)
        for block in blocks:
            yield block.refs, block.scores["score"]
        require_scores(self.report, self._source, name=name)

    def _scored(self, store: "Store") -> tuple[str, Promise, Iterator[ScoreBlock]]:
        """Return what the scores are called, what they promise, and the blocks."""
        asked, how, views = self.asked, self._how, self._views
        if self._route:
            route = load_route(store, self._route, pool=how, views=views)
            for note in route.notes:
                self.watch.note(note)
            routed = score_routed(store, self._source, route, self.report, self.watch)
            return route.classifier.name, route.promise, routed
        found = load_model(store, asked.model, pool=how, views=views)
        model = speak_of(found, asked.score_class or ())
        self._source = read_in(self._source, store, model.spaces)
        if asked.model is None:
            self.watch.note(f"scoring with {model.name}, the newest head of the store")
        for note in model.notes:
            self.watch.note(note)
        blocks = score(store, self._source, [model], self.report, self.watch)
        return model.name, model.taste.promise, blocks
