"""Gradient-boosted trees on the unit columns, fitted with LightGBM.

Few, small trees, each of which sees a twentieth of the columns: on 20 to 200 labels that is better
than the 750 trees of the original ensemble at a fifth of the cost (`benchmarks/heads_vs_original`).
"""

from typing import Any, ClassVar

import lightgbm
import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats
from vta_cli.heads.design import Design
from vta_cli.heads.protocol import Fitted
from vta_cli.heads.trees import trees_from_dump

N_TREES = 150
LEARNING_RATE = 0.05
N_LEAVES = 4
COLUMN_SHARE = 0.05
ROW_SHARE = 0.7
MAX_BINS = 31
MAX_COLUMNS = 1_000
"""Wider rows lend so many of their columns, drawn at random: LightGBM's cost grows with the columns
that it is given, even with those that a tree does not look at."""


class Boosting:
    """LightGBM with settings for few labels and many columns."""

    name: ClassVar[str] = "boosting"

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `Fitter`.

        The bins of the columns are made once from all rows; no label is involved in them.
        """
        columns = _columns(design.unit.shape[1], seed)
        lent = np.ascontiguousarray(design.unit[:, columns])
        params = _params(len(targets), len(columns), seed)
        data = lightgbm.Dataset(
            lent, label=targets, weight=weights, params=params, free_raw_data=False
        ).construct()
        raw_oof = np.empty(folds.shape)
        for repeat, fold_of in enumerate(folds):
            for fold in np.unique(fold_of):
                held = np.flatnonzero(fold_of == fold)
                rows = np.flatnonzero(fold_of != fold)
                booster = _grow(params, data.subset(rows.tolist()), len(rows))
                raw_oof[repeat, held] = booster.predict(lent[held], raw_score=True, num_threads=1)
        part = trees_from_dump(_grow(params, data, design.n).dump_model(), columns)
        return Fitted(part, raw_oof, f"{N_TREES} trees of {N_LEAVES} leaves")


def _columns(dim: int, seed: int) -> NDArray[np.int64]:
    if dim <= MAX_COLUMNS:
        return np.arange(dim)
    return np.sort(np.random.default_rng(seed).choice(dim, MAX_COLUMNS, replace=False))


def _grow(params: dict[str, Any], data: Any, n: int) -> Any:
    """Grow trees whose leaves hold a tenth of the rows, at least 2 and at most 50."""
    leaf_rows = int(min(max(2, 0.1 * n), 50))
    return lightgbm.train(
        params | {"min_data_in_leaf": leaf_rows}, data, N_TREES, keep_training_booster=True
    )


def _params(n: int, n_columns: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": N_LEAVES,
        "learning_rate": LEARNING_RATE,
        # never fewer than some ten columns a tree
        "feature_fraction": min(1.0, max(COLUMN_SHARE, 10 / n_columns)),
        "bagging_fraction": ROW_SHARE,
        "bagging_freq": 1,
        "feature_pre_filter": False,
        "min_data_in_bin": 1 if n < 200 else 3,
        "max_bin": MAX_BINS,
        "bin_construct_sample_cnt": 5_000,
        "use_missing": False,
        "enable_bundle": False,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,  # sums of histograms depend on the number of threads
        "verbosity": -1,
    }
