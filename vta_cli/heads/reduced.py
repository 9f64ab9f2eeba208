"""Rows in as few centred coordinates as lose nothing, for fits that are linear in them."""

from dataclasses import dataclass

import numpy as np

from vta_cli.heads.blocks import Floats
from vta_cli.heads.design import Design

SMALLEST = 1e-9
"""Eigenvalues below so much of the largest are rounding of float32."""


@dataclass(frozen=True)
class Reduced:
    """Centred rows in an orthogonal basis.

    Attributes
    ----------
    x : ndarray of shape (n, r), float64
    mean : ndarray of shape (dim,), float64
        What was taken off the rows; no label is involved.
    lift : ndarray of shape (dim, r) or None
        Weights on coordinates are ``lift @ weights`` on columns; None where both are the same.
    """

    x: Floats
    mean: Floats
    lift: Floats | None

    def on_columns(self, weight: Floats) -> Floats:
        """Return weights (k, r) on coordinates as weights (k, dim) on columns."""
        return weight if self.lift is None else np.asarray(weight @ self.lift.T)

    @property
    def unit(self) -> float:
        """Mean squared length of a row: what penalties are measured in."""
        return max(float(np.einsum("ij,ij->", self.x, self.x)) / max(len(self.x), 1), 1e-12)


def reduce(design: Design) -> Reduced:
    """Centre the rows of a design, and take them to the space that they span if it is smaller."""
    n, dim = design.unit.shape
    mean = design.unit.mean(axis=0, dtype=np.float64)
    centred = design.unit - mean
    if n >= dim or not design.small:
        return Reduced(centred, mean, None)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    keep = values > max(values[-1] * SMALLEST, 1e-18)
    if not keep.any():  # all rows are the same
        return Reduced(np.zeros((n, 1)), mean, np.zeros((dim, 1)))
    root = np.sqrt(values[keep])
    vectors = vectors[:, keep]
    return Reduced(vectors * root, mean, centred.T @ (vectors / root))
