"""The one table at the end of `make bench`: benchmarks add rows, `__main__` prints them."""

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "VTA_BENCH_TABLE"
"""Environment variable with the file that rows are added to; without it nothing is kept."""


def row(
    stage: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float] = (),
    *,
    peak_mib: float | None = None,
    peer_mib: float | None = None,
    why: str = "",
) -> None:
    """Add a row.

    Parameters
    ----------
    ours, theirs : sequence of float
        Core-seconds of each turn, in the order in which they were measured side by side. No
        `theirs` where the peer was not run, or `ours` where nothing was; `why` says why not.
    peak_mib, peer_mib : float, optional
        Peak memory of the processes.
    """
    ratio = None
    if len(ours) and len(theirs) == len(ours):
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    elif len(ours) and len(theirs):
        ratio = statistics.median(ours) / statistics.median(theirs)
    found = {
        "stage": stage,
        "ours": statistics.median(ours) if len(ours) else None,
        "peer": peer,
        "theirs": statistics.median(theirs) if len(theirs) else None,
        "ratio": ratio,
        "peak": peak_mib,
        "peer_peak": peer_mib,
        "why": why,
    }
    file = os.environ.get(VARIABLE)
    if file:
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(found) + "\n")


def read(file: Path) -> list[dict]:
    """Return the rows that were added to a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def markdown(rows: Sequence[dict], machine: str) -> str:
    """Return the table; a ratio below 1 means that vta is the cheaper."""
    lines = [
        f"Core-seconds, medians, measured in turn on {machine}.",
        "Ratio: vta over the other; below 1 vta is the cheaper.",
        "",
        "| stage | vta | beside | | ratio | peak MiB, vta | beside |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in rows:
        theirs = _seconds(found["theirs"]) if found["theirs"] is not None else found["why"]
        ratio = "" if found["ratio"] is None else f"{found['ratio']:.2g}"
        if found["theirs"] is not None and found["why"]:
            theirs += f" ({found['why']})"
        mine = "" if found["ours"] is None else _seconds(found["ours"])
        cells = (found["stage"], mine, found["peer"], theirs, ratio,
                 _whole(found["peak"]), _whole(found["peer_peak"]))  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
