"""Colour themes from MATLAB files, as histograms and as pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from vta_cli.errors import UsageError
from vta_cli.images.swatches import SIDE_PX, swatch
from vta_cli.labels.kuler import read_kuler

RED, GREY, BLUE = (1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.0, 0.0, 1.0)
THEMES = np.array([[*RED, *GREY * 1, *GREY, *GREY, *BLUE], [*BLUE, *GREY, *GREY, *GREY, *RED],
                   [*RED, *RED, *RED, *RED, *RED], [*RED, *GREY, *GREY, *GREY, *BLUE]])  # fmt: skip
IDS = np.array([[4684], [17], [17], [4684]])
RATINGS = np.array([[7, 1, 5], [8, 1, 1], [8, 2, 3], [7, 3, 4], [9, 4, 5], [7, 9, 5], [7, 0, 5],
                    [7, 1, 6]])  # fmt: skip


@pytest.fixture
def files(tmp_path):
    themes, ratings = tmp_path / "themeData.mat", tmp_path / "allMTurkRatings.mat"
    scipy.io.savemat(themes, {"datapoints": {"rgb": THEMES, "ids": IDS}})
    scipy.io.savemat(ratings, {"testRatings": RATINGS, "train_vec": RATINGS})
    return themes, ratings, tmp_path / "swatches"


def summed(labels):
    votes = {}
    for label in labels.labels:
        name = Path(label.path).name
        votes[name] = tuple(np.add(votes.get(name, (0,) * 10), label.values).astype(int))
    return votes


def slug_of(*args, **options):
    with pytest.raises(UsageError) as caught:
        read_kuler(*args, swatch, **options)
    assert caught.value.hint
    return caught.value.slug


def test_themes_are_counted_from_one_and_equal_ones_share_a_picture(files):
    labels = read_kuler(*files, swatch)

    assert labels.bins == tuple(range(1, 11))
    assert summed(labels) == {
        "4684.png": (1, 0, 0, 0, 0, 0, 0, 0, 2, 0),
        "17.png": (0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
        "17-3.png": (0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
    }
    assert labels.problems == (
        "allMTurkRatings.mat row 6: there is no theme 9 (of 4)",
        "allMTurkRatings.mat row 7: there is no theme 0 (of 4)",
        "allMTurkRatings.mat row 8: 6 is no number of stars from 1 to 5",
    )


@pytest.mark.parametrize(
    ("spread", "scores"), [("high", (1, 3, 5, 7, 9)), ("low", (3, 4, 5, 6, 7))]
)
def test_both_maps_of_stars(files, spread, scores):
    themes, ratings, folder = files
    scipy.io.savemat(ratings, {"testRatings": np.array([[1, 2, stars] for stars in range(1, 6)])})
    labels = read_kuler(themes, ratings, folder, swatch, spread=spread)

    (one,) = labels.labels
    assert tuple(b for b, votes in zip(labels.bins, one.values, strict=True) if votes) == scores
    assert one.value == 5
    by_rater = read_kuler(themes, ratings, folder, swatch, spread=spread, by_rater=True)
    assert [label.value for label in by_rater.labels] == list(scores)


def test_each_rater_may_be_kept(files):
    labels = read_kuler(*files, swatch, by_rater=True)

    assert labels.kind == "scores"
    assert [(Path(one.path).name, one.rater, one.value) for one in labels.labels] == [
        ("4684.png", "7", 9), ("4684.png", "8", 1), ("17.png", "8", 5), ("17-3.png", "7", 7),
        ("4684.png", "9", 9),
    ]  # fmt: skip


def test_swatches_show_the_colours_from_left_to_right(files):
    read_kuler(*files, swatch)

    with Image.open(files[2] / "17.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (SIDE_PX, SIDE_PX, 3)
    centres = pixels[SIDE_PX // 2, SIDE_PX // 10 :: SIDE_PX // 5]
    assert centres.tolist() == [[0, 0, 255], *[[128, 128, 128]] * 3, [255, 0, 0]]
    assert sorted(path.name for path in files[2].iterdir()) == ["17-3.png", "17.png", "4684.png"]


def test_a_second_run_writes_nothing_and_no_file_is_overwritten(files):
    first = read_kuler(*files, swatch)
    before = {path: path.stat().st_mtime_ns for path in files[2].iterdir()}

    assert read_kuler(*files, swatch) == first
    assert {path: path.stat().st_mtime_ns for path in files[2].iterdir()} == before
    (files[2] / "17.png").write_bytes(b"a holiday")
    assert slug_of(*files) == "swatch-differs"
    assert (files[2] / "17.png").read_bytes() == b"a holiday"


def test_bad_files_are_refused(files, tmp_path):
    themes, ratings, folder = files
    assert slug_of(tmp_path / "none.mat", ratings, folder) == "no-such-file"
    assert slug_of(ratings, ratings, folder) == "bad-mat"
    assert slug_of(themes, themes, folder) == "bad-mat"
    scipy.io.savemat(ratings, {"testRatings": np.array([[1.0, 1.0, 2.5]] * 2)})
    assert slug_of(themes, ratings, folder) == "bad-mat"
    scipy.io.savemat(ratings, {"testRatings": np.array([[1, 99, 2]])})
    assert slug_of(themes, ratings, folder) == "no-labels"
    ratings.write_bytes(b"MATLAB 7.3 or worse")
    assert slug_of(themes, ratings, folder) == "bad-mat"
    scipy.io.savemat(themes, {"datapoints": {"rgb": THEMES * 255, "ids": IDS}})
    assert slug_of(themes, ratings, folder) == "bad-mat"
    assert not folder.exists()


def test_equal_colours_give_equal_bytes():
    colours = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)

    assert swatch(colours) == swatch(colours.copy())
    assert Image.open(io.BytesIO(swatch(colours))).format == "PNG"
