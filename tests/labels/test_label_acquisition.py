"""What is asked next, by each strategy."""

import numpy as np
import pytest

from vta_cli.errors import UsageError
from vta_cli.labels.acquisition import STRATEGIES, Pool, choose, focus
from vta_cli.labels.design import make_design, make_ground


def pool(scores, *, candidates=None, spread=None, vectors=None, seen=(), low=0.4, high=0.6, **more):
    scores = np.asarray(scores, dtype=float)
    n = len(scores)
    return Pool(
        np.arange(n) if candidates is None else np.asarray(candidates),
        scores,
        np.zeros(n) if spread is None else np.asarray(spread, dtype=float),
        np.eye(n, dtype=np.float32) if vectors is None else np.asarray(vectors, np.float32),
        np.asarray(seen, dtype=np.int64), low, high, **more,
    )  # fmt: skip


def test_two_thirds_of_band_come_from_inside_and_one_third_from_anywhere():
    """With ten images of a hundred inside, 2/3 + 1/3 * 1/10 of the draws are inside."""
    scores = np.concatenate([np.full(10, 0.5), np.full(90, 0.9)])
    random = np.random.default_rng(0)
    drawn = [choose("band", pool(scores), 1, random)[0] for _ in range(1000)]
    assert abs(np.mean(np.array(drawn) < 10) - 0.7) < 0.05


def test_band_goes_outside_when_the_inside_is_used_up():
    given = pool([0.5, 0.5, 0.9, 0.1])
    first = [choose("band", given, 4, np.random.default_rng(seed)) for seed in range(50)]
    assert all(set(found) == {0, 1, 2, 3} for found in first)
    assert sum(found[0] in {0, 1} for found in first) > 30


@pytest.fixture
def blobs():
    """Return 90 rows of three clusters, and what the labels of the first cluster leave unknown."""
    random = np.random.default_rng(0)
    vectors = np.eye(4)[np.repeat([0, 1, 2], 30)] + random.normal(scale=0.05, size=(90, 4))
    vectors = vectors.astype(np.float32)
    return vectors, make_design(
        make_ground(vectors), vectors[:20], np.arange(20), np.arange(20) % 2
    )


@pytest.mark.parametrize("n", [1, 4, 40, 90])
def test_band_stays_inside_the_limits_whatever_tells_most(blobs, n):
    """What is known best lies inside, and is asked about all the same: two times in three."""
    vectors, design = blobs
    scores = np.concatenate([np.full(30, 0.5), np.full(60, 0.95)])
    candidates = np.arange(20, 90)
    n_inside = n_asked = 0
    for seed in range(40):
        given = pool(scores, vectors=vectors, candidates=candidates, seen=np.arange(20),
                     design=design)  # fmt: skip
        found = choose("band", given, n, np.random.default_rng(seed))
        assert len(found) == len(set(found)) == min(n, 70)
        assert set(found) <= set(candidates)
        n_inside += int((found < 30).sum())
        n_asked += min(n, 10)
    assert n_inside > 0.55 * n_asked


def test_band_asks_inside_about_what_the_labels_say_least_of(blobs):
    """All lies inside; the known cluster is left alone, and no one image is always the first."""
    vectors, design = blobs
    given = pool(np.full(90, 0.5), vectors=vectors, candidates=np.arange(20, 90),
                 seen=np.arange(20), design=design)  # fmt: skip
    found = [choose("band", given, 2, np.random.default_rng(seed)) for seed in range(40)]
    assert min(np.ravel(found)) >= 30
    first = np.bincount([two[0] for two in found])
    assert np.count_nonzero(first) > 8
    assert first.max() > 4  # of 70, the best is among 12 in one draw of six


def test_band_asks_about_each_unknown_cluster_before_a_second_of_one():
    """Three clusters are unknown, and far more alike inside than among each other."""
    random = np.random.default_rng(0)
    vectors = np.eye(4)[np.repeat([0, 1, 2, 3], 30)] + random.normal(scale=0.01, size=(120, 4))
    vectors = vectors.astype(np.float32)
    known = np.arange(20)
    design = make_design(make_ground(vectors), vectors[:20], known, known % 2, 0.3)
    given = pool(np.full(120, 0.5), vectors=vectors, candidates=np.arange(20, 120), seen=known,
                 design=design)  # fmt: skip
    for seed in range(10):
        assert set(choose("band", given, 3, np.random.default_rng(seed)) // 30) == {1, 2, 3}


def test_band_knows_what_was_labelled_since_the_fit(blobs):
    """The second cluster was labelled after the fit, so the third is asked about."""
    vectors, design = blobs
    given = pool(np.full(90, 0.5), vectors=vectors, candidates=np.arange(70, 90),
                 seen=np.arange(40), design=design)  # fmt: skip
    later = pool(np.full(90, 0.5), vectors=vectors, candidates=np.arange(40, 90),
                 seen=np.arange(40), design=design)  # fmt: skip
    for seed in range(10):
        assert choose("band", later, 1, np.random.default_rng(seed))[0] >= 60
        assert choose("band", given, 1, np.random.default_rng(seed))[0] >= 70


def test_the_start_asks_about_the_middle_of_each_cluster_and_about_no_outlier():
    random = np.random.default_rng(0)
    vectors = np.eye(4)[np.repeat([0, 1, 2], 20)] + random.normal(scale=0.1, size=(60, 4))
    vectors = np.concatenate([vectors, [[0, 0, 0, 5.0]]])
    for seed in range(10):
        given = pool(np.full(61, np.nan), vectors=vectors)
        found = choose("band", given, 3, np.random.default_rng(seed))
        assert set(found // 20) == {0, 1, 2}
        after = pool(np.full(61, np.nan), vectors=vectors, seen=found[:1],
                     candidates=np.setdiff1d(np.arange(61), found[:1]))  # fmt: skip
        second = choose("band", after, 1, np.random.default_rng(seed))[0]
        assert second // 20 not in {found[0] // 20, 3}


def test_the_start_takes_images_without_vectors_last():
    vectors = np.eye(6)
    vectors[[0, 2]] = 0.0
    has = np.array([False, True, False, True, True, True])
    for seed in range(10):
        given = pool(np.full(6, np.nan), vectors=vectors, has=has)
        found = choose("band", given, 6, np.random.default_rng(seed))
        assert set(found[-2:]) == {0, 2}
    nothing = pool(np.full(6, np.nan), vectors=np.zeros((6, 0)), has=np.zeros(6, dtype=bool))
    assert len(set(choose("band", nothing, 4, np.random.default_rng(0)))) == 4


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("n", [0, 1, 2, 50])
@pytest.mark.parametrize("scored", [True, False])
def test_alike_vectors_and_tiny_pools_are_asked_about_without_a_warning(name, n, scored):
    with np.errstate(all="raise"):
        vectors = np.ones((n, 5), np.float32)
        scores = np.full(n, 0.5 if scored else np.nan)
        given = pool(scores, vectors=vectors)
        assert make_ground(vectors) is None
        found = choose(name, given, 3, np.random.default_rng(0))
    assert len(found) == len(set(found)) == min(n, 3)


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
