"""The ensemble of the original Visual Taste Approximator, re-created from its description.

Compressed kNN, logistic regression and LightGBM with the weights .3, .4, .3; below 800 labels its
small-sample settings. Kept as it was where it works: no seeds, no balanced classes. Where it fails
today (class weights as a list) the effective behaviour of its time is used.
"""

import time
from dataclasses import dataclass

import lightgbm
import numpy as np
from scipy.signal import find_peaks
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsRegressor

WEIGHTS = np.array([0.3, 0.4, 0.3])


@dataclass
class Settings:
    columns: int
    rows: int
    k: int
    c: float
    trees: int
    leaf: int
    subsample: float

    @classmethod
    def of(cls, n: int) -> "Settings":
        """Settings for `n` labels in all (not those of a fold)."""
        if n >= 800:
            return cls(120, 4000, 13, 0.75, 3000, 200, 0.35)
        return cls(
            min(int(0.7 * n), 80), min(int(0.6 * n), 500), 9, 0.1, 750, min(int(0.25 * n), 100), 0.6
        )


def original(x: np.ndarray, y: np.ndarray, settings: Settings, *tests: np.ndarray) -> list:
    """Fit the three members; return (3, n) predictions of each test set."""
    n, dim = x.shape
    pca = PCA(min(settings.columns, int(0.9 * dim), int(0.9 * n))).fit(x)
    z = pca.transform(x)
    n_clusters = min(settings.rows, int(0.8 * n))
    means = KMeans(n_clusters, n_init=10).fit(z)
    templates, soft = np.zeros((n_clusters, z.shape[1])), np.zeros(n_clusters)
    for cluster in range(n_clusters):
        inside = means.labels_ == cluster
        if inside.any():
            templates[cluster], soft[cluster] = z[inside].mean(axis=0), y[inside].mean()
    knn = KNeighborsRegressor(min(settings.k, n_clusters)).fit(templates, soft)
    logistic = LogisticRegression(C=settings.c).fit(x, y)
    params = {
        "objective": "binary", "metric": "auc", "num_leaves": 8, "learning_rate": 0.01,
        "min_data_in_leaf": settings.leaf, "colsample_bytree": 0.25, "verbosity": -1,
        "subsample": settings.subsample, "subsample_freq": 1, "num_threads": 1,
    }  # fmt: skip
    trees = lightgbm.train(params, lightgbm.Dataset(x, y), settings.trees)
    return [
        np.stack([knn.predict(pca.transform(t)), logistic.predict_proba(t)[:, 1], trees.predict(t)])
        for t in tests
    ]


def original_scores(x: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    return WEIGHTS @ original(x, y, Settings.of(len(y)), test)[0]


def original_cost(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """CPU seconds of its training with five folds, and of its weight search (timed on 50 draws)."""
    settings = Settings.of(len(y))
    started = time.process_time()
    original(x, y, settings, x[:1])
    held = np.empty((3, len(y)))
    for rows, out in StratifiedKFold(5, shuffle=True, random_state=123).split(x, y):
        held[:, out] = original(x[rows], y[rows], settings, x[out])[0]
    fitted = time.process_time() - started
    started = time.process_time()
    _search(held, y, 50)
    return fitted, (time.process_time() - started) * 10_000 / 50


def _search(held: np.ndarray, y: np.ndarray, n_draws: int) -> None:
    """Random weights, each judged by margins on a grid of thresholds, in plain loops."""
    random = np.random.default_rng()
    for _ in range(n_draws):
        w = 0.03 + 0.97 * random.random(3)
        p = w / w.sum() @ held
        up, down = [], []
        for t in np.linspace(0, 1, 101):
            tpr, fpr = np.mean(p[y == 1] > t), np.mean(p[y == 0] > t)
            up.append(tpr / (fpr + 0.001))
            down.append((1 - fpr) / (1 - tpr + 0.001))
        find_peaks(-np.abs(np.array(up) - 30))
        find_peaks(-np.abs(np.array(down) - 30))
        roc_auc_score(y, p)
        np.mean((p > 0.5) == y)


def tuned_logistic(x: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Plain logistic regression on unit rows, C by five-fold cross-validation of the log-loss."""
    n_folds = min(5, int(np.bincount(y).min()))
    model = LogisticRegressionCV(
        Cs=np.logspace(-3, 5, 9), cv=StratifiedKFold(n_folds, shuffle=True, random_state=0),
        scoring="neg_log_loss", max_iter=300, use_legacy_attributes=True, l1_ratios=(0.0,),
    ).fit(x, y)  # fmt: skip
    return model.predict_proba(test)[:, 1]
