"""Every kind of label by content: copies are joined, disagreement is told, arrays come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.labels.consistency import consistency
from vta_cli.labels.merge_classes import merge_classes
from vta_cli.labels.merge_histograms import merge_histograms
from vta_cli.labels.merge_pairs import merge_pairs
from vta_cli.labels.merge_scores import merge_scores, merge_tiers
from vta_cli.labels.merge_tags import merge_tags
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.registry import MERGES, merge_of
from vta_cli.labels.table_scores import read_scores, read_tier_table


def key(letter):
    return letter.encode() * 32


def keys(**letters):
    return {f"/{path}": key(letter) for path, letter in letters.items()}


def contents(judged):
    return [chr(row[0]) for row in judged.keys]


def slug_of(call, *args, **options):
    with pytest.raises(UsageError) as caught:
        call(*args, **options)
    assert caught.value.hint
    return caught.value.slug


def labels_of(kind, *rows, **more):
    return LabelSet(kind, tuple(Label(path, *rest) for path, *rest in rows), **more)


@pytest.mark.parametrize("kind", MERGES)
def test_every_kind_has_a_merge_that_refuses_others_and_an_empty_set(kind):
    merge = merge_of(kind)

    other = "pairs" if kind != "pairs" else "tags"
    assert slug_of(merge, LabelSet(other, ()), {}) == "wrong-kind"
    empty = "one-class-empty" if kind == "binary" else "no-labels"
    assert slug_of(merge, LabelSet(kind, ()), {}, on_conflict="drop") == empty


def test_an_unknown_kind_is_named():
    with pytest.raises(UsageError, match="omens"):
        merge_of("omens")


@pytest.mark.parametrize("kind", ["classes", "scores", "ordinal", "histograms", "tags"])
def test_files_without_a_key_are_left_out_with_a_note(kind):
    values = {"tags": ((1, 0), (0, 1)), "histograms": ((1, 0), (0, 1))}.get(kind, ((), ()))
    labels = labels_of(
        kind, ("/a", 0.0, "x:1", 1.0, "", values[0]), ("/b", 1.0, "x:2", 1.0, "", values[1]),
        ("/gone", 1.0, "x:3", 1.0, "", values[1]), names=("n", "y"), bins=(0.0, 1.0),
    )  # fmt: skip
    judged = merge_of(kind)(labels, keys(a="a", b="b"))

    assert judged.paths == ("/a", "/b")
    assert judged.notes[0] == "1 labelled file could not be read and is left out: /gone (x:3)"


class TestClasses:
    LABELS = labels_of(
        "classes", ("/a", 2.0, "t:2"), ("/b", 0.0, "t:3"), ("/c", 0.0, "t:4", 3.0),
        names=("cat", "cow", "dog"),
    )  # fmt: skip

    def test_targets_are_places_in_the_names(self):
        judged = merge_classes(self.LABELS, keys(a="a", b="b", c="b"))

        assert contents(judged) == ["a", "b"]
        np.testing.assert_array_equal(judged.targets, [2, 0])
        np.testing.assert_array_equal(judged.weights, [1.0, 3.0])
        assert judged.targets.dtype == np.int64
        assert judged.names == ("cat", "cow", "dog")
        assert judged.notes == (
            "1 labelled file is an exact copy of another and counts once with it",
            "classes without an image: cow",
        )

    def test_a_conflict_names_files_classes_and_places(self):
        with pytest.raises(UsageError) as caught:
            merge_classes(self.LABELS, keys(a="a", b="a", c="c"))

        assert caught.value.slug == "label-conflict"
        for part in ("/a", "/b", "'dog' in t:2", "'cat' in t:3"):
            assert part in caught.value.message

    def test_a_conflict_can_be_dropped(self):
        more = LabelSet("classes", (*self.LABELS.labels, Label("/d", 1.0, "t:5")),
                        names=self.LABELS.names)  # fmt: skip
        judged = merge_classes(more, keys(a="a", b="a", c="c", d="d"), on_conflict="drop")

        assert contents(judged) == ["c", "d"]
        assert "in several classes and left out" in judged.notes[0]

    def test_one_class_teaches_nothing(self):
        assert slug_of(merge_classes, self.LABELS, keys(b="b", c="c")) == "one-class"


class TestScores:
    def test_equal_contents_are_averaged_by_weight_and_told(self):
        labels = labels_of(
            "scores", ("/a", 1.0, "t:2", 3.0, "ann"), ("/b", 4.0, "t:3"), ("/a2", 5.0, "t:4", 1.0),
            ("/b2", 4.0, "t:5"),
        )  # fmt: skip
        judged = merge_scores(labels, keys(a="a", b="b", a2="a", b2="b"))

        assert contents(judged) == ["a", "b"]
        np.testing.assert_allclose(judged.targets, [2.0, 4.0])
        np.testing.assert_array_equal(judged.weights, [3.0, 1.0])
        assert judged.notes == (
            "1 labelled file is an exact copy of another and counts once with it",
            "1 image with several scores, of which the mean counts: /a (1 in t:2, 5 in t:4)",
        )

    def test_each_row_of_a_table_is_a_vote(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(b"a")
        file = tmp_path / "votes.csv"
        file.write_text("path,score\na.jpg,5\na.jpg,5\na.jpg,5\na.jpg,1\n")
        keys = {str(tmp_path / "a.jpg"): bytes(32)}
        assert merge_scores(read_scores(file), keys).targets.tolist() == [4.0]
        assert merge_tiers(read_tier_table(file), keys).targets.tolist() == [1]

    def test_histograms_and_tiers_are_scores_by_their_values(self):
        labels = labels_of("histograms", ("/a", 5.5, "x", 1.0, "", (1, 1)), bins=(5.0, 6.0))
        np.testing.assert_allclose(merge_scores(labels, keys(a="a")).targets, [5.5])
        labels = labels_of("ordinal", ("/a", 3.0, "x"), bins=(3.0,))
        np.testing.assert_allclose(merge_scores(labels, keys(a="a")).targets, [3.0])

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.floats(-5, 5), st.floats(0.1, 9)),
            min_size=1, max_size=15,
        )
    )  # fmt: skip
    def test_the_mean_lies_between_the_scores(self, rows):
        labels = labels_of("scores", *((f"/{n}", v, "x", w) for n, (_, v, w) in enumerate(rows)))
        by_path = {f"/{n}": key("abcd"[content]) for n, (content, _, _) in enumerate(rows)}
        judged = merge_scores(labels, by_path)

        for letter, target in zip(contents(judged), judged.targets, strict=True):
            given_scores = [v for content, v, _ in rows if "abcd"[content] == letter]
            assert min(given_scores) - 1e-9 <= target <= max(given_scores) + 1e-9


class TestTiers:
    def test_the_result_is_a_tier_that_somebody_gave(self):
        labels = labels_of(
            "ordinal", ("/a", 0.5, "t:2"), ("/a", 10.0, "t:3"), ("/b", 3.0, "t:4"),
            ("/c", 0.5, "t:5"), ("/c", 10.0, "t:6", 5.0), bins=(0.5, 3.0, 10.0),
        )  # fmt: skip
        judged = merge_tiers(labels, keys(a="a", b="b", c="c"))

        np.testing.assert_array_equal(judged.targets, [0, 1, 2])
        assert judged.targets.dtype == np.int64
        assert judged.tiers == (0.5, 3.0, 10.0)
        assert "2 images in several tiers" in judged.notes[0]
        assert "0.5 in t:2, 10 in t:3" in judged.notes[0]


class TestTags:
    def test_tags_are_united_and_unknown_gives_way(self):
        labels = labels_of(
            "tags", ("/a", 0.0, "t:2", 1.0, "", (1, 0, -1, 0)), ("/b", 0.0, "t:3", 1.0, "",
            (0, 0, -1, 1)), ("/a2", 0.0, "t:4", 1.0, "", (0, -1, -1, 1)),
            names=("dog", "cow", "sea", "sky"),
        )  # fmt: skip
        judged = merge_tags(labels, keys(a="a", b="b", a2="a"))

        np.testing.assert_array_equal(judged.targets, [[1, 0, -1, 1], [0, 0, -1, 1]])
        assert judged.targets.dtype == np.int8
        assert judged.names == ("dog", "cow", "sea", "sky")
        assert judged.notes == (
            "1 image whose labels bear different tags, united: /a (t:2, t:4)",
            "tags that all images or none bear: cow, sea, sky",
        )

    def test_rows_of_one_file_are_one_list_and_no_disagreement(self):
        labels = labels_of(
            "tags", ("/a", 1.0, "t:2", 1.0, "", (1, 0)), ("/a", 1.0, "t:3", 1.0, "", (0, 1)),
            ("/b", 1.0, "t:4", 1.0, "", (0, 0)), names=("dog", "sea"),
        )  # fmt: skip
        judged = merge_tags(labels, keys(a="a", b="b"))

        np.testing.assert_array_equal(judged.targets, [[1, 1], [0, 0]])
        assert judged.notes == ()

    def test_nothing_to_learn_is_refused(self):
        labels = labels_of("tags", ("/a", 1.0, "t:2", 1.0, "", (1, 0)), names=("dog", "sea"))
        assert slug_of(merge_tags, labels, keys(a="a")) == "one-class"


class TestHistograms:
    LABELS = labels_of(
        "histograms", ("/a", 0.0, "t:2", 1.0, "", (2.0, 0.0)), ("/b", 0.0, "t:3", 1.0, "",
        (0.25, 0.75)), ("/a2", 0.0, "t:4", 1.0, "", (1.0, 5.0)), bins=(1.0, 2.0),
    )  # fmt: skip

    def test_votes_are_summed_and_divided_by_their_sum(self):
        judged = merge_histograms(self.LABELS, keys(a="a", b="b", a2="a"))

        np.testing.assert_allclose(judged.targets, [[3 / 8, 5 / 8], [0.25, 0.75]])
        np.testing.assert_allclose(judged.votes, [8, 1])
        np.testing.assert_array_equal(judged.bins, [1, 2])
        assert judged.targets.dtype == np.float64
        assert judged.notes == (
            "1 image with several histograms, whose votes are summed: /a (t:2, t:4)",
        )

    def test_the_legacy_softmax_has_to_be_asked_for(self):
        judged = merge_histograms(self.LABELS, keys(b="b", a="a"), normalise="softmax")

        np.testing.assert_allclose(judged.targets[0], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])
        np.testing.assert_allclose(judged.targets.sum(axis=1), 1)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=12))
    def test_a_copy_adds_its_votes_and_no_row(self, rows):
        labels = labels_of(
            "histograms",
            *((f"/{n}", 0.0, "x", 1.0, "", (float(c), 1.0)) for n, (_, c) in enumerate(rows)),
            bins=(1.0, 2.0),
        )
        by_path = {f"/{n}": key("abc"[content]) for n, (content, _) in enumerate(rows)}
        judged = merge_histograms(labels, by_path)

        assert judged.votes.sum() == pytest.approx(sum(c + 1 for _, c in rows))
        assert len(judged.keys) == len({content for content, _ in rows})
        np.testing.assert_allclose(judged.targets.sum(axis=1), 1)


def pair(left, right, value, source="p:2", weight=1.0):
    return Label(f"/{left}", value, source, weight, other=f"/{right}")


class TestPairs:
    def test_rows_point_into_the_keys(self):
        labels = LabelSet("pairs", (
            pair("a", "b", 1.0), pair("c", "a2", 0.0, weight=2.0), pair("b", "a", 0.5),
        ))  # fmt: skip
        judged = merge_pairs(labels, keys(a="a", b="b", c="c", a2="a"))

        assert contents(judged) == ["a", "b", "c"]
        np.testing.assert_array_equal(judged.rows, [[0, 1], [2, 0], [1, 0]])
        np.testing.assert_array_equal(judged.targets, [1.0, 0.0, 0.5])
        np.testing.assert_array_equal(judged.weights, [1.0, 2.0, 1.0])
        assert judged.rows.dtype == np.int64
        assert judged.paths == ("/a", "/b", "/c")
        assert judged.notes == ()

    def test_pairs_of_copies_and_of_unread_files_are_told(self):
        labels = LabelSet("pairs", (
            pair("a", "a2", 1.0, "p:2"), pair("a", "gone", 1.0), pair("lost", "gone", 1.0),
            pair("a", "b", 1.0),
        ))  # fmt: skip
        judged = merge_pairs(labels, keys(a="a", a2="a", b="b"))

        np.testing.assert_array_equal(judged.rows, [[0, 1]])
        assert judged.notes == (
            "2 labelled files could not be read and are left out: /gone (p:2), /lost (p:2)",
            "2 pairs are left out with them",
            "1 pair is of equal images and left out: /a = /a2 (p:2)",
        )
        assert slug_of(merge_pairs, labels, keys(a="a", a2="a")) == "no-labels"

    def test_a_set_knows_the_files_of_both_sides(self):
        labels = LabelSet("pairs", (pair("b", "a", 1.0), pair("c", "b", 0.0)))

        assert labels.paths() == ["/a", "/b", "/c"]


class TestConsistency:
    LABELS = labels_of(
        "scores", ("/a", 1.0, "x", 1.0, "ann"), ("/a", 3.0, "x", 1.0, "bob"),
        ("/a2", 1.0, "x", 1.0, "ann"), ("/b", 5.0, "x", 1.0, "ann"),
        ("/b", 4.0, "x", 1.0, "ann"), ("/c", 5.0, "x", 1.0, "ann"),
    )  # fmt: skip
    KEYS = keys(a="a", a2="a", b="b", c="c")

    def test_a_rater_is_compared_with_himself(self):
        found = consistency(self.LABELS, self.KEYS, same_rater=True)

        assert (found.n_contents, found.n_pairs) == (2, 2)
        assert found.agreement == 0.5
        assert found.mean_difference == 0.5

    def test_or_with_others(self):
        found = consistency(self.LABELS, self.KEYS, same_rater=False)

        assert (found.n_contents, found.n_pairs, found.agreement) == (1, 2, 0.0)
        assert found.mean_difference == 2.0

    def test_without_repetition_nothing_is_known(self):
        found = consistency(labels_of("classes", ("/c", 1.0, "x")), self.KEYS, same_rater=True)

        assert found.n_contents == 0
        assert np.isnan(found.agreement)
        assert slug_of(consistency, LabelSet("histograms", ()), {}, same_rater=True) == "wrong-kind"
