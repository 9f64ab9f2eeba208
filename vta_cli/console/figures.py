"""Tables of figures that every report of a training has."""

import math
from collections.abc import Sequence
from textwrap import fill

from vta_cli.console.look import Look
from vta_cli.console.tables import render_table
from vta_cli.records import Figure, Reliability

INDENT = 2


def render_figures(figures: Sequence[Figure], look: Look, *, base: str) -> str:
    """Return figures with intervals, beside the base and the labels that fitted the head.

    Parameters
    ----------
    base : str
        What the base is, for people.
    """
    rows = [
        (
            figure.name,
            number(figure.found.value, look),
            _interval(figure, look),
            number(figure.base, look),
            number(figure.train, look),
            figure.better,
        )
        for figure in figures
    ]
    header = ("", "value", "95 %", "base", "own", "good")
    words = f"value: out of fold; base: {base}; own: on the labels that fitted it, for the gap"
    return render_table(header, rows, "lrlrrl", look, indent=INDENT) + "\n" + dim(words, look)


def render_reliability(rows: Sequence[Reliability], look: Look) -> str:
    """Return what was promised beside what came true; nothing of no rows."""
    if not rows:
        return ""
    shown = [
        (
            f"{row.low:.2f}{look.dash}{row.high:.2f}",
            f"{row.n_images:,}",
            f"{100 * row.said:.0f} %",
            f"{100 * row.came_true:.0f} %",
        )
        for row in rows
    ]
    head = look.style("How far the probabilities are kept", "bold")
    header = ("probability", "judged", "said", "came true")
    return head + "\n" + render_table(header, shown, "lrrr", look, indent=INDENT)


def number(value: float, look: Look) -> str:
    """Return three decimals, or a dash for what is not defined."""
    return f"{value:.3f}" if math.isfinite(value) else look.dash


def wrapped(text: str, look: Look) -> str:
    """Return a paragraph, indented."""
    pad = " " * INDENT
    return fill(text, look.width, initial_indent=pad, subsequent_indent=pad)


def dim(text: str, look: Look) -> str:
    """Return a paragraph that stays in the background."""
    return "\n".join(look.style(line, "dim") for line in wrapped(text, look).split("\n"))


def bullet(text: str, look: Look) -> str:
    """Return an item of a list."""
    point = " " * INDENT + look.pick("· ", "- ")
    return fill(text, look.width, initial_indent=point, subsequent_indent=" " * len(point))


def _interval(figure: Figure, look: Look) -> str:
    low, high = figure.found.low, figure.found.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{low:.3f}{look.dash}{high:.3f}"
