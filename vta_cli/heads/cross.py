"""Out-of-fold answers of a learner, and the penalty that they speak for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vta_cli.heads.blocks import Floats
from vta_cli.heads.learner import Learner, Solution
from vta_cli.heads.reduced import Reduced
from vta_cli.heads.wanted import Ints, Wanted, with_rows

PENALTIES = tuple(10.0 ** np.arange(2.0, -4.1, -0.5))
"""Penalties tried, in units of the mean squared length of a centred row."""
CHOICE_ROWS = 3_000
"""With more rows the penalty is chosen on a sample of so many."""


@dataclass(frozen=True)
class Crossed:
    """What cross-validation gave.

    Attributes
    ----------
    out : ndarray of shape (n, n_out), float64
        Answers by fits that never saw the row's fold; the penalty of a fold is the best on the
        others. Of pairs: one strength u an image.
    losses : ndarray of shape (n,), float64
        Of the judgements, at these answers.
    best : ndarray of shape (c,), int64
        Place in the penalties of the best over all folds, one for each column that is learnt apart.
    penalties : tuple of float
    """

    out: Floats
    losses: Floats
    best: Ints
    penalties: tuple[float, ...]


def cross_fit(
    learner: Learner, space: Reduced, wanted: Wanted, fold_of: Ints, seed: int
) -> Crossed:
    """Cross-validate over all penalties; over the best one alone where there are many rows."""
    penalties = tuple(p * space.unit for p in PENALTIES)
    n = len(space.x)
    if wanted.pairs is not None:
        return _cross_pairs(learner, space.x, wanted, wanted.pairs, fold_of, penalties)
    if n > CHOICE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(n, CHOICE_ROWS, replace=False))
        some = with_rows(wanted, wanted.y[rows], wanted.weights[rows])
        found = _cross(learner, space.x[rows], some, fold_of[rows], penalties)
        penalties = tuple(penalties[at] for at in np.unique(found.best))
    return _cross(learner, space.x, wanted, fold_of, penalties)


def _cross(
    learner: Learner, x: Floats, wanted: Wanted, fold_of: Ints, penalties: Sequence[float]
) -> Crossed:
    outs: list[Floats] = []
    losses: list[Floats] = []
    folds = np.unique(fold_of)
    for fold in folds:
        rows, held = fold_of != fold, fold_of == fold
        path = learner.path(x[rows], wanted.y[rows], wanted.weights[rows], wanted, penalties)
        for at, step in enumerate(path):
            out = learner.outputs(x[held] @ step.weight.T, step.free)
            loss = learner.losses(out, wanted.y[held], wanted) * wanted.weights[held][:, None]
            if len(outs) <= at:
                outs.append(np.empty((len(x), out.shape[1])))
                losses.append(np.empty((len(x), loss.shape[1])))
            outs[at][held], losses[at][held] = out, loss
    every, lost = np.stack(outs), np.stack(losses)  # (penalties, n, n_out) and (penalties, n, c)
    total = lost.sum(axis=1)
    found = np.empty_like(every[0])
    kept = np.empty(len(x))
    for fold in folds:
        held = np.flatnonzero(fold_of == fold)
        choice = np.argmin(total - lost[:, held].sum(axis=1), axis=0)  # (c,)
        found[held] = pick(every[:, held], choice)
        kept[held] = pick(lost[:, held], choice).sum(axis=1) / wanted.weights[held]
    return Crossed(found, kept, np.argmin(total, axis=0), tuple(penalties))


def pick(every: Floats, choice: Ints) -> Floats:
    """Return the wanted penalty of each column, shape (n, k), of `every` (penalties, n, k)."""
    if len(choice) == 1:
        return np.asarray(every[choice[0]])
    return np.stack([every[at, :, column] for column, at in enumerate(choice)], axis=1)


def _cross_pairs(
    learner: Learner,
    x: Floats,
    wanted: Wanted,
    pairs: Ints,
    fold_of: Ints,
    penalties: Sequence[float],
) -> Crossed:
    """Give each image a strength by a fit that saw no pair of its fold's images.

    The fits behind the two sides of a pair have both left it out, since it touches both folds.
    """
    strength = np.zeros((len(penalties), len(x)))
    folds = np.unique(fold_of)
    for fold in folds:
        rows = np.all(fold_of[pairs] != fold, axis=1)
        if not rows.any():
            continue
        held = fold_of == fold
        apart = x[pairs[rows, 0]] - x[pairs[rows, 1]]
        path = learner.path(apart, wanted.y[rows], wanted.weights[rows], wanted, penalties)
        strength[:, held] = np.stack([x[held] @ step.weight[0] for step in path])
    lost = np.stack([_pair_losses(learner, u, wanted, pairs) for u in strength])
    total = (lost * wanted.weights).sum(axis=1)
    found = np.empty(len(x))
    for fold in folds:
        touched = np.any(fold_of[pairs] == fold, axis=1)
        others = (lost * wanted.weights)[:, ~touched].sum(axis=1)
        held = fold_of == fold
        found[held] = strength[int(np.argmin(others if (~touched).any() else total)), held]
    losses = _pair_losses(learner, found, wanted, pairs)
    return Crossed(found[:, None], losses, np.array([np.argmin(total)]), tuple(penalties))


def _pair_losses(learner: Learner, u: Floats, wanted: Wanted, pairs: Ints) -> Floats:
    out = learner.outputs((u[pairs[:, 0]] - u[pairs[:, 1]])[:, None], np.zeros(0))
    return learner.losses(out, wanted.y, wanted)[:, 0]


def fit_all(learner: Learner, space: Reduced, wanted: Wanted, crossed: Crossed) -> Solution:
    """Fit on all rows at the best penalty, or at each column's own."""
    last = int(crossed.best.max())
    penalties = crossed.penalties[: last + 1]
    x = space.x
    if wanted.pairs is not None:
        x = x[wanted.pairs[:, 0]] - x[wanted.pairs[:, 1]]
    path = learner.path(x, wanted.y, wanted.weights, wanted, penalties)
    if len(crossed.best) == 1:
        return path[last]
    weight = np.stack([path[at].weight[column] for column, at in enumerate(crossed.best)])
    free = np.array([path[at].free[column] for column, at in enumerate(crossed.best)])
    return Solution(weight, free)
