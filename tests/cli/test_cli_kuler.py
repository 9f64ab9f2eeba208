"""Kuler's colour themes from the command line: drawn, learnt, scored; nothing of others touched."""

import csv
import io

import numpy as np
import pytest
import scipy.io

N_THEMES, N_RATERS = 24, 6


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Return a folder with both files: warm themes get 4 or 5 stars, cold ones 1 or 2."""
    root = tmp_path_factory.mktemp("kuler")
    rng = np.random.default_rng(3)
    warm, cold = (0.9, 0.5, 0.1), (0.1, 0.3, 0.8)
    rgb = np.array([
        np.clip(np.tile(cold if at % 2 else warm, 5) + rng.uniform(-0.1, 0.1, 15), 0, 1)
        for at in range(N_THEMES)
    ])  # fmt: skip
    ids = np.arange(100, 100 + N_THEMES)[:, None]
    ratings = [
        (rater, theme + 1, (1 if theme % 2 else 4) + (theme + rater) % 2)
        for theme in range(N_THEMES)
        for rater in range(N_RATERS)
    ]
    scipy.io.savemat(root / "themeData.mat", {"datapoints": {"rgb": rgb, "ids": ids}})
    scipy.io.savemat(root / "ratings.mat", {"testRatings": np.array(ratings)})
    return root


FILES = ("--histograms", "ratings.mat", "--themes", "themeData.mat")


@pytest.mark.parametrize(("stars", "low", "high"), [("high-sd", 2, 8), ("low-sd", 3.5, 6.5)])
def test_themes_are_drawn_learnt_and_scored(rated, vta, stars, low, high):
    """Each mapping of stars has its own means: 1 or 2 stars are 2, or 3.5."""
    before = {path.name: path.read_bytes() for path in rated.glob("*.mat")}
    ran = vta(
        "train", *FILES, "--swatches", "swatches", "--stars", stars, "--name", stars,
        "--preset", "classic", cwd=rated,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.out.startswith("distribution")
    assert "24 labelled images (histograms)" in ran.out
    assert {path.name for path in (rated / "swatches").iterdir()} == {
        f"{100 + at}.png" for at in range(N_THEMES)
    }
    rows = list(csv.DictReader(io.StringIO(vta("score", "swatches", "-m", stars, cwd=rated).out)))
    scores = np.array([float(row["score"]) for row in rows])
    assert abs(scores[::2] - high).max() < 1
    assert abs(scores[1::2] - low).max() < 1
    assert {path.name: path.read_bytes() for path in rated.glob("*.mat")} == before


def test_one_rater_of_the_themes(rated, vta):
    """A rater's own stars are scores."""
    ran = vta(
        "train", *FILES, "--swatches", "swatches", "--rater", 2, "--name", "second",
        "--preset", "classic", cwd=rated,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "24 labelled images (scores)" in ran.out


@pytest.mark.parametrize(
    ("options", "slug"),
    [
        (["--histograms", "ratings.mat"], "no-themes"),
        (["--themes", "themeData.mat", "--pos", "a", "--neg", "b"], "no-themes"),
        ([*FILES], "no-themes"),
        ([*FILES, "--swatches", "s", "--stars", "medium"], "bad-choice"),
        ([*FILES, "--swatches", "s", "--images", "."], "wrong-option"),
        ([*FILES, "--swatches", "themeData.mat"], "not-a-folder"),
        ([*FILES, "--swatches", "taken"], "swatch-differs"),
        (["--histograms", "ratings.mat", "--themes", "no.mat", "--swatches", "s"], "no-such-file"),
        (["--histograms", "a.csv", "--stars", "low-sd"], "wrong-option"),
    ],
)
def test_what_does_not_go_with_themes_is_refused(rated, vta, options, slug):
    """One error with a hint; a file that is no swatch stays as it is."""
    (rated / "taken").mkdir(exist_ok=True)
    (rated / "taken/100.png").write_bytes(b"mine")
    ran = vta("train", *options, cwd=rated)
    assert ran.code == 2
    assert f"error[{slug}]" in ran.err
    assert "hint:" in ran.err
    assert (rated / "taken/100.png").read_bytes() == b"mine"
    assert not (rated / "s").exists()
