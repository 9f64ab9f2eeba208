"""Scores, tiers, classes and tags from tables, and the choice between them."""

import json
import os
from pathlib import Path

import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.any_table import kind_of, read_labels
from vta_cli.labels.counts import read_counts
from vta_cli.labels.distribution import distribution, of_rater, raters
from vta_cli.labels.finding import finder
from vta_cli.labels.journal import Journal, judge_event
from vta_cli.labels.table_classes import read_class_table
from vta_cli.labels.table_scores import read_scores, read_tier_table
from vta_cli.labels.tags import read_tags
from vta_cli.records import ImageRef

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def table(tmp_path):
    for name in "abcdef":
        (tmp_path / f"{name}.jpg").write_bytes(b"x")

    def write(text, name="labels.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def column(head, *values):
    rows = (f"{name}.jpg,{value}\n" for name, value in zip("abcdef", values, strict=False))
    return f"path,{head}\n" + "".join(rows)


def values(labels):
    return {os.path.basename(label.path)[0]: label.value for label in labels.labels}


def states(labels):
    return {os.path.basename(label.path)[0]: label.values for label in labels.labels}


def slug_of(call, *args, **options):
    with pytest.raises(UsageError) as caught:
        call(*args, **options)
    assert caught.value.hint
    return caught.value.slug


class TestScores:
    def test_numbers_with_their_weights_and_raters(self, table):
        file = table(
            "path,MOS,Weight,RATER\na.jpg,0.25,2,ann\nb.jpg,-3,,\na.jpg,1e1,,bob\nc.jpg,,,\n"
        )
        labels = read_scores(file)

        assert labels.kind == "scores"
        assert [(label.value, label.weight, label.rater) for label in labels.labels] == [
            (0.25, 2.0, "ann"), (-3.0, 1.0, ""), (10.0, 1.0, "bob"),
        ]  # fmt: skip
        assert labels.problems == ("labels.csv: 1 row has no score and is left out",)
        assert raters(labels) == (("ann", 1), ("bob", 1))
        assert [label.value for label in of_rater(labels, "bob").labels] == [10.0]
        lines = table('{"Path": "a.jpg", "Score": 1, "Rater": "ann"}', "s.jsonl")
        assert raters(read_scores(lines)) == (("ann", 1),)

    def test_a_file_is_found_however_a_system_spells_it(self, table, tmp_path):
        """Composed on the disk and decomposed in the table or the other way round; backslashes."""
        folder = tmp_path / "bilder"
        folder.mkdir()
        names = ["M\u00fcll.jpg", "Mu\u0308he.jpg", "plain.jpg"]
        for name in names:
            (folder / name).write_bytes(b"x")
        listing = [ImageRef(str(folder / name), name, 1, 1) for name in names]
        for spelled, name in zip(("Mu\u0308ll", "M\u00fche", "plain"), names, strict=True):
            for slash in "/\\":
                labels = read_scores(table(f"path,score\nbilder{slash}{spelled}.jpg,1\n"))
                (path,) = labels.paths()
                assert Path(path).samefile(folder / name)
            assert finder(tmp_path, listing).find(f"{spelled}.jpg") == (str(folder / name), "")

    def test_what_is_no_number_or_no_file_is_told_with_its_line(self, table):
        labels = read_scores(table("path,score\na.jpg,5\nb.jpg,good\nz.jpg,3\nc.jpg,inf\n"))

        assert values(labels) == {"a": 5}
        assert labels.problems == (
            "labels.csv:3: 'good' is no number",
            "labels.csv:5: 'inf' is no number",
            "labels.csv:4: there is no file 'z.jpg'",
        )

    def test_a_flood_of_one_sort_is_counted(self, table):
        rows = "".join(f"gone{n}.jpg,1\n" for n in range(1000))
        labels = read_scores(table("path,score\na.jpg,5\n" + rows))

        assert len(labels.problems) == 21
        assert labels.problems[0].startswith("labels.csv:3: ")
        assert labels.problems[-1] == "labels.csv: 980 more rows whose image is not there"
        labels = read_scores(table("path,score\na.jpg,5\n" + "gone.jpg,1\n" * 21))
        assert labels.problems[-1] == "labels.csv:23: there is no file 'gone.jpg'"  # not "1 more"

    def test_without_a_column_of_scores_the_columns_are_named(self, table):
        assert slug_of(read_scores, table("path,beauty\na.jpg,5\n")) == "no-score-column"
        labels = read_scores(table("path,beauty\na.jpg,5\n"), score_column="beauty")
        assert values(labels) == {"a": 5}


class TestTiers:
    def test_the_tiers_are_those_that_occur(self, table):
        labels = read_tier_table(table(column("stars", 5, 1, 3, 3)))

        assert (labels.kind, labels.bins) == ("ordinal", (1.0, 3.0, 5.0))
        assert distribution(labels) == (("1", 1), ("3", 2), ("5", 1))

    def test_a_measurement_is_no_tier(self, table, tmp_path):
        rows = "".join(f"a.jpg,{n / 7}\n" for n in range(60))
        assert slug_of(read_tier_table, table("path,score\n" + rows)) == "too-many-tiers"


class TestClasses:
    def test_numbers_come_before_words_and_ten_after_nine(self, table):
        labels = read_class_table(table(column("label", "dog", 10, 9, "Cat", "cat", "dog")))

        assert labels.names == ("9", "10", "Cat", "dog")
        assert values(labels) == {"a": 3, "b": 1, "c": 0, "d": 2, "e": 2, "f": 3}

    def test_only_the_wanted_ones(self, table):
        labels = read_class_table(table(column("class", "dog", "cow", "cat")), names=("dog", "cat"))

        assert labels.names == ("dog", "cat")
        assert values(labels) == {"a": 0, "c": 1}
        assert labels.problems == ("labels.csv:3: 'cow' is none of the classes",)

    def test_measurements_are_no_classes(self, table):
        rows = "".join(f"a.jpg,{n}\n" for n in range(1500))
        assert slug_of(read_class_table, table("path,label\n" + rows)) == "too-many-classes"


class TestTags:
    def test_lists_say_what_is_absent_too(self, table):
        labels = read_tags(table(column("tags", "dog;beach", "Beach", "-", "", "dog | !beach")))

        assert (labels.kind, labels.names) == ("tags", ("beach", "dog"))
        assert states(labels) == {"a": (1, 1), "b": (1, 0), "c": (0, 0), "e": (0, 1)}
        assert labels.problems == ("labels.csv: 1 row has no tags and is left out",)
        assert distribution(labels) == (("beach", 2), ("dog", 2))

    def test_they_need_not(self, table):
        file = table(column("tags", "dog;beach", "beach", "dog;!beach"))
        labels = read_tags(file, unlisted="unknown")

        assert states(labels) == {"a": (1, 1), "b": (1, -1), "c": (0, 1)}
        assert distribution(labels) == (("beach", 2), ("dog", 2), ("(some unknown)", 1))

    def test_a_column_for_each_tag(self, table):
        file = table(
            "path,tag:dog,tag:sea,note\na.jpg,1,0,x\nb.jpg,,yes,y\nc.jpg,,,z\nd.jpg,2,1,\n"
        )
        labels = read_tags(file)

        assert labels.names == ("dog", "sea")
        assert states(labels) == {"a": (1, 0), "b": (-1, 1), "d": (-1, 1)}
        assert "labels.csv:5: '2' is neither yes nor no of the tag 'dog'" in labels.problems

    def test_columns_and_tags_of_ones_choice_in_ones_order(self, table):
        file = table("path,dog,sea\na.jpg,1,0\nb.jpg,0,1\n")
        labels = read_tags(file, tag_columns=("sea", "dog"), names=("sea", "dog"))

        assert states(labels) == {"a": (0, 1), "b": (1, 0)}

    def test_tags_nobody_asked_for_are_told(self, table):
        labels = read_tags(table(column("tags", "dog;cow", "sea")), names=("sea", "dog"))

        assert states(labels) == {"a": (0, 1), "b": (1, 0)}
        assert labels.problems == ("labels.csv:2: the tag 'cow' is not known",)

    def test_words_of_json_objects_are_read_as_in_columns(self, table):
        said = {"dog": "no", "cat": "yes", "cow": None, "hen": 0.3}
        labels = read_tags(table(json.dumps({"path": "a.jpg", "tags": said}), "t.jsonl"))
        assert labels.names == ("cat", "cow", "dog", "hen")
        assert labels.labels[0].values == (1, -1, 0, -1)
        assert labels.problems == ("t.jsonl:1: '0.3' is neither yes nor no of the tag 'hen'",)

    def test_json_arrays_and_objects(self, table):
        rows = [
            {"path": "a.jpg", "tags": ["dog", "a, b"]},
            {"path": "b.jpg", "tags": {"dog": False, "a, b": True}},
            {"path": "c.jpg", "tags": []},
        ]
        labels = read_tags(table("\n".join(map(json.dumps, rows)), "t.jsonl"))

        assert labels.names == ("a, b", "dog")
        assert states(labels) == {"a": (1, 1), "b": (1, 0), "c": (0, 0)}

    def test_without_tags_the_columns_are_named(self, table):
        assert slug_of(read_tags, table(column("score", 1))) == "no-tag-column"
        assert slug_of(read_tags, table(column("tags", "-", "-"))) == "no-labels"
        assert slug_of(read_tags, table("path,tags\n")) == "no-labels"


class TestAnyTable:
    @pytest.mark.parametrize(
        ("head", "given", "kind"),
        [
            ("label", (1, 0, 1), "binary"),
            ("label", ("yes", "no", "maybe"), "binary"),
            ("label", (1, -1), "binary"),
            ("label", (1, 0, -1), "scores"),
            ("label", (1, 2, 3), "scores"),
            ("label", (0.1, 0.9, "?"), "scores"),
            ("label", (1, 2, 3, "oops"), "scores"),
            ("label", ("cat", "dog", "cow"), "classes"),
            ("label", ("good", "ugly", "odd", "weird"), "classes"),
            ("score", (1, 0), "scores"),
            ("tags", ("dog", "cat"), "tags"),
            ("tag_dog", (1, 0), "tags"),
        ],
    )
    def test_the_values_decide(self, table, head, given, kind):
        file = table(column(head, *given))

        assert kind_of(file) == kind
        labels = read_labels(file)
        assert labels.kind == kind
        assert len(labels.labels) >= len(given) - 1

    def test_two_words_have_to_be_told_apart(self, table):
        file = table(column("label", "cat", "dog"))

        assert slug_of(read_labels, file) == "which-is-positive"
        assert values(read_labels(file, positive="dog")) == {"a": 0, "b": 1}
        assert read_labels(file, kind="classes").names == ("cat", "dog")

    def test_a_label_comes_before_tags_and_scores(self, table):
        file = table("path,tags,score,label\na.jpg,x,7,1\nb.jpg,y,3,0\n")

        assert values(read_labels(file)) == {"a": 1, "b": 0}
        assert values(read_labels(file, kind="scores")) == {"a": 7, "b": 3}
        assert read_labels(file, kind="tags").names == ("x", "y")
        assert read_labels(file, kind="ordinal", column="score").bins == (3, 7)

    def test_a_journal_of_judgements_is_known(self, tmp_path):
        image = tmp_path / "a.jpg"
        image.write_bytes(b"x")
        journal = Journal(tmp_path / "taste.jsonl")
        journal.append([judge_event("ab" * 32, 1, str(image), mode="single")])
        journal.close()

        assert values(read_labels(tmp_path / "taste.jsonl")) == {"a": 1}

    def test_other_kinds_have_other_readers(self, table):
        assert slug_of(read_labels, table(column("label", 1)), kind="pairs") == "no-such-kind"
        assert slug_of(read_labels, table(column("verdict", 1))) == "no-label-column"
        assert slug_of(read_labels, Path("none.csv")) == "no-such-file"


@pytest.mark.skipif(not DATA.is_dir(), reason="no sample data beside the checkout")
class TestRealTables:
    def test_mean_opinion_scores(self):
        file = DATA / "biq2021_quality" / "labels.csv"
        labels = read_labels(file)

        assert (labels.kind, len(labels.labels)) == ("scores", 500)
        assert all(0 < label.value < 1 for label in labels.labels)
        assert labels.problems == ()
        tiers = read_tier_table(file, tier_column="grade5")
        assert distribution(tiers) == tuple((str(grade), 100) for grade in range(1, 6))

    def test_three_fruits(self):
        labels = read_labels(DATA / "fruit_tiny" / "labels.csv")

        assert labels.kind == "classes"
        assert len(labels.names) == 3


EUROPEAN = [
    "path;score\na.jpg;3,5\nb.jpg;4\nc.jpg;1,125\n",
    "path\tscore\na.jpg\t3,5\nb.jpg\t4\nc.jpg\t1,125\n",
    'path,score\na.jpg,"3,5"\nb.jpg,4\nc.jpg,"1,125"\n',
    "path;label;a note, or two\na.jpg;3,5;\nb.jpg;4;\nc.jpg;1,125;\n",
]


@pytest.mark.parametrize("text", EUROPEAN)
def test_decimal_commas_are_read_where_one_of_them_is_clear(table, text):
    found = read_labels(table(text))
    assert found.kind == "scores"
    assert [label.value for label in found.labels] == [3.5, 4.0, 1.125]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path;score\na.jpg;1,125\nb.jpg;4\n", "'1,125'"),
        ("path;score\na.jpg;1,5\nb.jpg;4.5\n", "both '1,5' and '4.5'"),
    ],
)
def test_a_comma_that_may_mean_two_things_is_refused(table, text, said):
    with pytest.raises(UsageError) as caught:
        read_scores(table(text))
    assert caught.value.slug == "ambiguous-comma"
    assert said in caught.value.message


def test_tiers_weights_and_counts_have_decimal_commas_too(table):
    tiers = read_tier_table(table("path;tier;weight\na.jpg;0,5;0,25\nb.jpg;1;1,000\n"))
    assert tiers.bins == (0.5, 1.0)
    assert [label.weight for label in tiers.labels] == [0.25, 1.0]
    assert any("'1,000' is no number" in one for one in tiers.problems)
    counts = read_counts(table("path;1;2\na.jpg;0,25;0,75\nb.jpg;3;1\n"))
    assert [label.values for label in counts.labels] == [(0.25, 0.75), (3.0, 1.0)]


def test_a_row_with_more_cells_than_the_header_is_no_score(table):
    """As with decimal commas between commas: 3,5 would be 3."""
    with pytest.raises(UsageError, match=r"labels.csv:2: the row has 3 cells, the header 2"):
        read_scores(table("path,score\na.jpg,3,5\n"))
