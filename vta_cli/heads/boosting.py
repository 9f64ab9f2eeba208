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
LEAF_SHARE = 0.1
"""Rows of a leaf as a share of all, between 2 and 50 rows."""


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
        params = _params(design, seed)
        data = lightgbm.Dataset(
            design.unit, label=targets, weight=weights, params=params, free_raw_data=False
        ).construct()
        raw_oof = np.empty(folds.shape)
        for repeat, fold_of in enumerate(folds):
            for fold in np.unique(fold_of):
                held = np.flatnonzero(fold_of == fold)
                rows = np.flatnonzero(fold_of != fold)
                booster = lightgbm.train(
                    params | {"min_data_in_leaf": _leaf_rows(len(rows))},
                    data.subset(rows.tolist()),
                    N_TREES,
                )
                raw_oof[repeat, held] = booster.predict(
                    design.unit[held], raw_score=True, num_threads=1
                )
        booster = lightgbm.train(params | {"min_data_in_leaf": _leaf_rows(design.n)}, data, N_TREES)
        part = trees_from_dump(booster.dump_model())
        return Fitted(part, raw_oof, f"{N_TREES} trees of {N_LEAVES} leaves")


def _leaf_rows(n: int) -> int:
    return int(min(max(2, LEAF_SHARE * n), 50))


def _params(design: Design, seed: int) -> dict[str, Any]:
    dim = design.unit.shape[1]
    return {
        "objective": "binary",
        "num_leaves": N_LEAVES,
        "learning_rate": LEARNING_RATE,
        # never fewer than some ten columns a tree
        "feature_fraction": min(1.0, max(COLUMN_SHARE, 10 / dim)),
        "bagging_fraction": ROW_SHARE,
        "bagging_freq": 1,
        "feature_pre_filter": False,
        "min_data_in_bin": 1 if design.n < 200 else 3,
        "max_bin": MAX_BINS,
        "use_missing": False,
        "enable_bundle": False,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,  # sums of histograms depend on the number of threads
        "verbosity": -1,
    }
