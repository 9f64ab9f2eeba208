"""Folds keep near-copies together and classes in proportion."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.heads.folds import make_folds


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=60),
    st.integers(2, 6),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_groups_stay_whole_and_every_training_part_has_both_classes(rows, n_folds, seed):
    targets = np.array([row[0] for row in rows], dtype=np.int8)
    groups = np.array([row[1] for row in rows])

    folds = make_folds(targets, groups, n_folds, 2, seed)

    for fold_of in folds:
        assert all(len(np.unique(fold_of[groups == g])) == 1 for g in np.unique(groups))
        assert fold_of.max() < n_folds
        for fold in np.unique(fold_of):
            assert set(targets[fold_of != fold]) == {0, 1}


@given(st.integers(5, 60), st.integers(5, 60), st.integers(0, 9))
@settings(deadline=None)
def test_single_rows_are_dealt_evenly(n_positive, n_negative, seed):
    targets = np.array([1] * n_positive + [0] * n_negative, dtype=np.int8)

    fold_of = make_folds(targets, np.arange(len(targets)), 5, 1, seed)[0]

    for side in (0, 1):
        inside = np.bincount(fold_of[targets == side], minlength=5)
        assert inside.max() - inside.min() <= 1
    sizes = np.bincount(fold_of, minlength=5)
    assert sizes.max() - sizes.min() <= 2


def test_large_groups_are_levelled_out_by_single_rows():
    targets = np.array([1] * 20 + [1] * 80 + [0] * 100, dtype=np.int8)
    groups = np.array([0] * 20 + list(range(1, 181)))

    fold_of = make_folds(targets, groups, 5, 1, 0)[0]

    assert np.bincount(fold_of[targets == 1]).tolist() == [20] * 5


def test_the_seed_decides_and_repeats_differ():
    targets = np.tile([0, 1], 30).astype(np.int8)

    folds = make_folds(targets, np.arange(60), 5, 2, 1)

    assert np.array_equal(folds, make_folds(targets, np.arange(60), 5, 2, 1))
    assert not np.array_equal(folds[0], folds[1])
    assert not np.array_equal(folds, make_folds(targets, np.arange(60), 5, 2, 2))


def test_no_folds_where_one_side_is_a_single_group():
    targets = np.array([1, 1, 1, 0, 0, 0], dtype=np.int8)

    assert make_folds(targets, np.array([0, 0, 0, 1, 2, 3]), 5, 2, 0).shape == (0, 6)
