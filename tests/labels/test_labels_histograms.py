"""Histograms of votes: NIMA's json, AVA, TID2013, SAC, tables of counts; and their arithmetic."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.labels.ava import read_ava, read_ava_tags
from vta_cli.labels.counts import read_counts
from vta_cli.labels.distribution import distribution, raters
from vta_cli.labels.histograms import read_histograms
from vta_cli.labels.merge_histograms import merge_histograms
from vta_cli.labels.nima import read_nima
from vta_cli.labels.sac import read_sac
from vta_cli.labels.tid import read_tid
from vta_cli.labels.votes import (
    all_geometric,
    maximum_entropy,
    moments,
    shares,
    softmax_of_counts,
)
from vta_cli.records import ImageRef

LABELS = Path(__file__).parents[2].parent / "shared" / "data" / "labels"
AVA_LINE = "1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396"
AVA_COUNTS = (0, 1, 5, 17, 38, 36, 15, 6, 5, 1)
ONE_TO_TEN = tuple(float(score) for score in range(1, 11))


def refs(*names):
    return [ImageRef(f"/images/{name}", name, 1, 1) for name in names]


def written(folder, text, name):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def histograms(labels):
    return {os.path.basename(label.path): label.values for label in labels.labels}


def slug_of(call, *args, **options):
    with pytest.raises(UsageError) as caught:
        call(*args, **options)
    assert caught.value.hint
    return caught.value.slug


class TestArithmetic:
    def test_the_first_row_of_ava(self):
        mean, sd = moments(shares([AVA_COUNTS]), ONE_TO_TEN)

        np.testing.assert_allclose(mean, [5.637097], atol=5e-7)
        np.testing.assert_allclose(sd, [1.421804], atol=5e-7)

    def test_a_published_prediction(self):
        p = [1.95023458218202e-05, 0.018782516941428185, 0.058153558522462845, 0.15053792297840118,
             0.3187156915664673, 0.24706070125102997, 0.120249442756176, 0.060940422117710114,
             0.02441250905394554, 0.0011277177836745977]  # fmt: skip
        mean, sd = moments(shares([p]), ONE_TO_TEN)

        np.testing.assert_allclose(mean, [5.4503989], atol=5e-8)
        np.testing.assert_allclose(sd, [1.4300221], atol=5e-8)

    def test_softmax_of_counts_is_another_thing(self):
        p = softmax_of_counts([AVA_COUNTS])

        np.testing.assert_allclose(p[0, 4:6], [0.8808, 0.1192], atol=5e-5)
        np.testing.assert_allclose(moments(p, ONE_TO_TEN)[0], [5.119203], atol=5e-7)
        assert np.isfinite(softmax_of_counts([[5000.0, 0.0]])).all()

    @settings(deadline=None)
    @given(st.lists(st.floats(0.0, 9.0), min_size=2, max_size=8))
    def test_maximum_entropy_keeps_the_mean_and_is_geometric(self, means):
        bins = np.arange(10.0)
        p = maximum_entropy(means, bins)

        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        np.testing.assert_allclose(moments(p, bins)[0], means, atol=1e-6)
        inner = p[(np.array(means) > 0.5) & (np.array(means) < 8.5)]
        ratios = inner[:, 1:] / inner[:, :-1]
        np.testing.assert_allclose(ratios, np.repeat(ratios[:, :1], 9, axis=1), rtol=1e-6)

    def test_the_middle_is_flat_and_the_outside_is_refused(self):
        np.testing.assert_allclose(maximum_entropy([4.5], range(10)), np.full((1, 10), 0.1))
        assert slug_of(maximum_entropy, [9.5], range(10)) == "mean-outside-bins"
        assert slug_of(maximum_entropy, [np.nan], range(10)) == "mean-outside-bins"


class TestNima:
    def test_stems_become_paths_and_counts_stay_counts(self, tmp_path):
        entries = [
            {"image_id": "953619", "label": list(AVA_COUNTS)},
            {"image_id": 17, "label": [0.1] * 10},
        ]
        file = written(tmp_path, json.dumps(entries), "ava.json")
        labels = read_nima(file, refs("953619.jpg", "17.PNG", "170.jpg"))

        assert (labels.kind, labels.bins) == ("histograms", ONE_TO_TEN)
        assert histograms(labels) == {"953619.jpg": AVA_COUNTS, "17.PNG": (0.1,) * 10}
        assert [label.value for label in labels.labels] == pytest.approx([5.637097, 5.5])
        assert labels.labels[1].source == "ava.json entry 2"
        assert distribution(labels)[5] == ("6", 2)

    def test_what_cannot_be_used_is_told_with_its_place(self, tmp_path):
        entries = [
            {"image_id": "a", "label": [1, 2, 3]},
            {"image_id": "b", "label": [0, 0, 0]},
            {"image_id": "b", "label": [1, -1, 0]},
            {"image_id": "b", "label": [1, 2]},
            {"image_id": "gone", "label": [1, 2, 3]},
            {"label": [1, 2, 3]},
            {"image_id": "a", "label": "5"},
        ]
        labels = read_nima(written(tmp_path, json.dumps(entries), "x.json"), refs("a.jpg", "b.jpg"))

        assert histograms(labels) == {"a.jpg": (1, 2, 3)}
        assert [problem.split(":")[0] for problem in labels.problems] == [
            "x.json entry 6", "x.json entry 7", "x.json entry 2", "x.json entry 3",
            "x.json entry 4", "x.json entry 5",
        ]  # fmt: skip
        assert "no vote at all" in labels.problems[2]
        assert "2 bins, not 3" in labels.problems[4]

    def test_a_stem_of_two_images_is_refused_and_of_an_image_and_its_caption_is_not(self, tmp_path):
        text = json.dumps([{"image_id": "a", "label": [1, 2]}, {"image_id": "b", "label": [1, 2]}])
        file = written(tmp_path, text, "x.json")
        labels = read_nima(file, refs("a.jpg", "a.txt", "b.jpg", "sub/b.png"))

        assert list(histograms(labels)) == ["a.jpg"]
        assert "b.jpg" in labels.problems[0]
        assert "sub/b.png" in labels.problems[0]

    def test_no_json_and_no_list_are_refused(self, tmp_path):
        for text in ("{", "{}", "[]", "[1]"):
            assert slug_of(read_nima, written(tmp_path, text, "x.json"), []) == "bad-histograms"
        text = json.dumps([{"image_id": "a", "label": [1, 2]}])
        assert slug_of(read_nima, written(tmp_path, text, "x.json"), []) == "no-labels"


class TestAva:
    def test_fifteen_numbers(self, tmp_path):
        file = written(tmp_path, f"{AVA_LINE}\n2 7 {'1 ' * 10}0 0 3\n3 8 nine\n", "AVA.txt")
        labels = read_ava(file, refs("953619.jpg", "7.jpg"))

        assert histograms(labels) == {"953619.jpg": AVA_COUNTS, "7.jpg": (1,) * 10}
        assert labels.problems == ("AVA.txt:3: not 15 whole numbers",)

    def test_its_tags_are_another_set(self, tmp_path):
        lines = [
            AVA_LINE,
            f"2 7 {'1 ' * 10}0 0 3",
            f"3 8 {'1 ' * 10}22 0 3",
            f"4 9 {'1 ' * 10}5 0 3",
        ]
        file = written(tmp_path, "\n".join(lines), "AVA.txt")
        tags = written(tmp_path, "1 Abstract\n22 Macro Shots\n", "tags.txt")
        labels = read_ava_tags(file, refs("953619.jpg", "7.jpg", "8.jpg"), tags_file=tags)

        assert labels.names == ("Abstract", "Macro Shots")
        assert histograms(labels) == {"953619.jpg": (1, 1), "7.jpg": (0, 0), "8.jpg": (0, 1)}
        assert labels.problems == ("AVA.txt:4: there is no image '9'",)
        assert read_ava_tags(file, refs("9.jpg")).names == ("tag 5",)

    def test_another_file_is_refused(self, tmp_path):
        assert slug_of(read_ava, written(tmp_path, "1 2 3\n", "AVA.txt"), []) == "bad-histograms"


class TestTid:
    LINES = "5.51429 I01_01_1.bmp\n0.24242 i01_02_1.bmp\n\n9.5 i01_03_1.bmp\n2.0 i09_01_1.bmp\nx\n"

    def test_scores_stay_on_their_scale_and_letter_case_does_not_matter(self, tmp_path):
        file = written(tmp_path, self.LINES, "mos_with_names.txt")
        labels = read_tid(file, refs("i01_01_1.BMP", "I01_02_1.png", "i01_03_1.bmp"))

        assert labels.kind == "scores"
        assert [(os.path.basename(label.path), label.value) for label in labels.labels] == [
            ("i01_01_1.BMP", 5.51429), ("I01_02_1.png", 0.24242),
        ]  # fmt: skip
        assert labels.problems == (
            "mos_with_names.txt:4: the score 9.5 lies outside 0..9",
            "mos_with_names.txt:5: there is no image 'i09_01_1.bmp'",
            "mos_with_names.txt:6: not a score and a file name",
        )

    def test_histograms_have_the_bins_0_to_9_and_the_score_as_their_mean(self, tmp_path):
        file = written(tmp_path, self.LINES, "mos_with_names.txt")
        images = refs("i01_01_1.bmp", "i01_02_1.bmp")
        for labels in (read_tid(file, images, histograms=True), read_histograms(file, images)):
            assert labels.bins == tuple(float(score) for score in range(10))
            means = [np.dot(label.values, labels.bins) for label in labels.labels]
            np.testing.assert_allclose(means, [5.51429, 0.24242], atol=1e-6)

    def test_another_file_is_refused(self, tmp_path):
        assert slug_of(read_tid, written(tmp_path, "1 2 3\n", "mos.txt"), []) == "bad-scores"


@pytest.fixture
def sac(tmp_path):
    file = tmp_path / "sac?1.sqlite"  # a mark that an address would take for its own
    with closing(sqlite3.connect(file)) as database:
        database.executescript("""
            CREATE TABLE ratings (sid INTEGER, iid INTEGER, rating INTEGER, verified INTEGER);
            CREATE TABLE paths (iid INTEGER, path TEXT);
            CREATE TABLE images (id INTEGER, gid INTEGER, idx INTEGER);
            INSERT INTO paths VALUES (1, 'a/1.png'), (2, 'b/1.png'), (3, 'c.png'), (4, 'never.png');
            INSERT INTO ratings VALUES
                (10, 1, 1, 1), (11, 1, 10, 0), (10, 2, 7, 1), (12, 2, NULL, 1), (12, 1, 10, 1),
                (12, 2, 0, 1), (12, 2, 11, 1), (13, 3, 5, 1), (13, 99, 5, 1);
        """)
    return file


class TestSac:
    IMAGES = refs("a/1.png", "b/1.png", "never.png")

    def test_ratings_are_counted_from_one(self, sac):
        for labels in (read_sac(sac, self.IMAGES), read_histograms(sac, self.IMAGES)):
            assert {label.path: label.values for label in labels.labels} == {
                "/images/a/1.png": (1, 0, 0, 0, 0, 0, 0, 0, 0, 2),
                "/images/b/1.png": (0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
            }
            assert labels.bins == ONE_TO_TEN
            assert len(labels.problems) == 5
            assert "sac?1.sqlite rating 9: the table of paths has no image 99" in labels.problems
            assert "sac?1.sqlite: 1 rating has no value and is left out" in labels.problems
            assert any("rating 7: 11 is no whole rating" in problem for problem in labels.problems)
            assert any("c.png" in problem for problem in labels.problems)

    def test_each_rater_may_be_kept(self, sac):
        labels = read_sac(sac, self.IMAGES, by_rater=True)
        assert labels == read_histograms(sac, self.IMAGES, by_rater=True)

        assert labels.kind == "scores"
        assert sorted((label.rater, label.value) for label in labels.labels) == [
            ("10", 1), ("10", 7), ("11", 10), ("12", 10),
        ]  # fmt: skip
        assert raters(labels) == (("10", 2), ("11", 1), ("12", 1))
        assert labels.labels[0].source == "sac?1.sqlite rating 1"

    def test_unverified_ratings_may_be_left_out(self, sac):
        labels = read_sac(sac, self.IMAGES, verified_only=True)

        assert labels.labels[0].values == (1, 0, 0, 0, 0, 0, 0, 0, 0, 1)

    def test_it_is_only_read(self, sac):
        before = sac.read_bytes()
        read_sac(sac, self.IMAGES)
        assert sac.read_bytes() == before
        assert [path.name for path in sac.parent.iterdir()] == [sac.name]

    def test_another_database_is_refused(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database:
            database.execute("CREATE TABLE ratings (sid)")
            database.commit()
        assert slug_of(read_sac, tmp_path / "x.sqlite", []) == "bad-database"
        assert slug_of(read_sac, written(tmp_path, "no database", "y.db"), []) == "bad-database"


class TestCounts:
    @pytest.mark.parametrize(
        ("head", "bins"),
        [
            ("path,1,2,3", (1, 2, 3)),
            ("path,c1,c2,c3", (1, 2, 3)),
            ("path,count-0,count-1,count-2", (0, 1, 2)),
            ("path,votes_8,votes_9,votes_10", (8, 9, 10)),
            ("path,-1,0,1", (-1, 0, 1)),
            ("path,1.5,2,2.5", (1.5, 2, 2.5)),
        ],
    )
    def test_the_names_of_columns_say_the_scores(self, tmp_path, head, bins):
        file = written(tmp_path, f"{head}\na.jpg,4,,6\n", "votes.csv")
        labels = read_counts(file, refs("a.jpg"))

        assert labels.bins == bins
        assert histograms(labels) == {"a.jpg": (4, 0, 6)}

    def test_they_are_put_in_order_whatever_theirs(self, tmp_path):
        file = written(tmp_path, "path,c10,c9,c1,x1,x2,weight\na.jpg,3,2,1,8,8,2\n", "votes.csv")
        labels = read_counts(file, refs("a.jpg"))

        assert (labels.bins, labels.labels[0].values) == ((1, 9, 10), (1, 2, 3))
        assert labels.labels[0].weight == 2

    def test_columns_of_ones_choice(self, tmp_path):
        file = written(tmp_path, "path,bad,fair,good\na.jpg,1,2,3\n", "votes.csv")

        assert slug_of(read_counts, file, refs("a.jpg")) == "no-count-columns"
        labels = read_counts(
            file, refs("a.jpg"), count_columns=("bad", "fair", "good"), first_bin=0
        )
        assert labels.bins == (0, 1, 2)
        file = written(tmp_path, "path,y1,y2,z1,z2\na.jpg,1,2,3,4\n", "votes.csv")
        assert slug_of(read_counts, file, refs("a.jpg")) == "no-count-columns"
        assert read_counts(file, refs("a.jpg"), count_columns=("z2", "z1")).labels[0].values == (
            3,
            4,
        )

    def test_json_lines_with_arrays(self, tmp_path):
        text = (
            '{"image": "a.jpg", "counts": [1, 2, 3]}\n{"image": "b.jpg", "counts": [1, "x", 3]}\n'
        )
        file = written(tmp_path, text, "votes.jsonl")
        labels = read_histograms(file, refs("a.jpg", "b.jpg"), first_bin=0)

        assert (labels.bins, histograms(labels)) == ((0, 1, 2), {"a.jpg": (1, 2, 3)})
        assert labels.problems == ("votes.jsonl:2: no counts: 'x'",)

    def test_images_may_lie_beside_the_table(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(b"x")
        file = written(tmp_path, "path,1,2\na.jpg,1,2\nb.jpg,1,2\n", "votes.csv")
        labels = read_histograms(file)

        assert [label.path for label in labels.labels] == [str(tmp_path / "a.jpg")]
        assert labels.problems == ("votes.csv:3: there is no file 'b.jpg'",)


class TestAnyFile:
    def test_the_formats_are_told_apart(self, tmp_path):
        ava = written(tmp_path, f"\n{AVA_LINE}\n", "anything.txt")
        assert histograms(read_histograms(ava, refs("953619.jpg"))) == {"953619.jpg": AVA_COUNTS}
        nima = written(tmp_path, '[{"image_id": "a", "label": [1, 2]}]', "x.json")
        assert read_histograms(nima, refs("a.jpg"), first_bin=0).bins == (0, 1)

    def test_a_fixed_scale_cannot_be_moved_and_the_unknown_is_refused(self, tmp_path):
        ava = written(tmp_path, AVA_LINE, "AVA.txt")
        assert slug_of(read_histograms, ava, refs("953619.jpg"), first_bin=0) == "bin-is-fixed"
        counts = written(tmp_path, "path,c1,c2\na.jpg,1,2\n", "counts.csv")
        assert slug_of(read_histograms, counts, refs("a.jpg"), first_bin=0) == "bin-is-fixed"
        assert read_histograms(counts, refs("a.jpg"), first_bin=1).bins == (1, 2)
        poem = written(tmp_path, "Tyger Tyger, burning bright\n", "poem.txt")
        assert slug_of(read_histograms, poem, []) == "unknown-histograms"
        assert slug_of(read_histograms, tmp_path / "none.json", []) == "no-such-file"


@pytest.fixture(scope="module")
def ava():
    file = LABELS / "ava_labels_test.json"
    ids = [entry["image_id"] for entry in json.loads(file.read_text())]
    labels = read_nima(file, refs(*(f"{stem}.jpg" for stem in ids)))
    keys = {label.path: f"{n:032d}".encode() for n, label in enumerate(labels.labels)}
    return labels, keys


@pytest.mark.skipif(not LABELS.is_dir(), reason="no sample data beside the checkout")
class TestRealHistograms:
    def test_ava_has_the_known_statistics(self, ava):
        labels, keys = ava
        judged = merge_histograms(labels, keys)
        mean, sd = moments(judged.targets, judged.bins)

        assert len(judged.keys) == 25_551
        assert labels.problems == ()
        assert (judged.votes.min(), judged.votes.max()) == (81, 520)
        assert judged.votes.mean() == pytest.approx(210.8, abs=0.05)
        assert (mean.min(), mean.max()) == pytest.approx((1.81, 8.57), abs=0.005)
        assert (sd.min(), sd.max()) == pytest.approx((0.77, 2.60), abs=0.005)
        assert (mean.mean(), sd.mean()) == pytest.approx((5.377, 1.431), abs=5e-4)
        np.testing.assert_allclose([label.value for label in labels.labels], mean)
        assert (mean > 5).mean() == pytest.approx(0.703, abs=5e-4)
        assert sum(count for _, count in distribution(labels)) == 25_551

    def test_softmax_of_counts_loses_what_people_disagree_on(self, ava):
        labels, keys = ava
        right = merge_histograms(labels, keys)
        legacy = merge_histograms(labels, keys, normalise="softmax")
        mean, sd = moments(legacy.targets, legacy.bins)

        assert (legacy.targets.max(axis=1) > 0.99).mean() == pytest.approx(0.826, abs=5e-4)
        assert sd.mean() == pytest.approx(0.063, abs=5e-4)
        true = moments(right.targets, right.bins)[0]
        assert np.abs(mean - true).mean() == pytest.approx(0.326, abs=5e-4)

    def test_tids_histograms_are_curves_about_scores_from_0(self):
        file = LABELS / "tid_labels_test.json"
        entries = json.loads(file.read_text())
        images = refs(*(f"{entry['image_id'].lower()}.png" for entry in entries))
        labels = read_nima(file, images, first_bin=0)

        assert len(labels.labels) == 360
        assert labels.problems == ()
        assert all_geometric([label.values for label in labels.labels])
        means = [label.value for label in labels.labels]
        np.testing.assert_allclose(
            maximum_entropy(means, labels.bins),
            [label.values for label in labels.labels],
            atol=1e-6,
        )
        assert min(means) >= 0.242
        assert max(means) <= 7.215
        assert any("first bin is 0" in problem for problem in read_nima(file, images).problems)
