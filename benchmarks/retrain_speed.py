"""How long the labelling page learns, and how long it takes to say what comes next.

    python -m benchmarks.retrain_speed [--labels 1000] [--images 100000] [--dim 6784]

Made vectors of the width of the four networks of the original together, in the page's own session.
Learning is all that its thread does when asked: near-copies, a fit with five folds and all
penalties, calibration, intervals, new scores of all images, what the labels leave unknown, new
limits, and the saved head. The axes of a large pool are found once; they are counted in the first
time and not in the median. The next image is asked for as the page does, four at a time, with
twelve on view and nine judged since the fit. Beside learning, on the same rows: what a script would
do, scikit-learn's `LogisticRegressionCV`, nine penalties by five folds, and its scores of all.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegressionCV

from benchmarks.table import row
from vta_cli.labels.acquisition import STRATEGIES
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_load import Inputs
from vta_cli.pipelines.label_pool import BASIS_ROWS, make_sketch
from vta_cli.pipelines.sources import Source
from vta_cli.records import KEY_BYTES, Preprocess, Recipe
from vta_cli.store.store import Store

ON_VIEW, SINCE_FIT, AHEAD = 12, 9, 4


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def timed(work, runs):
    """Return wall times and processor times of some runs [s]."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return walls, cpus


def fill(session, n_images, dim, random):
    """Put made images with vectors into the pool; return which of them are liked."""
    hidden = random.normal(size=(64, dim)).astype(np.float32) / 8

    def inner(n):
        return random.normal(size=(n, 64)).astype(np.float32)

    start = time.perf_counter()
    noise = random.normal(size=(BASIS_ROWS, dim)).astype(np.float32)
    sketch = make_sketch([dim], n_images, unit(inner(BASIS_ROWS) @ hidden + noise))
    print(f"axes {dim} -> {sketch.dim}: {time.perf_counter() - start:.1f} s, once")
    # Made on the axes at once: noise turned by orthonormal columns is noise.
    if sketch.axes is not None:
        hidden = hidden @ sketch.axes
    length = np.sqrt(2 * dim)
    recipe = Recipe("made/1", "none", dim, Preprocess("shortest", 224, 224))
    session.loader.sketch, session.loader.spaces = sketch, [session.store.space(recipe)]
    liked = []
    for start in range(0, n_images, 2000):
        part = inner(min(2000, n_images - start))
        rows = part @ hidden + random.normal(size=(len(part), sketch.dim)).astype(np.float32)
        for at in range(start, start + len(rows)):
            key = at.to_bytes(KEY_BYTES, "big")
            session.pool.add(key, f"{at}.jpg", f"{at}.jpg", (0, 0), askable=True)
        session.pool.set_vectors(np.arange(start, start + len(rows)), rows / length)
        liked.append(part[:, 0] + random.normal(size=len(part)) * 0.5 > 0)
    return np.concatenate(liked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=6784)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # what scikit-learn means to change
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store.open(folder / ".vta", create=True)
        session = Session(store, Inputs(Source([name])), Plan(folder / "j.jsonl", rater="made"))
        liked = fill(session, args.images, args.dim, random)
        order = random.permutation(args.images)
        _run(session, liked, order, args)
        session.journal.close()
        store.close()


def _run(session, liked, order, args):
    learner, pool = session.learner, session.pool
    on_view = [pool.hex(int(row)) for row in order[-ON_VIEW:]]

    def ask():
        session.next(AHEAD, on_view)

    print("| labels | what | wall, median [s] | wall, worst | processor, median [s] |")
    print("|---|---|---|---|---|")

    def told(n, what, walls, cpus):
        print(
            f"| {n} | {what} | {statistics.median(walls):.3f} | {max(walls):.3f} | "
            f"{statistics.median(cpus):.3f} |",
            flush=True,
        )

    for n in args.labels:
        pool.clear_labels()
        pool.label[order[:n]] = liked[order[:n]]
        first, used = timed(learner.learn, 1)
        told(n, "learn, first time", first, used)
        walls, used = timed(learner.learn, args.runs)
        told(n, "learn", walls, used)
        rows, some = pool.vectors, order[:n]

        def script(rows=rows, some=some):
            plain = LogisticRegressionCV(Cs=9, cv=5, max_iter=1000)
            plain.fit(rows[some], liked[some]).decision_function(rows)

        walls, plain = timed(script, args.runs)
        told(n, "scikit-learn script", walls, plain)
        row(f"learn {n} labels x {args.dim}, rescore {args.images:,}", used,
            "scikit-learn script", plain)  # fmt: skip
        pool.label[order[n : n + SINCE_FIT]] = 1
        for strategy in STRATEGIES:
            session.configure(strategy=strategy)
            told(n, f"next, {strategy}", *timed(ask, 15))
    learner.fit = None
    pool.scores[:] = np.nan
    pool.clear_labels()
    session.configure(strategy="band")
    told(0, "next, no head yet", *timed(ask, 15))
    told(0, "state", *timed(session.state, 15))


if __name__ == "__main__":
    main()
