"""Labels of contents: copies agree, or the disagreement is reported."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.labels.merge import merge, require_both
from vta_cli.labels.records import Label, LabelSet


def key(letter):
    return letter.encode() * 32


def labelled(*rows):
    return LabelSet("binary", tuple(Label(path, value, "here") for path, value in rows))


def test_one_row_for_each_content_in_the_order_of_the_labels():
    labels = labelled(("/b.jpg", 0.0), ("/a.jpg", 1.0), ("/copy-of-b.jpg", 0.0))
    judged = merge(labels, {"/a.jpg": key("a"), "/b.jpg": key("b"), "/copy-of-b.jpg": key("b")})

    np.testing.assert_array_equal(judged.keys[:, 0], [ord("b"), ord("a")])
    np.testing.assert_array_equal(judged.targets, [0, 1])
    assert judged.paths == ("/b.jpg", "/a.jpg")
    assert (judged.keys.dtype, judged.keys.shape) == (np.uint8, (2, 32))
    assert judged.notes == ("1 labelled file is an exact copy of another and counts once with it",)


def test_a_content_labelled_both_ways_is_an_error_that_names_both_files():
    labels = labelled(("/liked/a.jpg", 1.0), ("/not/b.jpg", 0.0), ("/not/a2.jpg", 0.0))
    keys = {"/liked/a.jpg": key("a"), "/not/b.jpg": key("b"), "/not/a2.jpg": key("a")}

    with pytest.raises(UsageError) as caught:
        merge(labels, keys)

    assert caught.value.slug == "label-conflict"
    assert "/liked/a.jpg" in caught.value.message
    assert "/not/a2.jpg" in caught.value.message
    assert caught.value.message.count(labels.labels[0].source) == 2, "each side with its place"
    assert "--on-conflict drop" in caught.value.hint


def test_conflicts_can_be_dropped_with_a_note():
    labels = labelled(("/a.jpg", 1.0), ("/a2.jpg", 0.0), ("/b.jpg", 0.0), ("/c.jpg", 1.0))
    keys = {"/a.jpg": key("a"), "/a2.jpg": key("a"), "/b.jpg": key("b"), "/c.jpg": key("c")}

    judged = merge(labels, keys, on_conflict="drop")

    assert judged.paths == ("/b.jpg", "/c.jpg")
    assert len(judged.notes) == 1
    assert "/a2.jpg" in judged.notes[0]


def test_one_file_labelled_both_ways_is_told_with_both_places():
    labels = LabelSet(
        "binary", (Label("/a.jpg", 1.0, "labels.csv:2"), Label("/a.jpg", 0.0, "labels.csv:9"))
    )

    with pytest.raises(UsageError, match=r"labels\.csv:2 and labels\.csv:9"):
        merge(labels, {"/a.jpg": key("a")})


def test_many_conflicts_are_counted_not_listed():
    labels = labelled(*((f"/{side}/{n}.jpg", side) for side in (1.0, 0.0) for n in range(50)))
    keys = {label.path: bytes([int(label.path.split("/")[2][:-4])]) * 32 for label in labels.labels}

    with pytest.raises(UsageError) as caught:
        merge(labels, keys)
    assert "50 images are labelled both ways" in caught.value.message
    assert "and 47 more" in caught.value.message
    assert len(caught.value.message) < 400


def test_files_without_a_key_are_left_out_with_a_note():
    labels = labelled(("/a.jpg", 1.0), ("/b.jpg", 0.0), ("/broken.jpg", 0.0))
    judged = merge(labels, {"/a.jpg": key("a"), "/b.jpg": key("b")})

    assert judged.paths == ("/a.jpg", "/b.jpg")
    assert "/broken.jpg" in judged.notes[0]


@pytest.mark.parametrize(
    ("rows", "missing"),
    [((), "no labels"), ((("/a.jpg", 1.0),), "no negative"), ((("/a.jpg", 0.0),), "no positive")],
)
def test_an_empty_side_is_named(rows, missing):
    labels = labelled(*rows)
    for attempt in (
        lambda: merge(labels, {"/a.jpg": key("a")}),
        lambda: require_both(labels.labels),
    ):
        with pytest.raises(UsageError, match=missing) as caught:
            attempt()
        assert caught.value.slug == "one-class-empty"


def test_the_largest_weight_of_the_copies_counts():
    labels = LabelSet(
        "binary",
        (Label("/a.jpg", 1.0, "", 2.0), Label("/a2.jpg", 1.0, "", 5.0), Label("/b.jpg", 0.0, "")),
    )
    judged = merge(labels, {"/a.jpg": key("a"), "/a2.jpg": key("a"), "/b.jpg": key("b")})

    np.testing.assert_array_equal(judged.weights, [5.0, 1.0])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_dropping_leaves_exactly_what_nobody_disputes(rows):
    labels = labelled(*((f"/{n}", float(value)) for n, (_, value) in enumerate(rows)))
    keys = {f"/{n}": bytes([content]) * 32 for n, (content, _) in enumerate(rows)}
    said: dict[int, set[bool]] = {}
    for content, value in rows:
        said.setdefault(content, set()).add(value)
    undisputed = {content: values.pop() for content, values in said.items() if len(values) == 1}

    if set(undisputed.values()) == {True, False}:
        judged = merge(labels, keys, on_conflict="drop")
        assert dict(zip(judged.keys[:, 0].tolist(), judged.targets.tolist(), strict=True)) == {
            content: int(value) for content, value in undisputed.items()
        }
    else:
        with pytest.raises(UsageError):
            merge(labels, keys, on_conflict="drop")
