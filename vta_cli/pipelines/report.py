"""A page about scored images and the head behind them: histogram, curves, pictures, mistakes."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.saved import Head
from vta_cli.pages.charts import bars, lines, scatter
from vta_cli.pages.sheet import Section, Tile, render_sheet
from vta_cli.pipelines.remembered import OutOfFold, recall
from vta_cli.pipelines.select import Scored, rank
from vta_cli.pipelines.sheet import picture
from vta_cli.records import Promise
from vta_cli.store.store import Store
from vta_cli.words import counted

Floats = NDArray[np.float64]
BINS = 50
FEW_LABELS = 1000
"""Labels below which their histogram has `FEW_BINS`."""
FEW_BINS = 20
BRACKETS = 10
OF_BRACKET = 6
"""Pictures shown of each tenth of the scale."""
RATIO = 30.0
"""Wanted ratio of the safety margins; the chart of ratios is cut at three times as much."""
GUARD = 0.001
"""Keeps ratios finite, as in the plots of the original ensemble."""
STEPS = 9
"""Steps of a scale as of one from 1 to 10: within half a step a guess is good, within one fair."""


def write_report(
    scored: Sequence[Scored],
    scale: tuple[float, float],
    out: Path,
    *,
    title: str,
    store: Store,
    head: Head | None = None,
    n_tiles: int = 24,
) -> Path:
    """Write one self-contained HTML file.

    Parameters
    ----------
    scored : sequence of Scored
        Images with a score.
    scale : (float, float)
        Ends of the scores; widened to what occurs.
    head : Head, optional
        Whose out-of-fold answers are shown, if it keeps any.
    n_tiles : int
        Pictures of a section.

    Returns
    -------
    Path
        The page; its folder is made.
    """
    ranked = rank(scored)
    values = np.array([item.score for item in ranked])
    low, high = min(scale[0], values.min()), max(scale[1], values.max())
    kept = recall(head.meta) if head is not None else None
    marks = _margins(head.meta) if head is not None else ()
    counts = np.histogram(values, bins=BINS, range=(low, high))[0].astype(np.float64)
    charts = [bars(f"Scores of {counted(len(values), 'image')}", {"": counts}, low, high, marks)]
    sections = [
        Section("Best", _tiles(ranked[:n_tiles])),
        Section("Worst", _tiles(ranked[::-1][:n_tiles])),
        *_brackets(ranked, values, float(low), float(high)),
    ]
    if head is not None and kept is not None:
        charts += _charts(kept, head.promise, marks)
        sections += _judged(kept, head.promise, store, n_tiles)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, render_sheet(title, sections, above=charts))
    return out


def write_whole(out: Path, text: str) -> None:
    """Write a page so that an older one stays if the disk is full or the run is killed."""
    if out.exists() and not out.is_file():  # a pipe or a device is no file to replace
        out.write_text(text, encoding="utf-8")
        return
    target = out.resolve()
    whole = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    try:
        whole.write_text(text, encoding="utf-8")
        whole.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            whole.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(out)
        raise


def _margins(meta: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the safety margins that a head tells of; none if it tells nonsense."""
    try:
        return float(meta["margins"]["left"]), float(meta["margins"]["right"])
    except (KeyError, TypeError, ValueError):
        return ()


def _tiles(scored: Sequence[Scored]) -> list[Tile]:
    return [Tile(picture(item.ref.path), item.ref.path, item.score) for item in scored]


def _brackets(ranked: Sequence[Scored], values: Floats, low: float, high: float) -> list[Section]:
    """Return a few images of each tenth of the scale, evenly spread, with the tenth's share."""
    edges = np.linspace(low, high, BRACKETS + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BRACKETS - 1)
    sections = []
    for tenth in reversed(range(BRACKETS)):
        rows = np.flatnonzero(place == tenth)
        if len(rows):
            shown = rows[_spread(len(rows), OF_BRACKET)]
            name = f"{edges[tenth]:.3g} to {edges[tenth + 1]:.3g}"
            share = f"{counted(len(rows), 'image')}, {len(rows) / len(values):.1%}"
            sections.append(Section(name, _tiles([ranked[row] for row in shown]), share))
    return sections


def _spread(n: int, wanted: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).astype(np.int64))


def _charts(kept: OutOfFold, promise: Promise, marks: Sequence[float]) -> list[str]:
    """Return what out-of-fold answers say: curves for yes and no, points for numbers."""
    if promise.kind == "probability":
        bins = FEW_BINS if len(kept.keys) < FEW_LABELS else 2 * BINS
        groups = {
            name: np.histogram(kept.found[kept.truth == side], bins, (0, 1))[0].astype(np.float64)
            for name, side in (("disliked", 0), ("liked", 1))
        }
        limits, rates = threshold_rates(kept.found, kept.truth)
        ratios = {
            "liked to disliked at or above": rates["liked kept"] / (rates["disliked kept"] + GUARD),
            "disliked to liked below": rates["disliked cut"] / (rates["liked cut"] + GUARD),
        }
        return [
            bars("Out-of-fold scores of the labels", groups, 0.0, 1.0, marks),
            lines("Share of each side by threshold", limits, rates, marks=marks),
            lines(
                f"Ratios by threshold (line: {RATIO:g} to 1)", limits, ratios,
                y_high=3 * RATIO, level=RATIO, marks=marks,
            ),
        ]  # fmt: skip
    if promise.kind in ("rating", "distribution"):
        low = float(min(promise.low, kept.truth.min()))
        high = float(max(promise.high, kept.truth.max()))
        counts = np.histogram(kept.truth, FEW_BINS, (low, high))[0].astype(np.float64)
        return [
            bars("The labels", {"": counts}, low, high),
            scatter("Labels (across), out-of-fold answers (up)", kept.truth, kept.found, low, high),
        ]
    return []


def threshold_rates(found: Floats, truth: Floats) -> tuple[Floats, dict[str, Floats]]:
    """Return thresholds 0, 0.01 ... 1 and what each keeps and cuts of either side.

    Parameters
    ----------
    found, truth : ndarray of shape (n,), float64
        Probabilities, and 1 liked, 0 disliked.

    Returns
    -------
    limits : ndarray of shape (101,), float64
    rates : dict of str to ndarray of shape (101,), float64
        Shares of a side with a score at or above the limit (kept), or below it (cut); 0 of no side.
    """
    limits = np.linspace(0.0, 1.0, 101)
    rates = {}
    for name, side in (("liked", 1), ("disliked", 0)):
        ordered = np.sort(found[truth == side])
        below = np.searchsorted(ordered, limits, side="left") / max(len(ordered), 1)
        rates[f"{name} kept"] = (1.0 - below) * bool(len(ordered))
        rates[f"{name} cut"] = below
    return limits, rates


def _judged(kept: OutOfFold, promise: Promise, store: Store, n_tiles: int) -> list[Section]:
    """Return labelled images with what was said and found: mistakes first, then a fair choice."""
    classes = promise.kind in ("classes", "tags")
    apart = np.abs(kept.truth - kept.found)
    if classes:
        apart = (apart > 0).astype(np.float64)
    worst = np.argsort(-apart, kind="stable")[:n_tiles]
    wrong = [row for row in worst if _tone(apart[row], promise) != "good"]
    order = np.argsort(kept.truth, kind="stable")[_spread(len(kept.keys), n_tiles)]
    paths = store.catalogue.paths_of(
        {kept.keys[row].tobytes(): None for row in (*wrong, *order)}.keys()
    )
    text = "red: a step or more off, orange: half a step, green: less" if not classes else ""
    if promise.kind == "probability":
        text = "red: on the other side, orange: undecided, green: right"
    both = (("Largest mistakes, out of fold", wrong), ("Labelled images, out of fold", order))
    return [
        Section(name, [_said(kept, int(row), apart, promise, paths) for row in rows], text)
        for name, rows in both
        if len(rows)
    ]


def _tone(apart: float, promise: Promise) -> Literal["good", "fair", "bad"]:
    """Say how far off an answer is, by half steps of its scale (Genolve's grid for 1 to 10)."""
    if promise.kind in ("classes", "tags"):
        return "bad" if apart else "good"
    if promise.kind == "probability":
        good, fair = 0.25, 0.5
    else:
        good, fair = 0.5 / STEPS, 1.0 / STEPS
        apart = apart / ((promise.high - promise.low) or 1.0)
    return "good" if apart < good else "fair" if apart < fair else "bad"


def _said(
    kept: OutOfFold,
    row: int,
    apart: Floats,
    promise: Promise,
    paths: Mapping[bytes, Sequence[str]],
) -> Tile:
    truth, found = float(kept.truth[row]), float(kept.found[row])
    if promise.kind == "classes":
        names = dict(enumerate(promise.names))
        note = f"labelled {names.get(int(truth), '?')}, found {names.get(int(found), '?')}"
    elif promise.kind == "probability":
        note = f"labelled {'liked' if truth else 'disliked'}, found {found:.2f}"
    else:
        note = f"labelled {truth:.3g}, found {found:.3g}"
    path = next(iter(paths.get(kept.keys[row].tobytes(), ())), "")
    jpeg = picture(path) if path else b""
    return Tile(jpeg, path, None, note, _tone(float(apart[row]), promise))
