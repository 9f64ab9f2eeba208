"""The members' arithmetic against plain oracles, and what few labels are not asked to decide."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vta_cli.heads import kernel, knn, logistic
from vta_cli.heads.descent import principal_axes
from vta_cli.heads.design import make_design, squared_distances
from vta_cli.heads.train import train_binary


def draw(n, dim, seed=0):
    """Rows whose columns covary, a fifth of the labels wrong, uneven weights."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, dim)) @ random.normal(size=(dim, dim)) / dim**0.5
    y = (x[:, 0] + random.normal(size=n) > 0).astype(np.int8)
    return x, y, random.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("c", [0.05, 2.0])
def test_the_logistic_fit_is_that_of_scikit_learn(turned, c):
    x, y, weights = draw(120, 20)
    axes = principal_axes(x) if turned else None

    coef, intercept = logistic._path(x, y, weights, (c / 5, c), axes)

    exact = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10).fit(x, y, weights)
    np.testing.assert_allclose(coef[1], exact.coef_[0], atol=0.01 * np.abs(exact.coef_).max())
    assert intercept[1] == pytest.approx(exact.intercept_[0], abs=0.01)


def test_axes_are_those_along_which_rows_do_not_covary():
    x, *_ = draw(50, 8)
    axes = principal_axes(x)
    along = x @ axes.vectors
    np.testing.assert_allclose(along.T @ along / 50, np.diag(axes.energy), atol=1e-9)


def test_folds_without_their_rows_are_plain_ridge_regressions():
    x, y, weights = draw(90, 6)
    features = x.astype(np.float32)
    answers = np.where(y == 1, 1.0, -1.0)
    folds = np.stack([np.arange(90) % 5, np.arange(90) // 18])

    held, square, _ = kernel._held_out(features, answers, weights, folds)

    wide = features.astype(np.float64)
    scale = 0.1 * np.trace((wide * weights[:, None]).T @ wide) / 6
    assert np.trace(square) / 60 == pytest.approx(scale)
    for repeat, fold_of in enumerate(folds):
        for fold in range(5):
            rows, left = fold_of != fold, fold_of == fold
            weighted = wide[rows] * weights[rows, None]
            for at, penalty in enumerate(kernel.MORE_PENALTIES):
                inside = weighted.T @ wide[rows] + penalty * scale * np.eye(6)
                coef = np.linalg.solve(inside, weighted.T @ answers[rows])
                found = held[repeat, at, left]
                np.testing.assert_allclose(found, wide[left] @ coef, atol=1e-6)


def test_coordinates_of_landmarks_give_back_the_kernel():
    design = make_design([draw(60, 12)[0].astype(np.float32)])
    marks = kernel._Marks(design, np.arange(60))
    pair = np.array([3.0, 5.0])

    apart = marks.distances(design.unit, design.bounded)
    features = kernel._features(apart, pair, marks.root(pair))[:, :-1].astype(np.float64)

    both = [rows.astype(np.float64) for rows in (design.unit, design.bounded)]
    total = sum(
        factor * scale * squared_distances(rows, rows)
        for factor, scale, rows in zip(pair, marks.scales, both, strict=True)
    )
    np.testing.assert_allclose(features @ features.T, np.exp(-total), atol=1e-4)
    np.testing.assert_allclose(
        [1.0 / np.median(squared_distances(r, r)[np.triu_indices(60, 1)]) for r in both],
        marks.scales,
    )


def test_the_search_finds_the_least_of_a_valley():
    def loss(pair):
        mix = pair[0] / pair.sum()
        return (np.log(pair.sum()) - np.log(0.3)) ** 2 + (mix - 0.5) ** 2

    found = kernel._search(loss)
    assert (found.sum(), found[0] / found.sum()) == (pytest.approx(0.3), pytest.approx(0.5))


def test_another_distance_must_earn_its_place():
    handicaps = np.array([0.75, 0.0])
    close = np.array([[10.0, 12.0], [10.1, 12.0]])  # n / 2 * log(10.1 / 10) is 0.1 for 20 rows
    clear = np.array([[8.0, 12.0], [10.0, 12.0]])
    assert kernel._pick(close, 20, handicaps)[0] == 1
    assert kernel._pick(close, 2_000, handicaps)[0] == 0
    assert kernel._pick(clear, 20, handicaps)[0] == 0


def test_templates_are_the_means_of_their_rows_and_count_those_in_hand_alone():
    x, y, weights = draw(30, 4)
    own = np.arange(30) % 7
    rows = np.flatnonzero(np.arange(30) % 7 != 3)

    found, positive, mass = knn._templates(x[rows], y[rows], weights[rows], own[rows])

    for at, cluster in enumerate([0, 1, 2, 4, 5, 6]):
        inside = own == cluster
        np.testing.assert_allclose(
            found[at], np.average(x[inside], axis=0, weights=weights[inside])
        )
        assert mass[at] == pytest.approx(weights[inside].sum())
        assert positive[at] == pytest.approx(weights[inside & (y == 1)].sum())


def test_votes_of_near_templates_wait_for_three_hundred_labels():
    for side, wanted in ((149, False), (150, True)):
        x = draw(2 * side, 10)[0].astype(np.float32)
        report = train_binary([x], np.repeat([0, 1], side).astype(np.int8))[1]
        assert ("knn" in [member.name for member in report.members]) is wanted
    few = draw(20, 10)[0].astype(np.float32)
    alone = train_binary([few], np.repeat([0, 1], 10).astype(np.int8), head="knn")[1]
    assert [member.name for member in alone.members] == ["knn"]


@pytest.mark.parametrize(("dim", "many"), [(300, False), (40, False), (40, True)])
def test_neighbours_see_a_space_whose_rows_nearly_agree(dim, many, monkeypatch):
    """A wide space of noise beside one with a large common direction and all that tells."""
    if many:
        monkeypatch.setattr("vta_cli.heads.design.GRAM_ROWS", 100)
    random = np.random.default_rng(8)
    y = np.repeat([0, 1], 100).astype(np.int8)
    noise, near = random.normal(size=(200, dim)), random.normal(size=(200, dim)) * 0.01
    near[:, :3] += 0.05 * (2 * y[:, None] - 1)
    near[:, -1] += 10.0

    report = train_binary([noise.astype(np.float32), near.astype(np.float32)], y, head="knn")[1]

    assert report.members[0].auc.value > 0.9


def test_few_labels_lean_on_the_strong_penalty_in_the_order_and_not_in_the_level():
    x, y, _ = draw(20, 6)
    design = make_design([x.astype(np.float32)])
    folds = np.arange(20)[None] % 4

    fitted = logistic.Logistic().fit(design, y, np.ones(20), folds, 0)

    unit = design.unit.astype(np.float64)
    mixed, shares, decisions = logistic._cross_fit(
        unit, y, np.ones(20), folds, logistic.GRID, principal_axes(unit)
    )
    strong = decisions[:, logistic.ANCHOR]
    wanted = 20 / 35 * mixed + 15 / 35 * mixed.std() / strong.std() * strong
    np.testing.assert_allclose(fitted.raw_oof, wanted, rtol=1e-6)
    # the part is the same sum of the fits on all rows
    coef, _ = logistic._path(unit, y, np.ones(20), logistic.GRID, principal_axes(unit))
    whole = 20 / 35 * shares @ coef + 15 / 35 * mixed.std() / strong.std() * coef[logistic.ANCHOR]
    np.testing.assert_allclose(fitted.part.coef, whole, rtol=0.02, atol=0.01 * np.abs(whole).max())
