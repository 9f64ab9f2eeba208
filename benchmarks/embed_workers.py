"""Threads and worker processes side by side: what opens files faster on this machine.

    python -m benchmarks.embed_workers [--workers N] [--pictures 200] [--turns 3] [--only NAME]

`classic` is `vta embed` with the built-in backbone, from the folder to the sealed shard; starting
the workers is in it, and stands alone as well. `views` is reading, hashing, decoding and a view of
224 px for a network, without the network: in threads as the pipeline does it, and in workers that
are up already. Drawn JPEGs of 512 px; in turn A B A B. Rates are by the clock; processor time is
that of the process and of all that it started, so that a busy machine changes it little.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks import table
from benchmarks.classic_speed import drawn
from vta_cli.backbones.registry import resolve
from vta_cli.pipelines.crew import Crew
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane
from vta_cli.pipelines.opening import Reading, look, one_at_a_time, read
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.pipelines.staff import FILES_AT_ONCE, processors
from vta_cli.records import Preprocess
from vta_cli.store.store import Store

VIEW = Preprocess("shortest", 224, 224)


def make_pictures(folder: Path, count: int) -> list[str]:
    """Write `count` JPEGs with distinct keys: one drawn picture with other bytes behind its end."""
    folder.mkdir()
    data = drawn()
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(data + number.to_bytes(4, "big"))
    return sorted(map(str, folder.iterdir()))


def spent() -> float:
    """Return the processor seconds of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def classic(folder: Path, place: Path, workers: int) -> None:
    with Store.open(place, create=True) as store:
        lane = Lane(store, resolve("classic"), Engine(), Silent())
        embed(store, Source([str(folder)]), [lane], Silent(), workers=workers)


def views_in_threads(paths: list[str], workers: int) -> tuple[float, float]:
    from vta_cli.backbones.resize import resize

    reading = Reading(VIEW, "whole", False, lambda: (resize, None))

    def one(path: str) -> None:
        look(read(path)[1], [reading], one_at_a_time)

    one(paths[0])
    began, before = time.perf_counter(), spent()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, paths))
    return time.perf_counter() - began, spent() - before


def views_in_processes(
    paths: list[str], workers: int, preprocess: Preprocess = VIEW
) -> tuple[float, float]:
    """Return seconds by the clock and of processors; starting the workers is not in them."""
    told = {
        "preprocess": asdict(preprocess), "view": "whole", "exact": False,
        "resize": "vta_cli.backbones.resize:resize", "backbone": None,
    }  # fmt: skip
    cut = range(0, len(paths), FILES_AT_ONCE)
    chunks = [paths[at : at + FILES_AT_ONCE] for at in cut]
    crew = Crew(workers, ["vta_cli.backbones.resize"])
    try:
        assert crew.wait()

        def some(chunk: list[str]) -> None:
            crew.open(chunk, lambda _place, _content: [0], [told])

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(some, chunks[:workers]))  # up
            began, before = time.perf_counter(), spent() + children(crew.pids)
            list(pool.map(some, chunks))
            wall, core = time.perf_counter() - began, spent() + children(crew.pids) - before
    finally:
        crew.close()
    return wall, core


def children(pids: list[int]) -> float:
    """Return the processor seconds of processes that still run; 0 where /proc does not tell."""
    total = 0.0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            total += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def start(workers: int, module: str) -> None:
    """Start workers and end them."""
    crew = Crew(workers, [module])
    assert crew.wait()
    crew.close()


def timed(work: Callable[[], None]) -> tuple[float, float]:
    began, before = time.perf_counter(), spent()
    work()
    return time.perf_counter() - began, spent() - before


def show(name: str, count: int, found: dict[str, list[tuple[float, float]]]) -> None:
    for way, times in found.items():
        wall = statistics.median(wall for wall, _ in times)
        core = statistics.median(core for _, core in times)
        print(f"{name:10}{way:12}{count / wall:10.1f}{core / count * 1e3:14.1f}", flush=True)
    walls = {way: [wall for wall, _ in times] for way, times in found.items()}
    stage = f"{name} of {count} pictures in processes, by the clock"
    table.row(stage, walls["processes"], "the same in threads", walls["threads"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("classic", "views"))
    args = parser.parse_args()
    print(f"{args.workers} workers, {args.pictures} pictures, {args.turns} turns")
    print(f"{'':22}{'images/s':>10}{'core ms each':>14}")
    for name, module in (
        ("classic", "vta_cli.backbones.classic"), ("torch", "vta_cli.backbones.resize"),
    ):  # fmt: skip
        costs = [timed(lambda m=module: start(args.workers, m)) for _ in range(args.turns)]
        wall, core = (statistics.median(each) for each in zip(*costs, strict=True))
        print(f"starting workers for {name}: {wall:.1f} s, {core:.1f} core-s", flush=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        paths = make_pictures(folder / "pictures", args.pictures)
        if args.only != "views":
            found = {"threads": [], "processes": []}
            for turn in range(args.turns):
                for way, workers in (("threads", 0), ("processes", args.workers)):
                    place = folder / f"{way}{turn}"
                    found[way].append(
                        timed(lambda n=workers, at=place: classic(folder / "pictures", at, n))
                    )
            show("classic", args.pictures, found)
        if args.only != "classic":
            found = {"threads": [], "processes": []}
            for _ in range(args.turns):
                found["threads"].append(views_in_threads(paths, args.workers))
                found["processes"].append(views_in_processes(paths, args.workers))
            show("views", args.pictures, found)


if __name__ == "__main__":
    main()
