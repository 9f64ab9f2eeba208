"""Small charts as SVG inside a page: no script, no font of their own, colours of the page.

Every chart carries its title as the text that a reader of screens hears. Colours are those of the
classes ``c0`` to ``c3`` of `STYLE`; lines differ by their dashes too.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 26
"""Margins of the drawing [px]."""
MOST_POINTS = 2000
"""Points of a scatter plot; of more an even choice is drawn."""

STYLE = """
.charts { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)) }
.chart { margin: 0; padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; overflow: visible }
.chart figcaption { display: block; border: 0; padding: 0 0 .3rem; font-size: .85rem;
  color: var(--ink) }
.chart svg { display: block; width: 100%; height: auto }
.chart text { font: 11px system-ui, sans-serif; fill: var(--faint) }
.axis { stroke: var(--line) } .mark { stroke: var(--ink); stroke-dasharray: 3 3 }
.line { fill: none; stroke-width: 2 }
.c0 { --c: #2a78b8 } .c1 { --c: #c2582c } .c2 { --c: #4b8f4b } .c3 { --c: #8a5ca8 }
.bar { fill: var(--c) } .line, .key { stroke: var(--c) } .dot { fill: var(--c); opacity: .55 }
.d1 { stroke-dasharray: 7 3 } .d2 { stroke-dasharray: 2 3 } .d3 { stroke-dasharray: 9 3 2 3 }
"""


def bars(
    title: str, groups: Mapping[str, Floats], low: float, high: float, marks: Sequence[float] = ()
) -> str:
    """Draw histograms over one another, each half transparent.

    Parameters
    ----------
    groups : mapping of str to ndarray of shape (n_bins,), float64
        Counts by name; bins of equal width from `low` to `high`.
    marks : sequence of float
        Places of vertical lines.
    """
    top = (
        max((float(counts.max()) for counts in groups.values() if len(counts)), default=0.0) or 1.0
    )
    parts = []
    for at, counts in enumerate(groups.values()):
        width = _span() / max(len(counts), 1)
        for place, count in enumerate(counts.tolist()):
            if count:
                tall = (HEIGHT - TOP - BOTTOM) * count / top
                parts.append(
                    f'<rect class="bar c{at}" opacity="{0.75 if len(groups) > 1 else 1}" '
                    f'x="{LEFT + place * width:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" '
                    f'width="{max(width - 0.5, 0.5):.1f}" height="{tall:.1f}"/>'
                )
    names = list(groups) if len(groups) > 1 else []
    return _chart(title, parts, (low, high), (0.0, top), names, marks, block=True)


def lines(
    title: str,
    x: Floats,
    named: Mapping[str, Floats],
    *,
    y_high: float = 1.0,
    level: float | None = None,
    marks: Sequence[float] = (),
) -> str:
    """Draw curves over `x`, shape (n,); what lies above `y_high` is cut there.

    `level` is the height of a horizontal line.
    """
    low, high = float(x[0]), float(x[-1])
    parts = []
    for at, y in enumerate(named.values()):
        points = " ".join(
            f"{_x(one, low, high):.1f},{_y(min(other, y_high), 0.0, y_high):.1f}"
            for one, other in zip(x.tolist(), y.tolist(), strict=True)
        )
        parts.append(f'<polyline class="line c{at} d{at}" points="{points}"/>')
    if level is not None:
        at_y = _y(level, 0.0, y_high)
        parts.append(f'<path class="mark" d="M{LEFT} {at_y:.1f}H{WIDTH - RIGHT}"/>')
    return _chart(title, parts, (low, high), (0.0, y_high), list(named), marks)


def scatter(title: str, x: Floats, y: Floats, low: float, high: float) -> str:
    """Draw points of two numbers on one scale, with the line on which they are equal."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(np.int64))
    ends = [f"{_x(end, low, high):.1f} {_y(end, low, high):.1f}" for end in (low, high)]
    parts = [f'<path class="mark" d="M{ends[0]}L{ends[1]}"/>']
    parts += [
        f'<circle class="dot c0" r="3" cx="{_x(one, low, high):.1f}" '
        f'cy="{_y(float(np.clip(other, low, high)), low, high):.1f}"/>'
        for one, other in zip(x[chosen].tolist(), y[chosen].tolist(), strict=True)
    ]
    return _chart(title, parts, (low, high), (low, high), [], ())


def _span() -> int:
    return WIDTH - LEFT - RIGHT


def _x(value: float, low: float, high: float) -> float:
    return LEFT + _span() * (value - low) / ((high - low) or 1.0)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / ((high - low) or 1.0)


def _chart(
    title: str,
    parts: Sequence[str],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    names: Sequence[str],
    marks: Sequence[float],
    *,
    block: bool = False,
) -> str:
    """Put axes, marks and a legend around what was drawn."""
    low, high = x_range
    axes = [f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none"/>']
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        anchor = ("start", "middle", "end")[int(share * 2)]
        axes.append(
            f'<text x="{_x(value, low, high):.1f}" y="{HEIGHT - 8}" '
            f'text-anchor="{anchor}">{value:.3g}</text>'
        )
        tall = y_range[0] + share * (y_range[1] - y_range[0])
        axes.append(
            f'<text x="{LEFT - 5}" y="{_y(tall, *y_range) + 4:.1f}" '
            f'text-anchor="end">{tall:,.4g}</text>'
        )
    axes += [
        f'<path class="mark" d="M{_x(mark, low, high):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        for mark in marks
        if low <= mark <= high
    ]
    legend = "".join(
        f' <svg class="c{at}" width="22" height="8" style="display:inline;width:22px" '
        f'aria-hidden="true"><path class="key{"" if block else f" d{at}"}" stroke-width="3" '
        f'd="M0 4H20"/></svg> {escape(name)}'
        for at, name in enumerate(names)
    )
    drawn = "".join((*axes[:1], *parts, *axes[1:]))
    return (
        f'<figure class="chart"><figcaption>{escape(title)}{legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{drawn}</svg></figure>"
    )
