"""Calibrators recover known probabilities, keep the order and survive extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.heads.calibration import (
    CALIBRATORS,
    MANY,
    calibrator,
    choose_kind,
    log_odds,
    sigmoid,
)

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

    assert 0.8 < certainty[0] < certainty[1] < certainty[2] < 1.0


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=60),
    st.integers(0, 2**32 - 1),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 100),
)
@settings(deadline=None, max_examples=60)
def test_a_sigmoid_rises_stays_inside_and_does_not_depend_on_the_unit(raw, seed, shift, scale):
    raw = np.array(raw)
    targets = np.random.default_rng(seed).permutation(np.arange(len(raw)) % 2).astype(np.int8)
    if raw.std() < 1e-2:
        return

    found = calibrator("sigmoid").fit(raw, targets, np.ones(len(raw)))
    moved = calibrator("sigmoid").fit(raw * scale + shift, targets, np.ones(len(raw)))
    p = found.probability(np.sort(raw))

    assert found.line[0] > 0
    assert np.all((p > 0) & (p < 1))
    assert np.all(np.diff(p) >= 0)
    assert moved.probability(raw * scale + shift) == pytest.approx(found.probability(raw), abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(10, 200))
@settings(deadline=None, max_examples=40)
def test_labels_at_random_leave_the_odds_near_even(seed, half):
    random = np.random.default_rng(seed)
    targets = random.permutation(np.repeat([0, 1], half)).astype(np.int8)
    raw = random.normal(size=2 * half)

    p = calibrator("sigmoid").fit(raw, targets, np.ones(2 * half)).probability(raw)

    by_chance = 0.5 / np.sqrt(half)  # standard deviation of a slope that is none, over 2
    assert np.abs(p - 0.5).mean() < 0.07 + by_chance


def test_more_labels_bring_the_line_to_the_maximum_of_likelihood():
    raw, targets = sample(MANY, 5)

    few = calibrator("sigmoid").fit(raw, targets, np.ones(MANY))
    many = calibrator("sigmoid").fit(np.tile(raw, 2), np.tile(targets, 2), np.ones(2 * MANY))

    grid = np.linspace(-2, 2, 9)
    assert few.probability(grid) == pytest.approx(many.probability(grid), abs=0.01)


@pytest.mark.parametrize("level", [0.0, 3.0, -1e4])
def test_scores_all_alike_say_the_share(level):
    targets = np.repeat([1, 0, 0, 0], 10).astype(np.int8)
    noise = 1e-9 * np.random.default_rng(0).normal(size=40)

    found = calibrator("sigmoid").fit(level + noise, targets, np.ones(40))

    assert found.probability(np.array([level]))[0] == pytest.approx(0.25, abs=0.02)


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
