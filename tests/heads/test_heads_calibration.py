"""Calibrators recover known probabilities, keep the order and survive extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.heads.calibration import CALIBRATORS, calibrator, choose_kind, log_odds, sigmoid

FITTED = [kind for kind in CALIBRATORS if kind != "identity"]


def sample(n, seed, slope=2.0, offset=-1.0):
    random = np.random.default_rng(seed)
    raw = random.normal(size=n)
    targets = (random.random(n) < sigmoid(slope * raw + offset)).astype(np.int8)
    return raw, targets


@pytest.mark.parametrize("kind", FITTED)
def test_many_labels_give_the_true_curve(kind):
    raw, targets = sample(20_000, 0)

    found = calibrator(kind).fit(raw, targets, np.ones(len(raw)))

    grid = np.linspace(-2, 2, 9)
    assert np.abs(found.probability(grid) - sigmoid(2 * grid - 1)).max() < 0.05


@pytest.mark.parametrize("kind", list(CALIBRATORS))
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 1)), min_size=4, max_size=50),
)
@settings(deadline=None, max_examples=40)
def test_any_scores_give_rising_probabilities(kind, rows):
    raw = np.array([row[0] for row in rows])
    targets = np.array([row[1] for row in rows], dtype=np.int8)
    if len(set(targets)) < 2:
        return

    found = calibrator(kind).fit(raw, targets, np.ones(len(raw)))
    p = found.probability(np.linspace(-60, 60, 200))

    assert np.all((p >= 0) & (p <= 1))
    assert np.all(np.diff(p) >= -1e-12)


@pytest.mark.parametrize("kind", FITTED)
def test_what_is_saved_is_what_was_fitted(kind):
    raw, targets = sample(500, 1)
    found = calibrator(kind).fit(raw, targets, np.ones(500))

    again = calibrator(kind).restore(found.arrays())

    assert np.array_equal(again.probability(raw), found.probability(raw))


def test_a_weight_of_two_is_the_same_label_twice():
    raw, targets = sample(60, 2)
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    again = np.concatenate([np.arange(60), np.arange(20)])

    weighted = calibrator("sigmoid").fit(raw, targets, weights)
    repeated = calibrator("sigmoid").fit(raw[again], targets[again], np.ones(80))

    assert weighted.probability(raw) == pytest.approx(repeated.probability(raw), abs=1e-6)


def test_perfect_scores_are_believed_more_the_more_labels_there_are():
    certainty = []
    for n in (5, 50, 500):
        targets = np.repeat([0, 1], n).astype(np.int8)
        raw = np.where(targets == 1, 1.0, -1.0)
        found = calibrator("sigmoid").fit(raw, targets, np.ones(2 * n))
        certainty.append(float(found.probability(np.array([1.0]))[0]))

    assert 0.9 < certainty[0] < certainty[1] < certainty[2] < 1.0


def test_scores_that_fail_out_of_fold_say_the_prior_and_keep_their_order():
    targets = np.repeat([1, 0, 0, 0], 25).astype(np.int8)
    raw = np.where(targets == 1, -1.0, 1.0) + np.random.default_rng(0).normal(size=100)

    found = calibrator("sigmoid").fit(raw, targets, np.ones(100))
    p = found.probability(np.array([-1.0, 0.0, 1.0]))

    assert p == pytest.approx(np.full(3, 0.25), abs=0.03)
    assert p[0] < p[1] < p[2]


def test_more_labels_allow_freer_curves():
    assert [choose_kind(n) for n in (10, 500, 50_000)] == ["sigmoid", "beta", "isotonic"]


@given(st.floats(-700, 700))
def test_sigmoid_and_log_odds_do_not_overflow(x):
    p = sigmoid(np.array([x]))

    assert 0.0 <= p[0] <= 1.0
    if abs(x) < 15:
        assert log_odds(p)[0] == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "arrays"),
    [
        ("sigmoid", {"line": np.array([-1.0, 0.0])}),
        ("sigmoid", {"line": np.array([1.0, np.nan])}),
        ("sigmoid", {"line": np.array([1.0])}),
        ("sigmoid", {"line": np.array([1.0, 0.0], dtype=np.float32)}),
        ("beta", {"line": np.array([1.0, 0.0]), "curve": np.array([-1.0, 1.0, 0.0])}),
        ("isotonic", {"knots": np.array([0.0, -1.0]), "values": np.array([0.1, 0.2])}),
        ("isotonic", {"knots": np.array([0.0, 1.0]), "values": np.array([0.5, 0.2])}),
        ("isotonic", {"knots": np.array([0.0, 1.0]), "values": np.array([0.5, 1.2])}),
        ("isotonic", {"knots": np.array([]), "values": np.array([])}),
        ("sigmoid", {}),
    ],
)
def test_crooked_arrays_are_refused(kind, arrays):
    with pytest.raises(ValueError, match=r"array|calibrat"):
        calibrator(kind).restore(arrays)
