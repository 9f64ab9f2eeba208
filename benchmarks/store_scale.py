"""How large a store stays handy: opening ten million rows, finding what is missing, file look-ups.

    python -m benchmarks.store_scale                  # 10 million rows, 1 million files; 1 GB
    python -m benchmarks.store_scale --quick          # a twentieth

The store is made by the real writer. Vectors are 4 wide, since opening and finding do not depend on
them; `--read-dim` makes a second, smaller space as wide as CLIP's to time reading.
Each measurement runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vta_cli.records import ImageRef, Preprocess, Recipe

SEED = 20240229
MIB = 1 << 20


def recipe(dim):
    return Recipe("scale/1", "none", dim, Preprocess("native", 512, 0))


def keys(start, stop):
    """Return made-up digests, the same for the same numbers: shape (n, 32)."""
    rng = np.random.default_rng([SEED, start])
    return rng.integers(0, 256, (stop - start, 32), dtype=np.uint8)


def fill(path, rows, dim, step=100_000):
    from vta_cli.store.store import Store

    with Store.open(path, create=True) as store, store.space(recipe(dim)).writer() as writer:
        for start in range(0, rows, step):
            part = keys(start, min(start + step, rows))
            rng = np.random.default_rng(start)
            writer.append(part, rng.standard_normal((len(part), dim), np.float32))
    return {"rows": rows}


def missing(path, rows, n_asked, step=100_000):
    """Open the store and ask for keys of which half are there."""
    from vta_cli.store.store import Store

    there = np.concatenate([keys(start, start + step) for start in range(0, n_asked // 2, step)])
    absent = np.concatenate(
        [keys(start, start + step) for start in range(rows, rows + n_asked // 2, step)]
    )
    asked = np.random.default_rng(0).permutation(np.concatenate([there, absent]))
    begin = time.perf_counter(), time.process_time()
    with Store.open(path) as store:
        space = store.space(recipe(4))
        opened = time.perf_counter(), time.process_time()
        space.locate(asked[:1])
        indexed = time.perf_counter(), time.process_time()
        n_missing = int(space.missing(asked).sum())
        found = time.perf_counter(), time.process_time()
        shards = space.n_shards
    if n_missing != len(absent):
        raise SystemExit(f"{n_missing} missing, expected {len(absent)}")
    return {
        "asked": len(asked),
        "shards": shards,
        "open_s": opened[0] - begin[0],
        "index_s": indexed[0] - opened[0],
        "missing_s": found[0] - indexed[0],
        "core_s": found[1] - begin[1],
    }


def read(path, dim, rows):
    """Read a whole space in blocks, and a random tenth of it at once."""
    from vta_cli.store.store import Store

    with Store.open(path) as store:
        space = store.space(recipe(dim))
        order = np.arange(space.n_rows)
        begin = time.process_time()
        total = sum(float(block[0, 0, 0]) for _, block in space.blocks(order))
        blocks = time.process_time() - begin
        some = np.random.default_rng(0).choice(space.n_rows, rows // 10, replace=False)
        begin = time.process_time()
        total += float(space.take(some)[0, 0, 0])
        random = time.process_time() - begin
    return {
        "check": total,
        "blocks_core_s_per_million": blocks / rows * 1e6,
        "random_core_s_per_million": random / len(some) * 1e6,
    }


def catalogue(path, files):
    """Record and look up files in folders of a thousand, batch by batch as a source gives them."""
    from vta_cli.store.catalogue import Catalogue, Entry

    old = 1_500_000_000_000_000_001
    names = [
        f"/data/pictures/2019/album{i // 1000:05d}/IMG_{i % 1000:06d}.jpg" for i in range(files)
    ]
    cat = Catalogue(path / "files.sqlite")
    content = os.urandom(32)
    begin = time.process_time()
    cat.record(
        Entry(name, i, old, i.to_bytes(8, "little") + content[8:], 640, 480, "JPEG")
        for i, name in enumerate(names)
    )
    out = {"record_per_core_s": files / (time.process_time() - begin)}
    refs = [ImageRef(name, name, i, old) for i, name in enumerate(names)]
    shuffled = [refs[i] for i in np.random.default_rng(0).permutation(files)[: files // 10]]
    for label, some in (("ordered", refs), ("thin", refs[::50]), ("random", shuffled)):
        begin = time.process_time()
        hits = 0
        for start in range(0, len(some), 10_000):
            hits += sum(e is not None for e in cat.lookup(some[start : start + 10_000]))
        if hits != len(some):
            raise SystemExit(f"{hits} of {len(some)} found")
        out[f"lookup_{label}_per_core_s"] = len(some) / (time.process_time() - begin)
    begin = time.process_time()
    n = sum(1 for _ in cat.entries())
    out["entries_per_core_s"] = n / (time.process_time() - begin)
    cat.close()
    out["bytes_per_entry"] = cat.path.stat().st_size / files
    return out


STEPS = {"fill": fill, "missing": missing, "read": read, "catalogue": catalogue}


def alone(step, *args):
    """Run a step in a process of its own; return its figures, wall time and peak memory."""
    command = [sys.executable, "-m", "benchmarks.store_scale", "--step", step, json.dumps(args)]
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) | {"wall_s": time.perf_counter() - begin}


def run_step(step, args):
    head, *rest = args
    figures = STEPS[step](Path(head), *rest)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(figures | {"peak_bytes": peak}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--asked", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--read-rows", type=int, default=200_000)
    parser.add_argument("--read-dim", type=int, default=768)
    parser.add_argument("--quick", action="store_true", help="a twentieth of it")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        run_step(options.step[0], json.loads(options.step[1]))
        return
    if options.quick:
        options.rows, options.asked = 500_000, 200_000
        options.files, options.read_rows = 50_000, 20_000
    with tempfile.TemporaryDirectory(prefix="vta-scale-") as folder:
        wide = str(Path(folder) / "wide")
        tall = str(Path(folder) / "tall")
        for name, step, *args in (
            (f"write {options.rows:,} rows of 4", "fill", tall, options.rows, 4),
            (f"open, find {options.asked:,}", "missing", tall, options.rows, options.asked),
            (f"write {options.read_rows:,} rows of {options.read_dim}",
             "fill", wide, options.read_rows, options.read_dim),
            ("read them", "read", wide, options.read_dim, options.read_rows),
            (f"catalogue of {options.files:,}", "catalogue", folder, options.files),
        ):  # fmt: skip
            show(name, alone(step, *args))


def show(name, figures):
    print(f"{name}: {figures.pop('wall_s'):.1f} s, peak {figures.pop('peak_bytes') / MIB:.0f} MiB")
    for label, value in figures.items():
        print(
            f"    {label:28} {value:,.2f}"
            if isinstance(value, float)
            else f"    {label:28} {value:,}"
        )


if __name__ == "__main__":
    main()
