"""Pairs from tables."""

import os
from pathlib import Path

import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.distribution import distribution
from vta_cli.labels.pairs import read_pairs

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "biq2021_quality"


@pytest.fixture
def table(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(b"x")

    def write(text, name="pairs.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def judged(labels):
    return [
        (os.path.basename(one.path)[0], os.path.basename(one.other)[0], one.value)
        for one in labels.labels
    ]


def slug_of(*args):
    with pytest.raises(UsageError) as caught:
        read_pairs(*args)
    assert caught.value.hint
    return caught.value.slug


def test_left_right_and_winner(table):
    file = table(
        "left,right,winner,weight,rater\na.jpg,b.jpg,Left,2,ann\nb.jpg,c.jpg,r,,\n"
        "a.jpg,c.jpg,tie,,\na.jpg,b.jpg,b.jpg,,\na.jpg,b.jpg,a.jpg,,\n"
    )
    labels = read_pairs(file)

    assert labels.kind == "pairs"
    assert judged(labels) == [
        ("a", "b", 1.0), ("b", "c", 0.0), ("a", "c", 0.5), ("a", "b", 0.0), ("a", "b", 1.0),
    ]  # fmt: skip
    assert (labels.labels[0].weight, labels.labels[0].rater) == (2.0, "ann")
    assert labels.labels[1].source == "pairs.csv:3"
    assert distribution(labels) == (("left", 2), ("right", 2), ("tie", 1))


def test_winner_and_loser_are_enough(table):
    labels = read_pairs(table('{"winner": "b.jpg", "loser": "a.jpg"}\n', "pairs.jsonl"))

    assert judged(labels) == [("b", "a", 1.0)]
    assert distribution(labels) == (("left", 1), ("right", 0))


def test_what_cannot_be_used_is_told_with_its_line(table):
    labels = read_pairs(
        table(
            "a,b,winner\na.jpg,b.jpg,left\na.jpg,b.jpg,1\na.jpg,b.jpg,\na.jpg,z.jpg,left\n"
            "a.jpg,./a.jpg,left\n"
        )
    )

    assert judged(labels) == [("a", "b", 1.0)]
    assert labels.problems == (
        "pairs.csv:3: the winner '1' is neither left, right, tie nor one of the two images",
        "pairs.csv:5: there is no file 'z.jpg'",
        "pairs.csv:6: 'a.jpg' stands on both sides",
        "pairs.csv: 1 pair has no winner and is left out",
    )


def test_another_table_is_refused(table):
    assert slug_of(table("left,right\na.jpg,b.jpg\n")) == "no-pair-columns"
    assert slug_of(table("left,right,winner\na.jpg,z.jpg,left\n")) == "no-labels"
    assert slug_of(table("")) == "no-labels"
    assert slug_of(Path("none.csv")) == "no-such-file"


@pytest.mark.skipif(not DATA.is_dir(), reason="no sample data beside the checkout")
def test_real_pairs():
    labels = read_pairs(DATA / "pairs_from_mos.csv")

    lines = (DATA / "pairs_from_mos.csv").read_text().splitlines()
    assert len(labels.labels) == len(lines) - 1
    assert labels.problems == ()
    assert dict(distribution(labels))["left"] == sum(",left," in line for line in lines)
