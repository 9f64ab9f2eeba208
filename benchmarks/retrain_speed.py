"""How long the labelling page learns: fit, cross-validate, calibrate and rescore.

    python -m benchmarks.retrain_speed [--labels 1000] [--images 100000] [--dim 6784]

Made vectors of the width of the four networks of the original together. The axes of a large pool
are found once, before the page needs them; their time is shown beside. A fit is near-copies found,
five folds, all penalties, calibration and intervals.
"""

import argparse
import statistics
import time

import numpy as np

from vta_cli.heads.ridge import fit_quick
from vta_cli.pipelines.label_learn import near_copies, rescore
from vta_cli.pipelines.label_pool import BASIS_ROWS, make_sketch


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=6784)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    hidden = random.normal(size=(64, args.dim)).astype(np.float32)

    def draw(n):
        inner = random.normal(size=(n, 64)).astype(np.float32)
        noise = random.normal(size=(n, args.dim)).astype(np.float32)
        return unit(inner @ hidden / 8 + noise), inner[:, 0] + random.normal(size=n) * 0.5 > 0

    start = time.perf_counter()
    sketch = make_sketch([args.dim], args.images, draw(BASIS_ROWS)[0])
    print(f"axes {args.dim} -> {sketch.dim}: {time.perf_counter() - start:.1f} s, once")
    pool = np.concatenate(
        [sketch.rows([draw(min(2000, args.images - at))[0]]) for at in range(0, args.images, 2000)]
    )
    has = np.ones(len(pool), dtype=bool)
    print("| labels | fit [s] | rescore [s] | together [s] | CPU [s] | AUC |")
    print("|---|---|---|---|---|---|")
    for n in args.labels:
        rows, liked = draw(n)
        compact, targets = sketch.rows([rows]), liked.astype(np.int8)
        fits, scans, used = [], [], []
        for _ in range(args.runs):
            begin, cpu = time.perf_counter(), time.process_time()
            head = fit_quick(compact, targets, near_copies(compact, 0.96))
            middle = time.perf_counter()
            rescore(head, pool, has)
            fits.append(middle - begin)
            scans.append(time.perf_counter() - middle)
            used.append(time.process_time() - cpu)
        fit, scan = statistics.median(fits), statistics.median(scans)
        print(
            f"| {n} | {fit:.2f} | {scan:.2f} | {fit + scan:.2f} | {statistics.median(used):.2f} | "
            f"{head.auc.value:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
