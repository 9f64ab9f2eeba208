"""Figures against plain definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, fbeta_score

from vta_cli.heads import metrics

CASES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=40
).map(np.array)


def plain_auc(scores, targets, counts):
    wins = total = 0.0
    for s, t, c in zip(scores, targets, counts, strict=True):
        for s2, t2, c2 in zip(scores, targets, counts, strict=True):
            if t == 1 and t2 == 0:
                total += c * c2
                wins += c * c2 * (1.0 if s > s2 else 0.5 if s == s2 else 0.0)
    return wins / total if total else np.nan


@given(CASES)
@settings(deadline=None)
def test_auc_counts_ordered_pairs_with_ties_and_multiplicity(case):
    scores, targets, counts = case[:, 0] / 6.0, case[:, 1].astype(np.int8), case[:, 2] * 1.0

    found = metrics.auc(scores, targets, counts[None])[0]

    assert found == pytest.approx(plain_auc(scores, targets, counts), nan_ok=True)


@given(CASES)
@settings(deadline=None)
def test_average_precision_agrees_with_scikit_learn(case):
    scores, targets = case[:, 0] / 6.0, case[:, 1].astype(np.int8)
    if not targets.any():
        assert np.isnan(metrics.average_precision(scores, targets)[0])
        return

    assert metrics.average_precision(scores, targets)[0] == pytest.approx(
        average_precision_score(targets, scores)
    )


@given(CASES)
@settings(deadline=None)
def test_weighted_figures_are_those_of_repeated_rows(case):
    scores, targets, counts = case[:, 0] / 6.0, case[:, 1].astype(np.int8), case[:, 2]
    if not counts.any():
        return
    again = np.repeat(np.arange(len(scores)), counts)

    for figure in (metrics.accuracy, metrics.brier, metrics.ece):
        weighted = figure(scores, targets, counts[None].astype(float))[0]
        assert weighted == pytest.approx(figure(scores[again], targets[again])[0])


def test_ece_is_the_gap_between_confidence_and_share():
    scores = np.array([0.95] * 10 + [0.05] * 10)
    targets = np.array([1] * 7 + [0] * 3 + [0] * 10, dtype=np.int8)

    assert metrics.ece(scores, targets)[0] == pytest.approx(0.5 * 0.25 + 0.5 * 0.05)


def test_resamples_hold_groups_together_and_have_the_right_mean():
    groups = np.array([7, 7, 7, 1, 2, 3, 3, 4])

    counts = metrics.resamples(groups, seed=3)

    assert np.array_equal(counts[:, 0], counts[:, 1])
    assert np.array_equal(counts[:, 0], counts[:, 2])
    assert np.array_equal(counts[:, 5], counts[:, 6])
    assert counts.mean() == pytest.approx(1.0, abs=0.1)
    assert np.array_equal(counts, metrics.resamples(groups, seed=3))


def test_near_copies_widen_the_interval():
    random = np.random.default_rng(0)
    targets = np.tile([0, 1], 40).astype(np.int8)
    scores = targets * 0.4 + random.normal(size=80)
    alone = metrics.interval(
        metrics.auc, scores[None], targets, metrics.resamples(np.arange(80), 0)
    )
    copied = metrics.interval(
        metrics.auc,
        np.repeat(scores, 5)[None],
        np.repeat(targets, 5),
        metrics.resamples(np.repeat(np.arange(80), 5), 0),
    )

    assert copied.value == pytest.approx(alone.value)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert alone.low < alone.value < alone.high


def test_no_repeats_give_no_figure():
    found = metrics.interval(
        metrics.auc, np.empty((0, 4)), np.array([0, 1, 0, 1], dtype=np.int8), np.ones((3, 4))
    )

    assert np.isnan([found.value, found.low, found.high]).all()


def test_f_beta_is_that_of_scikit_learn_and_counts_are_repetitions():
    random = np.random.default_rng(5)
    scores, targets = random.random(60).round(1), random.integers(0, 2, 60).astype(np.int8)
    wanted = fbeta_score(targets, scores >= 0.5, beta=2)
    assert metrics.f_beta(scores, targets)[0] == pytest.approx(wanted)
    counts = random.integers(0, 3, (2, 60)).astype(float)
    for measure in (metrics.f_beta, metrics.average_precision):
        found = measure(scores, targets, counts)
        for value, row in zip(found, counts.astype(int), strict=True):
            again = measure(np.repeat(scores, row), np.repeat(targets, row))
            assert value == pytest.approx(again[0])


def test_the_reliability_table_sums_to_the_calibration_error():
    random = np.random.default_rng(6)
    scores = random.random(200)
    targets = (random.random(200) < scores**2).astype(np.int8)
    rows = metrics.reliability(scores, targets)
    assert sum(row.n_images for row in rows) == 200
    assert all(row.low <= row.said <= row.high for row in rows)
    error = sum(row.n_images * abs(row.said - row.came_true) for row in rows) / 200
    n_bins = metrics.bins_for(200)
    assert error == pytest.approx(metrics.ece(scores, targets, n_bins=n_bins)[0])
