"""Heads of every kind: honesty of the folds, weights, calibration, doubtful labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.heads.audit import doubtful_labels
from vta_cli.heads.spread import spread_folds
from vta_cli.heads.train_kinds import train_kind
from vta_cli.heads.wanted import Wanted


def rows(n, dim=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=60),
    st.integers(2, 6),
    st.integers(0, 5),
)
def test_folds_keep_groups_and_leave_none_empty(groups, n_folds, seed):
    groups = np.array(groups)
    folds = spread_folds(np.arange(len(groups), dtype=float), groups, n_folds, seed)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    wanted = min(n_folds, len(np.unique(groups)))
    assert sorted(np.unique(folds)) == list(range(wanted))


def test_folds_spread_the_values():
    values = np.repeat([0.0, 1.0, 2.0], 20)
    folds = spread_folds(values, np.arange(60), 5, 0)
    for value in (0.0, 1.0, 2.0):
        assert np.bincount(folds[values == value]).tolist() == [4] * 5


def test_copies_do_not_flatter():
    """Noise that is copied looks learnt unless the copies share a fold."""
    x, y = rows(40), np.random.default_rng(1).normal(size=40)
    many = Wanted("scores", np.tile(y, 4), np.ones(160))
    blocks, groups = [np.tile(x, (4, 1))], np.tile(np.arange(40), 4)

    naive = train_kind(blocks, many)[1]
    honest = train_kind(blocks, many, groups=groups)[1]

    found = [{f.name: f.found.value for f in r.figures}["SRCC"] for r in (naive, honest)]
    assert found[0] > 0.35 > found[1] + 0.2


def test_a_rating_is_in_the_labels_units():
    x = rows(200)
    y = 500.0 + 100.0 * x[:, 0].astype(np.float64)
    head, _ = train_kind([x], Wanted("scores", y, np.ones(200)), normalise=False)
    assert np.corrcoef(head.score([x]), y)[0, 1] > 0.99
    assert abs(head.score([x]).mean() - y.mean()) < 5
    assert head.promise.kind == "rating"
    assert (head.promise.low, head.promise.high) == (y.min(), y.max())


def test_tier_shares_are_probabilities_and_the_score_is_their_mean():
    x = rows(150)
    tiers = np.searchsorted([-0.5, 0.5], x[:, 0])
    wanted = Wanted("ordinal", tiers, np.ones(150), values=(0.0, 1.0, 10.0))
    head, _ = train_kind([x], wanted, normalise=False)
    shares = np.stack(list(head.members([x]).values()), axis=1)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert np.allclose(shares @ [0.0, 1.0, 10.0], head.score([x]))
    assert (shares.argmax(axis=1) == tiers).mean() > 0.9


def test_a_tier_without_an_image_is_survived():
    x = rows(60)
    tiers = np.where(x[:, 0] > 0, 3, 0)
    wanted = Wanted("ordinal", tiers, np.ones(60), values=(0.0, 1.0, 2.0, 3.0))
    head, report = train_kind([x], wanted, normalise=False)
    shares = np.stack(list(head.members([x]).values()), axis=1)
    assert np.isfinite(shares).all()
    assert shares[:, 1:3].mean() < 0.1
    assert any("tier 1 (0)" in note for note in report.notes)


def test_class_weights_lean_towards_the_heavier_class():
    x = rows(200)
    y = (x[:, 0] + np.random.default_rng(3).normal(size=200) > 0).astype(np.int64)
    plain = Wanted("classes", y, np.ones(200), names=("no", "yes"), chosen=(1,))
    heavy = Wanted(
        "classes", y, np.ones(200), names=("no", "yes"), chosen=(1,), class_weights=(1.0, 8.0)
    )
    scores = [train_kind([x], one, normalise=False)[0].score([x]).mean() for one in (plain, heavy)]
    assert scores[1] > scores[0] + 0.2


def test_tags_are_calibrated_and_unknown_ones_cost_nothing():
    random = np.random.default_rng(4)
    x = rows(1_200, dim=8, seed=4)
    chance = 1 / (1 + np.exp(-2.0 * x[:, 0]))
    y = np.stack([random.random(1_200) < chance, random.random(1_200) < 0.1], axis=1)
    states = y.astype(np.int8)
    states[:600, 1] = -1
    wanted = Wanted("tags", states, np.ones(1_200), names=("a", "rare"))
    head, _ = train_kind([x], wanted, normalise=False)
    _, beside = head.answer([x])
    assert np.abs(beside["a"] - chance).mean() < 0.05
    assert abs(beside["rare"].mean() - 0.1) < 0.04


def test_a_duel_is_against_the_middle_image():
    x = rows(120, dim=6)
    strength = 2.0 * x[:, 0].astype(np.float64)
    random = np.random.default_rng(5)
    pairs = random.integers(0, 120, (900, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    apart = strength[pairs[:, 0]] - strength[pairs[:, 1]]
    won = (random.random(len(pairs)) < 1 / (1 + np.exp(-apart))).astype(np.float64)
    head, _ = train_kind([x], Wanted("pairs", won, np.ones(len(won)), pairs=pairs), normalise=False)
    expected = 1 / (1 + np.exp(-(strength - np.median(strength))))
    assert np.abs(head.score([x]) - expected).mean() < 0.06
    assert np.median(head.score([x])) == pytest.approx(0.5, abs=0.02)


def test_turned_sides_give_the_same_head():
    x = rows(50)
    pairs = np.stack([np.arange(50), (np.arange(50) + 7) % 50], axis=1)
    won = (x[pairs[:, 0], 0] > x[pairs[:, 1], 0]).astype(np.float64)
    one = Wanted("pairs", won, np.ones(50), pairs=pairs)
    other = Wanted("pairs", 1.0 - won, np.ones(50), pairs=pairs[:, ::-1].copy())
    scores = [train_kind([x], w, normalise=False)[0].score([x]) for w in (one, other)]
    assert np.allclose(*scores, atol=1e-6)


@pytest.mark.parametrize("kind", ["scores", "ordinal", "classes", "tags", "histograms"])
def test_wrong_labels_are_suspected_first(kind):
    x = rows(150, dim=8, seed=6)
    good = x[:, 0] > 0
    wrong = np.array([3, 77, 120])
    turned = good.copy()
    x[wrong, 0] = np.where(good[wrong], 2.5, -2.5)
    turned[wrong] = ~turned[wrong]
    one = np.ones(150)
    wanted = {
        "scores": Wanted("scores", turned.astype(float), one),
        "ordinal": Wanted("ordinal", turned.astype(np.int64), one, values=(0.0, 1.0)),
        "classes": Wanted("classes", turned.astype(np.int64), one, names=("a", "b")),
        "tags": Wanted("tags", turned[:, None].astype(np.int8), one, names=("a",)),
        "histograms": Wanted(
            "histograms", np.stack([~turned, turned], axis=1).astype(float), one, values=(0.0, 1.0)
        ),
    }[kind]
    report = train_kind([x], wanted, normalise=False)[1]
    assert {item.row for item in report.suspects[:3]} == set(wrong.tolist())


def test_doubtful_yes_and_no():
    found = doubtful_labels(np.array([0.9, 0.2, np.nan, 0.6]), np.array([0, 0, 1, 1], np.int8))
    assert [item.row for item in found] == [0, 3, 1]
    assert (found[0].label, found[0].found) == ("disliked", "0.90")


def test_large_sets_choose_the_penalty_on_a_sample():
    x = rows(3_600, dim=6)
    y = x[:, 0].astype(np.float64)
    head, report = train_kind([x], Wanted("scores", y, np.ones(3_600)), normalise=False)
    assert np.corrcoef(head.score([x]), y)[0, 1] > 0.99
    assert report.figures[0].found.value < 0.1
