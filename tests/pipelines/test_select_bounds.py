"""A bound copied from printed scores reaches the image that it was copied from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.pipelines.select import Rule


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_a_printed_score_keeps_its_image_from_both_sides(score):
    printed = float(f"{score:.6g}")
    scores = np.array([score, np.nan])
    assert Rule(printed, None, None, None).keeps(scores).tolist() == [True, False]
    assert Rule(None, printed, None, None).keeps(scores).tolist() == [True, False]


def test_a_bound_of_more_digits_is_taken_at_its_word():
    scores = np.array([0.12345670, 0.12345678, 0.1234569])
    assert Rule(0.12345678, None, None, None).keeps(scores).tolist() == [False, True, True]
    assert Rule(None, 0.12345678, None, None).keeps(scores).tolist() == [True, True, False]


def test_what_prints_otherwise_is_left_out():
    scores = np.array([0.899999, 0.8999996, 0.9, 0.9000004, 0.900001])
    assert Rule(0.9, 0.9, None, None).keeps(scores).tolist() == [False, True, True, True, False]
