"""A join that goes on from an earlier one finds what a join of all rows finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.neighbors.groups import groups
from vta_cli.neighbors.join import Pairs, extend_join, restrict, self_join
from vta_cli.neighbors.regroup import group_rows


def drawn(seed, n, dim):
    """Rows in clusters, with equal rows and rows of zeros, float16."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, n // 8), dim))
    rows = centres[rng.integers(0, len(centres), n)] + 0.2 * rng.standard_normal((n, dim))
    if n > 4:
        twins = rng.integers(0, n, (n // 4, 2))
        rows[twins[:, 0]] = rows[twins[:, 1]]
        rows[rng.integers(0, n, 2)] = 0
    return rows.astype(np.float16)


def same(left, right):
    for name in ("left", "right", "left_same", "right_same"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)
    np.testing.assert_allclose(left.similarity, right.similarity, atol=2e-7)  # the order of sums


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(0, 150),
    threshold=st.sampled_from([0.9, 0.96, 1.0]),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_what_was_joined_before_changes_nothing(seed, n, threshold, shares):
    """Whatever part was known, whatever of it vanished since, in whatever order rows come now."""
    rng = np.random.default_rng(seed)
    everything = [drawn(seed, n, 12), drawn(seed + 1, n, 3)]
    earlier = np.flatnonzero(rng.random(n) < shares[0])
    before = self_join([block[earlier] for block in everything], threshold)
    now = rng.permutation(n)[: int(shares[1] * n)]
    rows = [block[now] for block in everything]
    known = np.flatnonzero(np.isin(now, earlier))
    kept = restrict(before, np.searchsorted(earlier, now[known]))
    same(kept, self_join([block[known] for block in rows], threshold))
    found = extend_join(rows, threshold, known, kept, progress=(ticks := []).append)
    want = self_join(rows, threshold)
    same(found, want)
    assert found.lossless
    assert sum(ticks) == len(now)
    order = rng.permutation(len(now))
    by_parts = group_rows(rows, threshold, order, before=(known, kept))
    whole = groups(len(now), want, order)
    np.testing.assert_array_equal(by_parts.group, whole.group)
    np.testing.assert_allclose(by_parts.similarity, whole.similarity, atol=2e-7)


def test_known_rows_are_not_compared_again():
    """The old pairs are taken on trust: what they leave out is not found."""
    rows = drawn(3, 80, 8)
    known = np.arange(80)
    none = np.empty(0, np.int64)
    empty = Pairs(none, none, np.empty(0, np.float32), known, known)
    assert len(self_join(rows, 0.9).left)
    assert not len(extend_join(rows, 0.9, known, empty).left)


def test_pairs_of_other_rows_are_refused():
    rows = drawn(3, 20, 8)
    with pytest.raises(UsageError) as caught:
        extend_join(rows, 0.9, np.arange(10), self_join(rows, 0.9))
    assert caught.value.slug == "bad-pairs"
