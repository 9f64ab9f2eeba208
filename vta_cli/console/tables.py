"""Small aligned tables as text: no frames, a dim head, numbers to the right."""

from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap

from rich.cells import cell_len, set_cell_size

from vta_cli.console.look import Look

GAP = "  "
NARROWEST = 8
"""Columns below which a cell is not cut."""


def render_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    look: Look,
    *,
    indent: int = 0,
    strong: Sequence[int] = (),
) -> str:
    """Return a table as lines, without a final newline.

    Parameters
    ----------
    header : sequence of str
        Empty for a table without a head.
    rows : sequence of sequence of str
        Cells; printable text without line breaks.
    align : str
        A letter for each column: ``l`` left, ``r`` right, ``w`` left and wrapped to the width that
        is left over (the last column only).
    look : Look
        The first column is cut where the table would be wider than this.
    indent : int
        Blanks before each line.
    strong : sequence of int
        Rows in bold.
    """
    wrapped = align.endswith("w")
    grid = [header, *rows] if header else rows
    widths = [max(map(cell_len, cells)) for cells in zip(*grid, strict=True)]
    if not widths:
        return ""
    room = look.width - indent
    fixed = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    if wrapped:
        widths[-1] = max(room - fixed, 2 * NARROWEST)
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - room
    if excess > 0 and widths[0] - excess >= NARROWEST:
        widths[0] -= excess
    lines = []
    if header:
        lines.append(look.style(_line(header, widths, align, look), "dim"))
    for number, row in enumerate(rows):
        cells = [[cell] for cell in row[:-1]]
        last = (wrap(row[-1], widths[-1]) or [""]) if wrapped else [row[-1]]
        for part in zip_longest(*cells, last, fillvalue=""):
            line = _line(part, widths, align, look)
            lines.append(look.style(line, "bold") if number in strong else line)
    return "\n".join(" " * indent + line for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], align: str, look: Look) -> str:
    parts = []
    for cell, width, side in zip(cells, widths, align, strict=True):
        shown = cell
        if cell_len(cell) > width:
            dots = look.pick("…", "...")
            shown = set_cell_size(cell, width - len(dots)) + dots
        pad = " " * (width - cell_len(shown))
        parts.append(pad + shown if side == "r" else shown + pad)
    return GAP.join(parts).rstrip()
