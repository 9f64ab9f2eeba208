"""Products that give a row the same bits wherever it stands, and the right ones."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from vta_cli.heads.blocks import MARGIN_ROWS, PIECE_ROWS, Columns, Rows, inside
from vta_cli.heads.dots import row_dots
from vta_cli.heads.linear import linear_raws
from vta_cli.heads.parts import NearestPart, RadialPart
from vta_cli.heads.products import Templates
from vta_cli.heads.threads import one_thread

PADDED = PIECE_ROWS + 2 * MARGIN_ROWS


def singles(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize(("m", "dim"), [(1, 5), (3, 64), (37, 257), (200, 768), (501, 40)])
def test_a_product_is_right_and_does_not_depend_on_the_place(m, dim, alike, monkeypatch):
    monkeypatch.setattr(Templates, "_alike", alike if not alike else Templates._alike)
    vectors, rows = singles(0, m, dim), singles(1, PADDED, dim)
    exact = vectors.astype(np.float64) @ rows.astype(np.float64).T
    both = range(MARGIN_ROWS, PIECE_ROWS + MARGIN_ROWS - 100)
    for order in ("C", "F"):
        templates = Templates(vectors, across=order == "F")
        turned = np.empty((m, PADDED), np.float32)

        with one_thread():
            found = templates.times(np.asarray(rows, order=order))
            templates.times(np.asarray(np.roll(rows, 100, axis=0), order=order), turned)

        assert found == pytest.approx(exact, abs=1e-5 * dim**0.5)
        assert all(np.array_equal(found[:, at], turned[:, at + 100]) for at in both)


def test_a_product_that_treats_rows_unlike_is_found_out(monkeypatch):
    """A library that adds the last rows' terms in another order."""

    class Odd(np.ndarray):
        def __matmul__(self, other):
            found = np.asarray(self) @ np.asarray(other)
            found[:, 200] = (np.asarray(self)[:, ::-1] * np.asarray(other)[::-1, 200]).sum(axis=1)
            return found

    templates = Templates(singles(2, 20, 300))
    with one_thread():
        plain = templates._alike
        spoilt = Templates(singles(2, 20, 300))
        spoilt._vectors = spoilt._vectors.view(Odd)

        assert not spoilt._alike
        assert plain in (True, False)
        rows = singles(3, PADDED, 300)
        exact = singles(2, 20, 300).astype(np.float64) @ rows.astype(np.float64).T
        assert np.array_equal(spoilt.times(rows), exact.astype(np.float32))


@pytest.mark.parametrize("dim", [1, 7, 33, 768, 1001])
def test_dots_of_rows_do_not_depend_on_the_place(dim):
    rows, weights = singles(4, 70, dim), singles(5, dim)

    found, squares = row_dots(rows, weights), row_dots(rows, rows)

    exact = rows.astype(np.float64) @ weights.astype(np.float64)
    assert found == pytest.approx(exact, abs=1e-5 * dim**0.5)
    assert squares == pytest.approx((rows.astype(np.float64) ** 2).sum(axis=1), rel=1e-5)
    for first in (1, 2, 3, 69):
        assert np.array_equal(row_dots(rows[first:], weights), found[first:])
        assert np.array_equal(row_dots(rows[first:], rows[first:]), squares[first:])


@pytest.mark.parametrize("normalise", [True, False])
def test_linear_scores_are_those_of_unit_rows(normalise):
    """Rows of zeros, tiny and huge ones, and ones that are not finite, among others."""
    blocks = [singles(6, 1300, 300), singles(7, 1300, 500)]
    blocks[0][5] = 0.0
    blocks[0][6] *= 1e-9
    blocks[1][7] *= 1e25
    blocks[1][8, 3] = np.nan
    blocks[0][9, 0] = -np.inf
    members = [(singles(8, 800), 0.5), (singles(9, 800), -2.0)]

    with np.errstate(invalid="ignore", over="ignore"):
        raws = linear_raws(blocks, members, normalise=normalise)

    wide = [block.astype(np.float64) for block in blocks]
    if normalise:
        lengths = [np.linalg.norm(block, axis=1, keepdims=True) for block in wide]
        with np.errstate(invalid="ignore"):
            wide = [
                np.divide(b, n, where=n > 1e-12, out=b.copy())
                for b, n in zip(wide, lengths, strict=True)
            ]
    for at, (weight, intercept) in enumerate(members):
        found = raws[at]
        exact = np.concatenate(wide, axis=1) @ weight.astype(np.float64) + intercept
        assert np.flatnonzero(np.isnan(found)).tolist() == [8, 9]
        sound = np.isfinite(exact) & np.isfinite(found)
        assert sound.sum() >= 1297
        scale = np.maximum(np.abs(np.concatenate(wide, axis=1)[sound]).max(axis=1), 1.0)
        assert np.abs((found - exact)[sound] / scale).max() < 2e-5


def test_kernel_and_neighbours_are_what_their_formulas_say():
    dim, m, r = 48, 30, 9
    unit = singles(10, PADDED, dim)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    columns = Columns(singles(11, dim) * 0.1, np.full(dim, 7.0), np.full(dim, dim**-0.5))
    rows = Rows(unit, columns, np.zeros_like(unit))
    u = inside(unit).astype(np.float64)
    z = (u - columns.mean) * columns.factor
    b = columns.size * z / np.sqrt(1.0 + z * z)

    def apart(x, y):
        return ((x[:, None] - y[None]) ** 2).sum(axis=2)

    marks = [singles(12, m, dim) / 7, singles(13, m, dim) / 9]
    alpha = np.random.default_rng(14).normal(size=m)
    for gamma in ([0.7, 1.3], [0.0, 2.0], [1.5, 0.0], [9.0, 400.0]):  # the last is not mild
        part = RadialPart(*marks, alpha, np.array(gamma), np.array([0.25]))
        near = np.exp(-gamma[0] * apart(u, marks[0]) - gamma[1] * apart(b, marks[1]))
        assert part.raw(rows) == pytest.approx(near @ alpha + 0.25, abs=3e-6)

    axes, templates = singles(15, dim, r) / 5, singles(16, m, r) / 5
    centre, mass = np.random.default_rng(17).normal(size=r) / 5, np.arange(1.0, m + 1)
    positive = mass * np.linspace(0, 1, m)
    far = apart(u @ axes - centre, templates)
    for k in (1, 7, m):
        part = NearestPart(axes, centre, templates, positive, mass, np.array([float(k), 2.0, 0.5]))
        votes = np.exp(-2.0 * (far - far.min(axis=1, keepdims=True)))
        votes[far > np.sort(far, axis=1)[:, k - 1 : k]] = 0.0
        odds = np.log(votes @ positive + 0.5) - np.log(votes @ (mass - positive) + 0.5)
        assert part.raw(rows) == pytest.approx(odds, abs=3e-5)


def test_bounded_columns_are_what_their_formula_says():
    """Blocks of two widths, columns that are off, one that never varied, and more rows than fit."""
    mean = np.random.default_rng(18).normal(size=1500)
    factor = np.random.default_rng(19).uniform(0.5, 30.0, 1500)
    factor[[3, 700]], factor[9] = 0.0, 1e12
    x = singles(20, 75, 1500)
    x[4, 9] = mean[9] = 0.0
    for size in (np.full(1500, 1500**-0.5), np.repeat([0.05, 0.03], [400, 1100])):
        found = Columns(mean, factor, size).bound(x)

        z = (x - mean) * factor
        z[:, 9] = np.sign(x[:, 9])
        exact = size * z / np.sqrt(1.0 + z * z)
        exact[:, 9] = size[9] * z[:, 9]
        assert found == pytest.approx(exact, abs=2e-7)
        assert not found[:, [3, 700]].any()
        again = x.copy()
        Columns(mean, factor, size).bound(again, again)
        assert np.array_equal(again, found)


def test_threads_are_as_before_when_the_last_scorer_is_done():
    def counts():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = counts()
        with one_thread():
            with one_thread():
                assert set(counts()) <= {1}
            assert set(counts()) <= {1}
        assert counts() == before
