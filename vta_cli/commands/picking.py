"""What sort and filter share: scored blocks from a source or from a scores file."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vta_cli.commands.common import choice
from vta_cli.commands.rows import read_blocks
from vta_cli.errors import UsageError
from vta_cli.pipelines.score import ScoreReport, columns_of, load_model, require_scores, score
from vta_cli.pipelines.select import Rule, check_range, is_scores_file
from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
from vta_cli.records import ImageRef

if TYPE_CHECKING:
    from vta_cli.pipelines.progress import Progress
    from vta_cli.store.store import Store


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
    report: ScoreReport = field(default_factory=ScoreReport)
    low: float = 0.0
    high: float = 1.0
    bounded: bool = True

    def __post_init__(self) -> None:
        links = cast("Symlinks", choice(self.symlinks, SYMLINKS, "--symlinks"))
        self._source = Source(self.specs, links, self.hidden, sys.stdin.buffer)
        self._files = [spec for spec in self.specs if is_scores_file(spec)]
        self.bounded = not self._files  # a file's scores may be ratings of any range
        if self._files and len(self._files) != len(self.specs):
            raise UsageError(
                "mixed-sources",
                "scores files and images cannot be mixed in one run",
                hint="run `vta score` over the images first",
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
                for refs, scores in read_blocks(spec):
                    self.report.n_scored += int(np.count_nonzero(~np.isnan(scores)))
                    self.report.reasons["no-score"] += int(np.count_nonzero(np.isnan(scores)))
                    yield refs, scores
            return
        if self.store is None:
            raise UsageError("no-store", "there is no store", hint="run `vta embed FOLDER` first")
        model = load_model(self.store, self.model)
        promise = model.taste.promise
        self.low, self.high, self.bounded = promise.low, promise.high, promise.bounded
        if self.bounded:
            check_range(rule, self.low, self.high, what=model.name)
        if self.model is None:
            self.watch.note(f"scoring with {model.name}, the newest head of the store")
        column = columns_of([model])[0]
        for block in score(self.store, self._source, [model], self.report, self.watch):
            yield block.refs, block.scores[column]
        require_scores(self.report, self._source, name=model.name)
