"""The joins find exactly what a brute-force comparison in double precision finds."""

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError, VtaError
from vta_cli.neighbors import plan
from vta_cli.neighbors.join import Pairs, cross_join, lossless_margin, self_join, stack

TOLERANCE = 1e-6


def unit(rows):
    values = rows.astype(np.float64)
    norms = np.linalg.norm(values, axis=1)
    return values / np.where(norms > 0, norms, np.inf)[:, None]


def mean_cosines(left, right):
    total = np.zeros((left[0].shape[0], right[0].shape[0]))
    for a, b in zip(left, right, strict=True):
        total += unit(a) @ unit(b).T
    return total / len(left)


def pair_set(pairs: Pairs):
    left, right, _ = pairs.expand()
    return set(zip(left.tolist(), right.tolist(), strict=True))


def assert_exact(pairs, cosines, threshold, *, upper):
    """Equal to the oracle, but for pairs that double precision cannot place either."""
    limit = threshold - TOLERANCE
    sure, possible = cosines >= limit + 1e-9, cosines >= limit - 1e-9
    if upper:
        sure, possible = np.triu(sure, 1), np.triu(possible, 1)
    found = pair_set(pairs)
    assert set(zip(*(x.tolist() for x in np.nonzero(sure)), strict=True)) <= found
    assert found <= set(zip(*(x.tolist() for x in np.nonzero(possible)), strict=True))
    left, right, similarity = pairs.expand()
    np.testing.assert_allclose(similarity, cosines[left, right], atol=2e-6)
    assert (similarity <= 1).all()


def force_cells(patch, most=64):
    """Make cells however few rows there are, and keep them however little they sort out."""
    patch.setattr(plan, "_PLAIN_PRODUCTS", 0)
    patch.setattr(plan, "_SECONDS_PER_CELL", 0.0)
    patch.setattr(plan, "_SECONDS_PER_VISIT", 0.0)
    patch.setattr(plan, "_SECONDS_PER_PRODUCT", 0.0)
    patch.setattr(plan, "_MAX_CELLS", most)


@pytest.fixture
def cells_always(monkeypatch):
    force_cells(monkeypatch)


def clustered(rng, n, dim, *, spread, copies):
    centres = rng.standard_normal((max(1, n // 25), dim))
    rows = centres[rng.integers(0, centres.shape[0], n)] + spread * rng.standard_normal((n, dim))
    chosen = rng.integers(0, n, (copies, 2))
    noise = rng.uniform(0, 0.3, (copies, 1)) * rng.standard_normal((copies, dim))
    rows[chosen[:, 0]] = rows[chosen[:, 1]] + noise
    return rows


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    threshold=st.one_of(st.floats(0.3, 0.999), st.sampled_from([0.96, 0.99999, 1.0])),
    shape=st.tuples(st.integers(0, 400), st.sampled_from([1, 2, 7, 64, 65, 130])),
    spread=st.sampled_from([0.0, 0.05, 0.3, 2.0]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_self_join_is_exact_with_cells_and_without(seed, threshold, shape, spread, dtype):
    n, dim = shape
    rng = np.random.default_rng(seed)
    rows = clustered(rng, n, dim, spread=spread, copies=n // 10) if n else np.empty((0, dim))
    rows = rows.astype(dtype)
    if n > 5:
        rows[rng.integers(0, n, 2)] = 0
        rows[rng.integers(0, n)] = rows[rng.integers(0, n)]
        rows[rng.integers(0, n)] = 2 * rows[rng.integers(0, n)]
    cosines = mean_cosines([rows], [rows])
    # Rows equal in the stored values are alike by decree, whatever the rounding.
    assert_exact(self_join([rows], threshold, seed=seed), cosines, threshold, upper=True)
    with pytest.MonkeyPatch.context() as patch:
        force_cells(patch)
        pairs = self_join([rows], threshold, seed=seed, memory_bytes=1 << 26)
    assert_exact(pairs, cosines, threshold, upper=True)
    assert pairs.lossless


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    threshold=st.floats(0.5, 1.0),
    n_new=st.integers(0, 150),
    n_library=st.integers(0, 300),
    n_blocks=st.integers(1, 3),
)
def test_cross_join_over_several_spaces_is_exact(seed, threshold, n_new, n_library, n_blocks):
    rng = np.random.default_rng(seed)
    dims = [5, 40, 3][:n_blocks]
    n = n_new + n_library
    both = [
        clustered(rng, n, d, spread=0.2, copies=n // 5) if n else np.empty((0, d)) for d in dims
    ]
    both = [block.astype(np.float16) for block in both]
    if n > 10:
        twin = rng.integers(0, n, (6, 2))
        for block in both:
            block[twin[:, 0]] = block[twin[:, 1]]
        both[0][rng.integers(0, n, 3)] = 0
    new, library = [b[:n_new] for b in both], [b[n_new:] for b in both]
    with pytest.MonkeyPatch.context() as patch:
        if seed % 2:
            force_cells(patch, most=32)
        cross = cross_join(new, library, threshold, seed=seed)
        inner = self_join(new, threshold)
        known = self_join(library, threshold)
        whole = self_join([np.concatenate([b[n_new:], b[:n_new]]) for b in both], threshold)
    assert_exact(cross, mean_cosines(new, library), threshold, upper=False)
    assert pair_set(stack(known, inner, cross)) >= pair_set(whole) - _border(both, n_new, threshold)


def _border(both, n_new, threshold):
    """Pairs whose side of the threshold is a matter of rounding."""
    turned = [np.concatenate([b[n_new:], b[:n_new]]) for b in both]
    near = np.abs(mean_cosines(turned, turned) - threshold + TOLERANCE) < 1e-9
    return set(zip(*(x.tolist() for x in np.nonzero(near)), strict=True))


def test_a_mean_over_blocks_weighs_each_space_alike_whatever_its_scale_and_width():
    a = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    b = np.array([[900, 0, 0], [0, 900, 0], [900, 0, 0]], np.float16)

    pairs = self_join([a, b], 0.5)

    assert list(zip(pairs.left, pairs.right, pairs.similarity, strict=True)) == [
        (0, 1, 0.5),
        (0, 2, 0.5),
    ]


def test_rows_that_are_random_are_compared_without_cells_and_exactly():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((6000, 40)).astype(np.float32)
    rows[5000:5100] = rows[:100] + 0.1 * rng.standard_normal((100, 40)).astype(np.float32)

    pairs = self_join(rows, 0.9)

    assert_exact(pairs, mean_cosines([rows], [rows]), 0.9, upper=True)
    assert pairs.left.size >= 100


def test_clustered_rows_by_the_thousand_are_exact_through_the_cells():
    rng = np.random.default_rng(4)
    rows = clustered(rng, 8000, 96, spread=0.4, copies=400).astype(np.float16)
    steps = []

    pairs = self_join(rows, 0.96, progress=steps.append)

    assert_exact(pairs, mean_cosines([rows], [rows]), 0.96, upper=True)
    assert sum(steps) == 8000
    assert len(steps) > 10  # as many steps as cells


def test_equal_rows_are_told_by_their_first_and_not_by_all_pairs():
    rows = np.tile(np.array([[3, 4, 0]], np.float16), (50_000, 1))

    pairs = self_join(rows, 0.9)

    assert pairs.left.size == 0
    assert (pairs.left_same == 0).all()


def test_a_zero_row_is_similar_to_nothing_not_even_to_its_equal():
    rows = np.zeros((4, 3), np.float32)
    rows[3] = 1

    pairs = self_join(rows, 0.01)

    assert pairs.left.size == 0
    assert pairs.left_same.tolist() == [0, 1, 2, 3]


def test_equal_directions_of_different_lengths_are_found_at_threshold_one(cells_always):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 33)).astype(np.float32)
    rows[100:] = rows[:100] * rng.uniform(0.01, 100, (100, 1)).astype(np.float32)

    pairs = self_join(rows, 1.0)

    assert pair_set(pairs) == {(i, i + 100) for i in range(100)}
    assert (pairs.similarity > 1 - 2e-6).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_very_few_rows(n):
    rows = np.ones((n, 4), np.float32) * np.arange(1, n + 1, dtype=np.float32)[:, None]

    assert pair_set(self_join(rows, 0.99)) == ({(0, 1)} if n == 2 else set())


def test_one_cell_holds_everything_when_rows_hardly_differ(cells_always):
    rng = np.random.default_rng(1)
    rows = (1 + 1e-3 * rng.standard_normal((300, 20))).astype(np.float32)

    assert len(pair_set(self_join(rows, 0.99))) == 300 * 299 // 2


def test_the_narrow_margin_is_marked_and_finds_no_pair_that_is_not_there(cells_always):
    rng = np.random.default_rng(5)
    rows = clustered(rng, 2000, 32, spread=0.3, copies=200).astype(np.float32)
    exact = pair_set(self_join(rows, 0.96))

    narrow = self_join(rows, 0.96, margin=0.02)

    assert not narrow.lossless
    assert pair_set(narrow) <= exact
    assert len(pair_set(narrow)) > 0.8 * len(exact)
    assert self_join(rows, 0.96, margin=lossless_margin(0.96)).lossless


def test_memory_maps_and_other_row_sources_are_read_in_pieces(tmp_path):
    class Reader:
        def __init__(self, rows):
            self._rows = rows
            self.shape = rows.shape

        def __getitem__(self, index):
            return self._rows[index]

    rng = np.random.default_rng(6)
    rows = clustered(rng, 300, 16, spread=0.2, copies=50).astype(np.float16)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")

    assert pair_set(self_join([mapped], 0.96)) == pair_set(self_join([Reader(rows)], 0.96))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_that_are_not_finite_are_refused_by_row(value, dtype):
    rows = np.ones((10, 3), dtype)
    rows[7, 1] = value

    with pytest.raises(VtaError, match="row 7 of block 1") as caught:
        self_join([np.ones((10, 2), np.float32), rows], 0.9)

    assert caught.value.slug == "not-finite"


def test_values_at_the_ends_of_single_precision_are_compared():
    rows = np.array([[1e-25, 2e-25], [3e25, 6e25], [1, -1]], np.float32)

    assert pair_set(self_join(rows, 0.99)) == {(0, 1)}


def test_progress_adds_up_to_all_rows_whatever_becomes_of_them():
    rng = np.random.default_rng(10)
    rows = rng.standard_normal((900, 8)).astype(np.float32)
    rows[100:200] = rows[:100]
    rows[0] = 0

    for join in (
        lambda tick: self_join(rows, 0.9, progress=tick),
        lambda tick: cross_join(rows[:300], rows[300:], 0.9, progress=tick),
        lambda tick: cross_join(rows[:1], rows[1:], 0.9, progress=tick),
    ):
        steps = []
        join(steps.append)
        assert sum(steps) == 900


def test_the_seed_decides_nothing_but_the_time(cells_always):
    rng = np.random.default_rng(7)
    rows = clustered(rng, 500, 32, spread=0.3, copies=100).astype(np.float16)

    first, second = self_join(rows, 0.95, seed=1), self_join(rows, 0.95, seed=2)

    assert pair_set(first) == pair_set(second)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_change_nothing_and_the_library_gets_its_setting_back(cells_always, n_threads):
    rng = np.random.default_rng(11)
    rows = clustered(rng, 1500, 24, spread=0.3, copies=300).astype(np.float16)
    expected = pair_set(self_join(rows, 0.96))

    with threadpoolctl.threadpool_limits(n_threads, user_api="blas"):
        before = threadpoolctl.threadpool_info()
        steps = []
        pairs = self_join(rows, 0.96, progress=steps.append)
        after = threadpoolctl.threadpool_info()

    assert pair_set(pairs) == expected
    assert sum(steps) == 1500
    assert after == before


def test_an_interrupt_while_threads_work_comes_through(cells_always):
    rng = np.random.default_rng(12)
    rows = clustered(rng, 3000, 24, spread=0.3, copies=300).astype(np.float16)

    def stop(done):
        if done:
            raise KeyboardInterrupt

    with threadpoolctl.threadpool_limits(2, user_api="blas"), pytest.raises(KeyboardInterrupt):
        self_join(rows, 0.96, progress=stop)


def test_too_many_pairs_are_an_error_with_a_remedy_and_not_a_full_memory():
    rng = np.random.default_rng(8)
    rows = (1 + 1e-2 * rng.standard_normal((3000, 8))).astype(np.float32)

    with pytest.raises(VtaError, match="pairs of images") as caught:
        self_join(rows, 0.9, memory_bytes=1 << 22)

    assert caught.value.slug == "too-many-pairs"
    assert caught.value.hint


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_thresholds_outside_the_range_are_misuse(threshold):
    with pytest.raises(UsageError, match="threshold"):
        self_join(np.ones((2, 2), np.float32), threshold)


def test_blocks_that_do_not_fit_together_are_misuse():
    four, five = np.ones((4, 2), np.float32), np.ones((5, 2), np.float32)

    with pytest.raises(UsageError, match="block 1"):
        self_join([four, five], 0.9)
    with pytest.raises(UsageError, match="no vectors"):
        self_join([], 0.9)
    with pytest.raises(UsageError, match="columns"):
        cross_join(four, np.ones((4, 3), np.float32), 0.9)
    with pytest.raises(UsageError, match="margin"):
        self_join(four, 0.9, margin=-1)
