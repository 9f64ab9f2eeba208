"""Pick and rank: from a source or a scores file to the images that a rule keeps."""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vta_cli.arrange.plan import Item
from vta_cli.errors import UsageError
from vta_cli.records import ImageRef

SCORE_SUFFIXES = (".csv", ".jsonl", ".parquet")
"""What a scores file may be called."""
FIRST_BYTES = 65536
"""How much of a first line is looked at."""
OPENINGS = (b'{"', b'{ "', b"PAR1\x15")
"""How JSON lines and parquet begin, and hardly a path does."""
ENDS = (b"path", b"reason")
"""First and last column of what `vta score` writes."""
BRACKETS = 10
"""Folders of a sort by bracket: one for each tenth of the score's range."""


@dataclass(frozen=True)
class Rule:
    """Which scores are kept; every bound is inclusive. All None keeps all that have a score.

    Attributes
    ----------
    low, high : float or None
        Closed band of scores.
    top_n : int or None
        The best so many.
    top_share : float or None
        The best share, 0..1, of the images that have a score (rounded, at least one).
    """

    low: float | None = None
    high: float | None = None
    top_n: int | None = None
    top_share: float | None = None

    @property
    def needs_all(self) -> bool:
        """Whether the rule can be decided only when all scores are known."""
        return self.top_n is not None or self.top_share is not None

    def keeps(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which scores lie in the band, shape (n,); NaN never does."""
        kept = ~np.isnan(scores)
        if self.low is not None:
            kept &= _reached(np.greater_equal, scores, self.low)
        if self.high is not None:
            kept &= _reached(np.less_equal, scores, self.high)
        return kept


@dataclass(frozen=True, slots=True)
class Scored:
    """One image with its score (higher is better)."""

    ref: ImageRef
    score: float


class Blocks(Protocol):
    """Something that yields refs and scores block by block."""

    def __iter__(self) -> Iterator[tuple[Sequence[ImageRef], NDArray[np.float64]]]: ...


def parse_top(text: str) -> tuple[int | None, float | None]:
    """Read ``N`` or ``P%``.

    Returns
    -------
    (top_n, top_share)
        One of them None.

    Raises
    ------
    UsageError
        If it is neither, or not positive, or above 100 %.
    """
    hint = "give a number of images (--top 100) or a share (--top 5%)"
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100.0
            if 0.0 < share <= 1.0:
                return None, share
        elif (count := int(text)) > 0:
            return count, None
    except ValueError:
        pass
    raise UsageError("bad-top", f"--top cannot be {text!r}", hint=hint)


def make_rule(
    *,
    threshold: float | None = None,
    below: float | None = None,
    band: tuple[float, float] | None = None,
    top: str | None = None,
) -> Rule:
    """Build a rule from the options of the command line, at most one of each kind.

    Raises
    ------
    UsageError
        If options exclude one another, a band is reversed, or a number is not finite.
    """
    if sum(option is not None for option in (threshold, below, band)) > 1:
        raise UsageError(
            "two-rules",
            "--threshold, --below and --band exclude one another",
            hint="say --band LOW HIGH for a range; `vta config` shows what a settings file adds",
        )
    low, high = band if band is not None else (threshold, below)
    for value in (low, high):
        if value is not None and not np.isfinite(value):
            raise UsageError("bad-threshold", f"{value} is no score", hint="scores are numbers")
    if low is not None and high is not None and low > high:
        raise UsageError(
            "band-reversed",
            f"the band {low} to {high} is empty",
            hint=f"say --band {high} {low}",
        )
    count, share = parse_top(top) if top is not None else (None, None)
    return Rule(low, high, count, share)


def _reached(compare: np.ufunc, scores: NDArray[np.float64], bound: float) -> NDArray[np.bool_]:
    """Compare scores with a bound as both are printed, in six digits.

    A bound is mostly copied from printed scores; it has to reach the image that it came from.
    """
    reached: NDArray[np.bool_] = compare(scores, bound)
    if float(f"{bound:.6g}") == bound:
        near = ~reached & np.isclose(scores, bound, rtol=1e-5, atol=0)
        printed = [float(f"{score:.6g}") for score in scores[near].tolist()]
        reached[near] = compare(printed, bound)
    return reached


def check_range(rule: Rule, low: float, high: float, *, what: str) -> None:
    """Refuse bounds that no score of a head can reach.

    Raises
    ------
    UsageError
        If a bound lies outside `low`..`high`, the range of the head's scores.
    """
    for value in (rule.low, rule.high):
        if value is not None and not low <= value <= high:
            raise UsageError(
                "threshold-outside-range",
                f"{value:g} is outside the scores of {what}, which lie in {low:g}..{high:g}",
                hint="`vta train` recommends thresholds; `vta heads show` repeats them",
            )


def pick(blocks: Blocks, rule: Rule) -> Iterator[Scored]:
    """Yield what the rule keeps: in source order for bands, best first for the top."""
    if not rule.needs_all:
        for refs, scores in blocks:
            for index in np.flatnonzero(rule.keeps(scores)).tolist():
                yield Scored(refs[index], float(scores[index]))
        return
    if rule.top_n is not None:
        yield from _best_n(blocks, rule, rule.top_n)
        return
    n_scored = 0
    kept: list[Scored] = []
    for refs, scores in blocks:
        n_scored += int(np.count_nonzero(~np.isnan(scores)))
        kept.extend(
            Scored(refs[i], float(scores[i])) for i in np.flatnonzero(rule.keeps(scores)).tolist()
        )
    limit = max(1, round((rule.top_share or 0.0) * n_scored))
    yield from rank(kept)[:limit]


def _best_n(blocks: Blocks, rule: Rule, limit: int) -> list[Scored]:
    """Keep the best `limit` of a stream in memory of that size; ties go to the earlier path."""
    heap: list[tuple[float, int, Scored]] = []
    order = 0
    for refs, scores in blocks:
        for index in np.flatnonzero(rule.keeps(scores)).tolist():
            order -= 1  # of equal scores the later one leaves first
            entry = (float(scores[index]), order, Scored(refs[index], float(scores[index])))
            if len(heap) < limit:
                heapq.heappush(heap, entry)
            elif entry[:2] > heap[0][:2]:
                heapq.heapreplace(heap, entry)
    return [scored for _, _, scored in sorted(heap, key=lambda item: (-item[0], -item[1]))]


def rank(scored: Iterable[Scored]) -> list[Scored]:
    """Sort best first; ties in path order."""
    return sorted(scored, key=lambda item: (-item.score, item.ref.path))


def is_scores_file(spec: str, column: str = "score") -> bool:
    """Tell whether a source is a file of scores: by suffix and by its first line.

    Of a list of images, whose first line may be a path such as ``scores/a.jpg``, `column` tells it
    apart, or what `vta score` begins and ends its rows with, whichever heads stand between.
    """
    path = Path(spec)
    if path.suffix.lower() not in SCORE_SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(FIRST_BYTES)
    return path.suffix.lower() == ".parquet" or is_scores(first, column)


def is_scores(first: bytes, column: str = "score") -> bool:
    """Tell rows of scores by their first line, or by so much of it; see `is_scores_file`."""
    first = first.strip().removeprefix(b"\xef\xbb\xbf")
    names = [name.strip(b" \"'") for name in re.split(rb"[,;\t]", first)]
    written = len(names) > len(ENDS) and (names[0], names[-1]) == ENDS
    return written or first.startswith(OPENINGS) or column.encode() in names


def ranked_items(scored: Sequence[Scored]) -> list[Item]:
    """Name files by rank and score, ``0001_0.973_name.jpg``, for a folder that sorts itself."""
    width = max(4, len(str(len(scored))))
    return [
        Item(
            source=item.ref.path,
            rel=Path(item.ref.path).name,  # all in one folder: in a tree no listing has the order
            name=f"{place:0{width}d}_{item.score:.3f}_{Path(item.ref.path).name}",
            score=item.score,
        )
        for place, item in enumerate(scored, 1)
    ]


def bracket_items(scored: Sequence[Scored], low: float, high: float) -> list[Item]:
    """Put each file into the folder of its tenth of the range, ``0.6-0.7/name.jpg``."""
    span = (high - low) or 1.0
    items = []
    for item in scored:
        tenth = min(BRACKETS - 1, max(0, int((item.score - low) / span * BRACKETS)))
        edges = (low + span * tenth / BRACKETS, low + span * (tenth + 1) / BRACKETS)
        folder = f"{edges[0]:.3g}-{edges[1]:.3g}"
        items.append(
            Item(
                source=item.ref.path,
                rel=str(Path(folder) / Path(item.ref.path).name),
                name=None,
                score=item.score,
            )
        )
    return items


def plain_items(scored: Iterable[Scored]) -> Iterator[Item]:
    """Keep names and tree."""
    for item in scored:
        yield Item(source=item.ref.path, rel=item.ref.rel, name=None, score=item.score)
