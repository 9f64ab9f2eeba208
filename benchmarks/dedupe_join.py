"""Near-duplicate join: core-seconds, recall and peak memory, beside what a user would pick instead.

    python -m benchmarks.dedupe_join [--rows 20000 ...] [--threshold 0.96] [--peers]

Each method runs in a process of its own on the same memory-mapped float16 file, so that peak memory
is its own (touched pages of the file included). Core-seconds are the CPU time of the process, after
imports; quote their ratios.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.dedupe_data import clip_like

Codes = NDArray[np.int64]

_BLOCK = 4096


def lossless(rows: NDArray[np.float16], threshold: float) -> Codes:
    """vta's join as `vta dedupe` runs it."""
    from vta_cli.neighbors.join import self_join

    pairs = self_join(rows, threshold)
    return _codes(pairs.left, pairs.right, rows.shape[0])


def narrow(rows: NDArray[np.float16], threshold: float) -> Codes:
    """vta's join with the faster margin."""
    from vta_cli.neighbors.join import FAST_MARGIN, self_join

    pairs = self_join(rows, threshold, margin=FAST_MARGIN)
    return _codes(pairs.left, pairs.right, rows.shape[0])


def sgemm(rows: NDArray[np.float16], threshold: float) -> Codes:
    """Products of all blocks of the upper triangle in float32."""
    unit = _unit(rows)
    n = unit.shape[0]
    found = []
    for a in range(0, n, _BLOCK):
        for b in range(a, n, _BLOCK):
            i, j = np.nonzero(unit[a : a + _BLOCK] @ unit[b : b + _BLOCK].T >= threshold)
            upper = i + a < j + b
            found.append(_codes(i[upper] + a, j[upper] + b, n))
    return np.concatenate(found)


def faiss_flat(rows: NDArray[np.float16], threshold: float) -> Codes:
    """Range search of a flat inner-product index, as its manual advises."""
    import faiss

    unit = _unit(rows)
    n = unit.shape[0]
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    found = []
    for start in range(0, n, _BLOCK):
        limits, _, other = index.range_search(unit[start : start + _BLOCK], threshold)
        mine = np.repeat(np.arange(limits.shape[0] - 1), np.diff(limits.astype(np.int64))) + start
        found.append(_codes(mine[mine < other], other[mine < other], n))
    return np.concatenate(found)


OURS = {"vta, lossless": lossless, "vta, margin 0.10": narrow}
PEERS = {"sgemm upper triangle": sgemm, "faiss flat range search": faiss_flat}


def _unit(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    unit = rows.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit


def _codes(left: Codes, right: Codes, n: int) -> Codes:
    return left.astype(np.int64) * n + right


def child(method: str, path: str, threshold: float, out: str) -> None:
    """Run one method and write its pairs; print its cost."""
    rows = np.load(path, mmap_mode="r")
    if method == "faiss flat range search":
        import faiss  # noqa: F401 - its import is not what is measured
    wall, cpu = time.perf_counter(), time.process_time()
    codes = (OURS | PEERS)[method](rows, threshold)
    cost = {
        "core_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    np.save(out, codes)
    print(json.dumps(cost))


def measure(n: int, dim: int, threshold: float, methods: list[str], folder: Path) -> None:
    """Print one row a method for n rows."""
    vectors, planted = clip_like(n, dim, seed=n)
    path = folder / "vectors.npy"
    np.save(path, vectors)
    low, high = planted.min(axis=1), planted.max(axis=1)
    unit_low, unit_high = _unit(vectors[low]), _unit(vectors[high])
    sure = np.einsum("ij,ij->i", unit_low, unit_high) >= threshold + 1e-5
    wanted = _codes(low[sure], high[sure], n)
    del vectors
    results: dict[str, Codes] = {}
    for method in methods:
        out = folder / "codes.npy"
        command = [sys.executable, "-m", "benchmarks.dedupe_join", "--child", method]
        command += ["--threshold", str(threshold), "--files", str(path), str(out)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cost, results[method] = json.loads(said), np.load(out)
        exact = results.get("sgemm upper triangle", results.get("vta, lossless"))
        missed = 0 if exact is None else np.setdiff1d(exact, results[method]).size
        print(
            f"{n:>9,}  {method:<24} {cost['core_s']:>9.2f} {cost['wall_s']:>9.2f} "
            f"{cost['peak_bytes'] / 2**20:>9.0f} {results[method].size:>9,} "
            f"{np.isin(wanted, results[method]).mean():>8.4f} {missed:>7,}",
            flush=True,
        )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threshold", type=float, default=0.96)
    parser.add_argument("--peers", action="store_true", help="also run sgemm and faiss")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--files", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.files[0], given.threshold, given.files[1])
        return
    methods = [*(PEERS if given.peers else ()), *OURS]
    print(f"# {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"numpy {np.__version__}, dim {given.dim}, cosine >= {given.threshold}")  # fmt: skip
    print(f"{'rows':>9}  {'method':<24} {'core-s':>9} {'wall-s':>9} {'peak MiB':>9} "
          f"{'pairs':>9} {'planted':>8} {'missed':>7}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for n in given.rows:
            measure(n, given.dim, given.threshold, methods, Path(folder))


if __name__ == "__main__":
    main()
