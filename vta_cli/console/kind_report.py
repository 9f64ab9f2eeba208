"""What is known of a head for judgements that are not yes or no, as a page of text."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from vta_cli.console.figures import (
    INDENT,
    bullet,
    dim,
    number,
    render_figures,
    render_reliability,
    wrapped,
)
from vta_cli.console.histogram import count_bars
from vta_cli.console.look import Look, printable
from vta_cli.console.tables import render_table
from vta_cli.records import KindReport, NameFigures, RaterFigures, Suspect
from vta_cli.words import counted

BASE = "the labels' mean or shares, said of every image"
WHAT = {"pairs": "judged pairs"}
MOST_NAMES = 12
"""Names up to which a confusion table is readable."""


def render_kind(
    report: KindReport,
    spread: Sequence[tuple[str, int]],
    spread_width: int,
    *,
    look: Look | None = None,
    stream: TextIO | None = None,
) -> str:
    """Return a report as text.

    Parameters
    ----------
    report : KindReport
    spread : sequence of (str, int)
        How the labels are spread.
    spread_width : int
        Columns that a bar of all labels would have.
    look : Look, optional
        How to draw; what `stream` can show if None.
    stream : text stream, optional
        Where it will be written; stdout if None.

    Returns
    -------
    str
        Paragraphs without a final newline: counts, bars, figures, names, confusion, notes.
    """
    stream = sys.stdout if stream is None else stream
    look = Look.of(stream) if look is None else look
    named = tuple(replace(item, name=printable(item.name, stream)) for item in report.by_name)
    bars = {printable(name, stream): count for name, count in spread}
    width = min(spread_width, max(look.width - max(map(len, bars), default=0) - 12, 10))
    parts = [
        _counts(report, look),
        _indented(count_bars(bars, look, width=width)),
        render_figures(report.figures, look, base=BASE),
        _names(named, look),
        _confusion(report, named, look),
        render_reliability(report.reliability, look),
        "\n".join(bullet(printable(note, stream), look) for note in report.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def render_suspects(
    suspects: Sequence[Suspect],
    paths: Sequence[str],
    *,
    look: Look | None = None,
    stream: TextIO | None = None,
) -> str:
    """Return the labels most likely wrong, with their paths, as text.

    Parameters
    ----------
    suspects : sequence of Suspect
        The most doubtful first.
    paths : sequence of str
        Of all labels; `Suspect.row` is a place in it.
    """
    stream = sys.stdout if stream is None else stream
    look = Look.of(stream) if look is None else look
    head = look.style("Labels most likely wrong", "bold")
    if not suspects:
        return head + "\n" + " " * INDENT + "too few labels to hold any of them back"
    rows = [
        (
            f"{item.loss:.3g}",
            printable(item.label, stream),
            printable(item.found, stream),
            printable(paths[item.row], stream),
        )
        for item in suspects
    ]
    # paths are there to be copied: never cut
    wide = replace(look, width=10_000)
    header = ("loss", "label", "the head says", "path")
    return head + "\n" + render_table(header, rows, "rlll", wide, indent=INDENT)


def render_raters(
    raters: Sequence[RaterFigures], *, look: Look | None = None, stream: TextIO | None = None
) -> str:
    """Return how far each rater agrees with the head and with the others, as text.

    Parameters
    ----------
    raters : sequence of RaterFigures
        Of one set of labels, the busiest first; at most `MOST_NAMES` are shown.
    """
    stream = sys.stdout if stream is None else stream
    look = Look.of(stream) if look is None else look
    measures, beside = list(raters[0].with_head), list(raters[0].with_others)
    rows = [
        (
            printable(rater.name, stream),
            f"{rater.n_labels:,}",
            *(number(rater.with_head[name], look) for name in measures),
            f"{rater.n_shared:,}",
            *(number(rater.with_others[name], look) for name in beside),
        )
        for rater in raters[:MOST_NAMES]
    ]
    header = ("", "labels", *measures, "shared", *(f"{name}, others" for name in beside))
    words = "the head never saw the labels that it is compared with; others: the other raters' "
    words += "labels of the shared images, which is what a person can do"
    if len(raters) > MOST_NAMES:
        words += f"; {counted(len(raters) - MOST_NAMES, 'more rater')}"
    head = look.style("Each rater against the head and against the others", "bold")
    table = render_table(header, rows, "l" + "r" * (len(header) - 1), look, indent=INDENT)
    return "\n".join([head, table, dim(words, look)])


def _counts(report: KindReport, look: Look) -> str:
    what = WHAT.get(report.kind, "labelled images")
    line = f"{report.n_labels:,} {what}"
    if report.kind not in WHAT:
        line += f" ({report.kind})"
    if report.kind != "pairs" and report.n_groups < report.n_labels:
        line += f"; near-copies share a fold ({report.n_groups:,} groups)"
    judged = f"judged out of fold: {report.n_folds} folds; {report.seconds:.1f} s"
    lines = [look.style(report.head, "bold")]
    lines += [wrapped(text, look) for text in (line, judged, report.detail)]
    return "\n".join(lines)


def _names(named: Sequence[NameFigures], look: Look) -> str:
    if not named:
        return ""
    rows = [
        (
            item.name,
            f"{item.n_labels:,}",
            *(number(x, look) for x in (item.recall, item.precision, item.f2, item.auc)),
        )
        for item in named
    ]
    header = ("", "labels", "recall", "precision", "F2", "AUC")
    return render_table(header, rows, "lrrrrr", look, indent=INDENT)


def _confusion(report: KindReport, named: Sequence[NameFigures], look: Look) -> str:
    table = report.confusion
    if table is None or len(named) > MOST_NAMES:
        return ""
    header = ("label", *(item.name for item in named))
    rows = [
        (item.name, *(f"{count:,}" for count in row))
        for item, row in zip(named, table.tolist(), strict=True)
    ]
    head = look.style("What the head says of each label", "bold")
    return head + "\n" + render_table(header, rows, "l" + "r" * len(named), look, indent=INDENT)


def _indented(text: str) -> str:
    return "\n".join(" " * INDENT + line for line in text.split("\n")) if text else ""
