"""The default head beside the original ensemble and a tuned logistic regression.

    python -m benchmarks.heads_vs_original [--seeds N] [--data DIR] [--quick]

For each labelled set and number of labels: as many positives as negatives are drawn, the rest
(balanced too) is the test. Every method gets the same vectors and draws. AUC with the standard
error over the draws; calibration error (ECE, ten equal bins) of the test scores, once as the mean
over draws and once over the scores of all draws together, which is free of the noise of small
tests. Seconds are CPU time of training with cross-validation, on one thread; the original's are
those of one draw.
"""

import argparse
import os
import platform
import time
import warnings
from collections import defaultdict
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  # after the thread limits

from benchmarks.heads_data import BACKBONES, SAMPLES, SETS, LabelledSet, labelled_sets  # noqa: E402
from benchmarks.heads_original import (  # noqa: E402
    original_cost,
    original_scores,
    tuned_logistic,
)
from vta_cli.heads.metrics import auc, ece  # noqa: E402
from vta_cli.heads.train import train_binary  # noqa: E402

BUDGETS = (20, 50, 100, 200)
FEWEST_TEST_SIDE = 5
METHODS = ("original", "logistic", "vta")


def draw(y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return rows to train on (n) and to test on, both balanced; None if the set is too small."""
    random = np.random.default_rng(seed)
    sides = [random.permutation(np.flatnonzero(y == side)) for side in (1, 0)]
    n_test = min(len(side) for side in sides) - n // 2
    if n_test < FEWEST_TEST_SIDE:
        return None
    train = np.concatenate([side[: n // 2] for side in sides])
    test = np.concatenate([side[n // 2 : n // 2 + n_test] for side in sides])
    return train, test


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def compare(case: LabelledSet, n: int, n_seeds: int, timed: bool) -> dict | None:
    """Return AUC and ECE of each draw and method, pooled ECE, and seconds."""
    found: dict = {"auc": defaultdict(list), "ece": defaultdict(list), "s": defaultdict(list)}
    pooled = defaultdict(list)
    truth = []
    x = unit(case.x)
    for seed in range(n_seeds):
        rows = draw(case.y, n, seed)
        if rows is None:
            return None
        train, test = rows
        y = case.y[train].astype(int)
        started = time.process_time()
        taste, _ = train_binary([case.x[train]], case.y[train], seed=seed)
        found["s"]["vta"].append(time.process_time() - started)
        scores = {"vta": taste.score([case.x[test]])}
        started = time.process_time()
        scores["logistic"] = tuned_logistic(x[train], y, x[test])
        found["s"]["logistic"].append(time.process_time() - started)
        scores["original"] = original_scores(x[train], y, x[test])
        truth.append(case.y[test])
        for name in METHODS:
            found["auc"][name].append(auc(scores[name], case.y[test])[0])
            found["ece"][name].append(ece(scores[name], case.y[test])[0])
            pooled[name].append(scores[name])
        if timed and seed == 0:
            found["s"]["original"].append(original_cost(x[train], y))
    found["pooled"] = {
        name: ece(np.concatenate(pooled[name]), np.concatenate(truth))[0] for name in METHODS
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--data", type=Path, default=SAMPLES)
    parser.add_argument("--backbone", nargs="*", default=list(BACKBONES), choices=list(BACKBONES))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--quick", action="store_true", help="3 draws, SqueezeNet vectors")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    seeds = 3 if options.quick else options.seeds
    backbones = ["squeezenet"] if options.quick else options.backbone
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {seeds} draws")
    wide = "".join(f"{name:>13}" for name in METHODS)
    narrow = "".join(f"{name[:6]:>7}" for name in METHODS)
    print(f"{'':32}{'AUC':^39} |{'ECE, each draw':^21} |{'ECE, all draws':^21} |")
    print(f"{'vectors':12}{'set':12}{'labels':>8}{wide} |{narrow} |{narrow} | CPU seconds, gain")
    gains, calibration, speed = [], [], []
    for backbone in backbones:
        for case in labelled_sets(options.data, options.sets, backbone):
            for n in BUDGETS:
                found = compare(case, n, seeds, timed=case.name in ("dogs", "quality"))
                if found is not None:
                    gain = show(backbone, case.name, n, found)
                    gains.append(gain)
                    calibration.append([found["pooled"][m] for m in METHODS])
                    if found["s"]["original"]:
                        fit, search = found["s"]["original"][0]
                        own = np.mean(found["s"]["vta"])
                        speed.append((n, fit / own, (fit + search) / own))
    summary(np.array(gains), np.array(calibration), speed)


def show(backbone: str, name: str, n: int, found: dict) -> tuple[float, float]:
    """Print one line; return the gain over the better of the two, and its standard error."""
    aucs = {m: np.array(found["auc"][m]) for m in METHODS}
    cells = ""
    for method in METHODS:
        error = (
            aucs[method].std(ddof=1) / len(aucs[method]) ** 0.5 if len(aucs[method]) > 1 else 0.0
        )
        cells += f"{aucs[method].mean():7.3f}±{error:.3f}"
    means = "".join(f"{np.mean(found['ece'][m]):7.3f}" for m in METHODS)
    pools = "".join(f"{found['pooled'][m]:7.3f}" for m in METHODS)
    seconds = f"{np.mean(found['s']['vta']):.2f}"
    if found["s"]["original"]:
        fit, search = found["s"]["original"][0]
        seconds += f"  original {fit:.1f} + {search:.0f}"
    better = max(("original", "logistic"), key=lambda m: aucs[m].mean())
    gain = aucs["vta"] - aucs[better]
    error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
    print(
        f"{backbone:12}{name:12}{n:8}{cells} |{means} |{pools} | {seconds}"
        f"  gain {gain.mean():+.3f}±{error:.3f}",
        flush=True,
    )
    return float(gain.mean()), float(error)


def summary(gains: np.ndarray, calibration: np.ndarray, speed: list) -> None:
    worst = gains[np.argmin(gains[:, 0] + gains[:, 1])]
    print(f"AUC over the better of the two: mean {gains[:, 0].mean():+.4f}, "
          f"worst {worst[0]:+.4f} with standard error {worst[1]:.4f}, "
          f"{np.sum(gains.sum(axis=1) < 0)} of {len(gains)} below by more than that")  # fmt: skip
    each = ", ".join(f"{m} {v:.3f}" for m, v in zip(METHODS, calibration.mean(axis=0), strict=True))
    ratio = calibration[:, 2].mean() / calibration[:, 0].mean()
    print(f"calibration error over all draws, mean of the sets: {each} (ratio {ratio:.2f})")
    for n, fit, whole in speed:
        print(f"{n} labels: {fit:.0f} times faster than the original's fits, "
              f"{whole:.0f} times with its weight search")  # fmt: skip


if __name__ == "__main__":
    main()
