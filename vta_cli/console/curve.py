"""The losses of a training in two lines of text."""

import math
from collections.abc import Sequence
from typing import TextIO

from vta_cli.console.look import Look
from vta_cli.records import Curve

STEPS = "▁▂▃▄▅▆▇█"
WIDTH = 40


def render_curve(curve: Curve, *, look: Look | None = None, stream: TextIO) -> str:
    """Return the losses at the first, the kept and the last epoch, and a small drawing of each."""
    look = Look.of(stream) if look is None else look
    lines = []
    for name, values in (("learning", curve.train), ("held out", curve.held)):
        if not any(math.isfinite(value) for value in values):
            continue
        shown = [f"{values[at]:.4g}" for at in (0, curve.best, len(values) - 1)]
        bars = look.pick(_bars(values), "")
        lines.append(
            f"  loss {name}: {shown[0]}, kept {shown[1]}, last {shown[2]}  {bars}".rstrip()
        )
    return "\n".join(lines)


def _bars(values: Sequence[float]) -> str:
    some = values[:: max(1, math.ceil(len(values) / WIDTH))]
    finite = [value for value in some if math.isfinite(value)]
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    return "".join(
        STEPS[round((value - low) / span * (len(STEPS) - 1))] if math.isfinite(value) else " "
        for value in some
    )
