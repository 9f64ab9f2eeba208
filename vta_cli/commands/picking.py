"""What sort and filter share: scored blocks from a source or from a scores file."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vta_cli.commands.common import choice, one_way
from vta_cli.commands.rows import read_blocks
from vta_cli.errors import UsageError
from vta_cli.heads.pooling import check_pool
from vta_cli.pipelines.chosen import speak_of
from vta_cli.pipelines.route import load_route, score_routed
from vta_cli.pipelines.score import ScoreBlock, ScoreReport, load_model, require_scores, score
from vta_cli.pipelines.select import Rule, check_range, is_scores_file
from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
from vta_cli.records import ImageRef, Promise

if TYPE_CHECKING:
    from vta_cli.pipelines.progress import Progress
    from vta_cli.store.store import Store

MEAN = "mean"
"""How views are pooled if nothing is said."""


@dataclass
class Picking:
    """Scored blocks of one command, with the counts once they are consumed.

    `folders` are the source folders, which an output must not lie in; `low` and `high` the range of
    the scores, which is `bounded` if none can lie outside.
    """

    specs: list[str]
    store: "Store | None"
    model: str | None
    watch: "Progress"
    symlinks: str = "files"
    hidden: bool = False
    route: Sequence[str] = ()
    score_class: Sequence[str] = ()
    column: str | None = None
    pool: str = MEAN
    report: ScoreReport = field(default_factory=ScoreReport)
    low: float = 0.0
    high: float = 1.0
    bounded: bool = True

    def __post_init__(self) -> None:
        one_way(self.model, self.route, self.score_class)
        self._how = check_pool(self.pool)
        links = cast("Symlinks", choice(self.symlinks, SYMLINKS, "--symlinks"))
        self._source = Source(self.specs, links, self.hidden, sys.stdin.buffer)
        column = self.column or "score"
        self._files = [spec for spec in self.specs if is_scores_file(spec, column)]
        self.bounded = not self._files  # a file's scores may be ratings of any range
        if self._files and len(self._files) != len(self.specs):
            raise UsageError(
                "mixed-sources",
                "scores files and images cannot be mixed in one run",
                hint="run `vta score` over the images first",
            )
        if self._files and (self.model or self.route or self.score_class):
            # a note, no error: a settings file may name the model of every day
            self.watch.note(f"{self._files[0]} holds scores already; no head is asked for others")
        if self._files and self.pool != MEAN:
            self.watch.note(f"{self._files[0]} holds scores already; --pool has no part in them")
        if self.column is not None and not self._files:
            raise UsageError(
                "no-scores-file",
                f"--column {self.column} says which column of a scores file counts, and there is "
                "none with such a column",
                hint="name a file that `vta score` wrote",
            )
        if not self._files:
            self._source.check()

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
                for refs, scores in read_blocks(spec, self.column or "score"):
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
        if self.route:
            route = load_route(store, self.route, pool=self._how)
            for note in route.notes:
                self.watch.note(note)
            routed = score_routed(store, self._source, route, self.report, self.watch)
            return route.classifier.name, route.promise, routed
        model = speak_of(load_model(store, self.model, pool=self._how), self.score_class)
        if self.model is None:
            self.watch.note(f"scoring with {model.name}, the newest head of the store")
        for note in model.notes:
            self.watch.note(note)
        blocks = score(store, self._source, [model], self.report, self.watch)
        return model.name, model.taste.promise, blocks
