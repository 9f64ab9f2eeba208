"""What a label tells about the pool, against formulas that are written out in full."""

import numpy as np
import pytest

from vta_cli.labels import design as module
from vta_cli.labels.design import Telling, make_design, make_ground


def even(rows):
    """Return even odds for each row."""
    return np.full(len(rows), 0.5)


def designed(ground, rows):
    """Return a design of labels that are alike on both sides, as far as their number allows."""
    return make_design(ground, rows, np.arange(len(rows)), np.arange(len(rows)) % 2)


def posterior(noise, rows, labelled):
    """Return the covariance of a Gaussian process with a linear kernel, given noisy labels."""
    prior = rows @ rows.T
    if not len(labelled):
        return prior
    across = prior[:, labelled]
    own = prior[np.ix_(labelled, labelled)] + np.diag(noise[: len(labelled)])
    return prior - across @ np.linalg.solve(own, across.T)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("labelled", "targets"),
    [([], []), ([3], [1]), ([3, 4, 11, 20, 21, 22, 23, 24], [1, 1] + 6 * [0])],
)
@pytest.mark.parametrize(("penalty", "counts"), [(0.6, 0.6), (1e-3, 0.3), (30, 1), (np.nan, 0.3)])
def test_a_gain_is_the_fall_of_the_mean_variance(rows, labelled, targets, penalty, counts):
    """Ask about each image in turn, and take the variance over the pool before and after."""
    targets = np.array(targets, dtype=np.int8)
    chances = np.linspace(0.0, 1.0, len(rows))
    design = make_design(make_ground(rows), rows[labelled], np.array(labelled), targets, penalty)
    found = Telling(design, rows, chances, rows[:0]).gains()
    centred = rows.astype(float) - rows.astype(float).mean(axis=0)
    noise = counts * np.trace(centred @ centred.T) / len(rows)
    # a head that weighs both sides alike; one that has a single side is not yet fitted
    weights = {0: (1.0, 1.0), 1: (0.5 / 0.05, 0.5 / 0.95), 8: (8 / 12, 8 / 4)}[len(labelled)]
    known = [noise / weights[target] for target in targets]
    before = np.trace(posterior(np.array(known), centred, labelled)) / len(rows)
    for at, chance in enumerate(chances):
        own = noise / (weights[0] * (1 - chance) + weights[1] * chance)
        after = posterior(np.array([*known, own]), centred, [*labelled, at])
        assert found[at] == pytest.approx(before - np.trace(after) / len(rows), rel=2e-3)


def test_a_likely_label_of_the_rarer_side_tells_more(rows):
    """Of two alike images the one that may be a positive is asked about first, if those are few."""
    twins = np.concatenate([rows, rows[:1]])
    design = make_design(make_ground(rows), rows[5:15], np.arange(5, 15), np.arange(10) // 8)
    likely, unlikely = Telling(design, twins[[0, 30]], np.array([0.9, 0.1]), rows[:0]).gains()
    assert likely > 1.3 * unlikely


def test_what_was_told_since_counts_as_if_it_had_been_known(rows):
    ground = make_ground(rows)
    whole = Telling(designed(ground, rows[:8]), rows, even(rows), rows[:0]).gains()
    told = Telling(designed(ground, rows[:4]), rows, even(rows), rows[4:8]).gains()
    promised = Telling(designed(ground, rows[:4]), rows, even(rows), rows[4:7])
    promised.promise(7)
    np.testing.assert_allclose(told, whole, rtol=1e-3)
    np.testing.assert_allclose(promised.gains(), whole, rtol=1e-3)


def test_what_resembles_nothing_tells_little(rows):
    """An outlier is the most uncertain image of all, and yet not worth asking about."""
    crowd = np.zeros((200, 8), np.float32)
    crowd[:, :2] = np.random.default_rng(1).normal(size=(200, 2))
    outlier = np.zeros((1, 8), np.float32)
    outlier[0, 7] = 3.0
    pool = np.concatenate([crowd, outlier])
    ground = make_ground(pool)
    gains = Telling(designed(ground, pool[:0]), pool, even(pool), pool[:0]).gains()
    assert gains[200] < np.median(gains[:200])


def test_axes_that_are_left_out_count_as_noise(rows, monkeypatch):
    """With few axes the gains keep their order, and nothing off the axes is mistaken for gain."""
    stretched = rows * np.array([5.0, 4.0, 0.3, 0.2, 0.1, 0.1], np.float32)
    exact = Telling(
        designed(make_ground(stretched), stretched[:4]), stretched, even(rows), rows[:0]
    ).gains()
    monkeypatch.setattr(module, "N_AXES", 2)
    ground = make_ground(stretched)
    assert ground.axes.shape == (6, 2)
    found = Telling(designed(ground, stretched[:4]), stretched, even(rows), rows[:0])
    assert np.corrcoef(found.gains(), exact)[0, 1] > 0.99


def test_wide_rows_have_the_same_axes_as_their_span():
    """More columns than images: the axes come from the other product, and turn nothing."""
    narrow = np.random.default_rng(2).normal(size=(9, 12)).astype(np.float32)
    wide = np.concatenate([narrow, np.zeros((9, 40), np.float32)], axis=1)
    turned = wide @ np.linalg.qr(np.random.default_rng(3).normal(size=(52, 52)))[0]
    gains = []
    for rows in (narrow, turned.astype(np.float32)):
        ground = make_ground(rows)
        gains.append(Telling(designed(ground, rows[:2]), rows, even(rows), rows[:0]).gains())
    np.testing.assert_allclose(gains[0], gains[1], rtol=1e-3)


@pytest.mark.parametrize("sample", [np.zeros((0, 4)), np.zeros((0, 0)), np.ones((5, 4))])
def test_a_pool_without_differences_has_no_ground(sample):
    assert make_ground(sample.astype(np.float32)) is None


def test_copies_of_what_is_known_tell_nothing_more_than_noise_allows(rows):
    """A thousand copies of two images: finite numbers, and the other image is worth more."""
    pool = np.repeat(rows[:2], [999, 1], axis=0)
    ground = make_ground(pool)
    gains = Telling(designed(ground, pool[:20]), pool, even(pool), pool[:0]).gains()
    assert np.isfinite(gains).all()
    assert int(np.argmax(gains)) == 999
