"""Training keeps to one thread of linear algebra, with many labels too: threads move last bits."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from vta_cli.heads.design import GRAM_ROWS
from vta_cli.heads.train import train_binary
from vta_cli.heads.train_kinds import train_kind
from vta_cli.heads.wanted import Wanted

N = GRAM_ROWS + 100


@pytest.mark.parametrize("kind", ["binary", "scores"])
def test_many_labels_are_learnt_on_one_thread(kind):
    random = np.random.default_rng(0)
    rows = random.normal(size=(N, 6)).astype(np.float32)
    seen = set()

    def watch(*_):
        seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        if kind == "binary":
            train_binary([rows], (rows[:, 0] > 0).astype(np.int8), head="logistic", progress=watch)
        else:
            wanted = Wanted("scores", rows[:, 0].astype(np.float64), np.ones(N))
            train_kind([rows], wanted, progress=watch)
    assert seen == {1}
