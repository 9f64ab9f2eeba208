"""Histograms of a terminal: scores of both sides back to back, and counts as bars."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vta_cli.console.look import Look
from vta_cli.console.tables import render_table

FEW = 200
"""Scores up to which bins are twice as wide."""
BARS_WIDTH = 40
"""Columns that a bar of all would have."""


def two_sided(
    scores: ArrayLike,
    targets: ArrayLike,
    look: Look,
    *,
    low: float = 0.0,
    high: float = 1.0,
    marks: Sequence[tuple[float, str]] = (),
    indent: int = 2,
) -> str:
    """Return a histogram of scores with the negatives to the left and the positives to the right.

    Parameters
    ----------
    scores : array of shape (n,), float
        NaN is left out; what lies beyond `low` and `high` counts in the outermost bins.
    targets : array of shape (n,), int
        1 positive, 0 negative.
    low, high : float
        Range of the score.
    marks : sequence of (float, str)
        Words beside the bins that hold these scores.

    Returns
    -------
    str
        Lines without a final newline; both sides have one scale.
    """
    score = np.asarray(scores, dtype=np.float64)
    target = np.asarray(targets)
    known = np.isfinite(score)
    n_bins = 10 if known.sum() <= FEW else 20
    edges = np.linspace(low, high, n_bins + 1)
    # the small step keeps 0.3 (in floating point a hair below 3 tenths) in the bin that says 0.3
    place = np.floor((score[known] - low) / (high - low) * n_bins + 1e-9)
    place = np.clip(place, 0, n_bins - 1).astype(np.int64)
    negative = np.bincount(place[target[known] == 0], minlength=n_bins)
    positive = np.bincount(place[target[known] == 1], minlength=n_bins)
    top = max(int(negative.max()), int(positive.max()), 1)

    labels = [f"{edge:.2f}" for edge in edges[:-1]]
    middle = max(map(len, labels)) + 4
    count_room = len(f"{top:,}") + 1
    side = (look.width - indent - middle) // 2 - count_room
    cells = min(side, top)  # a cell an image while they fit
    where = _marks(marks, low, high, n_bins)
    lines = []
    for index in range(n_bins):
        left = _bar(int(negative[index]), top, cells, look, mirrored=True)
        right = _bar(int(positive[index]), top, cells, look)
        lines.append(
            _row(left, right, labels[index], look, side + count_room, where.get(index, ""))
        )
    axis = look.style("score".center(middle), "dim")
    head = look.style("negative".rjust(side + count_room), "red") + axis
    lines.insert(0, head + look.style("positive", "green"))
    return "\n".join((" " * indent + line).rstrip() for line in lines)


def count_bars(counts: Mapping[str, int], look: Look, *, width: int = BARS_WIDTH) -> str:
    """Return how labels are spread: name, count and a bar of floor(width * count / total) columns.

    The bar's length is that of CityClassifiers' listing of a training set (there 40 columns for
    classes, 100 for scores).
    """
    total = sum(counts.values())
    block = look.pick("█", "#")
    rows = [
        (name, f"{count:,}", block * (width * count // total if total else 0))
        for name, count in counts.items()
    ]
    return render_table((), rows, "lrl", look)


def _marks(
    marks: Sequence[tuple[float, str]], low: float, high: float, n_bins: int
) -> dict[int, str]:
    found: dict[int, str] = {}
    for value, words in marks:
        if math.isfinite(value):
            index = math.floor((value - low) / (high - low) * n_bins + 1e-9)
            index = min(max(index, 0), n_bins - 1)
            found[index] = ", ".join(filter(None, (found.get(index), words)))
    return found


def _bar(count: int, top: int, cells: int, look: Look, *, mirrored: bool = False) -> str:
    """Return a bar and its count; what there is shows, be it ever so little."""
    if not count:
        return ""
    halves = max(round(2 * cells * count / top), 1)
    if look.unicode:
        half = "▐" if mirrored else "▌"
        bar = "█" * (halves // 2)
        if halves % 2:
            bar = half + bar if mirrored else bar + half
    else:
        bar = "#" * max(halves // 2, 1)
    return f"{count:,} {bar}" if mirrored else f"{bar} {count:,}"


def _row(left: str, right: str, label: str, look: Look, room: int, words: str) -> str:
    """Return a line: bar, score, bar; words at the end of whichever side has room for them."""
    pad_left = " " * (room - len(left))
    pad_right = after = ""
    if words and len(right) + len(words) + 3 <= room:
        pad_right = " " * (room - len(right) - len(words) - 2)
        after = look.style(look.pick("◂ ", "< ") + words, "dim")
    elif words and len(left) + len(words) + 3 <= room:
        before = look.style(words + look.pick(" ▸", " >"), "dim")
        pad_left = before + " " * (room - len(left) - len(words) - 2)
    line = pad_left + look.style(left, "red") + look.pick(" ┤", " |") + label
    return line + look.pick("├ ", "| ") + look.style(right, "green") + pad_right + after
