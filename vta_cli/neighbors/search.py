"""The nearest rows of a few queries, exactly."""

from collections.abc import Sequence

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.neighbors.rows import (
    Floats,
    Ids,
    RowSet,
    RowSource,
    check_same_spaces,
    chunk_rows,
    read_rows,
)

_QUERIES = 256


def top_k(
    queries: RowSource | Sequence[RowSource], rows: RowSource | Sequence[RowSource], k: int
) -> tuple[Ids, Floats]:
    """Find the k most similar rows of each query by mean cosine over the blocks.

    Rows are read in pieces, so memory does not grow with their number.

    Parameters
    ----------
    queries : RowSource or sequence of RowSource
        Shape (n_queries, dim), one set of vectors a space.
    rows : RowSource or sequence of RowSource
        Shape (n, dim), of the same spaces in the same order.
    k : int
        At least 1.

    Returns
    -------
    indices : ndarray of shape (n_queries, min(k, n)), int64
        Most similar first; of equally similar rows the first comes first.
    similarities : ndarray of the same shape, float32
        In -1..1, float32 accuracy. A row or query of zeros counts as -1.

    Raises
    ------
    UsageError
        ``bad-count`` for k below 1; ``bad-block``, ``no-blocks`` as in `self_join`.
    VtaError
        ``not-finite`` for NaN or infinities.
    """
    if k < 1:
        raise UsageError("bad-count", f"{k} neighbours were asked for", hint="ask for 1 or more")
    asked, known = read_rows(queries, collapse=False), read_rows(rows, collapse=False)
    check_same_spaces(asked, known)
    k = min(k, known.n)
    indices = np.empty((asked.n, k), np.int64)
    similarities = np.empty((asked.n, k), np.float32)
    for start in range(0, asked.n, _QUERIES):
        here = slice(start, min(asked.n, start + _QUERIES))
        indices[here], similarities[here] = _nearest(asked.unit(here), known, k)
    return indices, similarities


def _nearest(asked: Floats, known: RowSet, k: int) -> tuple[Ids, Floats]:
    """Keep the best k of each query while the rows go by."""
    n_queries = asked.shape[0]
    best = np.full((n_queries, k), -np.inf, np.float32)
    where = np.full((n_queries, k), known.n, np.int64)
    blank = ~asked.any(axis=1)
    step = max(k, chunk_rows(max(known.dim, n_queries)))
    for start in range(0, known.n, step):
        here = slice(start, min(known.n, start + step))
        scores = asked @ known.unit(here).T  # (n_queries, rows)
        np.clip(scores, -1, 1, out=scores)
        scores[blank] = -1
        scores[:, ~known.scales[:, here].any(axis=0)] = -1
        # Of equal scores the earlier row stays, so only greater ones come in.
        query, column = np.nonzero(scores > best[:, -1:])
        query = np.concatenate([query, np.repeat(np.arange(n_queries), k)])
        found = np.concatenate([scores[scores > best[:, -1:]], best.ravel()])
        rows = np.concatenate([column + start, where.ravel()])
        order = np.lexsort((rows, -found, query))
        begins = np.searchsorted(query[order], np.arange(n_queries))
        taken = order[begins[:, None] + np.arange(k)]
        best, where = found[taken], rows[taken]
    return where, best
