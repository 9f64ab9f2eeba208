"""How labels are spread, as rows and as bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.console.histogram import count_bars
from vta_cli.console.look import Look
from vta_cli.labels.distribution import CLASS_BAR_WIDTH, SCORE_BAR_WIDTH, bar_width, distribution
from vta_cli.labels.records import Label, LabelSet

LOOK = Look(160, unicode=False, colour=False)


def labels_of(kind, values, **more):
    return LabelSet(kind, tuple(Label(f"/{n}", v, "x") for n, v in enumerate(values)), **more)


def bars(labels):
    rows = count_bars(dict(distribution(labels)), LOOK, width=bar_width(labels)).splitlines()
    return [row.count("#") for row in rows]


def test_the_bars_of_published_sets():
    """1,805 of 3,215 at width 40, and 690 of 3,080 at width 100, are 22 columns each."""
    classes = labels_of("classes", [0.0] * 1805 + [1.0] * 1410, names=("reg", "chroma"))
    assert bars(classes)[0] == 22
    assert bar_width(classes) == CLASS_BAR_WIDTH == 40

    counts = (31, 162, 533, 675, 690, 576, 228, 95, 54, 29, 7)
    scores = [float(score) for score, n in enumerate(counts) for _ in range(n)]
    tiers = labels_of("ordinal", scores, bins=tuple(map(float, range(11))))
    assert dict(distribution(tiers))["4"] == 690
    assert bars(tiers)[4] == 22
    assert bar_width(tiers) == SCORE_BAR_WIDTH == 100


def test_binary_sets_name_both_sides():
    assert distribution(labels_of("binary", [1.0, 1.0, 0.0])) == (("positive", 2), ("negative", 1))


def test_empty_classes_and_tiers_have_their_rows():
    assert distribution(labels_of("classes", [1.0], names=("a", "b"))) == (("a", 0), ("b", 1))
    assert distribution(labels_of("ordinal", [2.0], bins=(0.5, 2.0))) == (("0.5", 0), ("2", 1))


def test_means_of_histograms_fall_into_the_nearest_bin():
    labels = labels_of("histograms", [1.4, 1.5, 9.0, 0.2], bins=(1.0, 2.0, 3.0))

    assert distribution(labels) == (("1", 2), ("2", 1), ("3", 1))


def test_a_few_scores_have_a_row_each_and_many_share_ranges():
    assert distribution(labels_of("scores", [2.5, 1.0, 2.5])) == (("1", 1), ("2.5", 2))
    rows = distribution(labels_of("scores", [n / 10 for n in range(101)]))
    assert len(rows) == 10
    assert rows[0] == ("0..1", 10)
    assert rows[-1] == ("9..10", 11)


@pytest.mark.parametrize("kind", ["classes", "tags", "scores", "histograms", "ordinal", "pairs"])
def test_an_empty_set_has_no_counts(kind):
    assert sum(count for _, count in distribution(LabelSet(kind, (), (), ("a",), (1.0,)))) == 0


@given(st.lists(st.floats(-100, 100), max_size=60))
def test_every_score_is_counted_once(values):
    assert sum(count for _, count in distribution(labels_of("scores", values))) == len(values)
