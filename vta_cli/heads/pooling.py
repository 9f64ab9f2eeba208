"""Late pooling: a head is applied to each view of an image, then the answers become one."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.blocks import Block, Floats
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.saved import Head
from vta_cli.heads.viewed import view_rows
from vta_cli.records import Promise

Pool = Literal["mean", "median", "max", "min"]
POOLS: tuple[Pool, ...] = get_args(Pool)

_WAYS: dict[Pool, Callable[..., Any]] = {
    "mean": np.mean,
    "median": np.median,
    "max": np.max,
    "min": np.min,
}


def check_pool(name: str) -> Pool:
    """Return the way of pooling of that name.

    Raises
    ------
    UsageError
        ``unknown-pool``.
    """
    for known in POOLS:
        if name == known:
            return known
    raise UsageError(
        "unknown-pool", f"there is no pooling {name!r}", hint=f"use {', '.join(POOLS)}"
    )


def pooled(values: Floats, pool: Pool) -> Floats:
    """Make one of the views' answers.

    Parameters
    ----------
    values : ndarray of shape (n, n_views), float64
    pool : {"mean", "median", "max", "min"}

    Returns
    -------
    ndarray of shape (n,), float64
        NaN where one of the views has no answer.
    """
    found: Floats = _WAYS[pool](values, axis=1)
    return found


class Pooled:
    """A head that reads several vectors an image; else just as the head that it holds.

    Parameters
    ----------
    head : Head
    pool : {"mean", "median", "max", "min"}
    """

    def __init__(self, head: Head, pool: Pool = "mean") -> None:
        self.head, self.pool = head, pool
        self.recipes, self.meta = head.recipes, head.meta
        self.dims, self.normalise = head.dims, head.normalise

    @property
    def promise(self) -> Promise:
        """What the score means: what that of a single view means."""
        return self.head.promise

    def with_meta(self, *, recipes: Sequence[dict[str, Any]] | None = None, **meta: Any) -> Self:
        """Return the same head with other recipes or more metadata."""
        return type(self)(self.head.with_meta(recipes=recipes, **meta), self.pool)

    def with_chosen(self, chosen: Sequence[int]) -> Self:
        """Return the same head with a score that speaks of other classes or tags.

        Raises
        ------
        HeadError
            ``bad-layers`` if the head has no such classes.
        """
        if not isinstance(self.head, LayeredHead):
            raise HeadError("bad-layers", "the head knows no classes")
        return type(self)(self.head.with_chosen(chosen), self.pool)

    def score(self, blocks: Sequence[Block]) -> Floats:
        """Return the score of each image; see `answer`."""
        return self.answer(blocks)[0]

    def answer(self, blocks: Sequence[Block]) -> tuple[Floats, dict[str, Floats]]:
        """Return the score of each image, and what always stands beside it.

        Of classes and tags each probability is pooled by itself, as CityClassifiers does: with
        ``max`` several may be high at once. Of a distribution each bin is pooled and all are
        divided by their sum; mean and standard deviation are taken from these.

        Parameters
        ----------
        blocks : sequence of ndarray of shape (n, n_views, dim_i) or (n, dim_i)
            Raw vectors, one block a space; a single vector stands for all views.

        Raises
        ------
        HeadError
            ``wrong-vectors`` if the blocks do not have the head's widths, or differ in their views.
        """
        rows, n_views = view_rows([block[:] for block in blocks])
        promise = self.promise
        if promise.kind == "distribution":
            bins = self._bins(rows, n_views)
            values = np.array(promise.values)
            mean = np.sum(bins * values, axis=1)
            variance = np.sum(bins * np.square(values - mean[:, None]), axis=1)
            return mean, {"sd": np.sqrt(variance)}
        score, beside = self.head.answer(rows)
        each = {name: self._pool(values, n_views) for name, values in beside.items()}
        if promise.kind in ("classes", "tags"):
            chosen = [each[promise.names[at]] for at in promise.chosen]
            return np.max(np.stack(chosen), axis=0), each
        return self._pool(score, n_views), each

    def members(self, blocks: Sequence[Block]) -> dict[str, Floats]:
        """Return what the score was made of, pooled likewise: members, or bins."""
        rows, n_views = view_rows([block[:] for block in blocks])
        if self.promise.kind == "distribution":
            bins = self._bins(rows, n_views)
            return {f"bin.{at}": bins[:, at - 1] for at in range(1, bins.shape[1] + 1)}
        found = self.head.members(rows)
        return {name: self._pool(values, n_views) for name, values in found.items()}

    def save(self, path: Any) -> None:
        """Write the head; how it is pooled is not part of it."""
        self.head.save(path)

    def _pool(self, values: Floats, n_views: int) -> Floats:
        return pooled(values.reshape(-1, n_views), self.pool)

    def _bins(self, rows: Sequence[Block], n_views: int) -> Floats:
        """Return the pooled share of each bin, shape (n, n_bins)."""
        found = self.head.members(rows)
        shares = [found[f"bin.{at}"] for at in range(1, len(self.promise.values) + 1)]
        bins = np.stack([self._pool(share, n_views) for share in shares], axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(bins / bins.sum(axis=1, keepdims=True))
