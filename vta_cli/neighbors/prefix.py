"""Short stand-ins of long rows that never overstate a distance.

Rows are centred and rotated; a stand-in holds the first coordinates and, as one more coordinate,
the length of what was left out. Rotating keeps distances, leaving coordinates out shortens them,
and two leftovers differ by at least the difference of their lengths (triangle inequality). So two
rows closer than r have stand-ins closer than r: whatever is sorted out by stand-ins may go.
"""

from dataclasses import dataclass

import numpy as np

from vta_cli.neighbors.rows import Floats, Ids, RowSet, chunk_rows

_SAMPLE_ROWS = 8192
_OVERSAMPLE = 8
_POWER_STEPS = 3
"""Settings of the randomised range finder; any orthonormal basis is exact, a good one is faster."""

_TAIL_FLOOR = np.float32(0.05)
"""Lengths of leftovers are raised to this, which shortens distances once more.

A length near zero is the root of a difference of rounded squares and would be off by its own size;
above the floor the error of the square, about 1e-7, stays below 1e-6.
"""


@dataclass(frozen=True)
class Prefix:
    """A centre and an orthonormal basis, the directions of most variance first.

    Attributes
    ----------
    centre : ndarray of shape (dim,), float32
    basis : ndarray of shape (dim, n_axes), float32
    """

    centre: Floats
    basis: Floats

    @property
    def width(self) -> int:
        """Columns of a stand-in: the axes and the length of the leftover."""
        return int(self.basis.shape[1]) + 1

    def project(self, rows: RowSet, ids: Ids, out: Floats) -> None:
        """Write the stand-ins of rows `ids` into `out`, shape (len(ids), width), float32."""
        step = chunk_rows(rows.dim)
        whole = ids.shape[0] == rows.n  # then slices are read, not gathered
        for start in range(0, ids.shape[0], step):
            here = slice(start, min(ids.shape[0], start + step))
            unit = rows.unit(here if whole else ids[here])
            unit -= self.centre
            axes = np.matmul(unit, self.basis, out=out[here, :-1])
            squares = np.einsum("ij,ij->i", unit, unit)
            squares -= np.einsum("ij,ij->i", axes, axes)
            np.maximum(squares, _TAIL_FLOOR**2, out=squares)
            np.sqrt(squares, out=out[here, -1])


def fit_prefix(sources: list[tuple[RowSet, Ids]], n_axes: int, seed: int) -> Prefix:
    """Find the leading directions of a sample by randomised subspace iteration.

    Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), algorithm 4.4.

    Parameters
    ----------
    sources : list of (RowSet, ids)
        Where the sample is drawn from, each in proportion to its size.
    n_axes : int
        Wanted axes; no more than there are columns are given.
    """
    rng = np.random.default_rng(seed)
    total = sum(ids.shape[0] for _, ids in sources)
    parts = []
    for rows, ids in sources:
        n_wanted = -(-_SAMPLE_ROWS * ids.shape[0] // max(1, total))
        chosen = np.sort(rng.choice(ids, min(ids.shape[0], n_wanted), replace=False))
        parts.append(rows.unit(chosen))
    sample = np.concatenate(parts)
    centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    sample -= centre
    dim = sample.shape[1]
    n_axes = min(n_axes, dim)
    start = rng.standard_normal((dim, min(dim, n_axes + _OVERSAMPLE)))
    basis, _ = np.linalg.qr(start)
    for _ in range(_POWER_STEPS):
        image = sample.T @ (sample @ basis.astype(np.float32))
        basis, _ = np.linalg.qr(image.astype(np.float64))
    # Turn the basis inside its own span so that the axes come in the order of their variance.
    inner = (sample @ basis.astype(np.float32)).astype(np.float64)
    _, turn = np.linalg.eigh(inner.T @ inner)
    ordered = basis @ turn[:, ::-1]
    return Prefix(centre, np.ascontiguousarray(ordered[:, :n_axes], np.float32))
