"""Draws learning curves as an SVG: the way gone against the labels, a plot for each set."""

import numpy as np

WIDTH, HEIGHT = 300, 220
"""Of one plot [px]."""
LEFT, RIGHT, TOP, BOTTOM = 44, WIDTH - 10, 26, HEIGHT - 30
TICKS = (2, 10, 30, 60, 100, 150, 200, 300)
COLOURS = {
    "band": "#0b7a69", "random": "#444444", "uncertain": "#c4441d", "diverse": "#3a6fb0",
    "top": "#b08d00", "disagree": "#8a4fa3",
}  # fmt: skip
CEILING = 1.1


def plot(panels, goal, file):
    """Write the curves.

    Parameters
    ----------
    panels : dict
        By (row, column) of strings: a dict from the name of a curve to its labels and values.
    """
    lines = list(dict.fromkeys(line for line, _ in panels))
    columns = list(dict.fromkeys(column for _, column in panels))
    width, height = len(columns) * WIDTH, len(lines) * HEIGHT + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for (line, column), curves in panels.items():
        x, y = columns.index(column) * WIDTH, lines.index(line) * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">')
        parts += [*_frame(f"{column}, {line}", curves, goal), *_lines(curves), "</g>"]
    for at, name in enumerate(next(iter(panels.values()))):
        x, y = LEFT + at * 100, height - 9
        parts.append(
            f'<path d="M{x} {y - 4}h22" {_pen(name)}/><text x="{x + 27}" y="{y}">{name}</text>'
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*parts, "</g></svg>", ""]), encoding="utf-8")
    print(f"wrote {file}")


def _spot(count, value, last):
    """Return where a point lies; labels on a square-root scale, for most happens early."""
    x = LEFT + (RIGHT - LEFT) * np.sqrt(count / last)
    return x, BOTTOM - (BOTTOM - TOP) * np.clip(value, 0.0, CEILING) / CEILING


def _pen(name):
    dash = ' stroke-dasharray="5 3"' if name == "random" else ""
    wide = 2.6 if name == "band" else 1.8 if name == "random" else 1.1
    return f'fill="none" stroke="{COLOURS[name]}" stroke-width="{wide}"{dash}'


def _frame(title, curves, goal):
    last = max(counts[-1] for counts, _ in curves.values())
    yield f'<text x="{LEFT}" y="15" font-weight="bold">{title}</text>'
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _spot(0, value, last)[1]
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>'
    for count in TICKS:
        if count <= last:
            x = _spot(count, 0, last)[0]
            yield f'<text x="{x:.1f}" y="{BOTTOM + 14}" text-anchor="middle">{count}</text>'
    y = _spot(0, goal, last)[1]
    yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#333" stroke-dasharray="1 3"/>'


def _lines(curves):
    """Yield the curves, the one of most interest on top."""
    last = max(counts[-1] for counts, _ in curves.values())
    for name in sorted(curves, key=lambda name: (name == "band", name == "random")):
        points = (_spot(*point, last) for point in zip(*curves[name], strict=True))
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path d="M{path}" {_pen(name)}/>'
