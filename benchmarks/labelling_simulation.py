"""How many labels each strategy needs, on labelled sets, against asking at random.

    python -m benchmarks.labelling_simulation [--seeds 20] [--plot FILE.svg]

A simulated user labels a training part (two thirds) in the order that a strategy asks; after every
few labels the page's own head is fitted, and judged by its AUC on the part that is never asked
about. The figure is the number of labels from which the AUC stays within 95 % of the way from 0.5
to that of the head fitted on the whole training part. Vectors are those of the classic backbone.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.classic_data import DATA
from benchmarks.classic_quality import embed, rows_of
from vta_cli.heads.metrics import auc
from vta_cli.heads.ridge import fit_quick
from vta_cli.labels.acquisition import STRATEGIES, Pool, choose, focus

SETS = (
    ("portraits", "label", lambda row: float(row["label"])),
    ("dogs_cats", "label", lambda row: float(row["label"] == "dog")),
    ("biq2021_quality", "mos", None),
)
GOAL = 0.95
BATCH = 4
"""Labels between two fits."""


def load(name, column, number):
    rows = [row for row in rows_of(DATA / name / "labels.csv") if row[column]]
    vectors = embed([DATA / name / row["file"] for row in rows])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    if number is None:
        scores = np.array([float(row[column]) for row in rows])
        targets = scores >= np.quantile(scores, 0.7)  # the better three tenths: a lopsided taste
    else:
        targets = np.array([number(row) for row in rows]) > 0.5
    return vectors.astype(np.float32), targets.astype(np.int8)


def curve(vectors, targets, strategy, seed, budget):
    """Return numbers of labels and the AUC on the held-out part after each."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(targets))
    cut = len(order) * 2 // 3
    train, test = order[:cut], order[cut:]
    rows, truth = vectors[train], targets[train]
    full = fit_quick(rows, truth, np.arange(cut))
    best = float(auc(full.scores(vectors[test]), targets[test])[0])
    labelled: list[int] = []
    scores, spread = np.full(cut, np.nan), np.zeros(cut)
    counts, values = [], []
    while len(labelled) < min(budget, cut):
        free = np.setdiff1d(np.arange(cut), labelled)
        low, high = focus(scores[free])
        pool = Pool(free, scores, spread, rows, np.array(labelled, dtype=int), low, high)
        labelled.extend(int(row) for row in choose(strategy, pool, BATCH, random))
        known = truth[labelled]
        if 0 < known.sum() < len(known):
            fit = fit_quick(rows[labelled], known, np.arange(len(labelled)))
            scores, spread = fit.scores(rows), fit.spread(rows)
            values.append(float(auc(fit.scores(vectors[test]), targets[test])[0]))
        else:
            values.append(0.5)
        counts.append(len(labelled))
    return np.array(counts), np.array(values), best


def needed(counts, values, best):
    """Return the labels from which the smoothed AUC has reached the goal."""
    goal = 0.5 + GOAL * (best - 0.5)
    smooth = np.convolve(np.pad(values, (1, 1), mode="edge"), np.ones(3) / 3, mode="valid")
    reached = np.flatnonzero(smooth >= goal)
    return float(counts[reached[0]]) if len(reached) else float(counts[-1])


def plot(curves, file):
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.4), squeeze=False)
    for axis, (name, found) in zip(axes[0], curves.items(), strict=True):
        for strategy, (counts, mean, _) in found["curves"].items():
            style = {"lw": 2.2} if strategy == "band" else {"lw": 1.1}
            dash = "--" if strategy == "random" else "-"
            axis.plot(counts, mean, dash, label=strategy, **style)
        axis.axhline(found["goal"], color="grey", lw=0.8, ls=":")
        axis.set_title(name)
        axis.set_xlabel("labels")
        axis.set_ylabel("AUC on images never asked about")
        axis.grid(alpha=0.25)
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    print(f"wrote {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=160)
    parser.add_argument("--only", help="one set only")
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--plot", type=Path, help="write the mean curves to this file")
    args = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"no sample data at {DATA}")
    curves = {}
    print("| set | strategy | labels to 95 % (median) | mean | against random | mean AUC so far |")
    print("|---|---|---|---|---|---|")
    for name, column, number in SETS:
        if args.only and args.only != name:
            continue
        vectors, targets = load(name, column, number)
        found: dict = {"curves": {}}
        reference = None
        for strategy in sorted(args.strategies, key=lambda s: s != "random"):
            runs = [
                curve(vectors, targets, strategy, seed, args.budget) for seed in range(args.seeds)
            ]
            counts = np.array([needed(*run) for run in runs])
            area = np.array([run[1].mean() for run in runs])
            if reference is None:
                reference = counts
            ratio = counts.mean() / reference.mean()
            drawn = np.random.default_rng(0).integers(len(counts), size=(2000, len(counts)))
            spread = counts[drawn].mean(axis=1) / reference[drawn].mean(axis=1)
            low, high = np.quantile(spread, [0.025, 0.975])
            goal = float(np.mean([0.5 + GOAL * (run[2] - 0.5) for run in runs]))
            found["goal"] = goal
            found["curves"][strategy] = (
                runs[0][0], np.mean([run[1] for run in runs], axis=0), area
            )  # fmt: skip
            print(
                f"| {name} | {strategy} | {np.median(counts):.0f} | {counts.mean():.1f} | "
                f"x{ratio:.2f} ({low:.2f} to {high:.2f}) | "
                f"{area.mean():.4f} |",
                flush=True,
            )
        curves[name] = found
    if args.plot:
        plot(curves, args.plot)


if __name__ == "__main__":
    main()
