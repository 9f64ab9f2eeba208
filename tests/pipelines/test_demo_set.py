"""The demo's set: labels apart from the images, a truth, and agreement that can be checked."""

import csv
import json
import shutil

import numpy as np
import pytest

from vta_cli.errors import UsageError
from vta_cli.pipelines.demo import agreement, prepare


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def made(home):
    return prepare(home, 4, n_images=60, n_labelled=8)


def rows_of(made):
    with made.truth.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_scores(path, pairs):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "score", "reason"), *((name, s, "") for name, s in pairs)])
    return path


def test_labelled_examples_are_copies_outside_the_images(made):
    rows = {row["path"].rsplit("/", 1)[-1]: row for row in rows_of(made)}

    for folder, label in ((made.liked, "1"), (made.disliked, "0")):
        files = sorted(folder.iterdir())
        assert len(files) == 8
        for file in files:
            row = rows[file.name]
            assert (row["label"], row["split"]) == (label, "labelled")
            assert file.read_bytes() == (made.images / row["path"]).read_bytes()


def test_neither_a_near_copy_nor_its_original_is_labelled(made):
    rows = rows_of(made)
    copied = {row["copy_of"] for row in rows} - {""}

    assert len(copied) >= 4
    assert not [row for row in rows if row["split"] == "labelled" and row["path"] in copied]
    assert {row["split"] for row in rows if row["copy_of"]} == {"copy"}


def test_the_truth_has_a_row_for_each_file(made):
    files = {p.relative_to(made.images).as_posix() for p in made.images.rglob("*") if p.is_file()}

    assert {row["path"] for row in rows_of(made)} == files


def test_a_second_call_touches_nothing(made, home):
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}

    assert prepare(home, 4, n_images=60, n_labelled=8) == made
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_a_set_that_was_not_finished_is_drawn_again(made, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(made.images.parent, half)
    (half / "truth.csv").unlink()
    lost = next((half / "images" / "scenes").iterdir())
    content = lost.read_bytes()
    lost.unlink()

    prepare(half, 4, n_images=60, n_labelled=8)

    assert lost.read_bytes() == content
    assert (half / "truth.csv").read_bytes() == made.truth.read_bytes()


def test_a_set_of_other_settings_is_refused(made, home):
    del made
    with pytest.raises(UsageError, match="other settings") as caught:
        prepare(home, 5, n_images=60, n_labelled=8)

    assert caught.value.slug == "other-demo"


@pytest.mark.parametrize("taken", ["images", "liked", "truth.csv"])
def test_what_is_not_the_demo_is_left_alone(tmp_path, taken):
    (tmp_path / taken).mkdir()
    with pytest.raises(UsageError, match=taken) as caught:
        prepare(tmp_path, 4, n_images=60)

    assert caught.value.slug == "folder-not-empty"
    assert [path.name for path in tmp_path.iterdir()] == [taken]


def test_a_store_and_results_beside_the_set_are_no_hindrance(tmp_path):
    (tmp_path / ".vta").mkdir()
    (tmp_path / "scores.csv").write_text("path,score\n")

    prepare(tmp_path, 4, n_images=20, n_labelled=2)

    assert json.loads((tmp_path / "demo.json").read_text())["seed"] == 4
    assert (tmp_path / "scores.csv").read_text() == "path,score\n"


def test_the_true_chances_reach_the_ceiling(made, tmp_path):
    rows = [row for row in rows_of(made) if row["label"]]
    pairs = [(made.images / row["path"], row["liked_probability"]) for row in rows]

    result = agreement(write_scores(tmp_path / "s.csv", pairs), made.truth)

    assert result.auc == result.ceiling
    assert 0.8 < result.ceiling < 1
    assert result.n == sum(row["split"] == "held-out" for row in rows)


def test_the_labels_themselves_agree_perfectly_and_their_opposite_not_at_all(made, tmp_path):
    rows = [row for row in rows_of(made) if row["label"]]
    right = [(made.images / row["path"], row["label"]) for row in rows]
    wrong = [(path, 1 - int(label)) for path, label in right]

    good = agreement(write_scores(tmp_path / "good.csv", right), made.truth)
    bad = agreement(write_scores(tmp_path / "bad.csv", wrong), made.truth)

    assert (good.auc, good.accuracy) == (1, 1)
    assert (bad.auc, bad.accuracy) == (0, 0)


def test_agreement_is_that_of_counted_pairs(made, tmp_path):
    rng = np.random.default_rng(1)
    rows = [row for row in rows_of(made) if row["split"] == "held-out"]
    scores = rng.integers(0, 5, len(rows)) / 4  # many ties
    pairs = [(made.images / row["path"], s) for row, s in zip(rows, scores, strict=True)]
    labels = np.array([int(row["label"]) for row in rows])

    result = agreement(write_scores(tmp_path / "s.csv", pairs), made.truth)

    gaps = scores[labels == 1][:, None] - scores[labels == 0]
    assert result.auc == pytest.approx(((gaps > 0) + 0.5 * (gaps == 0)).mean())
    assert result.accuracy == pytest.approx(np.mean((scores >= 0.5) == labels))


def test_what_was_labelled_or_copied_does_not_count(made, tmp_path):
    seen = [
        (made.images / r["path"], 1 - int(r["label"]))
        for r in rows_of(made)
        if r["split"] in {"labelled", "copy"}
    ]
    fresh = [
        (made.images / r["path"], r["label"]) for r in rows_of(made) if r["split"] == "held-out"
    ]

    assert agreement(write_scores(tmp_path / "s.csv", seen + fresh), made.truth).auc == 1


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_relative_paths_are_found(made, home, prefix):
    pairs = [(prefix + row["path"], row["label"]) for row in rows_of(made) if row["label"]]
    scores = write_scores(home / "relative.csv", pairs)

    assert agreement(scores, made.truth).auc == 1
    scores.unlink()


def test_a_folder_named_by_a_detour_is_the_same_folder(made, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(made.images.parent)
    detour = link / "images" / ".." / "truth.csv"
    rows = [row for row in rows_of(made) if row["label"]]
    pairs = [(link / "images" / row["path"], row["label"]) for row in rows]

    assert agreement(write_scores(tmp_path / "s.csv", pairs), detour).auc == 1


def test_scores_of_other_pictures_are_refused(made, tmp_path):
    scores = write_scores(tmp_path / "s.csv", [("elsewhere.jpg", 0.5)])
    with pytest.raises(UsageError) as caught:
        agreement(scores, made.truth)

    assert caught.value.slug == "nothing-to-compare"
