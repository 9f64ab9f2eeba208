"""The losses of a training as a drawing: one SVG that needs nothing else."""

import math
from collections.abc import Sequence
from html import escape

from vta_cli.records import Curve

FONT = 'role="img" font-family="sans-serif" font-size="12"'
WIDTH_PX, HEIGHT_PX, EDGE_PX = 640, 320, 48


def curve_svg(curve: Curve, title: str) -> str:
    """Draw the loss while learning and on the held-out fold over the epochs; the kept one marked.

    The scale is logarithmic where all losses are above 0.
    """
    both = [v for v in (*curve.train, *curve.held) if math.isfinite(v)]
    log = bool(both) and min(both) > 0
    low, high = (min(both), max(both)) if both else (0.0, 1.0)
    ends = (math.log(low), math.log(high)) if log else (low, high)
    span = (ends[1] - ends[0]) or 1.0

    def x(at: int) -> float:
        share = at / max(len(curve.samples) - 1, 1)
        return EDGE_PX + share * (WIDTH_PX - 2 * EDGE_PX)

    def y(value: float) -> float:
        share = ((math.log(value) if log else value) - ends[0]) / span
        return HEIGHT_PX - EDGE_PX - share * (HEIGHT_PX - 2 * EDGE_PX)

    def line(values: Sequence[float], colour: str) -> str:
        points = " ".join(
            f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(values) if math.isfinite(v)
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'

    bottom, right = HEIGHT_PX - EDGE_PX, WIDTH_PX - EDGE_PX
    n_epochs = len(curve.samples)
    kept = f"epoch {curve.best + 1} of {n_epochs} kept"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" {FONT}>',
        f"<title>Losses of {escape(title)}</title>",
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="#fff"/>',
        f'<path d="M{EDGE_PX} {EDGE_PX}V{bottom}H{right}" fill="none" stroke="#888"/>',
        f'<path d="M{x(curve.best):.1f} {EDGE_PX}V{bottom}" stroke="#888" stroke-dasharray="4"/>',
        line(curve.train, "#1b6ca8"),
        line(curve.held, "#c2541b"),
        f'<text x="{EDGE_PX}" y="20">{escape(title)}: {kept}</text>',
        f'<text x="{EDGE_PX}" y="38" fill="#1b6ca8">while learning</text>',
        f'<text x="{EDGE_PX + 110}" y="38" fill="#c2541b">held out</text>',
        f'<text x="4" y="{EDGE_PX + 4}">{high:.3g}</text>',
        f'<text x="4" y="{bottom + 4}">{low:.3g}</text>',
        f'<text x="{EDGE_PX}" y="{bottom + 18}">epoch 1</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{n_epochs}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
