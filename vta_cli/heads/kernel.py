"""Ridge regression with a Gaussian kernel on unit and on bounded columns.

The kernel's distance mixes two: that of the unit rows, which keeps the backbone's own weighing of
its columns, and that of the bounded columns, in which every column counts. Which tells more depends
on the vectors and on the taste, so the mix is chosen out of fold.

One eigendecomposition a width serves all penalties, and all folds by a closed form: the residual of
a held-out set F is ``(I - H_FF)^-1 (y - H y)_F`` with the smoother H of the fit on all rows
(Cook and Weisberg, "Residuals and Influence in Regression", 1982, for groups of cases). With more
rows than `Design.small` allows, the kernel is taken at landmarks (Williams and Seeger, "Using the
Nystroem method to speed up kernel machines", 2001), so that memory stays linear.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.choice import choose
from vta_cli.heads.design import Design, squared_distances
from vta_cli.heads.dots import Singles
from vta_cli.heads.parts import RadialPart
from vta_cli.heads.protocol import Fitted

WIDTH = 2.0
"""Gamma times the median squared distance between rows, for up to `FEW` rows: on the benchmark's
sets of 20 to 200 labels it was the best or next to it, while choosing among widths out of fold lost
.003 to .007 of AUC."""
MIXES = (0.25, 0.5, 0.75, 1.0)
"""Candidates for the share of the unit rows' distance, each distance over its median."""
UNIT_FIRST = 1.0
"""Log-likelihood that the evidence out of fold must be worth before the unit rows' distance gives
way to the bounded one altogether, and its part for a part. Twenty labels cannot tell the mixes
apart: what they pick by chance costs up to .007 of AUC where the bounded distance is the wrong one.
On the draws kept for such choices (docs/heads.md) .5 to 8 are alike at 20 and 50 labels; 1 keeps
most of what the bounded distance gives at 50."""
FEW = 300
WIDTHS = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Candidates for more rows; narrow and nearly linear kernels both have their use there."""
PENALTIES = tuple(10.0 ** np.arange(-1.5, 0.6, 0.5))
"""Values of lambda over the mean eigenvalue of the kernel matrix."""
MORE_PENALTIES = tuple(10.0 ** np.arange(-5.0, 0.6, 0.5))
"""The same for more than `FEW` rows."""
N_LANDMARKS = 512
CHOICE_ROWS = 4_000
"""The width for landmarks is chosen on so many rows."""
CHUNK_ROWS = 4_096
"""Rows whose distances to the landmarks are held at a time."""


class Kernel:
    """Least squares on targets of -1 and 1 with a Gaussian kernel and balanced classes.

    Penalties are averaged with weights from their errors out of fold.
    """

    name: ClassVar[str] = "kernel"

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `Fitter`."""
        y = np.where(targets == 1, 1.0, -1.0)
        if design.small:
            return _fit_exact(design.unit, design.bounded, y, weights, folds)
        return _fit_landmarks(design, y, weights, folds, seed)


def _fit_exact(
    unit: Singles,
    bounded: Singles,
    y: Floats,
    weights: Floats,
    folds: NDArray[np.int64],
) -> Fitted:
    distances, scales = _distances(unit, bounded)
    factors = _factors(len(y))  # (n_trials, 2)
    # the constant is the intercept
    handicaps = UNIT_FIRST * factors[:, 1] / factors.sum(axis=1)
    trials = [
        _Ridge(np.exp(-np.tensordot(pair, distances, 1)) + 1.0, y, weights) for pair in factors
    ]
    held = np.stack([np.stack([t.held_out(fold_of) for t in trials]) for fold_of in folds])
    errors = weights * (held - y) ** 2  # (repeats, trials, penalties, n)
    best, shares = _pick(errors.mean(axis=0).sum(axis=-1), len(y), handicaps)
    alpha = trials[best].alpha(shares)
    part = RadialPart(unit, bounded, alpha, factors[best] * scales, np.array([alpha.sum()]))
    mix = factors[best, 0] / factors[best].sum()
    detail = f"{len(y)} rows, {100 * mix:.0f} % unit distance, width {factors[best].sum():g}"
    return Fitted(part, _mix(held, errors, folds, handicaps), detail)


def _factors(n: int) -> Floats:
    """Return what each trial multiplies the two distances by, shape (n_trials, 2)."""
    pairs = [(WIDTH, mix) for mix in MIXES]
    if n > FEW:
        pairs = [(width, mix) for width in WIDTHS for mix in MIXES[1::2]]
    return np.array([(width * mix, width * (1.0 - mix)) for width, mix in pairs])


def _distances(unit: Singles, bounded: Singles) -> tuple[Floats, Floats]:
    """Return both distances over their medians (2, n, n), and the reciprocal medians (2,)."""
    both = []
    for rows in (unit, bounded):
        wide = rows.astype(np.float64)
        both.append(squared_distances(wide, wide))
    scales = np.array([1.0 / _median(distances) for distances in both])
    return np.stack(both) * scales[:, None, None], scales


def _median(distances: Floats) -> float:
    apart = distances[np.triu_indices(len(distances), 1)]
    return float(max(np.median(apart), 1e-9))


class _Ridge:
    """One kernel matrix, all penalties, all folds."""

    def __init__(self, kernel: Floats, y: Floats, weights: Floats) -> None:
        self.root = np.sqrt(weights)
        values, self.vectors = np.linalg.eigh(self.root[:, None] * kernel * self.root)
        self.values = np.maximum(values, 0.0)
        self.y = y
        self.coded = self.vectors.T @ (self.root * y)
        # the largest eigenvalue is that of the constant
        grid = MORE_PENALTIES if len(y) > FEW else PENALTIES
        self.penalties = np.array(grid) * max(float(self.values[:-1].mean()), 1e-9)

    def held_out(self, fold_of: NDArray[np.int64]) -> Floats:
        """Predict each fold by the fit without it, shape (n_penalties, n)."""
        out = np.empty((len(self.penalties), len(self.y)))
        parts = [np.flatnonzero(fold_of == fold) for fold in np.unique(fold_of)]
        for at, penalty in enumerate(self.penalties):
            share = self.values / (self.values + penalty)
            residual = self.root * self.y - self.vectors @ (share * self.coded)
            for rows in parts:
                v = self.vectors[rows]
                inside = np.eye(len(rows)) - (v * share) @ v.T
                left = np.linalg.solve(inside, residual[rows]) / self.root[rows]
                out[at, rows] = self.y[rows] - left
        return out

    def alpha(self, shares: Floats) -> Floats:
        """Return the weights of the rows, averaged over penalties, shape (n,)."""
        total = np.zeros_like(self.coded)
        for share, penalty in zip(shares, self.penalties, strict=True):
            total += share * self.coded / (self.values + penalty)
        alpha: Floats = self.root * (self.vectors @ total)
        return alpha


def _pick(errors: Floats, n: int, handicaps: Floats) -> tuple[int, Floats]:
    """Return the best trial and the shares of the penalties at it.

    Parameters
    ----------
    errors : ndarray of shape (n_trials, n_penalties), float64
        Sums of squared errors; `n` / 2 times their logarithm is the Gaussian log-likelihood.
    n : int
        Number of rows that the choice stands for.
    handicaps : ndarray of shape (n_trials,), float64
        What is taken off each trial's log-likelihood beforehand.
    """
    losses = 0.5 * n * np.log(np.maximum(errors, 1e-12))
    best = int(np.argmin(losses.min(axis=1) + handicaps))
    return best, choose(losses[best])


def _mix(held: Floats, errors: Floats, folds: NDArray[np.int64], handicaps: Floats) -> Floats:
    """Choose trial and penalties for each fold by the errors of the others, shape (repeats, n)."""
    mixed = np.empty(folds.shape)
    for repeat, fold_of in enumerate(folds):
        total = errors[repeat].sum(axis=-1)
        for fold in np.unique(fold_of):
            rows = fold_of == fold
            others = total - errors[repeat][..., rows].sum(axis=-1)
            best, shares = _pick(others, len(fold_of), handicaps)
            mixed[repeat, rows] = shares @ held[repeat, best][:, rows]
    return mixed


def _fit_landmarks(
    design: Design, y: Floats, weights: Floats, folds: NDArray[np.int64], seed: int
) -> Fitted:
    random = np.random.default_rng(seed)
    marks = _Marks(design, np.sort(random.choice(design.n, N_LANDMARKS, replace=False)))
    some = np.sort(random.choice(design.n, min(design.n, CHOICE_ROWS), replace=False))
    apart = marks.distances(design.unit[some], design.bounded[some])

    def loss(pair: Floats) -> float:  # on a sample, once for all folds
        features = _features(apart, pair, marks.root(pair))
        held, *_ = _held_out(features, y[some], weights[some], folds[:1, some])
        return float((weights[some] * (held - y[some]) ** 2).sum(axis=-1).min())

    pair = _search(loss)
    root = marks.root(pair)
    features = np.empty((design.n, N_LANDMARKS + 1), dtype=np.float32)
    for start in range(0, design.n, CHUNK_ROWS):
        piece = slice(start, start + CHUNK_ROWS)
        near = marks.distances(design.unit[piece], design.bounded[piece])
        features[piece] = _features(near, pair, root)
    held, *moments = _held_out(features, y, weights, folds)
    errors = weights * (held - y) ** 2
    shares = choose(0.5 * len(y) * np.log(errors.mean(axis=0).sum(axis=-1)))
    square, cross = moments
    coef = shares @ _solve_all(square, cross, float(np.trace(square)) / len(square))
    part = RadialPart(
        marks.unit, marks.bounded, root @ coef[:-1], pair * marks.scales, coef[-1:].copy()
    )
    mixed = _mix(held[:, None], errors[:, None], folds, np.zeros(1))
    return Fitted(part, mixed, f"{N_LANDMARKS} landmarks, width {pair.sum():g}")


def _search(loss: Callable[[Floats], float]) -> Floats:
    """Return the pair of factors with the least loss: the mix at a middling width, then the width.

    The distances are in units of their medians, so that the best mix hardly depends on the width.
    """
    trials = {mix: loss(np.array([mix, 1.0 - mix])) for mix in MIXES[1::2]}
    mix = min(trials, key=lambda at: trials[at])
    widths = {1.0: trials[mix]}
    for width in WIDTHS:
        if width not in widths:
            widths[width] = loss(np.array([width * mix, width * (1.0 - mix)]))
    width = min(widths, key=lambda at: widths[at])
    return np.array([width * mix, width * (1.0 - mix)])


class _Marks:
    """Landmarks, and distances to them over their medians."""

    def __init__(self, design: Design, rows: NDArray[np.int64]) -> None:
        self.unit, self.bounded = design.unit[rows], design.bounded[rows]
        self._between, self.scales = _distances(self.unit, self.bounded)

    def distances(self, unit: Singles, bounded: Singles) -> Floats:
        """Return both distances of rows to the landmarks, shape (2, n, n_landmarks).

        In float64: the root of a wide kernel's inverse blows rounding up a thousandfold.
        """
        both = [(unit, self.unit), (bounded, self.bounded)]
        found = [squared_distances(a.astype(np.float64), b.astype(np.float64)) for a, b in both]
        return np.stack(found) * self.scales[:, None, None]

    def root(self, pair: Floats) -> Floats:
        """Return R so that ``R @ R.T`` is the inverse of the kernel between the landmarks."""
        return _inverse_root(np.exp(-np.tensordot(pair, self._between, 1)))


def _features(distances: Floats, pair: Floats, root: Floats) -> Singles:
    """Return the landmark coordinates of rows and a column of ones, (n, n_landmarks + 1)."""
    near = distances[0] * -pair[0]
    near -= distances[1] * pair[1]
    np.exp(near, out=near)
    features = np.ones((len(near), len(root) + 1), dtype=np.float32)
    features[:, :-1] = near @ root
    return features


def _inverse_root(kernel: Floats) -> Floats:
    """Return R so that ``R @ R.T`` is the inverse of `kernel` (tiny eigenvalues raised)."""
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, values[-1] * 1e-6)
    inverse: Floats = vectors / np.sqrt(values)
    return inverse


def _held_out(
    features: Singles, y: Floats, weights: Floats, folds: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Predict each fold by ridge regression on the others, for all penalties.

    Returns
    -------
    held : ndarray of shape (n_repeats, n_penalties, n)
    square, cross : ndarray of shape (n_features, n_features) and (n_features,)
        Moments of all rows, for `_solve_all`.
    """
    held = np.empty((len(folds), len(MORE_PENALTIES), len(y)))
    for repeat, fold_of in enumerate(folds):
        parts = [np.flatnonzero(fold_of == fold) for fold in np.unique(fold_of)]
        moments = [_moments(features, y, weights, rows) for rows in parts]
        square = np.sum([part[0] for part in moments], axis=0)
        cross = np.sum([part[1] for part in moments], axis=0)
        scale = float(np.trace(square)) / len(square)
        for rows, part in zip(parts, moments, strict=True):
            coef = _solve_all(square - part[0], cross - part[1], scale)
            held[repeat][:, rows] = coef @ features[rows].T
    return held, square, cross


def _moments(
    features: Singles, y: Floats, weights: Floats, rows: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    size = features.shape[1]
    square, cross = np.zeros((size, size)), np.zeros(size)
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        x = features[part].astype(np.float64)
        weighted = x * weights[part, None]
        square += weighted.T @ x
        cross += weighted.T @ y[part]
    return square, cross


def _solve_all(square: Floats, cross: Floats, scale: float) -> Floats:
    """Return the coefficients at each penalty (in tenths of `scale`), (n_penalties, n_features)."""
    values, vectors = np.linalg.eigh(square)
    coded = vectors.T @ cross
    return np.stack([vectors @ (coded / (values + p * scale * 0.1)) for p in MORE_PENALTIES])
