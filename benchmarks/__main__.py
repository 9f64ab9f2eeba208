"""All benchmarks, one after the other: `python -m benchmarks --quick` or `--full`.

Each runs in a process of its own; what is set beside a peer comes in one table at the end. A full
run, or `--details`, also prints the tables of each. Those that need the sample data beside the
checkout are left out, with a word, where it is not there; one that fails has the reason in its row.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.table import VARIABLE, markdown, read, row

DATA = Path(__file__).parents[1].parent / "shared" / "data"

# title, module, arguments of a quick run, of a full run, needs the sample data
BENCHMARKS = [
    ("start-up of the commands", "startup", ["--runs", "3"], ["--runs", "11"], False),
    ("listing files", "scan_speed", None, ["200000"], False),
    ("rescan of an unchanged folder", "rescan",
     ["--files", "20000"], ["--files", "1000000"], False),
    ("store: opening, missing keys", "store_scale", None, [], False),
    ("scoring cached vectors", "score_speed", ["--rows", "50000"], ["--rows", "1000000"], False),
    ("embedding, end to end", "embed_pipeline", ["--pictures", "32", "--turns", "1"],
     ["--pictures", "256"], False),
    ("embedding, end to end, large pictures", "embed_pipeline",
     ["--large", "--net", "mobile", "--pictures", "8", "--turns", "1"],
     ["--large", "--pictures", "32"], False),
    ("embedding, by stage", "embed_stages", ["--turns", "2", "--small", "16", "--large", "4"],
     ["--turns", "5"], False),
    ("threads and worker processes", "embed_workers", ["--pictures", "64", "--turns", "1"],
     [], False),
    ("classic backbone: speed", "classic_speed", None, [], False),
    ("near-duplicate join", "dedupe_join", ["--rows", "5000", "20000", "--peers"],
     ["--rows", "10000", "100000", "1000000", "--peers"], False),
    ("a new folder against a library", "dedupe_join", ["--rows", "20000", "--new", "400"],
     ["--rows", "100000", "--new", "2000"], False),
    ("dedupe through the store, and again", "dedupe_store", ["--rows", "20000", "--new", "400"],
     ["--rows", "100000", "--new", "2000", "--turns", "3"], False),
    ("a million through the store", "dedupe_store", None,
     ["--rows", "1000000", "--new", "0"], False),
    ("training", "train_speed", ["--sizes", "200x6784", "4000x768", "--turns", "1"], [], False),
    ("learning while labelling", "retrain_speed",
     ["--labels", "200", "--images", "20000", "--dim", "768", "--runs", "3"], [], False),
    ("answers of the labelling page", "page_speed", None, [], False),
    ("heads against the original", "heads_vs_original", None, ["--seeds", "10"], True),
    ("labels needed by strategy", "labelling_simulation",
     None, [], True),
    ("heads of every kind", "heads_kinds", None, [], True),
    ("classic backbone: worth", "classic_quality", None, [], True),
]  # fmt: skip
"""What a quick run leaves out (None) has no peer, or takes more than a minute."""


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = "processor unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {model}, {memory:.0f} GiB, Python {platform.python_version()}"


def main() -> None:
    """Run the benchmarks; the exit code is 1 if any of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="full sizes: an hour and a half")
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes (default)")
    parser.add_argument("--details", action="store_true", help="also the tables of each")
    parser.add_argument("--only", help="only modules whose name contains this")
    args = parser.parse_args()
    print(f"machine: {machine()}\n")
    failed = []
    made = tempfile.TemporaryDirectory(prefix="vta-bench-")
    rows = Path(made.name) / "rows.jsonl"
    rows.touch()
    os.environ[VARIABLE] = str(rows)
    for title, module, quick, full, needs_data in BENCHMARKS:
        words = full if args.full else quick
        if words is None or (args.only and args.only not in module):
            continue
        if needs_data and not DATA.is_dir():
            print(f"{title}: left out, needs the sample data beside the checkout")
            continue
        print(f"{title} (benchmarks/{module}.py)", flush=True)
        reason, core_s = run(module, words, show=args.full or args.details)
        print(f"  {core_s:.0f} core-s{reason and ': '}{reason}")
        if reason:
            failed.append(module)
            row(title, [], "", why=reason)
    print()
    print(markdown(read(rows), machine()))
    made.cleanup()
    if failed:
        raise SystemExit("failed: " + ", ".join(failed))


def run(module: str, words: list[str], *, show: bool) -> tuple[str, float]:
    """Run one benchmark; return why it failed (empty if not) and the core-seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *words],
        cwd=Path(__file__).parents[1],
        check=False,
        stdout=None if show else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    core_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not done.returncode:
        return "", core_s
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (said or [f"exit code {done.returncode}"])[-1][:120].replace("|", "/"), core_s


if __name__ == "__main__":
    main()
