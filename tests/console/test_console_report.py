"""Training reports as pages of text, the odd ones included."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from console_streams import Terminal
from rich.cells import cell_len

from vta_cli.console.look import Look
from vta_cli.console.train_report import render
from vta_cli.records import Interval, Margins, MemberReport, Threshold, TrainReport

NAN = math.nan
UNKNOWN = Interval(NAN, NAN, NAN)


def interval(value):
    return Interval(value, value - 0.04, min(value + 0.03, 1.0))


def report(n=60, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.array([1, 0], np.int8), n)
    scores = 1 / (1 + np.exp(-rng.normal(np.where(targets, 2.0, -2.0), 1.2)))
    members = (
        MemberReport(
            "logistic", interval(0.941), interval(0.875), interval(0.101), interval(0.054), 0.62,
            "C 0.03",
        ),
        MemberReport(
            "knn", interval(0.912), interval(0.85), interval(0.121), interval(0.071), 0.0
        ),
        MemberReport(
            "ensemble", interval(0.999), interval(0.883), interval(0.094), interval(0.048)
        ),
    )  # fmt: skip
    thresholds = (
        Threshold("balanced", 0.52, 0.48, 0.88, 0.86, "as many missed as wrongly kept"),
        Threshold("careful", 0.91, 0.2, 0.99, 0.4, "hardly anything that is disliked gets through"),
    )
    return TrainReport(
        "ensemble", n, n, 2 * n - 2, 5, 4, members, scores, targets,
        Margins(0.12, 0.91, left_reached=True, right_reached=True, ratio=30.0),
        thresholds, "fair", ("2 groups of near-copies share a fold.",), 1.0, 2.13,
    )  # fmt: skip


def tiny():
    return replace(
        report(2),
        n_groups=4,
        n_folds=0,
        n_repeats=0,
        members=(MemberReport("logistic", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),),
        oof_scores=np.full(4, NAN),
        margins=Margins(0.35, 0.65, left_reached=False, right_reached=False, ratio=30.0),
        thresholds=(),
        trust="none",
        train_auc=NAN,
    )


def test_all_that_is_known_is_told():
    text = " ".join(render(report(), look=Look(unicode=False)).split())

    for words in (
        "120 labelled images: 60 positive, 60 negative",
        "118 groups",
        "4 times 5 folds",
        "0.941 .90-.97",
        "0.999 .96-1.0",
        "0.62",
        "gap 0.001",
        "C 0.03",
        "score <= 0.12 almost surely negative",
        "score >= 0.91 almost surely positive",
        "careful",
        "99 %",
        "How far to trust it: fair",
        "2 groups of near-copies share a fold.",
    ):
        assert words in text
    assert "nan" not in text.lower()


ODD = {
    "two a side": tiny(),
    "constant": replace(report(5), oof_scores=np.full(10, 0.5), members=(), trust="low"),
    "some without a score": replace(report(5), oof_scores=np.r_[np.linspace(0, 1, 9), NAN]),
    "no intervals": replace(
        report(), members=(MemberReport("m", *[Interval(0.5, NAN, NAN)] * 4),), train_auc=NAN
    ),
    "unmet margins": replace(
        report(), margins=Margins(0.35, 0.65, left_reached=False, right_reached=False, ratio=30.0)
    ),
    "undefined thresholds": replace(report(), thresholds=(Threshold("t", NAN, NAN, NAN, NAN, ""),)),
    "many": replace(report(100_000), n_groups=200_000),
    "long names": replace(
        report(), members=tuple(replace(m, name="kernel-" * 5) for m in report().members)
    ),
    "a name of bytes": replace(report(), head="\udcff", notes=("\udcff\x1b[31m",)),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_odd_reports_fit_the_page_and_the_terminal(name, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text = render(ODD[name], stream=stream)

    text.encode(encoding)
    assert max(cell_len(line) for line in text.split("\n")) <= 80
    assert "nan" not in text.lower()
    assert "\x1b" not in text


def test_too_few_labels_are_not_judged():
    text = render(tiny(), look=Look())

    assert "not judged" in text
    assert "Safety margins" not in text
    assert "score  positive" not in text  # no histogram of nothing
    assert "Label more" in text


def test_margins_that_are_not_met_do_not_promise():
    text = render(ODD["unmet margins"], look=Look())

    assert "almost surely" not in text
    assert text.count("30 : 1 is not reached") == 2


def test_images_without_a_score_are_counted():
    assert "1 image without" in render(ODD["some without a score"], look=Look())


def test_the_labels_of_both_sides_are_shown_as_bars():
    """40 columns would be all labels, as for the classes of the other kinds."""
    text = render(replace(tiny(), n_positive=3, n_negative=1), look=Look(unicode=False))
    assert "  positive  3  " + "#" * 30 + "\n" in text
    assert "  negative  1  " + "#" * 10 + "\n" in text


def test_colours_on_a_terminal_alone(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    assert "\x1b[32m" in render(report(), stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in render(report(), stream=Terminal())
