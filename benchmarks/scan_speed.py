"""How fast `scan` lists files with their size and time, beside a bare `os.scandir` with stat.

Run: python -m benchmarks.scan_speed [n_files]. Makes a tree in a temporary folder, and prints
files per second of processor time (medians of five runs in turn, warm cache) and the ratio.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vta_cli.images.sources import scan

FILES_PER_FOLDER = 1000


def bare(root: str) -> int:
    n_files, folders = 0, [root]
    while folders:
        with os.scandir(folders.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    entry.stat()
                    n_files += 1
    return n_files


def through_scan(root: str) -> int:
    return sum(1 for _ in scan([root]))


def two_specs(root: str) -> int:
    return sum(1 for _ in scan([root, str(Path(root) / "0000")]))


def core_seconds(work: Callable[[str], int], root: str, n_files: int) -> float:
    start = time.process_time()
    n_seen = work(root)
    if n_seen != n_files:
        raise RuntimeError(f"{work.__name__} saw {n_seen} of {n_files} files")
    return time.process_time() - start


def scan_speed(n_files: int = 50_000) -> dict[str, float]:
    """Measure; return files per core-second of each way."""
    ways = (bare, through_scan, two_specs)
    with tempfile.TemporaryDirectory() as root:
        for i in range(n_files):
            folder = Path(root) / f"{i // FILES_PER_FOLDER:04d}"
            if i % FILES_PER_FOLDER == 0:
                folder.mkdir()
            (folder / f"IMG_{i:07d}.jpg").touch()
        for way in ways:  # warms the cache
            core_seconds(way, root, n_files)
        times = {way.__name__: [core_seconds(way, root, n_files)] for way in ways}
        for _ in range(4):
            for way in ways:
                times[way.__name__].append(core_seconds(way, root, n_files))
    return {name: n_files / statistics.median(runs) for name, runs in times.items()}


def main() -> None:
    speeds = scan_speed(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
    for name, speed in speeds.items():
        print(f"{name:14s} {speed:10,.0f} files per core-second  {speed / speeds['bare']:.2f}")


if __name__ == "__main__":
    main()
