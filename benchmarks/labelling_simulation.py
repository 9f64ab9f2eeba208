"""How many labels each strategy needs, on labelled sets, against asking at random.

    python -m benchmarks.labelling_simulation [--seeds 20] [--plot FILE.svg]

A simulated user labels a training part (two thirds) in the order that a strategy asks; after every
few labels the page's own head is fitted, and judged by its AUC on the part that is never asked
about. All strategies of a seed begin with nothing, on the same parts.

The figure is the number of labels from which the AUC has come 95 % of the way from 0.5 to that of
the head fitted on the whole training part. It is read off the rising curve that fits the AUCs best
(isotonic regression): the first crossing of the raw curve would favour a strategy whose curve
jumps about. Ratios to random are geometric means over seeds, paired, with bootstrap intervals.
The second figure has less noise: how much of the way was gone on average over the first 100 labels.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from benchmarks.heads_data import BACKBONES, SAMPLES, labelled_sets
from vta_cli.heads.metrics import auc
from vta_cli.heads.ridge import fit_quick
from vta_cli.labels.acquisition import STRATEGIES, Pool, choose, focus
from vta_cli.pipelines.label_learn import design_of

SETS = ("portraits", "dogs", "best three tenths", "apples")
GOAL = 0.95
BUDGET = 100
"""Labels over which the way gone is averaged."""


def fit(rows, targets):
    return fit_quick(rows, targets, np.arange(len(targets)), n_resamples=2)


def batch(n_labels):
    """Return how many labels are asked for before the next fit."""
    return 2 if n_labels < 20 else 4 if n_labels < 60 else 8


@dataclass(frozen=True)
class Task:
    """One seed's parts of a set: `rows` may be asked about, `held` judge."""

    rows: np.ndarray
    truth: np.ndarray
    held: np.ndarray
    held_truth: np.ndarray
    best: float
    seed: int


def make_task(vectors, targets, seed):
    order = np.random.default_rng(seed).permutation(len(targets))
    cut = len(order) * 2 // 3
    train, test = order[:cut], order[cut:]
    # Turned to the axes of the training rows: every product of rows stays what it was, and a head
    # is a combination of training rows, so nothing is lost and a fit takes a tenth of the time.
    left, sizes, axes = np.linalg.svd(vectors[train], full_matrices=False)
    rows, held = (left * sizes).astype(np.float32), (vectors[test] @ axes.T).astype(np.float32)
    truth = targets[train]
    best = float(auc(fit(rows, truth).scores(held), targets[test])[0])
    return Task(rows, truth, held, targets[test], best, seed)


def curve(task, strategy, budget=None):
    """Return numbers of labels, and the way gone after each: 0 at an AUC of 0.5, 1 at the best."""
    random = np.random.default_rng([task.seed, 1])
    n_rows = len(task.rows)
    most = min(budget or n_rows, n_rows)
    labelled: list[int] = []
    scores, spread = np.full(n_rows, np.nan), np.zeros(n_rows)
    design, has = None, np.ones(n_rows, dtype=bool)
    counts, values = [0], [0.5]
    while len(labelled) < most:
        free = np.setdiff1d(np.arange(n_rows), labelled)
        low, high = focus(scores[free])
        seen = np.array(labelled, dtype=int)
        pool = Pool(free, scores, spread, task.rows, seen, low, high, design)
        labelled.extend(int(row) for row in choose(strategy, pool, min(batch(len(labelled)), most - len(labelled)), random))
        known = task.truth[labelled]
        if 0 < known.sum() < len(known):
            head = fit(task.rows[labelled], known)
            scores, spread = head.opinions(task.rows)
            design = design_of(task.rows, has, np.array(labelled))
            values.append(float(auc(head.scores(task.held), task.held_truth)[0]))
        else:
            values.append(0.5)
        counts.append(len(labelled))
    return np.array(counts), (np.array(values) - 0.5) / (task.best - 0.5)


def needed(counts, way):
    """Return the labels from which the rising curve through the points has reached the goal."""
    rising = IsotonicRegression().fit_transform(counts, way)
    at = int(np.argmax(rising >= GOAL))
    if at == 0:  # all labels lead there, but for rounding
        return float(counts[-1])
    part = (GOAL - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(counts[at - 1] + part * (counts[at] - counts[at - 1]))


def area(counts, way):
    """Return the mean way gone over the first labels."""
    budget = min(BUDGET, counts[-1])
    at = np.arange(budget + 1)
    return float(np.trapezoid(np.interp(at, counts, way), at) / budget)


def interval(values):
    """Return the mean over seeds with a 95 % bootstrap interval."""
    drawn = np.random.default_rng(0).integers(len(values), size=(4000, len(values)))
    return values.mean(), *np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])


WIDTH, HEIGHT = 300, 210
"""Of one plot of the file [px]."""
COLOURS = {
    "band": "#0b7a69", "random": "#555555", "uncertain": "#b8401f", "diverse": "#3a6fb0",
    "top": "#a8870b", "disagree": "#8a4fa3",
}  # fmt: skip


def plot(curves, file):
    """Write the mean curves as an SVG: a row a backbone, a column a set."""
    columns = max(len(sets) for sets in curves.values())
    width, height = columns * WIDTH, len(curves) * HEIGHT + 24
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" font-size="11" fill="#333">'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for line, (backbone, sets) in enumerate(curves.items()):
        for column, (name, found) in enumerate(sets.items()):
            parts.append(f'<g transform="translate({column * WIDTH} {line * HEIGHT})">')
            parts += _axes(f"{name}, {backbone}", found)
            parts.append("</g>")
    names = list(next(iter(next(iter(curves.values())).values()))["curves"])
    for at, name in enumerate(names):
        x, y = 44 + at * 110, height - 8
        dash = ' stroke-dasharray="5 3"' if name == "random" else ""
        parts.append(
            f'<path d="M{x} {y - 4}h22" stroke="{COLOURS[name]}" stroke-width="2.4"{dash}/>'
            f'<text x="{x + 27}" y="{y}">{name}</text>'
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
    print(f"wrote {file}")


def _axes(title, found):
    left, right, top, bottom = 40, WIDTH - 8, 22, HEIGHT - 30
    last = max(counts[-1] for counts, _ in found["curves"].values())
    highest = max(found["goal"], *(mean.max() for _, mean in found["curves"].values()))
    ceiling = min(1.0, np.ceil(20 * highest) / 20)

    def spot(count, value):
        x = left + (right - left) * count / last
        return x, bottom - (bottom - top) * (max(value, 0.5) - 0.5) / (ceiling - 0.5)

    yield f'<text x="{left}" y="14" font-weight="bold">{title}</text>'
    for value in np.linspace(0.5, ceiling, 5):
        y = spot(0, value)[1]
        yield f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
    for count in np.linspace(0, last, 5):
        x = spot(count, 0.5)[0]
        anchor = "end" if count == last else "middle"
        yield f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="{anchor}">{count:.0f}</text>'
    y = spot(0, found["goal"])[1]
    yield f'<path d="M{left} {y:.1f}H{right}" stroke="#333" stroke-dasharray="1 3"/>'
    for name, (counts, mean) in reversed(found["curves"].items()):
        path = "L".join("{:.1f} {:.1f}".format(*spot(*at)) for at in zip(counts, mean, strict=True))
        wide = 2.4 if name == "band" else 1.2
        dash = ' stroke-dasharray="5 3"' if name == "random" else ""
        yield (
            f'<path d="M{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="{wide}"{dash}/>'
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=160)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS[:3]))
    parser.add_argument("--backbones", nargs="*", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--plot", type=Path, help="write the mean curves to this file")
    args = parser.parse_args()
    if not SAMPLES.is_dir():
        parser.error(f"no sample data at {SAMPLES}")
    curves: dict = {}
    logs: dict = {}
    print("| set | vectors | strategy | labels, mean | median | against random | mean AUC so far |")
    print("|---|---|---|---|---|---|---|")
    for backbone in args.backbones:
        curves[backbone] = {}
        for data in labelled_sets(SAMPLES, args.sets, backbone):
            unit = data.x / np.maximum(np.linalg.norm(data.x, axis=1, keepdims=True), 1e-9)
            found: dict = {"curves": {}}
            reference = None
            for strategy in sorted(args.strategies, key=lambda s: s != "random"):
                with threadpool_limits(1):
                    runs = [
                        curve(unit.astype(np.float32), data.y, strategy, seed, args.budget)
                        for seed in range(args.first_seed, args.first_seed + args.seeds)
                    ]
                counts = np.array([needed(*run) for run in runs])
                reference = counts if reference is None else reference
                ratio, low, high = compare(counts, reference)
                logs.setdefault(strategy, []).append(np.log(ratio))
                found["goal"] = float(np.mean([0.5 + GOAL * (run[2] - 0.5) for run in runs]))
                mean = np.mean([run[1] for run in runs], axis=0)
                found["curves"][strategy] = runs[0][0], mean
                print(
                    f"| {data.name} | {backbone} | {strategy} | {counts.mean():.1f} | "
                    f"{np.median(counts):.0f} | x{ratio:.2f} ({low:.2f} to {high:.2f}) | "
                    f"{np.mean([run[1].mean() for run in runs]):.4f} |",
                    flush=True,
                )
            curves[backbone][data.name] = found
    for strategy, values in logs.items():
        print(f"{strategy}: x{np.exp(np.mean(values)):.2f} of random's labels, geometric mean")
    if args.plot:
        plot(curves, args.plot)


if __name__ == "__main__":
    main()
