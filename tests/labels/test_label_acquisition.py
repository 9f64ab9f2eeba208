"""What is asked next, by each strategy."""

import numpy as np
import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.acquisition import STRATEGIES, Pool, choose, focus


def pool(scores, *, candidates=None, spread=None, vectors=None, seen=(), low=0.4, high=0.6):
    scores = np.asarray(scores, dtype=float)
    n = len(scores)
    return Pool(
        np.arange(n) if candidates is None else np.asarray(candidates),
        scores,
        np.zeros(n) if spread is None else np.asarray(spread, dtype=float),
        np.eye(n, dtype=np.float32) if vectors is None else np.asarray(vectors, np.float32),
        np.asarray(seen, dtype=np.int64), low, high,
    )  # fmt: skip


def test_band_draws_a_hundred_times_as_often_inside():
    """With ten images inside and ninety outside, 10 / (10 + 0.9) of the draws are inside."""
    scores = np.concatenate([np.full(10, 0.5), np.full(90, 0.9)])
    random = np.random.default_rng(0)
    drawn = [choose("band", pool(scores), 1, random)[0] for _ in range(2000)]
    assert abs(np.mean(np.array(drawn) < 10) - 10 / 10.9) < 0.03


def test_band_goes_outside_when_the_inside_is_used_up():
    found = choose("band", pool([0.5, 0.5, 0.9, 0.1]), 4, np.random.default_rng(0))
    assert set(found[:2]) == {0, 1}
    assert set(found) == {0, 1, 2, 3}


def test_uncertain_top_and_disagree_follow_their_measure():
    given = pool([0.1, 0.55, 0.9, 0.3], spread=[0.2, 0.1, 0.4, 0.3])
    random = np.random.default_rng(0)
    assert list(choose("uncertain", given, 2, random)) == [1, 3]
    assert list(choose("top", given, 2, random)) == [2, 1]
    assert list(choose("disagree", given, 2, random)) == [2, 3]


def test_diverse_visits_clusters_before_it_repeats_one():
    """Of three tight clusters each is asked about once before any is asked about twice."""
    random = np.random.default_rng(0)
    centres = np.eye(3)[np.repeat(np.arange(3), 20)]
    vectors = centres + random.normal(scale=1e-3, size=(60, 3))
    for seed in range(20):
        found = choose(
            "diverse", pool(np.full(60, np.nan), vectors=vectors), 3, np.random.default_rng(seed)
        )
        assert set(found // 20) == {0, 1, 2}


def test_diverse_keeps_away_from_what_was_seen():
    vectors = np.eye(2)[[0, 0, 0, 1]]
    given = pool(np.full(4, np.nan), vectors=vectors, candidates=[1, 2, 3], seen=[0])
    assert choose("diverse", given, 1, np.random.default_rng(0))[0] == 3


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_asks_about_candidates_once_each(name):
    """Also before there is any score, and when more is wanted than there is."""
    for scores in (np.full(6, np.nan), [0.5, np.nan, 0.2, 0.9, np.nan, 0.4]):
        found = choose(name, pool(scores, candidates=[1, 3, 4]), 9, np.random.default_rng(1))
        assert sorted(found) == [1, 3, 4]
    nothing = choose(name, pool([0.5], candidates=np.array([], int)), 3, np.random.default_rng(1))
    assert len(nothing) == 0


def test_an_unknown_strategy_is_refused_by_name():
    with pytest.raises(UsageError, match="magic"):
        choose("magic", pool([0.5]), 1, np.random.default_rng(0))


def test_focus_holds_the_share_it_promises():
    scores = np.random.default_rng(0).uniform(size=4000)
    low, high = focus(scores, share=0.25)
    assert abs(np.mean((scores >= low) & (scores <= high)) - 0.25) < 0.02
    assert focus(np.full(3, np.nan)) == (0.35, 0.65)
