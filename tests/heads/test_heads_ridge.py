"""The quick head of the labelling page: its closed forms equal what they stand for."""

import numpy as np
import pytest

from vta_cli.heads.metrics import auc
from vta_cli.heads.ridge import PENALTIES, _System, fit_quick


def made(n, dim, seed=0, lift=1.0):
    random = np.random.default_rng(seed)
    targets = (random.random(n) < 0.4).astype(np.int8)
    rows = random.normal(size=(n, dim)) + lift * targets[:, None] * random.normal(size=dim)
    return rows.astype(np.float32), targets


def test_random_labels_are_found_to_be_noisier_than_clear_ones():
    rows, clear = made(200, 50)
    mixed = np.random.default_rng(1).permutation(clear)
    calm, noisy = (fit_quick(rows, each, np.arange(200)).penalty for each in (clear, mixed))
    assert calm < noisy <= PENALTIES[-1]
    few = np.r_[np.flatnonzero(clear == 1)[:2], np.flatnonzero(clear == 0)[:2]]
    assert np.isnan(fit_quick(rows[few], clear[few], np.arange(4)).penalty)


@pytest.mark.parametrize(("n", "dim"), [(80, 30), (40, 120)])
def test_a_fold_left_out_in_closed_form_is_left_out(n, dim, monkeypatch):
    """Held-out scores equal those of a weighted ridge regression fitted without the fold."""
    monkeypatch.setattr("vta_cli.heads.ridge.PENALTIES", np.array([0.1]))
    rows, targets = made(n, dim)
    system = _System(rows, targets)
    fold_of = np.arange(n) % 5
    raw, penalty = system.cross_fit(fold_of)
    centred = rows - rows.mean(axis=0)
    features = np.hstack([centred, np.full((n, 1), np.sqrt(system._constant))]).astype(float)
    for fold in range(5):
        held, kept = fold_of == fold, fold_of != fold
        weighted = features[kept] * system._weights[kept, None]
        square = weighted.T @ features[kept] + penalty * system._unit * np.eye(dim + 1)
        coef = np.linalg.solve(square, weighted.T @ system.signs[kept])
        np.testing.assert_allclose(raw[held], features[held] @ coef, atol=2e-4)
        own, intercept = system.weights(rows, penalty, np.where(held, raw, system.signs))
        np.testing.assert_allclose(raw[held], rows[held] @ own + intercept, atol=2e-4)


def test_it_ranks_images_it_never_saw():
    rows, targets = made(400, 50, lift=0.6)
    fit = fit_quick(rows[:200], targets[:200], np.arange(200))
    unseen = float(auc(fit.scores(rows[200:]), targets[200:])[0])
    assert unseen > 0.9
    assert fit.auc.low - 0.05 < unseen < fit.auc.high + 0.05


def test_random_labels_look_random_out_of_fold():
    """No fold's own labels reach its scores: on noise the held-out AUC is about even."""
    values = []
    for seed in range(12):
        rows, _ = made(120, 60, seed)
        targets = np.random.default_rng(100 + seed).permutation(np.arange(120) % 2).astype(np.int8)
        values.append(fit_quick(rows, targets, np.arange(120)).auc.value)
    assert abs(np.mean(values) - 0.5) < 0.06


def test_copies_share_a_fold():
    """Each label stands there three times; without groups, noise would be told by heart."""
    random = np.random.default_rng(0)
    rows = np.repeat(random.normal(size=(40, 30)), 3, axis=0).astype(np.float32)
    targets = np.repeat(np.arange(40) % 2, 3).astype(np.int8)
    apart = fit_quick(rows, targets, np.arange(120)).auc.value
    together = fit_quick(rows, targets, np.repeat(np.arange(40), 3)).auc.value
    assert apart > 0.9
    assert together < 0.75


@pytest.mark.parametrize("n_each", [1, 2, 3])
def test_a_handful_of_labels_gives_an_order_and_no_figures(n_each):
    rows = np.array([[1, 0.1], [0.9, 0.2], [1.1, 0]] * 2, np.float32)
    rows[3:] *= -1
    picked = np.r_[0:n_each, 3 : 3 + n_each]
    targets = np.array([1] * n_each + [0] * n_each, np.int8)
    fit = fit_quick(rows[picked], targets, np.arange(2 * n_each))
    scores = fit.scores(rows)
    assert scores[:3].min() > 0.5 > scores[3:].max()
    assert scores.min() > 0.02
    assert scores.max() < 0.98
    assert np.isnan(fit.auc.value)


def test_the_committee_differs_more_where_nothing_was_labelled():
    rows, targets = made(60, 10, lift=1.5)
    fit = fit_quick(rows, targets, np.arange(60))
    near = fit.spread(rows).mean()
    far = fit.spread(rows * 5).mean()
    assert far > near > 0
    assert len(fit.committee) == 5
    assert len(PENALTIES) > 3


def test_without_figures_the_head_is_the_same():
    rows, targets = made(40, 6)
    whole = fit_quick(rows, targets, np.arange(40))
    bare = fit_quick(rows, targets, np.arange(40), n_resamples=0)
    np.testing.assert_array_equal(bare.scores(rows), whole.scores(rows))
    np.testing.assert_array_equal(bare.committee, whole.committee)
    assert np.isnan(bare.auc.value)
    assert np.isnan(bare.oof_scores).all()
    assert not np.isnan(whole.auc.value)
