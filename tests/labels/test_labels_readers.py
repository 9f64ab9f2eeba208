"""Label sets from folders and tables."""

import os
from pathlib import Path

import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.folders import read_folders
from vta_cli.labels.registry import READERS, reader
from vta_cli.labels.table import read_table
from vta_cli.records import ImageRef

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def ref(path, rel):
    return ImageRef(path, rel, 1, 1)


def table(folder, text, name="labels.csv", images=("a.jpg", "b.jpg", "c.jpg")):
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).write_bytes(b"x")
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def found(labels, folder):
    return {os.path.relpath(label.path, folder): label.value for label in labels.labels}


def slug_of(file, **options):
    with pytest.raises(UsageError) as caught:
        read_table(file, **options)
    assert caught.value.hint
    return caught.value.slug


@pytest.mark.parametrize("name", READERS)
def test_every_reader_can_be_had(name):
    assert callable(reader(name))


def test_an_unknown_reader_is_named():
    with pytest.raises(UsageError, match="tarot"):
        reader("tarot")


class TestFolders:
    def test_both_sides_say_where_they_come_from(self):
        labels = read_folders(
            [ref("/p/liked/a.jpg", "a.jpg"), ref("/p/liked/sub/b.jpg", "sub/b.jpg")],
            [ref("/p/not/c.jpg", "c.jpg")],
        )

        assert [(label.path, label.value, label.source) for label in labels.labels] == [
            ("/p/liked/a.jpg", 1.0, "folder liked/"),
            ("/p/liked/sub/b.jpg", 1.0, "folder liked/"),
            ("/p/not/c.jpg", 0.0, "folder not/"),
        ]

    def test_a_path_listed_twice_on_one_side_counts_once(self):
        labels = read_folders([ref("/p/a.jpg", "a.jpg"), ref("/p/a.jpg", "p/a.jpg")], [])

        assert len(labels.labels) == 1

    def test_a_path_on_both_sides_is_kept_for_the_report(self):
        labels = read_folders([ref("/p/a.jpg", "a.jpg")], [ref("/p/a.jpg", "a.jpg")])

        assert [label.value for label in labels.labels] == [1.0, 0.0]


class TestTableValues:
    @pytest.mark.parametrize(
        ("yes", "no"),
        [
            ("1", "0"), ("1.0", "0.0"), ("+1", "-1"), ("True", "False"), ("YES", "no"),
            ("like", "dislike"), ("Liked", "Disliked"), ("good", "bad"), ("pos", "neg"),
            ("positive", "negative"), ("keep", "drop"), (" y ", "n"),
        ],
    )  # fmt: skip
    def test_common_words_are_understood(self, tmp_path, yes, no):
        file = table(tmp_path, f"path,label\na.jpg,{yes}\nb.jpg,{no}\n")

        assert found(read_table(file), tmp_path) == {"a.jpg": 1.0, "b.jpg": 0.0}

    def test_the_positive_of_two_words_has_to_be_named(self, tmp_path):
        file = table(tmp_path, "path,label\na.jpg,Cat\nb.jpg,dog\n")

        assert slug_of(file) == "which-is-positive"
        assert found(read_table(file, positive="cat"), tmp_path) == {"a.jpg": 1.0, "b.jpg": 0.0}
        assert found(read_table(file, positive="dog"), tmp_path) == {"a.jpg": 0.0, "b.jpg": 1.0}
        assert slug_of(file, positive="cow") == "no-such-label"

    @pytest.mark.parametrize(
        "values", [("cat", "dog", "cow"), ("1", "2", "3"), ("0.3", "0.7", "1"), ("1", "0", "-1")]
    )
    def test_more_than_two_kinds_are_refused(self, tmp_path, values):
        rows = "".join(f"{name}.jpg,{value}\n" for name, value in zip("abc", values, strict=True))

        assert slug_of(table(tmp_path, "path,label\n" + rows)) == "not-binary"
        assert slug_of(table(tmp_path, "path,label\n" + rows), positive=values[0]) == "not-binary"

    def test_a_stray_value_is_told_with_its_line(self, tmp_path):
        labels = read_table(table(tmp_path, "path,label\na.jpg,yes\nb.jpg,no\nc.jpg,maybe\n"))

        assert found(labels, tmp_path) == {"a.jpg": 1.0, "b.jpg": 0.0}
        assert labels.problems == ("labels.csv:4: 'maybe' is neither positive nor negative",)

    def test_rows_without_a_label_are_counted(self, tmp_path):
        labels = read_table(table(tmp_path, "path,label\na.jpg,1\nb.jpg,\nc.jpg,nan\n"))

        assert found(labels, tmp_path) == {"a.jpg": 1.0}
        assert labels.problems == ("labels.csv: 2 rows have no label and are left out",)


class TestTableShape:
    @pytest.mark.parametrize(
        "head", ["path,label", "File,Liked", "x,image,CLASS", "target,filename"]
    )
    def test_columns_are_found_by_name(self, tmp_path, head):
        names = head.lower().split(",")
        cells = {"path": "a.jpg", "file": "a.jpg", "image": "a.jpg", "filename": "a.jpg", "x": "?"}
        row = ",".join(cells.get(name, "1") for name in names)

        assert found(read_table(table(tmp_path, f"{head}\n{row}\n")), tmp_path) == {"a.jpg": 1.0}

    def test_columns_of_other_names_can_be_named(self, tmp_path):
        file = table(tmp_path, "photo,verdict\na.jpg,1\n")

        assert slug_of(file) == "no-path-column"
        assert slug_of(file, path_column="photo") == "no-label-column"
        labels = read_table(file, path_column="photo", label_column="verdict")
        assert found(labels, tmp_path) == {"a.jpg": 1.0}

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_separators_and_marks_of_spreadsheets(self, tmp_path, separator):
        text = f"path{separator}label\r\na.jpg{separator}1\r\n"

        file = table(tmp_path, b"\xef\xbb\xbf" + text.encode())
        assert found(read_table(file), tmp_path) == {"a.jpg": 1.0}

    def test_any_file_name_is_found(self, tmp_path):
        names = ["with, comma.jpg", 'with "quotes".jpg', "new\nline.jpg", "bytes \udcff.jpg"]
        rows = "".join('"' + name.replace('"', '""') + '",1\n' for name in names)
        text = ("path,label\n" + rows).encode("utf-8", "surrogateescape")

        labels = read_table(table(tmp_path, text, images=names))

        assert sorted(found(labels, tmp_path)) == sorted(names)
        assert labels.problems == ()

    def test_json_lines(self, tmp_path):
        text = '{"path": "a.jpg", "label": true}\n\n{"path": "b.jpg", "label": 0}\n'
        labels = read_table(table(tmp_path, text, "labels.jsonl"))

        assert found(labels, tmp_path) == {"a.jpg": 1.0, "b.jpg": 0.0}
        assert [label.source for label in labels.labels] == ["labels.jsonl:1", "labels.jsonl:3"]
        assert slug_of(table(tmp_path, '{"path": "a.jpg"\n', "x.jsonl")) == "bad-table"
        assert slug_of(table(tmp_path, "[1]\n", "x.jsonl")) == "bad-table"

    def test_weights_and_raters(self, tmp_path):
        text = "path,label,weight,rater\na.jpg,1,2.5,ann\nb.jpg,0,,bob\nc.jpg,0,-3, bob \n"
        labels = read_table(table(tmp_path, text))

        assert [(label.weight, label.rater) for label in labels.labels] == [
            (2.5, "ann"), (1.0, "bob"), (1.0, "bob"),
        ]  # fmt: skip
        assert labels.problems == (
            "labels.csv:4: the weight '-3' is no number above 0; taken as 1",
        )

    def test_equal_and_contrary_rows_are_judgements_of_their_own(self, tmp_path):
        text = "path,label\na.jpg,1\n./a.jpg,yes\nb.jpg,0\nb.jpg,1\n"
        labels = read_table(table(tmp_path, text))

        assert [(label.source, label.value) for label in labels.labels] == [
            ("labels.csv:2", 1.0), ("labels.csv:3", 1.0), ("labels.csv:4", 0.0),
            ("labels.csv:5", 1.0),
        ]  # fmt: skip


class TestTablePaths:
    def test_the_tables_folder_comes_before_the_working_folder(self, tmp_path, monkeypatch):
        here, there = tmp_path / "here", tmp_path / "there"
        file = table(there, "path,label\na.jpg,1\nonly.jpg,0\n", images=("a.jpg",))
        table(here, "", images=("a.jpg", "only.jpg"))
        monkeypatch.chdir(here)

        assert [label.path for label in read_table(file).labels] == [
            str(there / "a.jpg"), str(here / "only.jpg"),
        ]  # fmt: skip

    def test_missing_images_are_told_with_their_line(self, tmp_path):
        labels = read_table(table(tmp_path, "path,label\na.jpg,1\ngone.jpg,0\n"))

        assert labels.problems == ("labels.csv:3: there is no file 'gone.jpg'",)

    def test_a_table_without_any_use_is_refused(self, tmp_path):
        assert slug_of(table(tmp_path, "path,label\ngone.jpg,0\n")) == "no-labels"
        assert slug_of(table(tmp_path, "path,label\n")) == "no-labels"
        assert slug_of(table(tmp_path, "")) == "no-labels"
        assert slug_of(tmp_path / "none.csv") == "no-such-file"


@pytest.mark.skipif(not DATA.is_dir(), reason="no sample data beside the checkout")
class TestRealTables:
    def test_portraits(self):
        labels = read_table(DATA / "portraits" / "labels.csv")

        assert sum(label.value for label in labels.labels) == 60
        assert len(labels.labels) == 120
        assert labels.problems == ("labels.csv: 300 rows have no label and are left out",)

    def test_two_words(self):
        file = DATA / "dogs_cats" / "labels.csv"

        assert slug_of(file) == "which-is-positive"
        labels = read_table(file, positive="dog")
        assert {Path(label.path).parent.name: label.value for label in labels.labels} == {
            "dog": 1.0, "cat": 0.0,
        }  # fmt: skip

    def test_a_column_of_ratings_and_one_of_judgements(self):
        file = DATA / "biq2021_quality" / "labels.csv"

        assert slug_of(file) == "no-label-column"
        assert slug_of(file, label_column="grade5") == "not-binary"
        assert len(read_table(file, label_column="above_median").labels) == 500
