"""Groups: nobody is dropped for a row that it is not close to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.neighbors.groups import ALONE, groups
from vta_cli.neighbors.join import Pairs, self_join
from vta_cli.neighbors.regroup import group_rows


def make_pairs(n, triples, same=None):
    triples = sorted(triples)
    same = np.arange(n) if same is None else np.asarray(same)
    return Pairs(
        np.array([a for a, _, _ in triples], np.int64),
        np.array([b for _, b, _ in triples], np.int64),
        np.array([s for _, _, s in triples], np.float32),
        same,
        same,
    )


def plainly(n, close, order):
    """Say which rows are kept, by the rule in its shortest words."""
    kept = []
    for row in order:
        if not any(close[row, other] for other in kept):
            kept.append(row)
    return set(kept)


@st.composite
def similarity_matrices(draw):
    n = draw(st.integers(0, 14))
    values = draw(st.lists(st.sampled_from([0.0, 0.9, 0.95, 0.99]), min_size=n * n, max_size=n * n))
    matrix = np.triu(np.array(values, np.float32).reshape(n, n), 1)
    return matrix + matrix.T, np.array(draw(st.permutations(range(n))), np.int64)


@given(similarity_matrices())
def test_the_rule_holds_for_any_pairs_and_order(drawn):
    matrix, order = drawn
    n = order.shape[0]
    triples = [(i, j, matrix[i, j]) for i in range(n) for j in range(i + 1, n) if matrix[i, j]]

    result = groups(n, make_pairs(n, triples), order)

    kept = plainly(n, matrix > 0, order.tolist())
    assert set(result.surplus.tolist()) == set(range(n)) - kept
    for row in range(n):
        if result.group[row] == ALONE:
            assert not result.keeper[row]
            assert np.isnan(result.similarity[row])
            continue
        members = np.flatnonzero(result.group == result.group[row])
        (keeper,) = members[result.keeper[members]]
        assert members.size > 1
        assert keeper in kept
        if row == keeper:
            assert result.similarity[row] == 1
        else:
            nearest = max(matrix[row, other] for other in kept)
            assert result.similarity[row] == matrix[row, keeper] == nearest > 0
    ranks = np.argsort(order)[np.flatnonzero(result.keeper)]
    numbers = result.group[result.keeper]
    assert numbers[np.argsort(ranks)].tolist() == list(range(result.n_groups))


def test_a_chain_does_not_make_a_group():
    pairs = make_pairs(3, [(0, 1, 0.97), (1, 2, 0.98)])

    ends_first = groups(3, pairs, np.array([0, 2, 1]))
    middle_first = groups(3, pairs, np.array([1, 0, 2]))

    assert ends_first.group.tolist() == [ALONE, 0, 0]  # 1 is nearer to 2; 0 stays by itself
    assert ends_first.surplus.tolist() == [1]
    assert middle_first.group.tolist() == [0, 0, 0]
    assert middle_first.surplus.tolist() == [0, 2]


def test_equal_rows_keep_the_best_of_them_and_bring_their_neighbours():
    pairs = make_pairs(5, [(0, 3, 0.97)], same=[0, 0, 0, 3, 4])

    result = groups(5, pairs, np.array([2, 3, 1, 0, 4]))

    assert result.group.tolist() == [0, 0, 0, 0, ALONE]
    assert np.flatnonzero(result.keeper).tolist() == [2]
    np.testing.assert_allclose(result.similarity[:4], [1, 1, 1, 0.97])


def test_equal_rows_that_lose_all_lose_to_the_same_keeper():
    pairs = make_pairs(4, [(1, 3, 0.98)], same=[0, 1, 1, 3])

    result = groups(4, pairs, np.array([3, 2, 1, 0]))

    assert result.group.tolist() == [ALONE, 0, 0, 0]
    assert result.surplus.tolist() == [1, 2]
    np.testing.assert_allclose(result.similarity[1:3], 0.98)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1]])
def test_an_order_that_is_none_is_misuse(order):
    with pytest.raises(UsageError, match="order"):
        groups(3, make_pairs(3, []), np.array(order))


def test_pairs_of_other_rows_are_misuse():
    with pytest.raises(UsageError, match="pairs of 3 rows"):
        groups(4, make_pairs(3, []), np.arange(4))


def assert_same_groups(a, b):
    np.testing.assert_array_equal(a.group, b.group)
    np.testing.assert_array_equal(a.keeper, b.keeper)
    np.testing.assert_allclose(a.similarity, b.similarity, atol=2e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20), n=st.integers(0, 250), n_scenes=st.integers(1, 5))
def test_grouping_in_pieces_gives_the_groups_of_the_whole_join(seed, n, n_scenes):
    rng = np.random.default_rng(seed)
    scenes = rng.standard_normal((n_scenes, 12))
    rows = scenes[rng.integers(0, n_scenes, n)] + 0.2 * rng.standard_normal((n, 12))
    rows = rows.astype(np.float16)
    if n > 10:
        rows[:3] = rows[3:6]
        rows[6] = 0
    order = rng.permutation(n)
    whole = groups(n, self_join(rows, 0.97), order)

    assert_same_groups(group_rows(rows, 0.97, order), whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vta_cli.neighbors.regroup._FIRST_PIECE", 16)
        patch.setattr("vta_cli.neighbors.regroup._SMALLEST_PIECE", 4)
        patch.setattr("vta_cli.neighbors.join._BYTES_PER_PAIR", 1 << 20)
        tight = 30 * n << 20  # thirty pairs a row
        assert_same_groups(group_rows(rows, 0.97, order, memory_bytes=tight), whole)


def test_thousands_of_alike_rows_are_grouped_in_little_memory():
    rng = np.random.default_rng(9)
    rows = 1 + 0.02 * rng.standard_normal((6000, 16))
    rows[5990:] = rng.standard_normal((10, 16))
    rows[5995:] = rows[5990:5995]
    order = rng.permutation(6000)

    result = group_rows([rows.astype(np.float16)], 0.99, order, memory_bytes=8 << 20)

    assert result.n_groups == 6
    assert result.surplus.size == 5989 + 5
    assert result.keeper[order[0]] or order[0] >= 5990
