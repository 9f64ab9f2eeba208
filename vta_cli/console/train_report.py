"""What is known of a fitted head, as a page of text."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

import numpy as np

from vta_cli.console.figures import (
    INDENT,
    bullet,
    dim,
    render_figures,
    render_reliability,
    wrapped,
)
from vta_cli.console.histogram import count_bars, two_sided
from vta_cli.console.look import Look, printable
from vta_cli.console.tables import render_table
from vta_cli.records import Interval, Margins, MemberReport, Threshold, TrainReport
from vta_cli.words import counted

TRUST = {
    "none": "not yet: there are too few labels to judge it by. Label more images of both sides.",
    "low": "as a first guess: the intervals are wide, and more labels will move the scores.",
    "fair": "for ranking: the order holds up well, single scores may still move.",
    "good": "for ranking and for thresholds.",
}
BASE = "without looking: the larger side, the share of the positive, or all kept"


def render(report: TrainReport, *, look: Look | None = None, stream: TextIO | None = None) -> str:
    """Return a training report as text.

    Parameters
    ----------
    report : TrainReport
        Figures that are not defined (NaN) show as a dash; parts without figures are left out.
    look : Look, optional
        How to draw; what `stream` can show if None. Readable from 80 columns on.
    stream : text stream, optional
        Where it will be written; stdout if None.

    Returns
    -------
    str
        Paragraphs: counts, bars of them, members, figures, reliability, histogram of out-of-fold
        scores, margins, thresholds, how far to trust it, notes; without a final newline.
    """
    stream = sys.stdout if stream is None else stream
    look = Look.of(stream) if look is None else look
    report = replace(
        report,
        head=printable(report.head, stream),
        notes=tuple(printable(note, stream) for note in report.notes),
    )
    parts = [
        _counts(report, look),
        _spread(report, look),
        _members(report.members, report.train_auc, look),
        render_figures(report.figures, look, base=BASE) if report.figures else "",
        render_reliability(report.reliability, look),
        _histogram(report, look),
        _margins(report.margins, look) if _judged(report) else "",
        _thresholds(report.thresholds, look),
        _trust(report, look),
    ]
    return "\n\n".join(part for part in parts if part)


def _counts(report: TrainReport, look: Look) -> str:
    n_labels = report.n_positive + report.n_negative
    line = (
        f"{counted(n_labels, 'labelled image')}: {report.n_positive:,} positive, "
        f"{report.n_negative:,} negative"
    )
    if report.n_groups < n_labels:
        line += f"; near-copies share a fold ({report.n_groups:,} groups)"
    if report.n_folds:
        repeats = f"{report.n_repeats} times " if report.n_repeats > 1 else ""
        judged = f"judged out of fold: {repeats}{report.n_folds} folds"
    else:
        judged = "not judged: too few labels for folds"
    lines = [look.style(report.head, "bold")]
    lines += [wrapped(text, look) for text in (line, f"{judged}; {report.seconds:.1f} s")]
    return "\n".join(lines)


def _spread(report: TrainReport, look: Look) -> str:
    counts = {"positive": report.n_positive, "negative": report.n_negative}
    lines = count_bars(counts, look).split("\n")
    return "\n".join(" " * INDENT + line for line in lines)


def _members(members: Sequence[MemberReport], train_auc: float, look: Look) -> str:
    if not members:
        return ""
    rows = [
        (
            member.name,
            *(
                _interval(figure, look)
                for figure in (member.auc, member.accuracy, member.brier, member.ece)
            ),
            _weight(member.weight, look),
        )
        for member in members
    ]
    header = ("", "AUC", "accuracy", "Brier", "calib. error", "weight")
    strong = (len(rows) - 1,)
    lines = [render_table(header, rows, "lllllr", look, indent=INDENT, strong=strong)]
    lines += [dim(f"{m.name}: {m.detail}", look) for m in members if m.detail]
    last = members[-1].auc.value
    if math.isfinite(train_auc) and math.isfinite(last):
        gap = train_auc - last
        words = f"AUC on the labels that fitted it: {train_auc:.3f} (gap {gap:.3f})"
        lines.append(dim(words, look))
    words = "out of fold, 95 % intervals; good: AUC and accuracy near 1, others near 0"
    lines.append(dim(words, look))
    return "\n".join(lines)


def _histogram(report: TrainReport, look: Look) -> str:
    n_known = int(np.isfinite(report.oof_scores).sum())
    if not n_known:
        return ""
    marks = []
    if report.margins.left_reached:
        marks.append((report.margins.left, "left margin"))
    if report.margins.right_reached:
        marks.append((report.margins.right, "right margin"))
    text = two_sided(report.oof_scores, report.targets, look, marks=marks, indent=INDENT)
    n_without = len(report.oof_scores) - n_known
    if n_without:
        text += "\n" + dim(f"{counted(n_without, 'image')} without an out-of-fold score", look)
    return text


def _margins(margins: Margins, look: Look) -> str:
    ratio = f"{margins.ratio:g} : 1"
    unmet = f"({ratio} is not reached: a fallback)"
    rows = [
        (
            f"score <= {margins.left:.2f}",
            "almost surely negative" if margins.left_reached else f"likely negative {unmet}",
        ),
        (
            f"score >= {margins.right:.2f}",
            "almost surely positive" if margins.right_reached else f"likely positive {unmet}",
        ),
    ]
    head = look.style(f"Safety margins, {ratio}", "bold")
    return head + "\n" + render_table((), rows, "lw", look, indent=INDENT)


def _thresholds(thresholds: Sequence[Threshold], look: Look) -> str:
    if not thresholds:
        return ""
    rows = [
        (
            threshold.name,
            _number(threshold.value, look),
            _percent(threshold.kept, look),
            _percent(threshold.precision, look),
            _percent(threshold.recall, look),
            threshold.meaning,
        )
        for threshold in thresholds
    ]
    header = ("", "score >=", "keeps", "precision", "recall", "")
    head = look.style("Thresholds, and what each would keep, out of fold", "bold")
    return head + "\n" + render_table(header, rows, "lrrrrw", look, indent=INDENT)


def _trust(report: TrainReport, look: Look) -> str:
    colour = {"none": "red", "low": "yellow", "fair": "green", "good": "green"}[report.trust]
    words = wrapped(TRUST[report.trust], look)
    lines = [
        look.style("How far to trust it: ", "bold") + look.style(report.trust, colour),
        words,
        *(bullet(note, look) for note in report.notes),
    ]
    return "\n".join(lines)


def _judged(report: TrainReport) -> bool:
    return bool(report.n_folds) and bool(np.isfinite(report.oof_scores).any())


def _interval(figure: Interval, look: Look) -> str:
    """Return ``0.941 .90-.97``, as narrow as four of them beside one another ask for."""
    if not math.isfinite(figure.value):
        return look.dash
    text = f"{figure.value:.3f}"
    if math.isfinite(figure.low) and math.isfinite(figure.high):
        text += f" {_short(figure.low)}{look.dash}{_short(figure.high)}"
    return text


def _short(value: float) -> str:
    """Return two decimals without the leading zero; 1 as 1.0, of the same length.

    >>> _short(0.973), _short(0.999)
    ('.97', '1.0')
    """
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else text[:3]


def _number(value: float, look: Look) -> str:
    return f"{value:.2f}" if math.isfinite(value) else look.dash


def _percent(value: float, look: Look) -> str:
    return f"{100 * value:.0f} %" if math.isfinite(value) else look.dash


def _weight(weight: float | None, look: Look) -> str:
    if weight is None:
        return ""
    return f"{weight:.2f}" if weight > 0 else look.dash
