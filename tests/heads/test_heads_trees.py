"""The numpy trees give LightGBM's own numbers, and refuse crooked arrays."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.heads.trees import TreesPart, trees_from_dump


def grow(seed, n=120, dim=12, n_trees=30, leaves=5, **params):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, dim)).astype(np.float32)
    x[random.random(x.shape) < 0.1] = 0.0
    y = (x[:, 0] + random.normal(size=n) > 0).astype(int)
    settings_ = {
        "objective": "binary", "num_leaves": leaves, "min_data_in_leaf": 3, "use_missing": False,
        "verbosity": -1, "num_threads": 1, "seed": seed, "feature_fraction": 0.5, **params,
    }  # fmt: skip
    return x, lightgbm.train(settings_, lightgbm.Dataset(x, y), n_trees)


@given(st.integers(0, 10_000), st.integers(2, 16), st.integers(1, 40))
@settings(deadline=None, max_examples=15)
def test_margins_equal_lightgbms_to_the_bit(seed, leaves, n_trees):
    x, booster = grow(seed, leaves=leaves, n_trees=n_trees)
    fresh = np.random.default_rng(seed + 1).normal(size=(300, 12)).astype(np.float32)
    fresh[0] = 0.0

    part = trees_from_dump(booster.dump_model())

    for rows in (x, fresh):
        assert np.array_equal(part.margins(rows), booster.predict(rows, raw_score=True))


def test_trees_without_a_split_are_constants():
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 3)).astype(np.float32)
    y = np.repeat([0, 1], 10)
    booster = lightgbm.train(
        {"objective": "binary", "min_data_in_leaf": 50, "verbosity": -1, "use_missing": False},
        lightgbm.Dataset(x, y), 3,
    )  # fmt: skip

    part = trees_from_dump(booster.dump_model())

    assert np.array_equal(part.margins(x), booster.predict(x, raw_score=True))


def test_the_arrays_are_enough():
    x, booster = grow(5)
    part = trees_from_dump(booster.dump_model())

    again = TreesPart.restore(part.arrays(), 12)

    assert np.array_equal(again.margins(x), part.margins(x))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("left", lambda a: a.__setitem__((0, 0), 0)),  # a node that is its own child
        ("right", lambda a: a.__setitem__((1, 2), 1)),  # a way back up
        ("left", lambda a: a.__setitem__((0, 1), 99)),  # no such node
        ("right", lambda a: a.__setitem__((0, 1), -99)),  # no such leaf
        ("feature", lambda a: a.__setitem__((0, 0), 12)),  # no such column
        ("feature", lambda a: a.__setitem__((0, 0), -1)),
        ("leaf", lambda a: a.__setitem__((0, 0), np.nan)),
        ("threshold", lambda a: a.__setitem__((0, 0), np.inf)),
    ],
)
def test_crooked_trees_are_refused(name, spoil):
    arrays = {k: v.copy() for k, v in trees_from_dump(grow(1)[1].dump_model()).arrays().items()}
    spoil(arrays[name])

    with pytest.raises(ValueError, match=r"tree|finite"):
        TreesPart.restore(arrays, 12)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 9))
@settings(deadline=None, max_examples=20)
def test_small_trees_by_masks_agree_with_walking_down(seed, leaves, n):
    """Rows on a threshold, a float32 beside it and far away, among others."""
    _, booster = grow(seed, leaves=leaves)
    part = trees_from_dump(booster.dump_model())
    rows = np.random.default_rng(seed).normal(size=(n, 12)).astype(np.float32)
    node = seed % part.feature.shape[1]
    rows[0, part.feature[0, node]] = np.float32(part.threshold[0, node])
    rows[-1, part.feature[1, 0]] = np.nextafter(np.float32(part.threshold[1, 0]), np.float32(9))
    rows[n // 2, 0] = np.inf

    assert part._masks is not None
    assert np.array_equal(part.margins(rows), part._walked(rows))


def test_what_is_no_tree_is_walked_down():
    """Two ways to one node: a crafted file, which means what walking down makes of it."""
    part = TreesPart(
        np.zeros((1, 2), np.int32), np.array([[0.0, 5.0]]),
        np.array([[1, -1]], np.int32), np.array([[1, -2]], np.int32), np.array([[1.0, 2.0, 0.0]]),
    )  # fmt: skip

    found = part.margins(np.array([[-1.0], [1.0], [6.0]], np.float32))

    assert found.tolist() == [1.0, 1.0, 2.0]
