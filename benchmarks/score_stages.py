"""Where the time of scoring goes: each stage, and each way to learn, alone.

    python -m benchmarks.score_speed --rows 200000 --dim 768

calls this for each width and prints it under its own tables. Seconds of the processor for a million
rows, one process, one thread, the fastest of three turns: what else the machine does can only add.
A stage holds all before it in its list, as noted.
"""

import time
from pathlib import Path

import numpy as np

MEMBERS = ("logistic", "kernel", "knn", "boosting", "ensemble")
LAYERS = {"5 classes": (5,), "768-256-1": (256, 1), "LAION's relu": (1024, 128, 64, 16, 1)}
"""Heads of layers with random weights: the widths behind the vectors."""
MEMBER_ROWS = 8192
TURNS = 3


def measure(folder):
    """Return name and core-seconds a million rows of each stage, and of each head on vectors."""
    from vta_cli.commands.rows import open_output, write_scores
    from vta_cli.heads.threads import one_thread
    from vta_cli.pipelines import score as pipeline
    from vta_cli.pipelines.progress import Silent
    from vta_cli.pipelines.sources import Source, files_of
    from vta_cli.store.store import Store

    found = {}
    with Store.open(folder / "store", read_only=True) as store:
        models = [pipeline.load_model(store, "logistic")]
        spaces = models[0].spaces
        n_rows = spaces[0].n_rows

        def timed(name, work, n=n_rows, turns=TURNS):
            seconds = []
            for _ in range(turns):
                start = time.process_time()
                made = work()
                seconds.append(time.process_time() - start)
            found[name] = min(seconds) / n * 1e6
            return made

        def scored():
            report = pipeline.ScoreReport()
            return list(pipeline.score(store, Source(), models, report, Silent()))

        def read(rows, use=None):
            for some in rows:
                for _, blocks in pipeline._vectors(spaces, [some]):
                    if use is not None:
                        use(blocks)

        def written():
            with open_output("csv", folder / "stage.csv") as out:
                write_scores(out, blocks)

        n = pipeline.BLOCK_ROWS
        files = timed("catalogue", lambda: list(files_of(store, Source(), n)))
        timed("keys read and indexed", lambda: spaces[0].locate(files[0].keys), turns=1)
        rows = timed("keys joined", lambda: [spaces[0].locate(some.keys) for some in files])
        timed("vectors read and widened", lambda: read(rows))
        with one_thread():
            head = models[0].taste
            timed("read, widened, logistic", lambda: read(rows, head.score))
        blocks = timed("all but CSV", scored)
        timed("CSV", written)
        (folder / "stage.csv").unlink()
        some = spaces[0].take(np.arange(min(MEMBER_ROWS, n_rows)))[:, 0, :]
        for name in MEMBERS:
            if not Path(store.heads_dir / f"{name}.safetensors").exists():
                continue  # a store that an older benchmark made
            head = pipeline.load_model(store, name).taste
            head.score([some[:1]])  # what is made of its arrays, once
            timed(f"head {name}", lambda head=head: head.score([some]), len(some))
        for name, widths in LAYERS.items():
            head = layered(some.shape[1], widths)
            head.score([some[:1]])
            timed(f"layers, {name}", lambda head=head: head.score([some]), len(some))
    return found


def layered(dim, widths):
    """Return a head of affine layers with a relu between any two, as published ones have them."""
    from vta_cli.heads.layered import LayeredHead
    from vta_cli.records import Layer, Promise

    random, layers = np.random.default_rng(0), []
    for n_in, n_out in zip((dim, *widths), widths, strict=False):
        weight = random.normal(scale=n_in**-0.5, size=(n_out, n_in)).astype(np.float32)
        layers += [Layer("affine", weight, np.zeros(n_out, np.float32)), Layer("relu")]
    names = tuple(map(str, range(widths[-1])))
    promise = Promise("tags", names=names, chosen=(0,))
    return LayeredHead(layers[:-1], "sigmoid", promise, (dim,), normalise=True)
