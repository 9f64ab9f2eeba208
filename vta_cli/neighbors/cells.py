"""Cells of nearby stand-ins, and which rows have to look into which cells.

Two points at most r apart in different cells A and B: the line between them crosses the bisector
of the two centres, so one of them lies within r/2 of it. If every row looks into each cell whose
bisector with its own is at most r/2 away, each close pair is met from one side at least. This holds
for any assignment of rows to centres, so neither few iterations nor rounding can lose a pair.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vta_cli.neighbors.rows import Floats, Ids
from vta_cli.neighbors.threads import Crew, alone

_ITERATIONS = 4
_SAMPLE_PER_CELL = 20
_BLOCK_ROWS = 2048

_GAP_SLACK = np.float32(1e-5)
"""Added to squared gaps: one too small by rounding loses pairs, one too large costs time."""


@dataclass(frozen=True)
class Cells:
    """Centres of cells.

    Attributes
    ----------
    centres : ndarray of shape (n_cells, width), float32
    offsets : ndarray of shape (n_cells,), float32
        Half the squared lengths of the centres: ``x . c - offset`` is largest for the nearest.
    gaps : ndarray of shape (n_cells, n_cells), float32
        Distances between the centres.
    """

    centres: Floats
    offsets: Floats
    gaps: Floats

    @property
    def n(self) -> int:
        """Number of cells."""
        return int(self.centres.shape[0])

    def assign(self, points: Floats, workers: Crew = alone) -> tuple[NDArray[np.int32], Floats]:
        """Return the nearest cell of each point and the nearness to it."""
        home = np.empty(points.shape[0], np.int32)
        best = np.empty(points.shape[0], np.float32)

        def block(start: int) -> None:
            here = slice(start, start + _BLOCK_ROWS)
            near = points[here] @ self.centres.T  # (rows, n_cells)
            near -= self.offsets
            home[here] = near.argmax(axis=1)
            best[here] = near[np.arange(near.shape[0]), home[here]]

        deque(workers(block, range(0, points.shape[0], _BLOCK_ROWS)), maxlen=0)
        return home, best

    def visits(
        self,
        points: Floats,
        home: NDArray[np.int32],
        best: Floats,
        *,
        which: slice,
        margin: float,
        slack: float,
        workers: Crew = alone,
    ) -> NDArray[np.bool_]:
        """Tell which points look into the cells of `which`; their own cell does not count.

        Parameters
        ----------
        points : ndarray of shape (n, width), float32
        home, best : ndarray of shape (n,)
            From `assign`.
        margin : float
            Largest distance to the bisector.
        slack : float
            Added to the half difference of squared distances, for rounding.

        Returns
        -------
        ndarray of shape (n_cells of `which`, n), bool
            One row a cell, as its visitors are read out cell by cell.
        """
        centres, offsets = self.centres[which], self.offsets[which]
        reach = self.gaps[which] * np.float32(margin) + np.float32(slack)  # (n_which, n_cells)
        out = np.empty((centres.shape[0], points.shape[0]), bool)
        reach -= offsets[:, None]

        def block(start: int) -> None:
            here = slice(start, start + _BLOCK_ROWS)
            near = centres @ points[here].T  # (n_which, rows)
            # Sorted by cell, rows come in runs of one home; unsorted, in runs of one row.
            at = home[here]
            begins = np.flatnonzero(np.append(True, at[1:] != at[:-1]))
            near += np.repeat(reach[:, at[begins]], np.diff(begins, append=at.shape[0]), axis=1)
            np.greater_equal(near, best[here], out=out[:, here])

        deque(workers(block, range(0, points.shape[0], _BLOCK_ROWS)), maxlen=0)
        first = which.start or 0
        inside = np.flatnonzero((home >= first) & (home < first + centres.shape[0]))
        out[home[inside] - first, inside] = False
        return out


def make_cells(points: Floats, n_cells: int, seed: int, workers: Crew = alone) -> Cells:
    """Lloyd's k-means on a sample of `points`, from randomly chosen rows; empty cells are dropped.

    Parameters
    ----------
    points : ndarray of shape (n, width), float32
    """
    rng = np.random.default_rng(seed)
    n_sample = min(points.shape[0], _SAMPLE_PER_CELL * n_cells)
    sample = points[np.sort(rng.choice(points.shape[0], n_sample, replace=False))]
    n_cells = min(n_cells, n_sample)
    cells = _cells(sample[rng.choice(n_sample, n_cells, replace=False)])
    for _ in range(_ITERATIONS):
        home, _ = cells.assign(sample, workers)
        order = np.argsort(home, kind="stable")
        counts = np.bincount(home, minlength=cells.n)
        filled = counts > 0
        starts = (np.cumsum(counts) - counts)[filled]
        sums = np.add.reduceat(sample[order], starts, axis=0, dtype=np.float64)
        cells = _cells((sums / counts[filled, None]).astype(np.float32))
    return cells


def _cells(centres: Floats) -> Cells:
    offsets = np.einsum("ij,ij->i", centres, centres) / np.float32(2)
    squares = offsets[:, None] + offsets[None, :] - centres @ centres.T
    gaps = np.sqrt(np.maximum(2 * squares, 0) + _GAP_SLACK)
    return Cells(centres, offsets, gaps)


def by_cell(home: NDArray[np.int32], n_cells: int) -> tuple[Ids, Ids]:
    """Return the order that sorts rows by cell (stable), and the bounds of each cell in it.

    Returns
    -------
    order : ndarray of shape (n,), int64
    bounds : ndarray of shape (n_cells + 1,), int64
    """
    order = np.argsort(home, kind="stable")
    bounds = np.zeros(n_cells + 1, np.int64)
    np.cumsum(np.bincount(home, minlength=n_cells), out=bounds[1:])
    return order, bounds
