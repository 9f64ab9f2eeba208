"""Calibrators: raw scores to probabilities, fitted on out-of-fold scores only.

A probability is meant for pictures like the labelled ones: the share of positives among the labels
is the prior. Class weights of the fits below are undone here, since calibrators weigh all labels
alike. Every calibrator is increasing, so that it never changes a ranking (isotonic may tie).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.parts import take
from vta_cli.heads.registry import resolve

BETA_LABELS = 400
"""Labels of the rarer side from which three parameters are better than two."""
ISOTONIC_LABELS = 2_000
"""Labels of the rarer side from which a free increasing curve is."""
SMOOTHING = 0.25
"""Imagined labels a side on the wrong side of a separable set, where no prior does that work."""
SLOPE_MEDIAN, SLOPE_SPREAD = 1.5, 1.0
"""Log-normal prior of a sigmoid's slope over standardised scores: between 0.2 (AUC .56) and 11 for
19 of 20 tastes. It rules out neither chance nor separation. The best slope alone believes 20 labels
too much: with the prior the calibration error falls from .038 to .032 over the benchmark's sets,
that of single draws from .083 to .079, and the log-loss on unseen images from .448 to .445; medians
of 1 to 1.5 and spreads of .8 to 1.3 differ by .002 of calibration error."""
LOG_SLOPES = np.linspace(np.log(0.02), np.log(60.0), 24)
"""Where the posterior is looked for."""
OFFSET_PRECISION = 1.0
"""Precision of the offset's normal prior around the log-odds of the labels' share: scores are
centred, so that there it belongs. Without it perfect scores of 10 labels leave the offset open."""
MANY = 2_000
"""With more labels the posterior is a point."""
LEAST_SLOPE = 0.01
"""Smallest slope over the scores' standard deviation: a head that fails out of fold says nearly the
prior of everything, but keeps its order."""
SAME = 1e-4
"""Scores with a smaller standard deviation are one score and rounding: a kernel of float32 rows
that are all alike spreads by 2e-5."""


class Calibrator(Protocol):
    """An increasing function from raw scores to probabilities."""

    kind: ClassVar[str]

    @classmethod
    def fit(cls, raw: Floats, targets: NDArray[np.int8], weights: Floats) -> Self:
        """Fit on out-of-fold raw scores, targets and weights of shape (n,)."""

    def probability(self, raw: Floats) -> Floats:
        """Return probabilities in 0..1, shape of `raw`."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""


def sigmoid(x: Floats) -> Floats:
    """Return ``1 / (1 + exp(-x))`` without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def log_odds(probability: Floats) -> Floats:
    """Return ``log(p / (1 - p))``, with p kept 1e-9 away from 0 and 1."""
    p = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))


def soft_targets(targets: NDArray[np.int8], weights: Floats) -> Floats:
    """Return targets a little inside 0 and 1, which keep separable scores from growing unbounded.

    ``(N+ + e) / (N+ + 2 e)`` for positives and ``e / (N- + 2 e)`` for negatives, N being sums of
    weights and e `SMOOTHING` (Platt, "Probabilistic outputs for support vector machines", 1999,
    section 2.2, with e = 1).
    """
    n_positive = float(weights[targets == 1].sum())
    n_negative = float(weights[targets != 1].sum())
    e = SMOOTHING
    return np.where(targets == 1, (n_positive + e) / (n_positive + 2 * e), e / (n_negative + 2 * e))


def newton_logistic(columns: Floats, targets: Floats, weights: Floats, ridge: float) -> Floats:
    """Fit log-odds linear in a few columns by Newton's method with halved steps.

    Parameters
    ----------
    columns : ndarray of shape (n, k), float64
    targets : ndarray of shape (n,), float64
        Wanted probabilities in 0..1.
    weights : ndarray of shape (n,), float64
    ridge : float
        Penalty on squared coefficients.

    Returns
    -------
    ndarray of shape (k,), float64
    """
    coef = np.zeros(columns.shape[1])

    def loss(at: Floats) -> float:
        z = columns @ at
        return float(weights @ (np.logaddexp(0.0, z) - targets * z) + 0.5 * ridge * at @ at)

    now = loss(coef)
    for _ in range(50):
        p = sigmoid(columns @ coef)
        gradient = columns.T @ (weights * (p - targets)) + ridge * coef
        curvature = (columns * (weights * p * (1 - p))[:, None]).T @ columns
        curvature.flat[:: len(coef) + 1] += ridge + 1e-9
        step = np.linalg.solve(curvature, gradient)
        for _ in range(20):
            new = loss(coef - step)
            if new <= now:
                break
            step /= 2.0
        else:
            break
        coef = coef - step
        if now - new < 1e-10 * (1.0 + abs(now)):
            break
        now = new
    return coef


def expected(z: Floats, targets: NDArray[np.int8], weights: Floats) -> Floats:
    """Return the posterior mean of ``sigmoid(slope * z + offset)``, shape (n,).

    The slope has the prior above, on a coarse grid and then on a fine one where the posterior lies.
    The offset's is normal, by Laplace's approximation at each slope, with the mean of a sigmoid of
    a normal as in MacKay, "The evidence framework applied to classification networks", 1992.

    Parameters
    ----------
    z : ndarray of shape (n,), float64
        Out-of-fold scores, standardised.
    targets : ndarray of shape (n,), int8
    weights : ndarray of shape (n,), float64
        Of which the sum counts as the number of labels.
    """
    logs = LOG_SLOPES
    shares, _ = _posterior(logs, z, targets, weights)
    middle = float(shares @ logs)
    reach = 4.0 * float(np.sqrt(shares @ (logs - middle) ** 2)) + float(logs[1] - logs[0])
    logs = np.linspace(middle - reach, middle + reach, len(logs))
    shares, each = _posterior(logs, z, targets, weights)
    found: Floats = shares @ each
    return found


def _posterior(
    logs: Floats, z: Floats, targets: NDArray[np.int8], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the share of each slope, and the mean probabilities at it, (k,) and (k, n)."""
    hits = (targets == 1).astype(np.float64)
    share = float(weights @ soft_targets(targets, weights) / weights.sum())
    usual = float(log_odds(np.array(share)))
    offset = np.full(len(logs), usual)
    rise = np.exp(logs)[:, None] * z
    curvature = np.ones(len(logs))
    for _ in range(8):  # Newton's method for all slopes at once
        p = sigmoid(rise + offset[:, None])
        curvature = (p * (1 - p)) @ weights + OFFSET_PRECISION
        slant = (p - hits) @ weights + OFFSET_PRECISION * (offset - usual)
        offset = offset - np.clip(slant / curvature, -2.0, 2.0)
    at = rise + offset[:, None]
    evidence = -(np.logaddexp(0.0, at) - hits * at) @ weights - 0.5 * np.log(curvature)
    evidence -= 0.5 * OFFSET_PRECISION * (offset - usual) ** 2
    evidence -= 0.5 * ((logs - np.log(SLOPE_MEDIAN)) / SLOPE_SPREAD) ** 2
    shares = np.exp(evidence - evidence.max())
    return shares / shares.sum(), sigmoid(at / np.sqrt(1.0 + np.pi / 8.0 / curvature)[:, None])


@dataclass(frozen=True)
class Identity:
    """The raw score is a log-odds already."""

    kind: ClassVar[str] = "identity"

    @classmethod
    def fit(cls, raw: Floats, targets: NDArray[np.int8], weights: Floats) -> Self:
        """Return the identity, whatever the data."""
        del raw, targets, weights
        return cls()

    def probability(self, raw: Floats) -> Floats:
        """Return the logistic function of `raw`."""
        return sigmoid(raw)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing: there is nothing to save."""
        return {}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the identity."""
        del arrays
        return cls()


@dataclass(frozen=True)
class Sigmoid:
    """``sigmoid(slope * raw + offset)``; `line` holds slope and offset.

    Platt scaling with what few labels leave open: the line is the one nearest, in mean log-loss
    over the labelled scores, to the average of all sigmoids weighted by their posterior. So a
    handful of labels gives probabilities near even odds, whatever order they happen to be in.
    """

    kind: ClassVar[str] = "sigmoid"
    line: Floats

    @classmethod
    def fit(cls, raw: Floats, targets: NDArray[np.int8], weights: Floats) -> Self:
        """Fit slope and offset; the slope is never negative."""
        middle = float(np.average(raw, weights=weights))
        spread = float(np.sqrt(np.average((raw - middle) ** 2, weights=weights)))
        if spread < SAME:
            share = float(weights @ soft_targets(targets, weights) / weights.sum())
            offset = float(log_odds(np.array(share))) - LEAST_SLOPE * middle
            return cls(np.array([LEAST_SLOPE, offset]))
        z = (raw - middle) / spread
        wanted, mass = soft_targets(targets, weights), weights
        if len(raw) <= MANY:
            wanted = expected(z, targets, weights)
            mass = weights * (100.0 / weights.sum())  # more than the ridge, however few
        columns = np.stack([z, np.ones_like(z)], axis=1)
        slope, offset = newton_logistic(columns, wanted, mass, 1e-6)
        if slope < LEAST_SLOPE:
            share = float(weights @ soft_targets(targets, weights) / weights.sum())
            slope, offset = LEAST_SLOPE, float(log_odds(np.array(share)))
        slope /= spread
        return cls(np.array([slope, offset - slope * middle]))

    def probability(self, raw: Floats) -> Floats:
        """Return probabilities, shape of `raw`."""
        return sigmoid(self.line[0] * raw + self.line[1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {"line": self.line}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        line = take(arrays, "line", (2,), np.float64)
        if line[0] < 0:
            raise ValueError("a calibrator must not reverse the order of scores")
        return cls(line)


@dataclass(frozen=True)
class Beta:
    """Beta calibration ``sigmoid(a log p - b log(1 - p) + c)`` of ``p = Sigmoid(raw)``.

    Kull, Silva Filho and Flach, "Beta calibration", 2017; a and b are kept non-negative.

    Attributes
    ----------
    line : ndarray of shape (2,), float64
        Of the sigmoid that comes first.
    curve : ndarray of shape (3,), float64
        a, b, c.
    """

    kind: ClassVar[str] = "beta"
    line: Floats
    curve: Floats

    @classmethod
    def fit(cls, raw: Floats, targets: NDArray[np.int8], weights: Floats) -> Self:
        """Fit a sigmoid first, then the three parameters on its probabilities."""
        first = Sigmoid.fit(raw, targets, weights)
        columns = _beta_columns(first.probability(raw))
        a, b, c = newton_logistic(columns, soft_targets(targets, weights), weights, 1e-3)
        if a < 0 or b < 0:  # the curve would bend back: the sigmoid stands
            a, b, c = 1.0, 1.0, 0.0
        return cls(first.line, np.array([a, b, c]))

    def probability(self, raw: Floats) -> Floats:
        """Return probabilities, shape of `raw`."""
        rise, fall, level = _beta_columns(sigmoid(self.line[0] * raw + self.line[1])).T
        a, b, c = self.curve
        return sigmoid(a * rise + b * fall + c * level)  # not by a product of matrices: see blocks

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {"line": self.line, "curve": self.curve}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        curve = take(arrays, "curve", (3,), np.float64)
        if curve[0] < 0 or curve[1] < 0:
            raise ValueError("a calibrator must not reverse the order of scores")
        return cls(Sigmoid.restore(arrays).line, curve)


def _beta_columns(p: Floats) -> Floats:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=-1)


@dataclass(frozen=True)
class Isotonic:
    """An increasing curve through the means of pooled scores, straight between them.

    Attributes
    ----------
    knots : ndarray of shape (m,), float64
        Raw scores, increasing.
    values : ndarray of shape (m,), float64
        Probabilities there, not decreasing.
    """

    kind: ClassVar[str] = "isotonic"
    knots: Floats
    values: Floats

    @classmethod
    def fit(cls, raw: Floats, targets: NDArray[np.int8], weights: Floats) -> Self:
        """Fit by pooling adjacent violators; knots are the pools' mean scores."""
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415  # fitting only

        fitted = IsotonicRegression(out_of_bounds="clip").fit(
            raw, soft_targets(targets, weights), sample_weight=weights
        )
        pooled = fitted.predict(raw)
        values, pool = np.unique(pooled, return_inverse=True)
        mass = np.bincount(pool, weights)
        return cls(np.bincount(pool, weights * raw) / mass, values.astype(np.float64))

    def probability(self, raw: Floats) -> Floats:
        """Return probabilities, shape of `raw`."""
        return np.asarray(np.interp(raw, self.knots, self.values))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return {"knots": self.knots, "values": self.values}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        knots = take(arrays, "knots", (None,), np.float64)
        values = take(arrays, "values", knots.shape, np.float64)
        rising = np.all(np.diff(knots) >= 0) and np.all(np.diff(values) >= 0)
        if not len(knots) or not rising or values[0] < 0 or values[-1] > 1:
            raise ValueError("the calibration curve is not increasing within 0..1")
        return cls(knots, values)


CALIBRATORS = {
    "identity": "vta_cli.heads.calibration:Identity",
    "sigmoid": "vta_cli.heads.calibration:Sigmoid",
    "beta": "vta_cli.heads.calibration:Beta",
    "isotonic": "vta_cli.heads.calibration:Isotonic",
}


def choose_kind(n_rarer: int) -> str:
    """Name the calibrator for so many labels of the rarer side."""
    if n_rarer >= ISOTONIC_LABELS:
        return "isotonic"
    return "beta" if n_rarer >= BETA_LABELS else "sigmoid"


def calibrator(kind: str) -> type[Calibrator]:
    """Return a calibrator class by name; `KeyError` if there is none."""
    found: type[Calibrator] = resolve(CALIBRATORS[kind])
    return found
