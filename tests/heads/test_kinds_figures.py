"""Figures of every kind of judgement, against values worked out by hand."""

import numpy as np
import pytest

from vta_cli.heads.distribution import emd
from vta_cli.heads.figures import (
    number_figures,
    pair_figures,
    pearson,
    reduction,
    tag_figures,
)
from vta_cli.heads.judge_kinds import judge_names
from vta_cli.heads.ordinal import limits
from vta_cli.heads.wanted import Wanted


def test_perfect_numbers():
    truth = np.arange(1.0, 11.0)
    found = number_figures(truth, truth, (1.0, 10.0), 0.5)
    assert found["MAE"] == found["RMSE"] == 0.0
    assert found["LCC"] == found["SRCC"] == pytest.approx(1.0)
    assert found["good or bad at 5.5"] == found["within 0.5"] == 1.0
    assert found["gallery cut, top 5 % kept"] == pytest.approx(0.9)


def test_numbers_by_hand():
    truth, said = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.4, 2.0, 2.0, 6.0])
    found = number_figures(said, truth, (1.0, 4.0), 0.5)
    assert found["MAE"] == pytest.approx(3.4 / 4)
    assert found["RMSE"] == pytest.approx(np.sqrt((0.16 + 1 + 4) / 4))
    assert found["SRCC"] == pytest.approx(4.5 / np.sqrt(5 * 4.5))  # ties share a rank
    assert found["within 0.5"] == 0.5
    assert found["good or bad at 2.5"] == 0.75


def test_constant_answers_say_nothing():
    assert pearson(np.ones(5), np.arange(5.0)) == 0.0
    assert reduction(np.ones(40), np.arange(40.0), 1.0) == 0.0


def test_reduction_keeps_what_is_wanted():
    """40 images: the top 5 % are two; the head puts one of them first and one ninth."""
    truth = np.arange(40.0)
    said = truth.copy()
    said[38] = 30.5
    assert reduction(said, truth, 1.0) == pytest.approx(1 - 9 / 40)
    assert reduction(said, truth, 0.5) == pytest.approx(1 - 1 / 40)


def test_earth_movers_distance_of_the_first_picture_of_ava():
    """Counts over their sum against the uniform distribution: 0.161922 in NIMA's form.

    Its square is the mean-square form, without the root: 0.0262188.
    """
    counts = np.array([[0, 1, 5, 17, 38, 36, 15, 6, 5, 1]], dtype=float)
    found = emd(counts / counts.sum(), np.full((1, 10), 0.1))[0]
    assert found == pytest.approx(0.161922, abs=1e-6)
    assert found**2 == pytest.approx(0.0262188, abs=1e-7)


def test_unknown_tags_do_not_count():
    out = np.array([[0.9], [0.8], [0.1], [0.2]])
    y = np.array([[1], [-1], [0], [-1]], dtype=np.int8)
    found = tag_figures(out, y)
    assert found["AUC"] == found["accuracy"] == 1.0
    assert found["Brier"] == pytest.approx(0.01)


def test_ties_of_pairs_have_no_accuracy():
    found = pair_figures(np.array([0.8, 0.9, 0.3]), np.array([1.0, 0.5, 1.0]), np.ones(3))
    assert found["accuracy"] == 0.5
    tie = -(np.log(0.9) + np.log(0.1)) / 2
    assert found["log loss"] == pytest.approx((-np.log(0.8) + tie - np.log(0.3)) / 3)


def test_names_by_hand():
    y = np.array([0, 0, 1, 1, 1])
    out = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    named, confusion = judge_names(out, Wanted("classes", y, np.ones(5), names=("a", "b")))
    assert confusion.tolist() == [[1, 1], [1, 2]]
    assert (named[1].recall, named[1].precision) == pytest.approx((2 / 3, 2 / 3))
    assert named[0].f2 == pytest.approx(0.5)  # recall and precision are 1/2


def test_limits_rise():
    assert np.all(np.diff(limits(np.array([3.0, -5.0, 0.0, 2.0]))) > 0)
