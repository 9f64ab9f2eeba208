"""How much the label of one image would tell about all the others, before it is known.

A linear head with a penalty is the mean of a Gaussian process whose covariance is the product of
rows; what it does not know yet is that process' variance, which depends on where labels are but
not on what they say. The image worth most is the one that lowers the mean variance over the pool
most: V-optimality, or transductive experimental design (Yu, Bi and Tresp, 2006, "Active learning
via transductive experimental design"). Other than a distance or an uncertainty it asks for no
outlier: nothing that resembles few images can lower the variance of many.

How noisy a label is, the head has found out: its penalty is that variance, if it is taken for the
mean of the process. On a hard set it is large, and then more labels are wanted where many images
lie, instead of each in a place of its own. The head also weighs both sides alike, so a label of
the rarer side says more, and an image is worth the more, the likelier it is to be one.
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
LEAST, MOST = 0.3, 1.0
"""Limits of the variance of a label's noise, in units of the mean variance of the pool before any
label. In `benchmarks/labelling_simulation.py` the least served best where the head finds small
penalties (portraits, dogs), the most where it finds large ones (quality). From few labels it finds
anything; the limits keep that from mattering."""
RAREST = 0.05
"""A side is not weighed as if it had less than this share of the labels."""
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
    unit : float
        Mean variance of the pool before any label.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    moments: NDArray[np.float32]
    unit: float

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
    noise : float
        Variance of a label of weight 1.
    weights : ndarray of shape (2,), float32
        What the head weighs a negative and a positive label.
    """

    ground: Ground
    unknown: NDArray[np.float32]
    shared: NDArray[np.float32]
    known: Ints
    noise: float
    weights: NDArray[np.float32]


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
        return Ground(mean, axes, rows.T @ rows / len(sample), unit)


def make_design(
    ground: Ground,
    labelled: NDArray[np.float32],
    known: Ints,
    targets: NDArray[np.int8],
    penalty: float = LEAST,
) -> Design:
    """Count what labels leave unknown.

    Parameters
    ----------
    labelled : ndarray of shape (k, dim), float32
        Images whose labels are known; k may be 0.
    known : ndarray of shape (k,), int64
        Their rows in the pool.
    targets : ndarray of shape (k,), int8
        1 positive, 0 negative; only how many there are of each matters.
    penalty : float
        Of the head that was fitted on them, in units of the mean variance; it is brought between
        `LEAST` and `MOST`. NaN, where the labels are too few to choose one, counts as `LEAST`.
    """
    noise = ground.unit * (min(max(penalty, LEAST), MOST) if np.isfinite(penalty) else LEAST)
    share = min(max(float(np.mean(targets)), RAREST), 1.0 - RAREST) if len(targets) else 0.5
    weights = np.array([0.5 / (1.0 - share), 0.5 / share], dtype=np.float32)
    with threadpool_limits(1):
        rows, off = ground.project(labelled)
        scaled = rows * np.sqrt(weights[targets] / (off + np.float32(noise)))[:, None]
        unknown = np.linalg.inv(np.eye(rows.shape[1], dtype=np.float32) + scaled.T @ scaled)
        return Design(ground, unknown, unknown @ ground.moments @ unknown, known, noise, weights)


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
    chances : ndarray of shape (c,), float64
        The head's probability that each is a positive.
    told : ndarray of shape (j, dim), float32
        Images that were labelled, or asked about, since the design was made.
    """

    def __init__(
        self,
        design: Design,
        rows: NDArray[np.float32],
        chances: Floats,
        told: NDArray[np.float32],
    ) -> None:
        self._rows, off = design.ground.project(rows)
        self._unknown, self._form = design.unknown, design.shared
        self._spread, self._shared = self._rows @ design.unknown, self._rows @ design.shared
        weights = design.weights[0] * (1.0 - chances) + design.weights[1] * chances
        self._noise = (off + design.noise) / weights
        self._known, known_off = design.ground.project(told)
        self._known_noise = known_off + design.noise

    def gains(self) -> Floats:
        """Return by how much each label would lower the mean variance of the pool, shape (c,).

        For a candidate x with posterior covariances k(x, .) that is the mean over the pool of
        ``k(x, r)^2 / (k(x, x) + noise / weight)``, with the weight that its label is expected to
        have. The images told since are taken into account exactly.
        """
        variance = np.einsum("ij,ij->i", self._spread, self._rows)
        shared = np.einsum("ij,ij->i", self._shared, self._rows)
        if len(self._known):
            known = self._known
            across = known @ self._unknown  # (j, n_axes)
            own = across @ known.T + np.diag(self._known_noise)
            part = np.linalg.solve(own, across @ self._rows.T).T  # (c, j)
            variance -= np.einsum("ij,ij->i", part, self._spread @ known.T)
            shared -= 2.0 * np.einsum("ij,ij->i", part, self._shared @ known.T)
            shared += np.einsum("ij,ij->i", part @ (known @ self._form @ known.T), part)
        rest = np.maximum(variance, 0.0) + self._noise
        found: Floats = np.maximum(shared, 0.0) / rest
        return found

    def promise(self, at: int) -> None:
        """Take the label of a candidate for granted from here on."""
        self._known = np.concatenate([self._known, self._rows[at : at + 1]])
        self._known_noise = np.append(self._known_noise, self._noise[at])
