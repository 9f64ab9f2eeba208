"""The nearest rows are those that brute force finds, in its order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError, VtaError
from vta_cli.neighbors import search
from vta_cli.neighbors.search import top_k


def unit(rows):
    norms = np.linalg.norm(rows.astype(float), axis=1)
    return rows / np.where(norms > 0, norms, np.inf)[:, None]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(1, 200),
    n_queries=st.integers(0, 12),
    k=st.integers(1, 20),
    piece=st.integers(1, 50),
)
def test_the_nearest_are_found_whatever_the_pieces(seed, n, n_queries, k, piece):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(-2, 3, (n, dim)).astype(np.float16) for dim in (3, 5)]
    queries = [rng.integers(-2, 3, (n_queries, dim)).astype(np.float32) for dim in (3, 5)]
    expected = np.zeros((n_queries, n))
    blank_row, blank_query = np.ones(n, bool), np.ones(n_queries, bool)
    for q, r in zip(queries, rows, strict=True):
        blank_row &= ~r.any(axis=1)
        blank_query &= ~q.any(axis=1)
        expected += unit(q) @ unit(r).T / 2
    expected[:, blank_row] = -1
    expected[blank_query] = -1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "chunk_rows", lambda _: piece)
        indices, similarities = top_k(queries, rows, k)

    assert indices.shape == (n_queries, min(k, n))
    for row, found, closeness in zip(expected, indices, similarities, strict=True):
        assert len(set(found.tolist())) == found.size
        np.testing.assert_allclose(closeness, row[found], atol=1e-6)
        np.testing.assert_allclose(closeness, np.sort(row)[::-1][: found.size], atol=1e-6)


def test_of_equally_similar_rows_the_first_come_first():
    rows = np.array([[0, 1], [2, 0], [1, 0], [3, 0], [0, 0], [-1, 0]], np.float32)

    indices, similarities = top_k(np.array([[5.0, 0.0]], np.float32), rows, 10)

    assert indices[0].tolist() == [1, 2, 3, 0, 4, 5]
    assert similarities[0].tolist() == [1, 1, 1, 0, -1, -1]


def test_misuse_is_named():
    rows = np.ones((3, 2), np.float32)
    with pytest.raises(UsageError, match="0 neighbours"):
        top_k(rows, rows, 0)
    with pytest.raises(UsageError, match="columns"):
        top_k(np.ones((1, 3), np.float32), rows, 1)
    with pytest.raises(VtaError, match="row 0"):
        top_k(np.full((1, 2), np.nan, np.float32), rows, 1)


def test_no_rows_give_no_neighbours():
    indices, similarities = top_k(np.ones((2, 3), np.float32), np.empty((0, 3), np.float32), 5)

    assert indices.shape == similarities.shape == (2, 0)
