"""Training with everything that it reports, beside the original's and a plain scikit-learn script.

    python -m benchmarks.train_speed [--sizes 200x6784 20000x768] [--turns 2]

vta: all default heads with five folds, near-copies, calibration, margins and intervals. script:
`LogisticRegressionCV`, nine penalties by five folds, nothing else. original: its three fits and
five folds (benchmarks/heads_original.py), and its random weight search, extrapolated from 50 of its
10,000 draws; left out beyond 1,000 labels. Vectors are made. Core-seconds after the imports, each
in a process of its own, in turn.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

from benchmarks.table import row

MOST_FOR_ORIGINAL = 1_000


def draw(n, dim):
    """Unit rows with 64 hidden traits, one of which decides the label."""
    random = np.random.default_rng(0)
    inner = random.standard_normal((n, 64)).astype(np.float32)
    rows = inner @ random.standard_normal((64, dim)).astype(np.float32) / 8
    rows += random.standard_normal((n, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, (inner[:, 0] + 0.5 * random.standard_normal(n) > 0).astype(np.int8)


def child(method, n, dim):
    """Train once; print the cost."""
    warnings.filterwarnings("ignore")
    from benchmarks.heads_original import original_cost, tuned_logistic
    from vta_cli.heads.train import train_binary

    rows, liked = draw(n, dim)
    start = time.process_time()
    if method == "vta":
        train_binary([rows], liked)
        spent = time.process_time() - start
    elif method == "scikit-learn script":
        tuned_logistic(rows, liked.astype(int), rows[:1])
        spent = time.process_time() - start
    else:
        spent = sum(original_cost(rows, liked.astype(int)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"core_s": spent, "peak": peak}))


def run(method, n, dim):
    words = ["--child", method, "--sizes", f"{n}x{dim}"]
    command = [sys.executable, "-m", "benchmarks.train_speed", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["200x6784", "20000x768"])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for size in args.sizes:
        n, dim = map(int, size.split("x"))
        if args.child:
            child(args.child, n, dim)
            return
        peers = ["scikit-learn script"]
        if n <= MOST_FOR_ORIGINAL:
            peers.append("original with its search")
        found = {method: [] for method in ("vta", *peers)}
        for _ in range(args.turns):
            for method, runs in found.items():
                runs.append(run(method, n, dim))
        core = {method: [r["core_s"] for r in runs] for method, runs in found.items()}
        peak = {method: max(r["peak"] for r in runs) for method, runs in found.items()}
        for method in found:
            print(f"{n:>7,} x {dim}  {method:26}{np.median(core[method]):9.2f} core-s"
                  f"{peak[method]:9,.0f} MiB", flush=True)  # fmt: skip
        for method in peers:
            row(f"train on {n:,} x {dim}", core["vta"], method, core[method],
                peak_mib=peak["vta"], peer_mib=peak[method])  # fmt: skip


if __name__ == "__main__":
    main()
