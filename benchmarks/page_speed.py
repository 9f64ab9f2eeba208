"""What the labelling page costs over a large folder: loading, each answer, memory.

    python -m benchmarks.page_speed [--images 100000]

Tiny files, whose made-up vectors of the classic backbone's width are written through the real
store. Processor time of the answering thread, the least of five calls; the page's picture files
and the fsync of each judgement are not in it.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rescan import make_tree
from vta_cli.backbones.classic_recipe import recipe
from vta_cli.images.keys import key_of
from vta_cli.images.sources import scan
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_cup import Cups
from vta_cli.pipelines.label_load import ENDED, Inputs
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.sources import Source
from vta_cli.store.catalogue import Entry
from vta_cli.store.store import Store

HIDDEN = 48
"""Dimensions in which the made-up vectors vary together, as real ones do."""


def fill(store, root):
    """Record every file, and give it a vector of low rank with noise."""
    random = np.random.default_rng(0)
    made = recipe()
    basis = random.normal(size=(HIDDEN, made.dim)).astype(np.float32) / HIDDEN**0.5
    refs = list(scan([str(root)]))
    with store.space(made).writer() as writer:
        for start in range(0, len(refs), 2_000):
            part = refs[start : start + 2_000]
            keys = [key_of(Path(ref.path).read_bytes()) for ref in part]
            store.catalogue.record(
                Entry(ref.path, ref.size_bytes, ref.mtime_ns, key, 8, 8, "JPEG")
                for ref, key in zip(part, keys, strict=True)
            )
            inner = random.normal(size=(len(part), HIDDEN)).astype(np.float32)
            noise = random.normal(size=(len(part), made.dim)).astype(np.float32)
            writer.append(key_rows(keys), inner @ basis + 0.3 * noise)


def measure(name, call, n_calls=5):
    """Print the least processor time of a call."""
    took = []
    for _ in range(n_calls):
        begin = time.thread_time()
        call()
        took.append(time.thread_time() - begin)
    print(f"| {name} | {min(took) * 1000:.1f} |", flush=True)


def answers(session):
    """Print what each request costs once a head is there."""
    print("| answer | processor time [ms] |\n|---|---|")
    measure("state", session.state)
    for strategy in session.state()["strategies"]:
        session.configure(strategy=strategy)
        measure(f"next picture, {strategy}", lambda: session.next(4))
    measure("page of the grid", lambda: session.grid("liked", 48))
    measure("page of the review", lambda: session.review(show="all", order="x", start=0, n=60))
    measure("judgement", lambda: session.judge([(session.pool.hex(7), 1)], "single"))
    measure("undo", session.undo)
    measure("pair", session.pair)
    cups = Cups(session)
    cups.begin(len(session.pool), 4)
    measure("heat of a tournament of all", cups.view)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vta-page-") as folder:
        root = Path(folder)
        make_tree(root / "pics", args.images)
        with Store.open(root / "store", create=True) as store:
            store.pin("classic")
            fill(store, root / "pics")
            begin = time.process_time()
            inputs = Inputs(Source([str(root / "pics")]))
            session = Session(store, inputs, Plan(root / "journal.jsonl", every=0))
            session.start()
            while session.loader.loading.step not in ENDED:
                time.sleep(0.05)
            print(f"loaded after {time.process_time() - begin:.1f} s of processor time")
            for number in range(args.labels):
                session.judge([(session.next(1)[0]["key"], number % 2)], "single")
            session.retrain()
            while session.learner.fit is None or session.learner.busy:
                time.sleep(0.05)
            answers(session)
            session.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1024:.0f} MiB, mapped vectors included")


if __name__ == "__main__":
    main()
