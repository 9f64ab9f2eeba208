"""A second `vta embed` of an unchanged folder, beside a bare walk with stat of the same tree.

    python -m benchmarks.rescan [--files 20000]

The vectors are made up and written through the real store; the files are real, small and many.
Both run in turn, A B A B; processor seconds after imports, medians.
"""

import argparse
import io
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.table import row
from vta_cli.backbones.classic_recipe import recipe
from vta_cli.backbones.registry import resolve
from vta_cli.cli import calm_collector
from vta_cli.images.keys import key_of
from vta_cli.images.sources import scan
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane, key_rows
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.store.catalogue import Entry
from vta_cli.store.store import Store

FILES_PER_FOLDER = 1000
TURNS = 3


def make_tree(root: Path, n_files: int) -> None:
    """Write `n_files` tiny distinct JPEG files, a thousand to a folder."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(buffer, "JPEG")
    for number in range(n_files):
        folder = root / f"{number // FILES_PER_FOLDER:05d}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        path = folder / f"{number % FILES_PER_FOLDER:04d}.jpg"
        path.write_bytes(buffer.getvalue() + number.to_bytes(8, "big"))
        os.utime(path, (1.7e9, 1.7e9))


def fill(store: Store, root: Path) -> None:
    """Record every file and give it a made-up vector."""
    entries, keys = [], []
    for ref in scan([str(root)]):
        key = key_of(Path(ref.path).read_bytes())
        keys.append(key)
        entries.append(
            Entry(path=ref.path, size_bytes=ref.size_bytes, mtime_ns=ref.mtime_ns, key=key,
                  width=8, height=8, format="JPEG", reason=None, detail="")
        )  # fmt: skip
    for start in range(0, len(entries), 10_000):
        store.catalogue.record(entries[start : start + 10_000])
    made = recipe()
    with store.space(made).writer() as writer:
        for start in range(0, len(keys), 2_000):
            part = keys[start : start + 2_000]
            writer.append(key_rows(part), np.full((len(part), made.dim), 0.5, np.float32))


def bare_walk(folder: str) -> int:
    """List and stat every file with nothing but os.scandir."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += bare_walk(entry.path)
            else:
                entry.stat()
                count += 1
    return count


def rescan(path: Path, root: Path) -> None:
    """Do what `vta embed` does when nothing has changed."""
    with Store.open(path) as store:
        lane = Lane(store, resolve("classic"), Engine(), Silent())
        report = embed(store, Source([str(root)]), [lane], Silent())
        if report.n_opened:
            raise SystemExit(f"{report.n_opened} files were opened")


def prepare(folder: Path, n_files: int) -> None:
    """Make the tree and its store."""
    make_tree(folder / "pics", n_files)
    with Store.open(folder / "store", create=True) as store:
        fill(store, folder / "pics")


def measure(folder: Path) -> tuple[list[float], list[float], list[float], float]:
    """Return processor seconds of walks, of vta's listing and of rescans, and peak memory [MiB]."""
    calm_collector()  # as every `vta` command does
    root, path = folder / "pics", folder / "store"
    walks, lists, scans = [], [], []
    for _ in range(TURNS):
        clock = time.process_time()
        bare_walk(str(root))
        walks.append(time.process_time() - clock)
        clock = time.process_time()
        sum(1 for _ in scan([str(root)]))
        lists.append(time.process_time() - clock)
        clock = time.process_time()
        rescan(path, root)
        scans.append(time.process_time() - clock)
    return walks, lists, scans, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(work, *args):
    """Run `work` in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args).result()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="make tree and store here, or use those there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vta-rescan-") as name:
        folder = args.keep or Path(name)
        if not (folder / "store").exists():
            alone(prepare, folder, args.files)
        walks, lists, scans, peak = alone(measure, folder)
    print(f"{args.files:,} files{'':12}core-s   files/core-s   x bare walk")
    rows = [
        ("bare scandir with stat", walks),
        ("vta's listing alone", lists),
        ("vta embed, unchanged", scans),
    ]
    for label, times in rows:
        middle = statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(times, walks, strict=True))
        print(f"{label:24}{middle:6.2f} {args.files / middle:14,.0f} {ratio:13.2f}")
    print(f"peak memory {peak:,.0f} MiB")
    for stage, times in (("list", lists), ("rescan, nothing changed", scans)):
        row(f"{stage}, {args.files:,} files", times, "bare scandir with stat", walks, peak_mib=peak)


if __name__ == "__main__":
    main()
