"""`vta dedupe` over a real store: all images, then with new ones, remembered and afresh.

    python -m benchmarks.dedupe_store [--rows 20000] [--new 400] [--margin 0.1]

Vectors are drawn as clusters with planted near-copies and written through the real store; no image
exists. Each run is a process of its own: the pipeline behind `vta dedupe --keep first`, reading
catalogue and vectors. Core-seconds after imports; every planted pair must be among those found.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.dedupe_data import clip_like
from benchmarks.table import row
from vta_cli.records import Preprocess, Recipe

DIM = 512
THRESHOLD = 0.96
_PIECE = 10_000
RECIPE = Recipe("open_clip:ViT-B-32/made", "made", DIM, Preprocess("shortest", 224, 224))


def keys_of(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return a key for each row number: the number, then 24 bytes of a hash of it."""
    words = np.empty((len(numbers), 4), "<u8")
    words[:, 3] = numbers
    for column in range(3):
        mixed = (numbers.astype(np.uint64) + np.uint64(column + 1)) * np.uint64(0x9E3779B97F4A7C15)
        words[:, column] = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return words.view(np.uint8)


def prepare(folder: Path, n: int, n_new: int) -> None:
    """Draw all vectors, keep them and the planted pairs, and store the first `n`."""
    vectors, planted = clip_like(n + n_new, DIM, seed=n)
    low, high = planted.min(axis=1), planted.max(axis=1)
    unit = [vectors[side].astype(np.float32) for side in (low, high)]
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in unit]
    sure = np.einsum("ij,ij->i", *unit) >= THRESHOLD + 1e-5
    np.save(folder / "planted.npy", np.stack([low[sure], high[sure]], axis=1))
    np.save(folder / "vectors.npy", vectors)
    fill(folder, 0, n)


def fill(folder: Path, first: int, last: int) -> None:
    """Put some rows into the store, as `vta embed` does."""
    from vta_cli.store.catalogue import Entry
    from vta_cli.store.store import Store

    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    with (
        Store.open(folder / "store", create=True) as store,
        store.space(RECIPE).writer() as writer,
    ):
        for start in range(first, last, _PIECE):
            numbers = np.arange(start, min(last, start + _PIECE))
            keys = keys_of(numbers)
            writer.append(keys, vectors[numbers].astype(np.float32))
            store.catalogue.record(
                Entry(f"/pics/{k // 1000:05d}/{k:08d}.jpg", 1, 10**18, key.tobytes(), 640, 480)
                for k, key in zip(numbers.tolist(), keys, strict=True)
            )


def dedupe(folder: Path, *, fresh: bool, margin: float | None) -> None:
    """Run the pipeline; print cost and groups."""
    from vta_cli.cli import calm_collector
    from vta_cli.pipelines.dedupe import dedupe as run
    from vta_cli.pipelines.progress import Silent
    from vta_cli.pipelines.sources import Source
    from vta_cli.store.store import Store

    calm_collector()
    clock = time.process_time()
    with Store.open(folder / "store") as store:
        report = run(
            store, Source(), [store.space(RECIPE)], Silent(),
            threshold=THRESHOLD, margin=margin, fresh=fresh, look=False,
        )  # fmt: skip
    print(
        json.dumps(
            {
                "core_s": time.process_time() - clock,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "n_groups": report.n_groups,
                "n_members": len(report.members),
                "n_remembered": report.n_remembered,
                "recall": report.recall and report.recall.value,
            }
        )
    )


def found_of(folder: Path, n: int) -> float:
    """Return which share of the planted pairs among the first `n` rows was remembered."""
    from vta_cli.store.pairs import read_pairs

    (path,) = (folder / "store" / "pairs").glob("*.npz")
    kept = read_pairs(path, 1)
    numbers = kept.keys.view("<u8")[:, 3].astype(np.int64)
    left, right = numbers[kept.left], numbers[kept.right]
    found = np.minimum(left, right) * n + np.maximum(left, right)
    planted = np.load(folder / "planted.npy")
    planted = planted[planted[:, 1] < n]
    return float(np.isin(planted[:, 0] * n + planted[:, 1], found).mean())


def child(folder: Path, *words: str) -> dict:
    """Do one step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dedupe_store", "--folder", str(folder), *words]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(said) if said else {}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--new", type=int, default=400, help="0: no second run")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--margin", type=float, help="of the cells; lossless by default")
    parser.add_argument("--keep", type=Path, help="make vectors and store here, and leave them")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    n, n_all = given.rows, given.rows + given.new
    if given.step == "prepare":
        prepare(given.folder, n, given.new)
    elif given.step == "more":
        fill(given.folder, n, n_all)
    elif given.step:
        dedupe(given.folder, fresh=given.step == "fresh", margin=given.margin)
    if given.step:
        return
    sizes = ["--rows", str(n), "--new", str(given.new)]
    how = [] if given.margin is None else ["--margin", str(given.margin)]
    with tempfile.TemporaryDirectory(prefix="vta-dedupe-") as name:
        folder = given.keep or Path(name)
        folder.mkdir(exist_ok=True)
        child(folder, "--step", "prepare", *sizes)
        first = child(folder, "--step", "run", *how)
        told = "" if first["recall"] is None else f", measured recall {first['recall']:.4f}"
        print(f"{n:,} images: {first['core_s']:.2f} core-s, {first['peak_mib']:,.0f} MiB, "
              f"{first['n_groups']:,} groups, "
              f"planted found {found_of(folder, n):.4f}{told}")  # fmt: skip
        row(f"vta dedupe, {n:,} images of a store", [first["core_s"]], "planted pairs found",
            why=f"{found_of(folder, n):.4f}", peak_mib=first["peak_mib"])  # fmt: skip
        if not given.new:
            return
        child(folder, "--step", "more", *sizes)
        (kept,) = (folder / "store" / "pairs").glob("*.npz")
        before = kept.read_bytes()
        costs: dict[str, list[dict]] = {"run": [], "fresh": []}
        for _ in range(given.turns):
            for step, runs in costs.items():
                kept.write_bytes(before)
                runs.append(child(folder, "--step", step, *how))
        again, fresh = (runs[-1] for runs in costs.values())
        for words, cost in (("remembered", again), ("--fresh", fresh)):
            print(f"with {given.new:,} new, {words}: {cost['core_s']:.2f} core-s, "
                  f"{cost['peak_mib']:,.0f} MiB, {cost['n_groups']:,} groups, "
                  f"{cost['n_remembered']:,} compared before")  # fmt: skip
        print(f"planted found {found_of(folder, n_all):.4f}")
    if (again["n_groups"], again["n_members"]) != (fresh["n_groups"], fresh["n_members"]):
        raise SystemExit("the remembered run and the fresh one differ")
    mine, all_new = ([cost["core_s"] for cost in runs] for runs in costs.values())
    row(f"vta dedupe, {given.new:,} new among {n:,} compared before", mine, "--fresh: all anew",
        all_new, peak_mib=statistics.median(c["peak_mib"] for c in costs["run"]),
        peer_mib=statistics.median(c["peak_mib"] for c in costs["fresh"]))  # fmt: skip


if __name__ == "__main__":
    main()
