"""A linear head in a fraction of a second: weighted least squares on targets of -1 and 1.

One eigendecomposition of the Gram matrix serves all penalties and all folds: the rows of a fold
are left out in closed form instead of by fitting anew. Made for the labelling page, where a fit
must be done before the user notices; `train.train_binary` is for what is kept.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vta_cli.heads import metrics
from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import Calibrator, Sigmoid, choose_kind, log_odds, soft_targets
from vta_cli.heads.crossfit import cross_fit, fit_pooled
from vta_cli.heads.folds import make_folds
from vta_cli.heads.margins import safety_margins
from vta_cli.records import Interval, Margins

PENALTIES = 10.0 ** np.arange(-3.0, 1.6, 0.75)
"""Penalties tried, in units of the mean eigenvalue."""
TINY_SIDE = 4
"""With fewer independent labels a side nothing is chosen or calibrated."""
TINY_PENALTY = 10.0**1.5
"""So large a penalty leaves the difference of the class means."""
UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class QuickFit:
    """A fitted linear head with what is known of it out of fold.

    Attributes
    ----------
    coef : ndarray of shape (dim,), float64
        Raw score of a row: ``row @ coef + intercept``.
    intercept : float
    committee : ndarray of shape (n_folds, dim), float64
        Coefficients of the same head without each fold, for their disagreement.
    committee_intercepts : ndarray of shape (n_folds,), float64
    calibrator : Calibrator
        Raw scores to probabilities.
    oof_scores : ndarray of shape (n,), float64
        Calibrated out-of-fold scores; NaN where there are too few labels.
    auc, accuracy : Interval
        Out of fold, with 95 % bootstrap intervals.
    margins : Margins
    penalty : float
        The penalty chosen, in units of the mean eigenvalue; NaN where the labels are too few.
    """

    coef: Floats
    intercept: float
    committee: Floats
    committee_intercepts: Floats
    calibrator: Calibrator
    oof_scores: Floats
    auc: Interval
    accuracy: Interval
    margins: Margins
    penalty: float = float("nan")

    def scores(self, rows: NDArray[np.floating]) -> Floats:
        """Return probabilities of rows, shape (n,)."""
        return self.opinions(rows)[0]

    def spread(self, rows: NDArray[np.floating]) -> Floats:
        """Return how far the committee differs on each row: standard deviation of raw scores."""
        return self.opinions(rows)[1]

    def opinions(self, rows: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Return probability and spread of each row, both of shape (n,), in one pass over them."""
        coefs = np.vstack([self.coef[None], self.committee])  # (1 + n_folds, dim)
        raw = (rows @ coefs.T.astype(rows.dtype)).astype(np.float64)
        raw += np.concatenate([[self.intercept], self.committee_intercepts])
        spread: Floats = raw[:, 1:].std(axis=1)
        return self.calibrator.probability(raw[:, 0]), spread


def fit_quick(
    rows: NDArray[np.float32],
    targets: NDArray[np.int8],
    groups: NDArray[np.int64],
    *,
    seed: int = 0,
    n_resamples: int = 200,
) -> QuickFit:
    """Fit, cross-validate and calibrate.

    Parameters
    ----------
    rows : ndarray of shape (n, dim), float32
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative; at least one of each.
    groups : ndarray of shape (n,), int64
        Near-copies share a group, and a group shares a fold.
    n_resamples : int
        Bootstrap samples of the intervals; they change nothing else. With 0 no figures are made:
        the head is the same, its `oof_scores`, `auc`, `accuracy` and `margins` are undefined.
    """
    # Under load, threads that wait for each other made the decomposition 30 times slower.
    with threadpool_limits(1):
        return _fit(rows, targets, groups, seed, n_resamples)


def _fit(
    rows: NDArray[np.float32],
    targets: NDArray[np.int8],
    groups: NDArray[np.int64],
    seed: int,
    n_resamples: int,
) -> QuickFit:
    n_rarer = min(len(np.unique(groups[targets == side])) for side in (0, 1))
    folds = make_folds(targets, groups, 5, 1, seed)
    system = _System(rows, targets)
    if n_rarer < TINY_SIDE or not len(folds):
        return _tiny(rows, system, targets, n_rarer)
    raw, penalty = system.cross_fit(folds[0])
    kind, weights = choose_kind(n_rarer), np.ones(len(targets))
    blend = fit_pooled([raw[None]], targets, weights, kind)
    fitted = [system.weights(rows, penalty)]
    for fold in np.unique(folds[0]):
        # A ridge fit without some rows is the fit on all with these rows' targets replaced by
        # their held-out predictions.
        held = folds[0] == fold
        fitted.append(system.weights(rows, penalty, np.where(held, raw, system.signs)))
    head = _without_figures(
        *fitted[0],
        np.stack([coef for coef, _ in fitted[1:]]),
        np.array([intercept for _, intercept in fitted[1:]]),
        blend.own[0],
        targets,
        penalty,
    )
    if not n_resamples:
        return head
    _, whole = cross_fit([raw[None]], targets, weights, folds, kind)
    counts = metrics.resamples(groups, seed)[:n_resamples]
    return replace(
        head,
        oof_scores=whole[0],
        auc=metrics.interval(metrics.auc, whole, targets, counts),
        accuracy=metrics.interval(metrics.accuracy, whole, targets, counts),
        margins=safety_margins(whole[0], targets),
    )


def _without_figures(
    coef: Floats,
    intercept: float,
    committee: Floats,
    committee_intercepts: Floats,
    calibrator: Calibrator,
    targets: NDArray[np.int8],
    penalty: float = float("nan"),
) -> QuickFit:
    unknown = np.full(len(targets), np.nan)
    return QuickFit(
        coef, intercept, committee, committee_intercepts, calibrator, unknown, UNDEFINED, UNDEFINED,
        safety_margins(unknown, targets), penalty,
    )  # fmt: skip


def _tiny(
    rows: NDArray[np.float32], system: "_System", targets: NDArray[np.int8], n_rarer: int
) -> QuickFit:
    """Fit the difference of the class means, scaled to -1 and 1 there, with guessed odds.

    The odds are those of `judge`: Laplace's rule of succession at a class mean.
    """
    coef, intercept = system.weights(rows, TINY_PENALTY)
    at = [float((rows[targets == side].astype(np.float64) @ coef).mean()) for side in (0, 1)]
    half = max((at[1] - at[0]) / 2.0, 1e-9)
    coef, intercept = coef / half, -(at[0] + at[1]) / 2.0 / half
    ones = np.ones(len(targets))
    share = float(soft_targets(targets, ones).mean())
    guess = Sigmoid(np.array([np.log1p(n_rarer), float(log_odds(np.array(share)))]))
    return _without_figures(coef, intercept, coef[None], np.array([intercept]), guess, targets)


class _System:
    """The weighted kernel system, decomposed once.

    Both classes weigh alike. Rows are centred on their mean, and a constant column of the rows'
    own size lets the fit find the offset. The eigenvectors of the Gram matrix come from it or, with
    more rows than columns, from the columns' covariance: both have the same eigenvalues.
    """

    def __init__(self, rows: NDArray[np.float32], targets: NDArray[np.int8]) -> None:
        n = len(targets)
        self.signs = np.where(targets == 1, 1.0, -1.0)
        self._weights = np.ones(n)
        for side in (0, 1):
            self._weights[targets == side] = n / (2.0 * np.sum(targets == side))
        self._root = np.sqrt(self._weights)
        centred = rows - rows.mean(axis=0)
        self._constant = max(float(np.einsum("ij,ij->", centred, centred)) / n, 1e-12)
        column = np.full((n, 1), np.sqrt(self._constant), dtype=np.float32)
        features = np.concatenate([centred, column], axis=1)  # (n, dim + 1)
        features *= self._root[:, None].astype(np.float32)
        # float32: the smallest penalty is 1e-3 of the mean eigenvalue, rounding is 1e-7 of the
        # largest, and the decomposition takes half the time
        wide = n <= features.shape[1]
        values, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
        keep = values > values[-1] * 1e-7
        self._values = values[keep].astype(np.float64)
        vectors = vectors[:, keep]
        if not wide:
            vectors = features @ vectors / np.sqrt(values[keep])
        self._vectors = vectors.astype(np.float64)  # (n, rank)
        self._unit = float(self._values.sum()) / n

    def cross_fit(self, fold_of: NDArray[np.int64]) -> tuple[Floats, float]:
        """Return held-out raw scores (n,) and the penalty of the whole.

        For a linear smoother H the held-out residuals of a fold are ``(I - H_ff)^-1 r_f``. The
        scores of a fold use the penalty that is best on the other folds.
        """
        known = self._vectors.T @ (self._root * self.signs)
        folds = np.unique(fold_of)
        raws = np.empty((len(PENALTIES), len(fold_of)))
        for at, penalty in enumerate(PENALTIES * self._unit):
            keep = self._values / (self._values + penalty)
            missed = self._root * self.signs - self._vectors @ (keep * known)
            for fold in folds:
                held = fold_of == fold
                part = self._vectors[held]
                left = np.eye(len(part)) - (part * keep) @ part.T
                errors = np.linalg.solve(left, missed[held]) / self._root[held]
                raws[at, held] = self.signs[held] - errors
        # An overshoot on the right side is no loss.
        losses = np.maximum(0.0, 1.0 - self.signs * raws) ** 2 * self._weights
        total = losses.sum(axis=1)
        raw = np.empty(len(fold_of))
        for fold in folds:
            held = fold_of == fold
            others = total - losses[:, held].sum(axis=1)
            raw[held] = raws[int(np.argmin(others)), held]
        return raw, float(PENALTIES[int(np.argmin(total))])

    def weights(
        self, rows: NDArray[np.float32], penalty: float, signs: Floats | None = None
    ) -> tuple[Floats, float]:
        """Return coefficients (dim,) and intercept for targets `signs` of shape (n,)."""
        wanted = self._root * (self.signs if signs is None else signs)
        inner = (self._vectors.T @ wanted) / (self._values + penalty * self._unit)
        alpha = self._root * (self._vectors @ inner)
        total = float(alpha.sum())
        mean = rows.mean(axis=0, dtype=np.float64)
        coef = alpha.astype(np.float32) @ rows - total * mean
        return coef.astype(np.float64), self._constant * total - float(mean @ coef)
