"""Safety margins and recommended thresholds: perfect, constant, random and ordinary scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.heads.margins import LEFT_CLAMP, RIGHT_CLAMP, safety_margins
from vta_cli.heads.thresholds import recommend

HALF = np.repeat([1, 0], 100).astype(np.int8)


def test_perfect_scores_reach_the_ratio_at_the_clamps():
    found = safety_margins(np.where(HALF == 1, 0.9, 0.1), HALF)

    assert (found.left, found.right) == (LEFT_CLAMP, RIGHT_CLAMP)
    assert found.left_reached
    assert found.right_reached


def test_constant_and_random_scores_reach_nothing():
    constant = safety_margins(np.full(200, 0.5), HALF)
    random = safety_margins(np.random.default_rng(0).random(200), HALF)

    for found in (constant, random):
        assert (found.left, found.right) == (LEFT_CLAMP, RIGHT_CLAMP)
        assert not found.left_reached
        assert not found.right_reached


def test_few_labels_cannot_claim_thirty_to_one():
    for n, reached in ((14, False), (15, True)):
        targets = np.repeat([1, 0], n).astype(np.int8)

        found = safety_margins(np.where(targets == 1, 0.9, 0.1), targets)

        assert found.right_reached is reached
        assert found.left_reached is reached


def test_the_margins_lie_where_the_errors_end():
    scores = np.concatenate([np.linspace(0.3, 1.0, 100), np.linspace(0.0, 0.8, 100)])

    found = safety_margins(scores, HALF)

    assert found.right == pytest.approx(0.8, abs=0.02)
    assert found.left == pytest.approx(0.3, abs=0.02)


def test_the_proportion_of_the_labels_does_not_matter():
    scores = np.concatenate([np.linspace(0.3, 1.0, 100), np.linspace(0.0, 0.8, 100)])
    many = np.concatenate([scores[:100], np.tile(scores[100:], 20)])
    targets = np.array([1] * 100 + [0] * 2000, dtype=np.int8)

    assert safety_margins(many, targets).right == pytest.approx(
        safety_margins(scores, HALF).right, abs=0.03
    )


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60),
    st.floats(1.5, 100),
)
@settings(deadline=None)
def test_any_scores_give_margins_in_order(rows, ratio):
    scores = np.array([row[0] for row in rows])
    targets = np.array([row[1] for row in rows], dtype=np.int8)

    found = safety_margins(scores, targets, ratio)

    assert 0.0 <= found.left <= LEFT_CLAMP < RIGHT_CLAMP <= found.right <= 1.0


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=10, max_size=80),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_any_scores_give_thresholds_with_figures_in_range(rows, seed):
    scores = np.array([row[0] for row in rows])
    targets = np.array([row[1] for row in rows], dtype=np.int8)
    if not 2 <= targets.sum() <= len(targets) - 2:
        return
    fold_of = np.random.default_rng(seed).permutation(len(rows)) % 5

    for item in recommend(scores, targets, fold_of):
        assert 0.0 <= item.value <= 1.0
        assert 0.0 <= item.kept <= 1.0
        assert 0.0 <= item.recall <= 1.0
        assert np.isnan(item.precision) or 0.0 <= item.precision <= 1.0


def test_thresholds_mean_what_they_say():
    random = np.random.default_rng(1)
    targets = np.tile([1, 0], 1000).astype(np.int8)
    scores = 1 / (1 + np.exp(-(random.normal(size=2000) + np.where(targets == 1, 1.2, -1.2))))

    found = {item.name: item for item in recommend(scores, targets, np.arange(2000) % 5)}

    assert found["keep"].precision == pytest.approx(0.9, abs=0.02)
    assert found["discard"].recall == pytest.approx(0.95, abs=0.02)
    assert found["balanced"].value == pytest.approx(0.5, abs=0.1)
    assert found["margin-left"].value < found["balanced"].value < found["margin-right"].value
    above = scores >= found["keep"].value
    assert found["keep"].kept == pytest.approx(above.mean(), abs=0.02)


def test_on_random_scores_the_figures_show_that_tuning_gains_nothing():
    random = np.random.default_rng(2)
    precision = []
    for _ in range(20):
        targets = random.permutation(np.repeat([0, 1], 50)).astype(np.int8)
        found = {
            item.name: item for item in recommend(random.random(100), targets, np.arange(100) % 5)
        }
        precision.append(found["balanced"].precision)

    assert np.mean(precision) == pytest.approx(0.5, abs=0.05)
