"""New rows against a library: as a comparison of every new row with every other says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.neighbors.against import group_against
from vta_cli.neighbors.groups import ALONE
from vta_cli.neighbors.join import cross_join
from vta_cli.neighbors.recall import measure_recall

THRESHOLD = 0.96


def unit(rows):
    rows = np.asarray(rows, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def cosines(left, right):
    """Mean cosine over the spaces of all rows with all rows, in double precision."""
    return np.mean([unit(a) @ unit(b).T for a, b in zip(left, right, strict=True)], axis=0)


def plainly(new, library, threshold, order):
    """Say host, group keeper and similarity of each new row, by the rule in its shortest words."""
    cross, inner = cosines(new, library), cosines(new, new)
    close, near = cross >= threshold - 1e-6, inner >= threshold - 1e-6
    host = [
        int(np.argmax(line)) if ok.any() else ALONE for line, ok in zip(cross, close, strict=True)
    ]
    keepers = []
    for row in order:
        if host[row] == ALONE and not any(near[row, other] for other in keepers):
            keepers.append(row)
    keeper_of = {}
    for row in order:
        if host[row] == ALONE:
            mine = [k for k in keepers if k == row or near[row, k]]
            keeper_of[row] = row if row in keepers else max(mine, key=lambda k: inner[row, k])
    return host, keeper_of, cross, inner


def check(new, library, threshold, order, **how):
    """Compare with the oracle, and return what was found."""
    found = group_against(new, library, threshold, order, **how)
    host, keeper_of, cross, inner = plainly(new, library, threshold, order.tolist())
    np.testing.assert_array_equal(found.host == ALONE, np.array(host) == ALONE)
    for row, h in enumerate(found.host.tolist()):
        if h == ALONE:
            assert np.isnan(found.similarity[row])
        else:
            # which of two hosts is nearer may hang on the last digit; how near it is does not
            assert cross[row, h] == pytest.approx(cross[row, host[row]], abs=2e-6)
            assert found.similarity[row] == pytest.approx(min(1, cross[row, h]), abs=2e-6)
    assert found.rest.tolist() == [row for row in order.tolist() if host[row] == ALONE]
    group = found.among.group
    for place, row in enumerate(found.rest.tolist()):
        mates = np.flatnonzero(group == group[place]) if group[place] != ALONE else [place]
        (head,) = [m for m in mates if found.among.keeper[m]] or [place]
        keeper = int(found.rest[head])
        assert (keeper == row) == (keeper_of[row] == row)
        assert inner[row, keeper] == pytest.approx(inner[row, keeper_of[row]], abs=2e-6)
    return found


def clustered(n, n_clusters, dim, seed, spread):
    """Draw rows around centres that both sides share, some tight and some wide."""
    centres = np.random.default_rng(0).standard_normal((n_clusters, dim))
    rng = np.random.default_rng(seed)
    which = rng.integers(0, n_clusters, n)
    noise = rng.standard_normal((n, dim)) * rng.uniform(0, spread, (n, 1))
    return (centres[which] + noise).astype(np.float16)


@pytest.mark.parametrize("spread", [0.15, 0.3, 0.6])
def test_clustered_rows_go_where_the_oracle_says(spread):
    new = clustered(300, 200, 48, 1, spread)
    library = clustered(1500, 150, 48, 2, spread)  # fifty clusters are new
    order = np.random.default_rng(3).permutation(300)
    found = check([new], [library], THRESHOLD, order)
    assert 0 < found.rest.size < 300
    assert found.among.n_groups > 0


def test_several_spaces_count_by_their_mean():
    new = [clustered(150, 80, dim, 4, 0.3) for dim in (24, 40)]
    library = [clustered(600, 60, dim, 5, 0.3) for dim in (24, 40)]
    # the same clusters in both spaces, or nothing would be close in the mean
    new[1][:, :24], library[1][:, :24] = new[0], library[0]
    new[1][:, 24:] *= np.float16(0.3)
    library[1][:, 24:] *= np.float16(0.3)
    found = check(new, library, 0.9, np.arange(150))
    alone = group_against(new[:1], library[:1], 0.9, np.arange(150))
    assert not np.array_equal(alone.host, found.host)


def test_equal_and_zero_rows_on_both_sides():
    rng = np.random.default_rng(6)
    base = rng.standard_normal((8, 16)).astype(np.float32)
    zero = np.zeros((2, 16), np.float32)
    new = np.concatenate([base[:4], base[:4], zero, base[6:], base[6:]])
    library = np.concatenate([zero, base[2:5], base[2:5]])
    found = check([new], [library], THRESHOLD, np.arange(new.shape[0]))
    # the first of equal rows of the library is the keeper
    assert found.host.tolist() == [-1, -1, 2, 3, -1, -1, 2, 3, -1, -1, -1, -1, -1, -1]
    assert found.among.n_groups == 4


def test_rows_that_are_too_many_alike_are_taken_in_pieces():
    rng = np.random.default_rng(7)
    scene = rng.standard_normal(32)
    new = (scene + 0.01 * rng.standard_normal((80, 32))).astype(np.float32)
    library = (scene + 0.01 * rng.standard_normal((200, 32))).astype(np.float32)
    order = np.arange(80)
    looked = []
    small = check([new], [library], THRESHOLD, order, memory_bytes=64 * 1000,
                  check_cross=looked.append)  # fmt: skip
    whole = group_against(new, library, THRESHOLD, order)
    np.testing.assert_array_equal(small.host, whole.host)
    assert looked == []
    assert small.rest.size == 0


@given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 2**16))
def test_small_sets_of_few_directions(n_new, n_library, seed):
    rng = np.random.default_rng(seed)
    new = rng.integers(-1, 2, (n_new, 3)).astype(np.float32)
    library = rng.integers(-1, 2, (n_library, 3)).astype(np.float32)
    check([new], [library], 0.7, rng.permutation(n_new))


def test_the_library_is_never_compared_with_itself(monkeypatch):
    """Every row of the library equal to the others would otherwise be seen in the joins."""
    from vta_cli.neighbors import regroup

    sizes = []
    real = regroup.self_join

    def spy(blocks, *args, **kwargs):
        sizes.append(blocks[0].shape[0])
        return real(blocks, *args, **kwargs)

    monkeypatch.setattr(regroup, "self_join", spy)
    new = clustered(40, 20, 16, 8, 0.3)
    found = group_against(new, clustered(500, 10, 16, 9, 0.3), THRESHOLD, np.arange(40))
    assert sizes == [found.rest.size]
    assert found.rest.size < 40


def test_bad_sets_are_refused():
    with pytest.raises(UsageError, match="columns"):
        group_against(np.ones((2, 3)), np.ones((2, 4)), THRESHOLD, np.arange(2))
    with pytest.raises(UsageError, match="order"):
        group_against(np.ones((2, 3)), np.ones((2, 3)), THRESHOLD, np.zeros(2, np.int64))


def test_recall_of_a_cross_join_counts_what_is_lost():
    new, library = clustered(200, 60, 32, 10, 0.2), clustered(900, 60, 32, 11, 0.2)
    pairs = cross_join(new, library, THRESHOLD)
    whole = measure_recall(new, THRESHOLD, pairs, library=library)
    assert (whole.n_rows, whole.n_pairs, whole.value) == (200, pairs.left.size, 1.0)
    narrow = cross_join(new, library, THRESHOLD, margin=0.0)
    assert narrow.left.size <= pairs.left.size
    some = measure_recall(new, THRESHOLD, narrow, library=library)
    assert (some.n_pairs, some.n_found) == (pairs.left.size, narrow.left.size)
