"""How much the label of one image would tell about all the others, before it is known.

A linear head with a penalty is the mean of a Gaussian process whose covariance is the product of
rows; what it does not know yet is that process' variance, which depends on where labels are but
not on what they say. The image worth most is the one that lowers the mean variance over the pool
most: V-optimality, or transductive experimental design (Yu, Bi and Tresp, 2006, "Active learning
via transductive experimental design"). Other than a distance or an uncertainty it asks for no
outlier: nothing that resembles few images can lower the variance of many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

N_AXES = 256
"""Principal axes of the pool on which variances are counted."""
N_REFERENCE = 768
"""Images that stand for the pool."""
PENALTY = 0.3
"""Variance of a label's noise, in units of the mean variance of the pool before any label."""
TINY = 1e-12


@dataclass(frozen=True)
class Ground:
    """A sample of the pool on its principal axes; the same for all fits of a pool.

    Attributes
    ----------
    mean : ndarray of shape (dim,), float32
    axes : ndarray of shape (dim, n_axes), float32
        Orthonormal columns.
    moments : ndarray of shape (n_axes, n_axes), float32
        Second moments of the sample on the axes.
    noise : float
        Variance of a label.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    moments: NDArray[np.float32]
    noise: float

    def project(self, rows: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Return rows on the axes (n, n_axes), and the variance of each off them (n,).

        What a label says about the part of its image off the axes is noise to the pool.
        """
        centred = rows - self.mean
        found = centred @ self.axes
        off = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", found, found)
        return found, np.maximum(off, 0.0)


@dataclass(frozen=True)
class Design:
    """What a set of labels leaves unknown about a pool.

    Attributes
    ----------
    ground : Ground
    unknown : ndarray of shape (n_axes, n_axes), float32
        Covariance of the head's coefficients, given the labels.
    shared : ndarray of shape (n_axes, n_axes), float32
        ``unknown @ moments @ unknown``: as a form of a row, the square of its covariance with an
        image of the pool, in the mean over the pool.
    known : ndarray of shape (k,), int64
        Rows of the pool whose labels were counted.
    """

    ground: Ground
    unknown: NDArray[np.float32]
    shared: NDArray[np.float32]
    known: Ints


def make_ground(sample: NDArray[np.float32]) -> Ground | None:
    """Find the axes of a pool.

    Parameters
    ----------
    sample : ndarray of shape (m, dim), float32
        Images that stand for the pool; more than `N_REFERENCE` are not needed.

    Returns
    -------
    Ground or None
        None where there is no image, or all are alike: then none tells more than another.
    """
    if not sample.size:
        return None
    with threadpool_limits(1):
        mean = sample.mean(axis=0)
        centred = sample - mean
        unit = float(np.einsum("ij,ij->", centred, centred)) / len(sample)
        if not unit > TINY:
            return None
        axes = _axes(centred)
        rows = centred @ axes
        return Ground(mean, axes, rows.T @ rows / len(sample), PENALTY * unit)


def make_design(ground: Ground, labelled: NDArray[np.float32], known: Ints) -> Design:
    """Count what labels leave unknown.

    Parameters
    ----------
    labelled : ndarray of shape (k, dim), float32
        Images whose labels are known; k may be 0.
    known : ndarray of shape (k,), int64
        Their rows in the pool.
    """
    with threadpool_limits(1):
        rows, off = ground.project(labelled)
        scaled = rows / np.sqrt(off + ground.noise)[:, None]
        unknown = np.linalg.inv(np.eye(rows.shape[1], dtype=np.float32) + scaled.T @ scaled)
        return Design(ground, unknown, unknown @ ground.moments @ unknown, known)


def _axes(centred: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the leading principal axes, from the smaller of the two products."""
    if centred.shape[0] >= centred.shape[1]:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return np.ascontiguousarray(vectors[:, -N_AXES:])
    values, vectors = np.linalg.eigh(centred @ centred.T)
    keep = np.flatnonzero(values > values[-1] * 1e-6)[-N_AXES:]
    axes: NDArray[np.float32] = centred.T @ (vectors[:, keep] / np.sqrt(values[keep]))
    return axes


class Telling:
    """How much each of some candidates tells, while more labels are promised one by one.

    Parameters
    ----------
    rows : ndarray of shape (c, dim), float32
        The candidates.
    told : ndarray of shape (j, dim), float32
        Images that were labelled, or asked about, since the design was made.
    """

    def __init__(
        self, design: Design, rows: NDArray[np.float32], told: NDArray[np.float32]
    ) -> None:
        self._rows, self._off = design.ground.project(rows)
        self._unknown, self._noise = design.unknown, design.ground.noise
        self._spread, self._shared = self._rows @ design.unknown, self._rows @ design.shared
        self._known, self._known_off = design.ground.project(told)
        self._form = design.shared

    def gains(self) -> Floats:
        """Return by how much each label would lower the mean variance of the pool, shape (c,).

        For a candidate x with posterior covariances k(x, .) that is the mean over the pool of
        ``k(x, r)^2 / (k(x, x) + noise)``. The images told since are taken into account exactly.
        """
        variance = np.einsum("ij,ij->i", self._spread, self._rows)
        shared = np.einsum("ij,ij->i", self._shared, self._rows)
        if len(self._known):
            known = self._known
            across = known @ self._unknown  # (j, n_axes)
            own = across @ known.T + np.diag(self._known_off + self._noise)
            part = np.linalg.solve(own, across @ self._rows.T).T  # (c, j)
            variance -= np.einsum("ij,ij->i", part, self._spread @ known.T)
            shared -= 2.0 * np.einsum("ij,ij->i", part, self._shared @ known.T)
            shared += np.einsum("ij,ij->i", part @ (known @ self._form @ known.T), part)
        rest = np.maximum(variance, 0.0) + self._off + self._noise
        found: Floats = np.maximum(shared, 0.0) / rest
        return found

    def promise(self, at: int) -> None:
        """Take the label of a candidate for granted from here on."""
        self._known = np.concatenate([self._known, self._rows[at : at + 1]])
        self._known_off = np.append(self._known_off, self._off[at])
