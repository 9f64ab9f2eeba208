"""How many labels each strategy needs, on labelled sets, against asking at random.

    python -m benchmarks.labelling_simulation [--seeds 20] [--keep FILE.jsonl] [--plot FILE.svg]

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
import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from benchmarks.heads_data import BACKBONES, SAMPLES, labelled_sets
from benchmarks.learning_curves import plot
from vta_cli.heads import ridge
from vta_cli.heads.metrics import auc
from vta_cli.heads.ridge import fit_quick
from vta_cli.labels import design
from vta_cli.labels.acquisition import NEED_DESIGN, STRATEGIES, Pool, choose, focus
from vta_cli.labels.design import Ground, make_design
from vta_cli.pipelines.label_learn import ground_of

SETS = ("portraits", "dogs", "best three tenths", "apples")
GOAL = 0.95
STEPS = (20, 2), (60, 4), (140, 8), (10**9, 16)
"""Labels between two fits: until so many labels, so many."""
BUDGET = 100
"""Labels over which the way gone is averaged."""


def fit(rows, targets):
    return fit_quick(rows, targets, np.arange(len(targets)), n_resamples=0)


def batch(n_labels):
    """Return how many labels are asked for before the next fit."""
    return next(step for until, step in STEPS if n_labels < until)


@dataclass(frozen=True)
class Task:
    """One seed's parts of a set: `rows` may be asked about, `held` judge."""

    rows: np.ndarray
    truth: np.ndarray
    held: np.ndarray
    held_truth: np.ndarray
    ground: Ground
    best: float
    seed: int


def make_task(vectors, targets, seed):
    order = np.random.default_rng(seed).permutation(len(targets))
    cut = len(order) * 2 // 3
    train, test = order[:cut], order[cut:]
    # Turned to the axes of the training rows: every product of rows stays what it was, and a head
    # is a combination of training rows, so nothing is lost and a fit takes a tenth of the time.
    squares, left = np.linalg.eigh((vectors[train] @ vectors[train].T).astype(np.float64))
    keep = squares > squares[-1] * 1e-6
    left, sizes = left[:, keep], np.sqrt(squares[keep])
    rows = (left * sizes).astype(np.float32)
    held = (vectors[test] @ vectors[train].T @ (left / sizes)).astype(np.float32)
    truth = targets[train]
    best = float(auc(fit(rows, truth).scores(held), targets[test])[0])
    ground = ground_of(rows, np.ones(cut, dtype=bool))
    return Task(rows, truth, held, targets[test], ground, best, seed)


def curve(task, strategy, budget=None):
    """Return numbers of labels, and the way gone after each: 0 at an AUC of 0.5, 1 at the best."""
    random = np.random.default_rng([task.seed, 1])
    n_rows = len(task.rows)
    most = min(budget or n_rows, n_rows)
    labelled: list[int] = []
    scores, spread = np.full(n_rows, np.nan), np.zeros(n_rows)
    design = None
    counts, values = [0], [0.5]
    while len(labelled) < most:
        free = np.setdiff1d(np.arange(n_rows), labelled)
        low, high = focus(scores[free])
        seen = np.array(labelled, dtype=int)
        pool = Pool(free, scores, spread, task.rows, seen, low, high, design)
        n_wanted = min(batch(len(labelled)), most - len(labelled))
        labelled.extend(int(row) for row in choose(strategy, pool, n_wanted, random))
        known = task.truth[labelled]
        if 0 < known.sum() < len(known):
            head = fit(task.rows[labelled], known)
            scores, spread = head.opinions(task.rows)
            if strategy in NEED_DESIGN:
                rows = np.array(labelled)
                design = make_design(task.ground, task.rows[rows], rows, known, head.penalty)
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


def resampled(n_seeds):
    return np.random.default_rng(0).integers(n_seeds, size=(4000, n_seeds))


def ratio(found, reference):
    """Return the ratio of mean labels to random's, with a 95 % interval over pairs of seeds."""
    drawn = resampled(len(found))
    ratios = found[drawn].mean(axis=1) / reference[drawn].mean(axis=1)
    return found.mean() / reference.mean(), *np.quantile(ratios, [0.025, 0.975])


def gain(found, reference):
    """Return the mean difference to random, with a 95 % interval over pairs of seeds."""
    drawn = (found - reference)[resampled(len(found))].mean(axis=1)
    return (found - reference).mean(), *np.quantile(drawn, [0.025, 0.975])


@cache
def _set(name, backbone):
    (data,) = labelled_sets(SAMPLES, [name], backbone)
    unit = data.x / np.maximum(np.linalg.norm(data.x, axis=1, keepdims=True), 1e-9)
    return unit.astype(np.float32), data.y


def sitting(name, backbone, seed, strategies):
    """Return the curves of all strategies with one seed, and the AUC of all labels."""
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        for module in (ridge, design):  # asked for once above: at every fit it costs half the time
            stack.enter_context(mock.patch.object(module, "threadpool_limits", nullcontext))
        task = make_task(*_set(name, backbone), seed)
        return {strategy: curve(task, strategy) for strategy in strategies}


class Kept:
    """Curves by set, vectors, strategy and seed; with a file they outlast a run that was ended."""

    def __init__(self, file):
        self.file, self._curves = file, {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                *key, counts, way = json.loads(line)
                self._curves[tuple(key)] = np.array(counts), np.array(way)

    def lacks(self, name, backbone, strategies, seed):
        return [each for each in strategies if (name, backbone, each, seed) not in self._curves]

    def add(self, name, backbone, seed, curves):
        for strategy, (counts, way) in curves.items():
            self._curves[name, backbone, strategy, seed] = counts, way
            if self.file is not None:
                row = [name, backbone, strategy, seed, counts.tolist(), way.round(6).tolist()]
                with self.file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")

    def curves(self, name, backbone, strategies, seeds):
        return [[self._curves[name, backbone, each, seed] for each in strategies] for seed in seeds]


HEAD = (
    "| set | vectors | strategy | labels, mean | against random | way gone, first 100 labels "
    "| more than random |"
)


def report(name, backbone, strategies, runs):
    """Print the rows of a set; return per strategy the log ratio, the gain, and the mean curve."""
    labels = np.array([[needed(*found) for found in curves] for curves in runs])
    areas = np.array([[area(*found) for found in curves] for curves in runs])
    told = {}
    for at, strategy in enumerate(strategies):
        times = ratio(labels[:, at], labels[:, 0])
        more = gain(areas[:, at], areas[:, 0])
        print(
            f"| {name} | {backbone} | {strategy} | {labels[:, at].mean():.1f} | "
            "x{:.2f} ({:.2f} to {:.2f}) | ".format(*times)
            + f"{areas[:, at].mean():.3f} | "
            + "{:+.3f} ({:+.3f} to {:+.3f}) |".format(*more),
            flush=True,
        )
        mean = np.mean([curves[at][1] for curves in runs], axis=0)
        told[strategy] = np.log(times[0]), more[0], (runs[0][at][0], mean)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="from each first seed on")
    parser.add_argument("--first-seed", type=int, nargs="*", default=[0])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS[:3]))
    parser.add_argument("--backbones", nargs="*", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--strategies", nargs="*", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument(
        "--keep", type=Path, help="keep the curves in this file, and go on with those it holds"
    )
    parser.add_argument("--plot", type=Path, help="write the mean curves to this file")
    args = parser.parse_args()
    if not SAMPLES.is_dir():
        parser.error(f"no sample data at {SAMPLES}")
    strategies = ["random", *(name for name in args.strategies if name != "random")]
    seeds = [first + at for first in args.first_seed for at in range(args.seeds)]
    kept = Kept(args.keep)
    told: dict = {}
    print(HEAD)
    print("|---" * 7 + "|")
    with ExitStack() as stack:
        spread = map
        if args.jobs > 1:  # a fork would share the threads of onnxruntime, and hang
            workers = ProcessPoolExecutor(args.jobs, get_context("spawn"))
            spread = stack.enter_context(workers).map
        for backbone in args.backbones:
            for name in args.sets:
                lacking = {
                    seed: wanted
                    for seed in seeds
                    if (wanted := kept.lacks(name, backbone, strategies, seed))
                }
                if lacking:
                    _set(name, backbone)  # embedded once, not by every process
                one = partial(sitting, name, backbone)
                found = spread(one, lacking, lacking.values())
                for seed, curves in zip(lacking, found, strict=True):
                    kept.add(name, backbone, seed, curves)
                runs = kept.curves(name, backbone, strategies, seeds)
                told[backbone, name] = report(name, backbone, strategies, runs)
    for strategy in strategies:
        logs, gains, _ = zip(*(rows[strategy] for rows in told.values()), strict=True)
        print(
            f"{strategy}: x{np.exp(np.mean(logs)):.2f} of random's labels (geometric mean of the "
            f"sets), {np.mean(gains):+.3f} of the way"
        )
    if args.plot:
        panels = {
            (backbone, name): {strategy: row[2] for strategy, row in rows.items()}
            for (backbone, name), rows in told.items()
        }
        plot(panels, GOAL, args.plot)


if __name__ == "__main__":
    main()
