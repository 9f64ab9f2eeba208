"""Classes and tiers from numbered folders."""

import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.distribution import bar_width, distribution
from vta_cli.labels.folders import read_classes, read_tiers
from vta_cli.records import ImageRef


def refs(*names):
    return [ImageRef(f"/data/{name}", name, 1, 1) for name in names]


def values(labels):
    return {label.path.removeprefix("/data/"): label.value for label in labels.labels}


class TestClasses:
    def test_several_folders_may_make_one_class(self):
        labels = read_classes(
            refs("1_chroma/a.png", "0_reg/b.png", "0_reg_booru/deep/c.png", "1_synthetic/d.png")
        )

        assert labels.kind == "classes"
        assert labels.names == ("reg", "chroma")
        assert values(labels) == {
            "1_chroma/a.png": 1, "0_reg/b.png": 0, "0_reg_booru/deep/c.png": 0,
            "1_synthetic/d.png": 1,
        }  # fmt: skip
        assert distribution(labels) == (("reg", 2), ("chroma", 2))

    def test_given_names_win(self):
        labels = read_classes(refs("0/a.png", "1/b.png"), names={1: "JPEG"})

        assert labels.names == ("0", "JPEG")

    def test_ten_comes_after_nine(self):
        labels = read_classes(refs(*(f"{k}_c{k}/a.png" for k in range(12))))

        assert labels.names == tuple(f"c{k}" for k in range(12))

    def test_folders_without_any_number_are_classes_by_name(self):
        labels = read_classes(refs("dog/a.png", "cat/b.png"))

        assert labels.names == ("cat", "dog")
        assert values(labels) == {"dog/a.png": 1, "cat/b.png": 0}

    @pytest.mark.parametrize("names", [("0_a", "2_b"), ("1_a", "2_b"), ("-1_a", "0_b")])
    def test_a_gap_is_refused(self, names):
        with pytest.raises(UsageError) as caught:
            read_classes(refs(*(f"{name}/x.png" for name in names)))
        assert caught.value.slug == "class-gap"
        assert "0, 1, 2" in caught.value.hint

    def test_what_belongs_to_no_class_is_told(self):
        labels = read_classes(refs("0_a/x.png", "1_b/x.png", "raw/y.png", "loose.png"))

        assert len(labels.labels) == 2
        assert any("raw/" in problem for problem in labels.problems)
        assert any("loose.png" in problem for problem in labels.problems)

    def test_no_folder_at_all_is_refused(self):
        for listing in ((), refs("loose.png")):
            with pytest.raises(UsageError) as caught:
                read_classes(listing)
            assert caught.value.slug == "no-labels"

    def test_a_path_listed_twice_counts_once(self):
        assert len(read_classes(refs("0/a.png", "0/a.png", "1/b.png")).labels) == 2


class TestTiers:
    def test_the_numbers_are_the_tiers(self):
        labels = read_tiers(refs("0/a.png", "3_best/b.png", "10/c.png", "0.5_so/d.png"))

        assert labels.kind == "ordinal"
        assert labels.bins == (0.0, 0.5, 3.0, 10.0)
        assert values(labels) == {
            "0/a.png": 0, "3_best/b.png": 3, "10/c.png": 10, "0.5_so/d.png": 0.5,
        }  # fmt: skip
        assert distribution(labels) == (("0", 1), ("0.5", 1), ("3", 1), ("10", 1))
        assert bar_width(labels) == 100

    def test_they_may_be_scores(self):
        labels = read_tiers(refs("0/a.png", "10/c.png"), as_scores=True)

        assert (labels.kind, labels.bins) == ("scores", ())
        assert values(labels) == {"0/a.png": 0, "10/c.png": 10}

    def test_other_folders_are_told(self):
        labels = read_tiers(refs("0/a.png", "1/b.png", "raw/c.png"))

        assert labels.problems == (
            "folder raw/: the folder's name does not begin with a number; 1 file is left out",
        )
        with pytest.raises(UsageError, match="no folder"):
            read_tiers(refs("raw/c.png"))
