"""The compressed k-nearest-neighbours head of the original ensemble, without its faults.

Columns are compressed by principal axes, rows by k-means; each template keeps the number of its
rows and their share of positives (soft labels). Unlike the original:
seeded, no template is empty, k never exceeds the templates, a template votes with its number of
rows, and nearer templates have more say. Up to `MAX_TEMPLATES` rows no compression is needed.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, variances
from vta_cli.heads.choice import log_losses
from vta_cli.heads.design import Design, squared_distances
from vta_cli.heads.parts import NearestPart, vote
from vta_cli.heads.protocol import Fitted

MAX_AXES = 64
MAX_TEMPLATES = 500
CANDIDATES = ((10**9, 3.0), (10**9, 6.0), (10**9, 12.0), (31, 12.0))
"""Pairs of k (at most all templates) and of gamma times the mean squared distance between
templates. Below some hundred labels all templates at the first two widths are best: the nearest 9
with equal votes, as in the original, lose .02 of AUC."""
_ROWS = 4096
"""Rows that are widened to float64 together."""
_LEAST_SPREAD = 1e-12
"""Of a space: less is the rounding of float32, which must not be made large."""
PRIOR = 0.5
"""Votes a side that every row starts from (Jeffreys), in units of a template at no distance."""


class Nearest:
    """Votes of near templates; k and the width of the vote are chosen out of fold."""

    name: ClassVar[str] = "knn"

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `Fitter`.

        Principal axes and templates are found once, from all rows, since no label is involved in
        them; a fold's rows have no vote where they are judged.
        """
        axes, centre, projected = _principal(design)
        own = _cluster(projected, seed)
        decisions = np.empty((len(folds), len(CANDIDATES), len(targets)))
        for repeat, fold_of in enumerate(folds):
            for fold in np.unique(fold_of):
                rows, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
                made = _templates(projected[rows], targets[rows], weights[rows], own[rows])
                far = squared_distances(projected[held], made[0])
                for at, candidate in enumerate(CANDIDATES):
                    settings = _settings(candidate, made[0])
                    votes = vote(far * -settings[1], made[1], made[2], settings)
                    decisions[repeat, at, held] = votes
        losses = log_losses(decisions, targets, weights)
        best = int(np.argmin(losses.sum(axis=(0, 2))))
        raw_oof = np.empty(folds.shape)
        for repeat, fold_of in enumerate(folds):
            total = losses[repeat].sum(axis=1)
            for fold in np.unique(fold_of):
                held_rows = fold_of == fold
                others = total - losses[repeat][:, held_rows].sum(axis=1)
                raw_oof[repeat, held_rows] = decisions[repeat, np.argmin(others), held_rows]
        templates, positive, mass = _templates(projected, targets, weights, own)
        settings = _settings(CANDIDATES[best], templates)
        part = NearestPart(axes, centre, templates.astype(np.float32), positive, mass, settings)
        detail = f"{len(templates)} templates in {axes.shape[1]} columns, k {int(settings[0])}"
        return Fitted(part, raw_oof, detail)


def _principal(design: Design) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Return principal axes (dim, r), the projected mean (r,) and the projected rows (n, r).

    Each space is scaled to the same mean square of its centred rows, so that one whose rows all
    point the same way has its say; the axes hold the scales.
    """
    x = design.unit
    mean = x.mean(axis=0, dtype=np.float64)
    scales = _scales(design, mean)
    n_axes = min(MAX_AXES, design.n - 1, x.shape[1])
    if design.n < x.shape[1] and design.small:
        centred = (x - mean) * scales
        values, vectors = np.linalg.eigh(centred @ centred.T)
        root = np.sqrt(np.maximum(values[-n_axes:], values[-1] * 1e-12 + 1e-30))
        axes = (centred.T @ (vectors[:, -n_axes:] / root))[:, ::-1]
    else:
        square = np.zeros((x.shape[1], x.shape[1]))
        for start in range(0, design.n, _ROWS):
            centred = (x[start : start + _ROWS] - mean) * scales
            square += centred.T @ centred
        axes = np.linalg.eigh(square)[1][:, -n_axes:][:, ::-1]
    narrow = np.ascontiguousarray(axes * scales[:, None], dtype=np.float32)
    wide = narrow.astype(np.float64)
    centre: Floats = mean @ wide
    projected = np.concatenate(
        [
            x[start : start + _ROWS].astype(np.float64) @ wide - centre
            for start in range(0, design.n, _ROWS)
        ]
    )
    return narrow, centre, projected


def _scales(design: Design, mean: Floats) -> Floats:
    """Return what each column is multiplied by, shape (dim,), alike within a space."""
    starts = np.cumsum((0, *design.dims[:-1]))
    spread = np.add.reduceat(variances(design.unit, mean), starts)
    return np.repeat(np.maximum(spread, _LEAST_SPREAD) ** -0.5, design.dims)


def _cluster(rows: Floats, seed: int) -> NDArray[np.int64]:
    """Return the cluster of each row, shape (n,); few rows are clusters of their own."""
    if len(rows) <= MAX_TEMPLATES:
        return np.arange(len(rows))
    from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415  # only large sets need it

    means = MiniBatchKMeans(MAX_TEMPLATES, n_init=1, max_iter=5, batch_size=1024, random_state=seed)
    return np.asarray(means.fit_predict(rows.astype(np.float32)), dtype=np.int64)


def _templates(
    rows: Floats, targets: NDArray[np.int8], weights: Floats, own: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Return templates (m, r), the weight of their positives and of all their rows (m,)."""
    own = np.unique(own, return_inverse=True)[1]
    mass = np.bincount(own, weights).astype(np.float64)
    sums = np.stack([np.bincount(own, weights * column) for column in rows.T], axis=1)
    positive = np.bincount(own, weights * (targets == 1)).astype(np.float64)
    return sums / mass[:, None], positive, mass


def _settings(candidate: tuple[int, float], templates: Floats) -> Floats:
    k, width = candidate
    centred = templates - templates.mean(axis=0)
    typical = 2.0 * float(np.mean(np.sum(centred * centred, axis=1)))
    return np.array([float(min(k, len(templates))), width / max(typical, 1e-9), PRIOR])
