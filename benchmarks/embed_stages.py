"""What embedding costs by stage: list, hash, read, decode, view, forward, write, each alone.

    python -m benchmarks.embed_stages [--turns 3] [--net mobile|vit] [--small 24] [--large 6]

JPEGs of 512 px and of 12 megapixels, drawn with the spectrum of photographs; weights are random.
Each stage runs on what the one before it made, beside the plain way to do the same, A B A B:
`os.walk`, SHA-256, `open().read()`, Pillow's decoder and resize, a pickle a picture. Processor
seconds per 1,000 images, medians. For the forward pass there is no other way; it is given so that
the others can be set against it.

At the end the deviation that the fast decode and view cost: cosine between the vectors of the exact
and of the fast views, of SqueezeNet on real photographs where the sample data lie beside the
checkout, and of the random network.
"""

import argparse
import hashlib
import io
import os
import pickle  # noqa: TID251 - what the original writes; nothing is read back
import statistics
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.embed_pipeline import LARGE_PX, NETS, make_net, make_pictures, timed
from benchmarks.table import row
from vta_cli.backbones.registry import load, resolve
from vta_cli.backbones.resize import resize
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.picture import Picture
from vta_cli.images.sources import scan
from vta_cli.images.views import readings
from vta_cli.store.store import Store

DATA = Path(__file__).parents[1].parent / "shared" / "data"
N_LISTED = 5000
N_WRITTEN = 2000


class Stages:
    """Times of each stage, ours and the plain way's, per 1,000 images."""

    def __init__(self):
        self.ours, self.theirs, self.peers = {}, {}, {}

    def turn(self, name, n, ours, peer="", theirs=None):
        """Run a stage once in both ways; return what ours made."""
        made = []
        seconds, _ = timed(lambda: made.append(ours()))
        self.ours.setdefault(name, []).append(seconds / n * 1000)
        self.peers[name] = peer
        if theirs is not None:
            self.theirs.setdefault(name, []).append(timed(theirs)[0] / n * 1000)
        return made[0]

    def show(self, label):
        print(f"\n{label}: core-seconds per 1,000 images")
        for name, times in self.ours.items():
            theirs = self.theirs.get(name, [])
            other = f"{statistics.median(theirs):9.2f}  {self.peers[name]}" if theirs else ""
            print(f"  {name:10}{statistics.median(times):9.3f}{other}")
            why = "" if theirs else "no other way"
            peer = self.peers[name] if theirs else "-"
            row(f"1,000 images, {label}: {name}", times, peer, theirs, why=why)
        total = sum(statistics.median(times) for times in self.ours.values())
        print(f"  {'all':10}{total:9.2f}")


def pillow_pixels(data):
    """Decode as everybody does."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def one_turn(stages, files, backbone):
    """Run the stages that look at pictures once."""
    wish = backbone.recipe.preprocess, "whole", backbone.resize
    n, paths = len(files), [str(file) for file in files]
    data = stages.turn(
        "read", n, lambda: [read_bytes(path) for path in paths],
        "open().read()", lambda: [file.read_bytes() for file in files],
    )  # fmt: skip
    stages.turn(
        "hash", n, lambda: [key_of(one) for one in data],
        "SHA-256", lambda: [hashlib.sha256(one).digest() for one in data],
    )  # fmt: skip
    # few pictures at a time: 12 megapixels are 36 MB
    for at in range(0, n, 4):
        part = data[at : at + 4]
        seen = [Picture(one) for one in part]
        first = at == 0
        _add(stages, "decode", first, lambda: [
            one.pixels(*wish[:2], exact=wish[2] is None) for one in seen  # noqa: B023
        ], "Pillow", lambda: [pillow_pixels(one) for one in part], n)  # fmt: skip # noqa: B023
        plain = [pillow_pixels(one) for one in part]
        _add(stages, "view", first, lambda: [
            one.readings(*wish) for one in seen  # noqa: B023
        ], "Pillow's resize", lambda: [
            readings(one, *wish[:2]) for one in plain  # noqa: B023
        ], n)  # fmt: skip
        views = [one.readings(*wish)[0] for one in seen]
    size = backbone.batch_size
    batch = [views[i % len(views)] for i in range(size)]
    stages.turn("forward", size, lambda: backbone.embed(batch))


def _add(stages, name, first, ours, peer, theirs, n):
    """Add one part of a stage to its turn."""
    mine, other = timed(ours)[0], timed(theirs)[0]
    stages.peers[name] = peer
    for table, seconds in ((stages.ours, mine), (stages.theirs, other)):
        times = table.setdefault(name, [])
        if first:
            times.append(0.0)
        times[-1] += seconds / n * 1000


def bookends(stages, folder, backbone, turn):
    """Run the stages that do not depend on the pictures' size: listing and writing."""
    listed = folder / "listed"
    if not listed.is_dir():
        for number in range(N_LISTED):
            file = listed / f"{number // 500:03d}" / f"IMG_{number:06d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    stages.turn(
        "list", N_LISTED, lambda: sum(1 for _ in scan([str(listed)])), "os.walk, stat",
        lambda: [os.stat(f"{at}/{f}") for at, _, names in os.walk(listed) for f in names],  # noqa: PTH116
    )  # fmt: skip
    rng = np.random.default_rng(turn)
    keys = rng.integers(0, 256, (N_WRITTEN, 32), dtype=np.uint8)
    rows = rng.standard_normal((N_WRITTEN, 1, backbone.recipe.dim)).astype(np.float32)
    pickles = folder / f"pickles-{turn}"
    pickles.mkdir()

    def ours():
        with (
            Store.open(folder / f"store-{turn}", create=True) as store,
            store.space(backbone.recipe).writer() as writer,
        ):
            for at in range(0, N_WRITTEN, 16):
                writer.append(keys[at : at + 16], rows[at : at + 16])

    def theirs():
        for number, one in enumerate(rows):
            with (pickles / f"{number}.pickle").open("wb") as file:
                pickle.dump({"net": one}, file)

    stages.turn("write", N_WRITTEN, ours, "a pickle an image", theirs)


def deviation(backbone, files):
    """Print the cosine between vectors of exact and of fast views."""
    sets = {f"{backbone.recipe.backbone}, random, drawn": (backbone, files[:4])}
    weights = sorted((DATA / "weights").rglob("SqueezeNet*.onnx"))
    photos = sorted((DATA / "biq2021_quality" / "images").glob("*.jpg"))[::40]
    if weights and photos:
        trained = load(resolve("onnx:squeezenet"), weights=str(weights[0]), device="cpu")
        sets["SqueezeNet, trained, photographs of 512 px"] = trained, photos
        sets["SqueezeNet, trained, the same enlarged to 12 MP"] = trained, map(enlarged, photos)
    print("\ncosine of exact and fast: lowest, median")
    for name, (net, chosen) in sets.items():
        found = []
        for one in chosen:
            seen = Picture(one if isinstance(one, bytes) else one.read_bytes())
            views = [
                seen.readings(net.recipe.preprocess, "whole", way)[0] for way in (None, resize)
            ]
            u, v = net.embed(views).astype(np.float64)
            found.append(float(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
        print(f"  {name:50}{min(found):.6f} {statistics.median(found):.6f}")


def enlarged(file):
    """Return a photograph as a JPEG of 12 megapixels."""
    out = io.BytesIO()
    with Image.open(file) as image:
        large = image.convert("RGB").resize(LARGE_PX, Image.Resampling.BICUBIC)
    large.save(out, "JPEG", quality=90)
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--net", choices=sorted(NETS), default="mobile")
    parser.add_argument("--small", type=int, default=24, help="pictures of 512 px")
    parser.add_argument("--large", type=int, default=6, help="pictures of 12 megapixels")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_net(args.net, folder / "weights.pt")
        backbone = load(resolve(NETS[args.net]), weights=str(folder / "weights.pt"), device="cpu")
        sets = {
            "512 px": make_pictures(folder / "small", args.small, (512, 512)),
            "12 MP": make_pictures(folder / "large", args.large, LARGE_PX),
        }
        tables = {label: Stages() for label in ("any size", *sets)}
        for turn in range(args.turns):
            bookends(tables["any size"], folder, backbone, turn)
            for label, files in sets.items():
                one_turn(tables[label], files, backbone)
        for label, table in tables.items():
            table.show(label)
        deviation(backbone, sets["12 MP"])


if __name__ == "__main__":
    main()
