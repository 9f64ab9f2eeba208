"""Applied members: arrays and numpy, nothing else.

Every restored array is checked for shape, type and range before it is used, so that a crafted file
ends in an error and never in a crash, an endless loop or memory beyond the file's own size.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import MARGIN_ROWS, Floats, Rows
from vta_cli.heads.dots import Singles, row_dots
from vta_cli.heads.products import Templates
from vta_cli.heads.protocol import Arrays

MILD = 20.0
"""A distance squared, times its gamma, up to which its exponential is far from any limit."""
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
    def narrow(self) -> Singles:
        """The weights as rows are multiplied by them."""
        return self.coef.astype(np.float32)

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        found: Floats = row_dots(rows.unit, self.narrow).astype(np.float64) + self.intercept[0]
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
    def _scaled(self) -> tuple[Templates, Templates]:
        """Both readings times twice their gamma."""
        return (
            Templates(self.unit.astype(np.float64) * (2.0 * self.gamma[0])),
            Templates(self.bounded.astype(np.float64) * (2.0 * self.gamma[1])),
        )

    @cached_property
    def _own(self) -> tuple[Floats, Singles | None]:
        """Weights of the templates, and what each takes off the exponents.

        The templates' own squares are a factor of their weights, which spares two passes over the
        exponents, unless they are so large that the factors would leave the range of float32, or
        the rounding of an exponent could show.
        """
        squares = self.gamma[0] * row_dots(*[self.unit.astype(np.float64)] * 2)
        squares += self.gamma[1] * row_dots(*[self.bounded.astype(np.float64)] * 2)
        if squares.max() <= MILD:
            return self.alpha * np.exp(-squares), None
        return self.alpha, squares.astype(np.float32)[:, None]

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        unit, bounded = self._scaled
        alpha, squares = self._own
        own = np.zeros(len(rows.unit))
        padded: Singles | None = None
        if self.gamma[0]:  # either product is as much work as the other
            padded = unit.times(rows.padded_unit)  # (m, n with margins)
            own += self.gamma[0] * rows.unit_squares
        if self.gamma[1]:
            other = bounded.times(rows.padded_bounded)
            padded = other if padded is None else np.add(padded, other, out=padded)
            own += self.gamma[1] * rows.bounded_squares
        if padded is None:
            return np.full(len(own), self.alpha.sum() + self.intercept[0])
        exponents = np.subtract(padded[:, MARGIN_ROWS:-MARGIN_ROWS], own.astype(np.float32))
        if squares is not None:
            exponents -= squares
            np.minimum(exponents, 0.0, out=exponents)
        near = np.exp(exponents, out=exponents)
        found: Floats = np.einsum("i,ij->j", alpha, near.astype(np.float64))
        found += self.intercept[0]
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

    Unit rows are projected onto their principal axes; each template is the mean of some labelled
    rows, with their number and their share of positives. The nearest `k` templates vote, with
    weight ``mass * exp(-gamma * (d^2 - d_nearest^2))``; `prior` votes a side keep the odds finite.

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

    kind: ClassVar[str] = "neighbours"
    axes: NDArray[np.float32]
    centre: Floats
    templates: NDArray[np.float32]
    positive: Floats
    mass: Floats
    settings: Floats

    @cached_property
    def _scaled(self) -> tuple[Templates, Singles, Templates]:
        """Axes, centre, and templates times 2 gamma with what their squares take off.

        What a product gives with a row and a one is then the exponent of a vote, but for the row's
        own square, which falls out of the votes.
        """
        gamma = float(self.settings[1])
        templates = self.templates.astype(np.float64)
        squares = row_dots(templates, templates)
        return (
            Templates(self.axes.T),
            self.centre.astype(np.float32)[:, None],
            Templates(np.column_stack([templates * (2.0 * gamma), squares * -gamma]), across=True),
        )

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        axes, centre, templates = self._scaled
        padded = rows.padded_unit
        projected = np.ones((len(centre) + 1, len(padded)), np.float32)  # (r + 1, n with margins)
        axes.times(padded, projected[:-1])
        projected[:-1] -= centre
        exponents = templates.times(projected.T)[:, MARGIN_ROWS:-MARGIN_ROWS]
        return vote(exponents, self.positive, self.mass, self.settings, axis=0)

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
        if gamma <= 0 or prior <= 0 or np.any(part.mass < part.positive) or np.any(part.mass <= 0):
            raise ValueError("the votes of the templates are out of range")
        return part


def vote(
    exponents: NDArray[np.floating],
    positive: Floats,
    mass: Floats,
    settings: Floats,
    *,
    axis: int = 1,
) -> Floats:
    """Return the log-odds of the votes of the nearest templates, shape (n,).

    Parameters
    ----------
    exponents : ndarray of shape (n, m), float32 or float64
        Squared distances times -gamma, up to a constant a row; overwritten. Of minus infinity there
        is no vote.
    positive, mass, settings
        As in `NearestPart`.
    axis : int
        The one along which the templates lie; with 0 the shape is (m, n).
    """
    k, prior = int(settings[0]), float(settings[2])
    m = exponents.shape[axis]
    if k < m:
        # a row's numbers side by side, where the library can take many at once
        lined = np.array(np.moveaxis(exponents, axis, -1), order="C")
        lined.partition(m - k, axis=-1)
        exponents[exponents < np.expand_dims(lined[:, m - k], axis)] = -np.inf
    exponents -= exponents.max(axis=axis, keepdims=True)
    votes = np.exp(exponents, out=exponents)
    sides = np.stack([positive, mass - positive]).astype(votes.dtype)
    # of one sign, so that no digits are lost
    liked, disliked = np.einsum("ij,hj->hi" if axis else "ij,hi->hj", votes, sides)
    odds: Floats = np.log(liked + prior) - np.log(disliked + prior)
    return odds
