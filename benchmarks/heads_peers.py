"""Scores of the original ensemble and of the tuned logistic regression, kept on disk.

They do not change while the heads of vta do, and cost most of the comparison's time.
"""

import json
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from benchmarks.heads_data import LabelledSet
from benchmarks.heads_original import original_cost, original_scores, tuned_logistic


@dataclass(frozen=True)
class Peers:
    """What the two give on one draw.

    Attributes
    ----------
    original, logistic : ndarray of shape (n_test,), float64
        Scores of the test rows.
    seconds : float
        CPU seconds of the logistic regression with its cross-validation.
    """

    original: np.ndarray
    logistic: np.ndarray
    seconds: float


def peers(
    case: LabelledSet, train: np.ndarray, test: np.ndarray, seed: int, cache: Path | None
) -> Peers:
    """Return both methods' scores of one draw, from `cache` where they lie there."""
    path = None if cache is None else cache / f"{_digest(case, train, test, seed)}.npz"
    if path is not None and path.is_file():
        with np.load(path) as kept:
            return Peers(kept["original"], kept["logistic"], float(kept["seconds"]))
    x, y = unit(case.x), case.y[train].astype(int)
    started = time.process_time()
    logistic = tuned_logistic(x[train], y, x[test])
    seconds = time.process_time() - started
    found = Peers(original_scores(x[train], y, x[test]), logistic, seconds)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, original=found.original, logistic=logistic, seconds=seconds)
    return found


def cost(
    case: LabelledSet, train: np.ndarray, seed: int, cache: Path | None
) -> tuple[float, float]:
    """Return the original's CPU seconds of training with five folds and of its weight search."""
    path = None if cache is None else cache / f"{_digest(case, train, train, seed)}.json"
    if path is not None and path.is_file():
        fit, search = json.loads(path.read_text())
        return fit, search
    fit, search = original_cost(unit(case.x)[train], case.y[train].astype(int))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([fit, search]))
    return fit, search


def unit(x: np.ndarray) -> np.ndarray:
    """Return rows of unit length."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))


def _digest(case: LabelledSet, train: np.ndarray, test: np.ndarray, seed: int) -> str:
    """Name the draw by all that the scores depend on, and by the code that makes them."""
    code = Path(__file__).with_name("heads_original.py").read_bytes()
    parts = [case.x, case.y, train, test, np.array([seed])]
    made = blake2b(code, digest_size=12)
    for part in parts:
        made.update(np.ascontiguousarray(part).tobytes())
    return made.hexdigest()
