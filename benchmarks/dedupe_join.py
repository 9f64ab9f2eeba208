"""Near-duplicate join: core-seconds, recall and peak memory, beside what a user would pick instead.

    python -m benchmarks.dedupe_join [--rows 20000 ...] [--threshold 0.96] [--peers] [--new 2000]

Each method runs in a process of its own on the same memory-mapped float16 file, so that peak memory
is its own (touched pages of the file included). Core-seconds are the CPU time of the process, after
imports; quote their ratios. With `--new` that many of the rows are new, and the others a library.
"""

import argparse
import json
import os
import platform
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


def original(rows: NDArray[np.float16], threshold: float) -> Codes:
    """The original's: the whole square of cosines in float64, then its upper triangle."""
    unit = rows.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    i, j = np.nonzero(np.triu(unit @ unit.T, 1) >= threshold)
    return _codes(i, j, rows.shape[0])


def dense_rows(rows: NDArray[np.float16], threshold: float) -> Codes:
    """imagededup's on ready vectors, re-created: one dense matrix, then a mask a row of names."""
    unit = _unit(rows)
    scores = unit @ unit.T
    np.fill_diagonal(scores, 2.0)
    names = np.array([f"{i}.jpg" for i in range(len(rows))])
    found = {
        names[i]: list(names[(line >= threshold) & (line < 2)]) for i, line in enumerate(scores)
    }
    number = {name: i for i, name in enumerate(names)}
    pairs = [(number[a], number[b]) for a, near in found.items() for b in near]
    left, right = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    return _codes(left[left < right], right[left < right], len(rows))


def against(rows: NDArray[np.float16], threshold: float, n_new: int) -> Codes:
    """Groups of the first rows against the others, as `vta dedupe --against` finds them."""
    from vta_cli.neighbors.against import group_against

    found = group_against(rows[:n_new], rows[n_new:], threshold, np.arange(n_new))
    mine = np.flatnonzero(found.host >= 0)
    return _codes(mine, found.host[mine] + n_new, rows.shape[0])


def against_sgemm(rows: NDArray[np.float16], threshold: float, n_new: int) -> Codes:
    """Products of the first rows with all others in float32; the most similar library row."""
    new = _unit(rows[:n_new])
    new @ new.T  # among the new, which the other one looks at as well
    best, host = np.full(n_new, -1.0, np.float32), np.zeros(n_new, np.int64)
    for start in range(n_new, rows.shape[0], _BLOCK):
        cosine = new @ _unit(rows[start : start + _BLOCK]).T
        top = cosine.argmax(axis=1)
        value = cosine[np.arange(n_new), top]
        host = np.where(value > best, top + start, host)
        best = np.maximum(best, value)
    mine = np.flatnonzero(best >= threshold)
    return _codes(mine, host[mine], rows.shape[0])


OURS = {"vta, lossless": lossless, "vta, margin 0.10": narrow}
PEERS = {"sgemm upper triangle": sgemm, "faiss flat range search": faiss_flat}
PEERS |= {"original, float64 square": original, "imagededup, dense matrix": dense_rows}
BYTES_PER_PAIR = {"original, float64 square": 17, "imagededup, dense matrix": 4}
"""What a dense peer holds for each of n squared pairs: square, triangle and mask; the square."""
LIMIT_CORE_S = 60
LIMIT_BYTES = 4e9
"""Peers that need more are not run, and told by the square of a smaller run."""
AGAINST = {"vta, against": against, "sgemm, against": against_sgemm}


class PeerError(Exception):
    """A method that could not do its work, and why."""


def _unit(rows: NDArray[np.float16]) -> NDArray[np.float32]:
    unit = rows.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit


def _codes(left: Codes, right: Codes, n: int) -> Codes:
    return left.astype(np.int64) * n + right


def child(method: str, path: str, threshold: float, out: str, n_new: int) -> None:
    """Run one method and write its pairs; print its cost."""
    rows = np.load(path, mmap_mode="r")
    if method == "faiss flat range search":
        import faiss  # noqa: F401 - its import is not what is measured
    wall, cpu = time.perf_counter(), time.process_time()
    if method in AGAINST:
        codes = AGAINST[method](rows, threshold, n_new)
    else:
        codes = (OURS | PEERS)[method](rows, threshold)
    cost = {
        "core_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    np.save(out, codes)
    print(json.dumps(cost))


def prepare(n: int, dim: int, threshold: float, path: Path) -> Codes:
    """Write n vectors; return the planted pairs that reach the threshold."""
    vectors, planted = clip_like(n, dim, seed=n)
    np.save(path, vectors)
    low, high = planted.min(axis=1), planted.max(axis=1)
    cosines = np.einsum("ij,ij->i", _unit(vectors[low]), _unit(vectors[high]))
    sure = cosines >= threshold + 1e-5
    return _codes(low[sure], high[sure], n)


def run(method: str, path: Path, threshold: float, n_new: int = 0) -> tuple[dict, Codes]:
    """Run a method in a process of its own; return its cost and its pairs."""
    out = path.with_name("codes.npy")
    command = [sys.executable, "-m", "benchmarks.dedupe_join", "--child", method]
    command += ["--threshold", str(threshold), "--files", str(path), str(out)]
    command += ["--new", str(n_new)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise PeerError(f"{method} failed: {said[-1][:100]}")
    return json.loads(done.stdout), np.load(out)


def cannot(method: str, n: int, before: dict[str, tuple[int, float]]) -> tuple[str, float | None]:
    """Say why a peer is not run at n rows, and its core-seconds by the square of a smaller run."""
    need = BYTES_PER_PAIR.get(method, 0) * n * n
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    smaller = before.get(method)
    about = None if smaller is None else smaller[1] * (n / smaller[0]) ** 2
    if need > memory:
        return f"cannot: {need / 1e9:,.0f} GB of memory", None
    if need > LIMIT_BYTES:
        return f"not run, {need / 1e9:,.0f} GB of memory", about
    if about is not None and about > LIMIT_CORE_S:
        return f"not run, by the square of {smaller[0]:,} rows", about
    return "", None


def measure(n: int, given: argparse.Namespace, folder: Path, before: dict) -> None:
    """Print one line a method for n rows, and add the table's rows."""
    path = folder / "vectors.npy"
    wanted = prepare(n, given.dim, given.threshold, path)
    methods = [*OURS, *(PEERS if given.peers else ())]
    why = {method: cannot(method, n, before) for method in methods if method in PEERS}
    costs: dict[str, list[dict]] = {m: [] for m in methods if not why.get(m, ("", None))[0]}
    found: dict[str, Codes] = {}
    for _ in range(given.turns):
        for method, runs in list(costs.items()):
            try:
                cost, found[method] = run(method, path, given.threshold)
            except PeerError as error:
                if method in OURS:
                    raise
                why[method] = str(error), None
                del costs[method]
                continue
            runs.append(cost)
    exact = found.get("sgemm upper triangle", found["vta, lossless"])
    core, peak = {}, {}
    for method, runs in costs.items():
        core[method] = [cost["core_s"] for cost in runs]
        peak[method] = max(cost["peak_bytes"] for cost in runs) / 2**20
        before[method] = (n, statistics.median(core[method]))
        print(
            f"{n:>9,}  {method:<25} {before[method][1]:>9.2f} {peak[method]:>9.0f} "
            f"{found[method].size:>9,} {np.isin(wanted, found[method]).mean():>8.4f} "
            f"{np.setdiff1d(exact, found[method]).size:>7,}",
            flush=True,
        )
    for method in methods:
        if method in PEERS:
            reason, about = why[method]
            theirs = core.get(method, [] if about is None else [about])
            if reason:
                print(f"{n:>9,}  {method:<25} {reason}" + (f": {about:,.0f}" if about else ""))
            row(f"near-copies of {n:,} x {given.dim}, lossless", core["vta, lossless"], method,
                theirs, peak_mib=peak["vta, lossless"], peer_mib=peak.get(method),
                why=reason)  # fmt: skip
    fast, recall = "vta, margin 0.10", np.isin(exact, found["vta, margin 0.10"]).mean()
    row(f"the same, margin 0.10 (recall {recall:.4f})", core[fast], "vta, lossless",
        core["vta, lossless"], peak_mib=peak[fast], peer_mib=peak["vta, lossless"])  # fmt: skip


def measure_against(n: int, given: argparse.Namespace, folder: Path) -> None:
    """Print what new rows cost against a library of n rows, beside the join of all with all."""
    path = folder / "vectors.npy"
    prepare(n + given.new, given.dim, given.threshold, path)
    core: dict[str, list[float]] = {method: [] for method in (*AGAINST, "vta, lossless")}
    peak: dict[str, float] = dict.fromkeys(core, 0.0)
    found: dict[str, Codes] = {}
    for _ in range(given.turns):
        for method, spent in core.items():
            cost, found[method] = run(method, path, given.threshold, given.new)
            spent.append(cost["core_s"])
            peak[method] = max(peak[method], cost["peak_bytes"] / 2**20)
    differ = np.setxor1d(*(found[method] for method in AGAINST)).size
    for method, spent in core.items():
        print(f"{n:>9,}  {f'{method} ({given.new:,} new)':<25} {statistics.median(spent):>9.2f} "
              f"{peak[method]:>9.0f} {found[method].size:>9,} {'':>8} "
              f"{differ if method in AGAINST else '':>7}", flush=True)  # fmt: skip
    mine = "vta, against"
    for method in ("sgemm, against", "vta, lossless"):
        name = "all with all" if method == "vta, lossless" else method
        row(f"{given.new:,} new against {n:,} x {given.dim}, lossless", core[mine], name,
            core[method], peak_mib=peak[mine], peer_mib=peak[method])  # fmt: skip


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threshold", type=float, default=0.96)
    parser.add_argument("--peers", action="store_true", help="also what a user would pick instead")
    parser.add_argument("--new", type=int, default=0, help="rows that are held against --rows")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--files", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.files[0], given.threshold, given.files[1], given.new)
        return
    print(f"# {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"numpy {np.__version__}, dim {given.dim}, cosine >= {given.threshold}")  # fmt: skip
    print(f"{'rows':>9}  {'method':<25} {'core-s':>9} {'peak MiB':>9} "
          f"{'pairs':>9} {'planted':>8} {'missed':>7}")  # fmt: skip
    before: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory(prefix="vta-join-") as folder:
        for n in given.rows:
            if given.new:
                measure_against(n, given, Path(folder))
            else:
                measure(n, given, Path(folder), before)


if __name__ == "__main__":
    main()
