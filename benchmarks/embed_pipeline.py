"""`vta embed` end to end, beside the network alone and beside clip-retrieval's loop.

    python -m benchmarks.embed_pipeline [--pictures 64] [--turns 3] [--net vit|mobile] [--large]

Weights are random, in a file that the benchmark makes; pictures are drawn JPEGs of 512 px, or with
--large of 12 megapixels. In each turn: the network alone on batches that are decoded and viewed
already (`forward`), `vta` from the folder to the sealed shard, the loop of clip-retrieval (torch
DataLoader without worker processes, the network's own Pillow transform, forward, one .npy), and the
original's (one picture at a time, a pickle each). Each turn has another order, drawn by chance, as
a machine may well be slower for who comes later, or after whom. The network is loaded anew for each
turn, before the clock starts, and a ViT's weights are the same memory for all ways: of two copies
one may lie better than the other for a whole process. Processor seconds of the process with all its
threads; medians. `share` is forward's time over that of the row, 1 is the limit: the median of the
turns' ratios, and the ratio of the sums of all turns.
"""

import argparse
import pickle  # noqa: TID251 - what the original writes; nothing is read back
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.classic_speed import drawn
from benchmarks.table import row
from vta_cli.backbones.registry import resolve
from vta_cli.images.decode import decode
from vta_cli.images.views import apply
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store

LARGE_PX = (4000, 3000)
NETS = {"vit": "open_clip:ViT-B-32-quickgelu/openai", "mobile": "timm:mobilenetv3_small_100"}


def make_net(name, path):
    """Save a network with random weights; return it with its own Pillow transform.

    Returns
    -------
    net : torch.nn.Module
    forward : callable
        From (n, 3, px, px) float to (n, dim).
    transform : callable
    """
    torch.manual_seed(0)
    if name == "vit":
        import open_clip

        net, _, transform = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
        forward = net.encode_image
    else:
        import timm

        net = timm.create_model("mobilenetv3_small_100")
        transform = timm.data.create_transform(**timm.data.resolve_data_config(model=net))

        def forward(x):
            return net.forward_head(net.forward_features(x), pre_logits=True)

    torch.save(net.state_dict(), path)
    net.eval().requires_grad_(requires_grad=False)
    return net, forward, transform


def share_weights(net, backbone):
    """Let a peer's ViT use the tensors of vta's, values and memory.

    Other networks keep their own: vta's lie channels-last, and would make the peer another one.
    """
    if hasattr(net, "visual"):
        net.visual.load_state_dict(backbone._net.state_dict(), assign=True)


def make_pictures(folder, count, size=(512, 512)):
    """Write `count` different JPEGs of this (width, height), one drawn picture, rolled."""
    folder.mkdir()
    pixels = decode(drawn()).pixels
    if size != (512, 512):  # enlarged pictures lack the grain of a camera
        large = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        grain = np.random.default_rng(0).normal(scale=5, size=large.shape)
        pixels = (large + grain).clip(0, 255).astype(np.uint8)
    for number in range(count):
        rolled = np.roll(pixels, (7 * number, 11 * number), axis=(0, 1))
        Image.fromarray(rolled).save(folder / f"{number:05d}.jpg", quality=90)
    return sorted(folder.iterdir())


class Loop(torch.utils.data.Dataset):
    """What clip-retrieval reads: paths in, transformed tensors out."""

    def __init__(self, folder, transform):
        self._paths, self._transform = sorted(folder.iterdir()), transform

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        with Image.open(self._paths[index]) as image:
            return self._transform(image.convert("RGB"))


def clip_retrieval(folder, forward, transform, out):
    """Embed a folder as clip-retrieval's mapper does."""
    loader = torch.utils.data.DataLoader(Loop(folder, transform), batch_size=16)
    with torch.no_grad():
        rows = [forward(batch).numpy() for batch in loader]
    np.save(out, np.concatenate(rows).astype(np.float16))


def original_loop(folder, forward, transform, out):
    """Embed a folder as the original does: batches of one, a pickle an image."""
    out.mkdir()
    with torch.no_grad():
        for path in sorted(folder.iterdir()):
            with Image.open(path) as image:
                vector = forward(transform(image.convert("RGB"))[None]).numpy()
            with (out / f"{path.stem}.pickle").open("wb") as file:
                pickle.dump({"net": vector}, file)


def timed(work):
    """Run `work`; return processor seconds and wall time."""
    wall, spent = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - spent, time.perf_counter() - wall


def one_turn(turn, place, pictures, spec, weights, peer):
    """Measure each way once; return their times and vta's stages."""
    engine = Engine(weights=str(weights), device="cpu")
    reports = []
    net, *peer = peer
    with Store.open(place / "store", create=True) as store:
        lane = Lane(store, spec, engine, Silent())
        backbone, recipe = lane.backbone, lane.backbone.recipe.preprocess
        backbone.close = lambda: None  # `embed` lets go of the network, others may come after it
        share_weights(net, backbone)
        pixels = [decode(p.read_bytes()).pixels for p in sorted(pictures.iterdir())]
        views = [apply(one, recipe, backbone.resize) for one in pixels]
        del pixels
        backbone.embed(views[:16])  # warm
        size = backbone.batch_size
        ways = {
            "forward alone": lambda: [
                backbone.embed(views[at : at + size]) for at in range(0, len(views), size)
            ],
            "vta embed": lambda: reports.append(
                embed(store, Source([str(pictures)]), [lane], Silent())
            ),
            "clip-retrieval's loop": lambda: clip_retrieval(pictures, *peer, place / "rows.npy"),
            "original, one at a time": lambda: original_loop(pictures, *peer, place / "pickles"),
        }
        names = list(ways)
        order = np.random.default_rng(turn).permutation(names).tolist()
        times = {name: timed(ways[name]) for name in order}
    return {name: times[name] for name in names}, reports[0].stages


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="pictures of 12 megapixels")
    parser.add_argument("--net", choices=sorted(NETS), help="only this one; both by default")
    args = parser.parse_args()
    for net in [args.net] if args.net else NETS:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            size = LARGE_PX if args.large else (512, 512)
            make_pictures(folder / "pictures", args.pictures, size)
            peer = make_net(net, folder / "weights.pt")
            spec, turns = resolve(NETS[net]), []
            for turn in range(args.turns):
                (folder / str(turn)).mkdir()
                turns.append(
                    one_turn(
                        turn,
                        folder / str(turn),
                        folder / "pictures",
                        spec,
                        folder / "weights.pt",
                        peer,
                    )
                )
        show(net, args.pictures, "12 MP" if args.large else "512 px", turns)


def show(net, n, label, turns):
    print(f"{NETS[net]}, {n} pictures of {label}, {torch.get_num_threads()} threads")
    print(f"{'':24}{'images/core-s':>14}{'images/s':>10}{'share':>8}{'in all':>8}")
    for name in turns[0][0]:
        spent = [times[name][0] for times, _ in turns]
        wall = [times[name][1] for times, _ in turns]
        forward = [times["forward alone"][0] for times, _ in turns]
        share = statistics.median(f / own for f, own in zip(forward, spent, strict=True))
        rates = f"{n / statistics.median(spent):14.1f}{n / statistics.median(wall):10.1f}"
        print(f"{name:24}{rates}{share:8.2f}{sum(forward) / sum(spent):8.2f}")
    for name in turns[0][0]:
        if name != "vta embed":
            row(f"embed {n} pictures of {label}, {net}", [t["vta embed"][0] for t, _ in turns],
                name, [t[name][0] for t, _ in turns])  # fmt: skip
    stages = {name: statistics.median(s[name] for _, s in turns) / n * 1e3 for name in turns[0][1]}
    words = ", ".join(f"{name} {value:.1f}" for name, value in stages.items())
    print(f"vta's stages, ms a picture, wall and summed over threads: {words}\n")


if __name__ == "__main__":
    main()
