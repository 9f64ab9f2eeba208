"""Scoring cached vectors to CSV, beside reading the same bytes and writing the same rows.

    python -m benchmarks.score_speed [--rows 100000] [--dim 768 6784] [--turns 3]

The store is made by the real writer: clustered vectors of unit length in float16, one catalogue
entry a row, in path order. Two heads are fitted on made-up labels: `logistic` and the default
ensemble. Processor seconds (user and system, children included), each case in a process of its own,
in turn A B C A B C; medians. The figures of the first table count from after the imports to the
last byte; those of the second are whole `vta score` processes.

`read + write`: every shard once through `numpy.fromfile`, and path, score, reason by `pyarrow.csv`.
`script`: the same with the one matrix product that a linear head needs, in float32 by blocks; what
a person would write by hand who has the vectors and the paths in two files.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import score_stages, table
from vta_cli.records import Preprocess, Recipe

SEED = 20240229
STEP = 20_000
N_CENTRES = 200
N_LABELS = 200
HEADS = ("logistic", "ensemble")


def recipe(dim):
    return Recipe("scale/1", "none", dim, Preprocess("native", 512, 0))


def vectors(start, n, dim):
    """Rows `start` on: clusters around directions of unit length, shape (n, dim), float32."""
    centres = np.random.default_rng(SEED).standard_normal((N_CENTRES, dim), np.float32)
    rng = np.random.default_rng([SEED, start])
    rows = centres[rng.integers(0, N_CENTRES, n)]
    rows += 0.5 * rng.standard_normal((n, dim), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make(folder, n_rows, dim):
    """Write store, heads and what the plain script reads."""
    from vta_cli.heads.train import train_binary
    from vta_cli.store.catalogue import Entry
    from vta_cli.store.store import Store

    made = recipe(dim)
    with Store.open(folder / "store", create=True) as store:
        with store.space(made).writer() as writer, (folder / "paths.txt").open("w") as names:
            for start in range(0, n_rows, STEP):
                count = min(STEP, n_rows - start)
                keys = np.random.default_rng([start]).integers(0, 256, (count, 32), np.uint8)
                writer.append(keys, vectors(start, count, dim))
                paths = [
                    f"/pictures/album{i // 1000:05d}/IMG_{i % 1000:06d}.jpg"
                    for i in range(start, start + count)
                ]
                names.writelines(path + "\n" for path in paths)
                store.catalogue.record(
                    Entry(path, 100_000, 1_700_000_000_000_000_001, key.tobytes(), 640, 480, "JPEG")
                    for path, key in zip(paths, keys, strict=True)
                )
        store.heads_dir.mkdir(exist_ok=True)
        rows = vectors(n_rows, N_LABELS, dim)
        axis = np.random.default_rng(1).standard_normal(dim)
        judged = rows @ axis + 0.3 * np.random.default_rng(2).standard_normal(N_LABELS)
        for head in score_stages.MEMBERS:
            taste, _ = train_binary([rows], (judged > 0).astype(np.int8), head=head)
            taste = taste.with_meta(recipes=[made.to_json()], name=head)
            taste.save(store.heads_dir / f"{head}.safetensors")


def shards(folder):
    return sorted((folder / "store").glob("spaces/*/shards/*.npy"))


def plain(folder, dim, *, product):
    """Read every vector once and write a row for each path; return seconds of the processor."""
    import pyarrow as pa
    from pyarrow import csv

    with (folder / "paths.txt").open() as file:
        paths = pa.array(file.read().split())
    start = time.process_time()
    weights = np.random.default_rng(3).standard_normal(dim).astype(np.float32)
    scores = []
    for path in shards(folder):
        if product:
            rows = np.load(path, mmap_mode="r").reshape(-1, dim)
            for at in range(0, len(rows), 1024):
                scores.append(rows[at : at + 1024].astype(np.float32) @ weights)
        else:
            scores.append(np.zeros(len(np.fromfile(path, np.float16, offset=128)) // dim))
    table = pa.table(
        {
            "path": paths,
            "score": np.concatenate(scores).astype(np.float64),
            "reason": pa.array([""]).take(pa.array(np.zeros(len(paths), np.int64))),
        }
    )
    csv.write_csv(table, folder / "plain.csv")
    return time.process_time() - start


def through_vta(folder, head):
    """Score every image of the store into a CSV file; return seconds of the processor."""
    from vta_cli.commands.rows import open_output, write_scores
    from vta_cli.pipelines.progress import Silent
    from vta_cli.pipelines.score import ScoreReport, load_model, score
    from vta_cli.pipelines.sources import Source
    from vta_cli.store.store import Store

    for module in ("pyarrow.parquet", "vta_cli.console.rows_arrow"):
        importlib.import_module(module)  # as the others have theirs before the clock runs
    start = time.process_time()
    with Store.open(folder / "store", read_only=True) as store:
        models = [load_model(store, head)]
        with open_output("csv", folder / "vta.csv") as out:
            write_scores(out, score(store, Source(), models, ScoreReport(), Silent()))
    return time.process_time() - start


def run_case(name, folder, dim):
    if name == "read + write":
        seconds = plain(folder, dim, product=False)
    elif name == "script":
        seconds = plain(folder, dim, product=True)
    else:
        seconds = through_vta(folder, name.removeprefix("vta "))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))


def alone(name, folder, dim):
    """Run a case in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.score_speed",
        "--case",
        name,
        str(folder),
        str(dim),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(done.stdout)


def whole(folder, head):
    """Run `vta score` as a user does; seconds of the processor and peak memory."""
    words = ["score", "--store", str(folder / "store"), "--model", head, "-q"]
    command = [sys.executable, "-m", "vta_cli", *words, "-o", str(folder / "whole.csv")]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"vta score ended with {child.returncode}")
    return {"seconds": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="of the first width")
    parser.add_argument(
        "--dim",
        type=int,
        nargs="+",
        default=[768, 6784],
        help="widths; further ones get as many rows as have the bytes of the first",
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the store here, or use the one there")
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        name, folder, dim, *rest = args.case
        if name == "make":
            make(Path(folder), int(rest[0]), int(dim))
            return
        if name == "stages":
            print(json.dumps(score_stages.measure(Path(folder))))
            return
        run_case(name, Path(folder), int(dim))
        return
    for dim in args.dim:
        rows = args.rows * args.dim[0] // dim
        with tempfile.TemporaryDirectory(prefix="vta-score-") as made:
            folder = (args.keep or Path(made)) / str(dim)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "store").exists():
                # in a process of its own: a child's peak memory begins with that of its parent
                words = ["make", str(folder), str(dim), str(rows)]
                command = [sys.executable, "-m", "benchmarks.score_speed", "--case", *words]
                subprocess.run(command, check=True)
            measure(folder, rows, dim, args.turns)


def measure(folder, n_rows, dim, turns):
    names = ["read + write", "script", *(f"vta {head}" for head in HEADS)]
    found = {name: [] for name in names} | {f"vta score, {head}": [] for head in HEADS}
    for _ in range(turns):
        for name in names:
            found[name].append(alone(name, folder, dim))
        for head in HEADS:
            found[f"vta score, {head}"].append(whole(folder, head))
    size = sum(path.stat().st_size for path in shards(folder)) / 1e9
    print(f"{n_rows:,} rows of {dim}, {size:.2f} GB, medians of {turns}")
    print(f"{'':24}{'core-s':>8}{'x read + write':>16}{'x script':>10}{'peak MiB':>10}")
    for name, runs in found.items():
        times = [run["seconds"] for run in runs]
        ratios = [
            statistics.median(a / b["seconds"] for a, b in zip(times, found[base], strict=True))
            for base in names[:2]
        ]
        peak = max(run["peak"] for run in runs)
        row = f"{statistics.median(times):8.2f}{ratios[0]:16.2f}{ratios[1]:10.2f}{peak:10,.0f}"
        print(f"{name:24}{row}")
    print("\nof these, core-s a million rows, the fastest of some turns")
    for name, seconds in alone("stages", folder, dim).items():
        print(f"{name:28}{seconds:8.2f}")
    for head in HEADS:
        ours = found[f"vta {head}"]
        for peer in names[:2]:
            theirs = found[peer]
            table.row(f"score {n_rows:,} x {dim}, {head}",
                      [run["seconds"] for run in ours], peer, [run["seconds"] for run in theirs],
                      peak_mib=max(run["peak"] for run in ours),
                      peer_mib=max(run["peak"] for run in theirs))  # fmt: skip


if __name__ == "__main__":
    main()
