"""Applied members: arrays and numpy, nothing else.

Every restored array is checked for shape, type and range before it is used, so that a crafted file
ends in an error and never in a crash, an endless loop or memory beyond the file's own size.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, Rows, Singles
from vta_cli.heads.protocol import Arrays

MAX_TEMPLATES = 100_000
"""More templates than any fitter makes."""


def take(
    arrays: Arrays, name: str, shape: tuple[int | None, ...], dtype: type[np.generic]
) -> NDArray[Any]:
    """Return a named array if its shape and type are the ones wanted and its values finite.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if name not in arrays:
        raise ValueError(f"array {name} is missing")
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(dtype):
        raise ValueError(f"array {name} is {array.dtype} {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"array {name} holds values that are not finite")
    return array


@dataclass(frozen=True)
class LinearPart:
    """Raw score ``unit @ coef + intercept``."""

    kind: ClassVar[str] = "linear"
    coef: Floats
    intercept: Floats

    @cached_property
    def _narrow(self) -> Singles:
        return self.coef.astype(np.float32)

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        products = np.einsum("ij,j->i", rows.unit, self._narrow)
        found: Floats = products.astype(np.float64) + self.intercept[0]
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {"coef": self.coef, "intercept": self.intercept}

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        return cls(
            take(arrays, "coef", (dim,), np.float64), take(arrays, "intercept", (1,), np.float64)
        )


@dataclass(frozen=True)
class RadialPart:
    """Raw score ``sum_i alpha_i * exp(-g_0 * |u - u_i|^2 - g_1 * |b - b_i|^2) + intercept``.

    u are the unit rows and b the bounded ones: the first distance knows how the backbone weighs its
    columns, the second lets every column have its say.

    Attributes
    ----------
    unit, bounded : ndarray of shape (m, dim), float32
        The templates, read both ways.
    alpha : ndarray of shape (m,), float64
    gamma : ndarray of shape (2,), float64
    intercept : ndarray of shape (1,), float64
    """

    kind: ClassVar[str] = "radial"
    unit: NDArray[np.float32]
    bounded: NDArray[np.float32]
    alpha: Floats
    gamma: Floats
    intercept: Floats

    @cached_property
    def _wide(self) -> tuple[Floats, Floats, Singles]:
        """Both readings, transposed and times twice their gamma, and what each template adds."""
        unit, bounded = self.unit.astype(np.float64), self.bounded.astype(np.float64)
        squares = self.gamma[0] * np.sum(unit * unit, axis=1)
        squares += self.gamma[1] * np.sum(bounded * bounded, axis=1)
        return (
            np.ascontiguousarray(unit.T * (2.0 * self.gamma[0])),
            np.ascontiguousarray(bounded.T * (2.0 * self.gamma[1])),
            squares.astype(np.float32),
        )

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        unit, bounded, squares = self._wide
        products = rows.wide_unit @ unit  # (n, m)
        own = self.gamma[0] * rows.unit_squares
        if self.gamma[1]:  # the bounded rows cost as much again
            products += rows.wide_bounded @ bounded
            own += self.gamma[1] * rows.bounded_squares
        exponents: Singles = products.astype(np.float32)
        exponents -= own.astype(np.float32)
        exponents -= squares
        np.minimum(exponents, 0.0, out=exponents)
        near = np.exp(exponents, out=exponents)
        found: Floats = near.astype(np.float64) @ self.alpha + self.intercept[0]
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {
            "unit": self.unit,
            "bounded": self.bounded,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "intercept": self.intercept,
        }

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        unit = take(arrays, "unit", (None, dim), np.float32)
        part = cls(
            unit,
            take(arrays, "bounded", unit.shape, np.float32),
            take(arrays, "alpha", (len(unit),), np.float64),
            take(arrays, "gamma", (2,), np.float64),
            take(arrays, "intercept", (1,), np.float64),
        )
        if not 0 < len(unit) <= MAX_TEMPLATES or part.gamma.min() < 0:
            raise ValueError("a radial part needs templates and widths")
        return part


@dataclass(frozen=True)
class NearestPart:
    """Share of positives among the nearest templates, as log-odds.

    Rows are projected onto principal axes of the bounded columns; each template is the mean of some
    labelled rows, with their number and their share of positives. The nearest `k` templates vote,
    with weight ``mass * exp(-gamma * (d^2 - d_nearest^2))``; `prior` votes a side keep the odds
    finite.

    Attributes
    ----------
    axes : ndarray of shape (dim, r), float32
    centre : ndarray of shape (r,), float64
        The mean row in the projected space.
    templates : ndarray of shape (m, r), float32
    positive, mass : ndarray of shape (m,), float64
        Weight of the positive rows, and of all rows, of each template.
    settings : ndarray of shape (3,), float64
        k, gamma, prior.
    """

    kind: ClassVar[str] = "nearest"
    axes: NDArray[np.float32]
    centre: Floats
    templates: NDArray[np.float32]
    positive: Floats
    mass: Floats
    settings: Floats

    @cached_property
    def _wide(self) -> tuple[Floats, Floats, Singles]:
        templates = self.templates.astype(np.float64)
        squares = np.sum(templates * templates, axis=1)
        return (
            self.axes.astype(np.float64),
            np.ascontiguousarray(templates.T * -2.0),
            squares.astype(np.float32),
        )

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        axes, templates, squares = self._wide
        projected = rows.wide_bounded @ axes - self.centre  # (n, r)
        distances: Singles = (projected @ templates).astype(np.float32)
        distances += squares  # the row's own square falls out of the votes
        return vote(distances, self.positive, self.mass, self.settings)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {
            "axes": self.axes,
            "centre": self.centre,
            "templates": self.templates,
            "positive": self.positive,
            "mass": self.mass,
            "settings": self.settings,
        }

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        axes = take(arrays, "axes", (dim, None), np.float32)
        templates = take(arrays, "templates", (None, axes.shape[1]), np.float32)
        part = cls(
            axes,
            take(arrays, "centre", (axes.shape[1],), np.float64),
            templates,
            take(arrays, "positive", (len(templates),), np.float64),
            take(arrays, "mass", (len(templates),), np.float64),
            take(arrays, "settings", (3,), np.float64),
        )
        k, gamma, prior = part.settings
        if not 0 < len(templates) <= MAX_TEMPLATES or not 1 <= k <= len(templates):
            raise ValueError("the number of neighbours does not fit the templates")
        if gamma < 0 or prior <= 0 or np.any(part.mass < part.positive) or np.any(part.mass <= 0):
            raise ValueError("the votes of the templates are out of range")
        return part


def vote(
    distances: NDArray[np.floating], positive: Floats, mass: Floats, settings: Floats
) -> Floats:
    """Return the log-odds of the votes of the nearest templates, shape (n,).

    Parameters
    ----------
    distances : ndarray of shape (n, m), float32 or float64
        Squared distances, up to a constant a row; overwritten. Infinite ones do not vote.
    positive, mass, settings
        As in `NearestPart`.
    """
    k, gamma, prior = int(settings[0]), float(settings[1]), float(settings[2])
    if k < distances.shape[1]:
        limit = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
        distances[distances > limit] = np.inf
    distances -= distances.min(axis=1, keepdims=True)
    distances *= -gamma
    votes = np.exp(distances, out=distances)
    wide = votes.astype(np.float64, copy=False)
    liked = wide @ positive
    disliked = wide @ (mass - positive)
    odds: Floats = np.log(liked + prior) - np.log(disliked + prior)
    return odds
