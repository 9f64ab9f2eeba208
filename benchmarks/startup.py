"""What each command costs before it does anything, beside an empty typer program.

    python -m benchmarks.startup [--runs 7]

Processor seconds of whole processes (user and system), run in turn A B C A B C; medians, and the
ratio to an empty typer program measured in the same turns.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.table import row

EMPTY = "import typer; app = typer.Typer(rich_markup_mode=None, add_completion=False)\n\
@app.command()\ndef main() -> None: ...\napp()"

CASES = {
    "python alone": [sys.executable, "-c", "pass"],
    "an empty typer program --help": [sys.executable, "-c", EMPTY, "--help"],
    "vta --help": [sys.executable, "-m", "vta_cli", "--help"],
    "vta score --help": [sys.executable, "-m", "vta_cli", "score", "--help"],
    "vta score, 100 cached images": [sys.executable, "-m", "vta_cli", "score", "pics"],
    "vta embed, 100 cached images": [sys.executable, "-m", "vta_cli", "embed", "pics"],
    "import sklearn.linear_model": [sys.executable, "-c", "import sklearn.linear_model"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def prepare(folder: Path) -> None:
    """Make 100 small pictures with vectors and a head in `folder`."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, count in (("pics", 100), ("liked", 6), ("disliked", 6)):
        (folder / name).mkdir()
        for index in range(count):
            base = np.array([200, 90, 60]) if name == "liked" else np.array([60, 90, 200])
            noise = rng.integers(-50, 50, (64, 64, 3))
            pixels = np.clip(base + noise, 0, 255).astype(np.uint8)
            path = folder / name / f"{index:03d}.png"
            Image.fromarray(pixels).save(path)
            os.utime(path, (1.7e9, 1.7e9))
    for words in (["embed", "pics"], ["train", "--pos", "liked", "--neg", "disliked"]):
        command = [sys.executable, "-m", "vta_cli", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Run a command and return the processor time it took, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        times: dict[str, list[float]] = {case: [] for case in CASES}
        for _ in range(args.runs):
            for case, command in CASES.items():
                times[case].append(cpu_seconds(command, folder))
    empty = times["an empty typer program --help"]
    print(f"{'':34}{'core-s':>8}{'x empty typer':>15}")
    for case, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, empty, strict=True))
        print(f"{case:34}{statistics.median(values):8.2f}{ratio:15.2f}")
        if case.startswith("vta") and case != "vta score --help":
            row(case, values, "empty typer program", empty)


if __name__ == "__main__":
    main()
