"""The recall that is told is that of a comparison of all pairs."""

import numpy as np
import pytest

from vta_cli.neighbors.join import Pairs, self_join
from vta_cli.neighbors.recall import measure_recall

THRESHOLD = 0.96


def scenes(n, copies=3, dim=48, seed=0):
    """`n` rows in groups of near-copies."""
    rng = np.random.default_rng(seed)
    base = np.repeat(rng.standard_normal((n // copies, dim)), copies, axis=0)
    return (base + 0.05 * rng.standard_normal(base.shape)).astype(np.float32)


def thinned(pairs, keep):
    return Pairs(
        pairs.left[keep], pairs.right[keep], pairs.similarity[keep],
        pairs.left_same, pairs.right_same, lossless=False,
    )  # fmt: skip


def test_a_lossless_join_has_recall_one():
    rows = scenes(240)
    found = measure_recall(rows, THRESHOLD, self_join(rows, THRESHOLD))
    assert found.n_rows == 240  # fewer than the smallest sample: every row
    assert found.n_pairs == 240  # three pairs a scene of three
    assert found.value == 1.0


@pytest.mark.parametrize("lost", [1, 60, 240])
def test_pairs_that_are_lost_are_counted(lost):
    rows = scenes(240)
    pairs = self_join(rows, THRESHOLD)
    keep = np.random.default_rng(1).permutation(240) >= lost
    found = measure_recall(rows, THRESHOLD, thinned(pairs, keep))
    assert (found.n_pairs, found.n_found) == (240, 240 - lost)
    assert found.value == (240 - lost) / 240


def test_a_sample_tells_what_its_rows_have():
    rows = scenes(3000)
    pairs = self_join(rows, THRESHOLD)
    keep = pairs.left % 2 == 0
    found = measure_recall(rows, THRESHOLD, thinned(pairs, keep))
    assert found.n_rows == 375
    assert found.n_pairs > 500
    assert found.value == pytest.approx(keep.mean(), abs=0.1)


def test_equal_rows_are_one_row_and_rows_alone_lose_nothing():
    alone = np.random.default_rng(2).standard_normal((100, 48)).astype(np.float32)
    rows = np.concatenate([alone, alone[:40]])
    found = measure_recall(rows, THRESHOLD, self_join(rows, THRESHOLD))
    assert found.n_pairs == 0
    assert found.value == 1.0
