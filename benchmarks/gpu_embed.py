"""`vta embed` on a GPU, as a fraction of the network's forward pass alone.

    python -m benchmarks.gpu_embed [--seconds 8] [--device cuda] [--tiny] [--workers N]

ViT-B/32 at 224, ViT-L/14 at 224 and at 336 px (timm's CLIP towers, random weights), on drawn JPEGs
of 512 and 256 px. For each: `forward` is the network on batches that lie on the device, `fed` the
same from views in the host's memory, `decode` reading, hashing, decoding and viewing in a worker
process for each core without a network, `threads` the same in threads of one process, `embed` the
whole pipeline from the file list to the sealed shard, whose workers start meanwhile.
`share` is embed over forward, `limit` embed over the smaller of forward and decode. Same
precision and batch in all. With $OUT set, the results also go to $OUT/gpu_embed.json.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.embed_workers import views_in_processes
from vta_cli.backbones.registry import resolve
from vta_cli.images.decode import decode
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.views import apply
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store

NETS = {
    "ViT-B/32@224": "vit_base_patch32_clip_224",
    "ViT-L/14@224": "vit_large_patch14_clip_224",
    "ViT-L/14@336": "vit_large_patch14_clip_336",
}
TINY = {"test_vit": "test_vit", "test_resnet": "test_resnet"}
SETTLING = 16
"""Passes before anything is measured."""
DISTINCT = 64
"""Pictures that are encoded; further files are these with other bytes behind their end."""


def make_pictures(folder, count, px):
    """Write `count` JPEGs with distinct keys."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:px, :px] / px
    encoded = []
    for number in range(min(count, DISTINCT)):
        waves = [np.sin(rng.uniform(2, 60) * (x * a + y * b)) for a, b in rng.normal(size=(9, 2))]
        canvas = np.stack([sum(waves[i::3]) for i in range(3)], -1) * 35 + 128
        canvas += rng.normal(scale=9, size=canvas.shape)
        file = folder / f"{number:06d}.jpg"
        Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).save(file, quality=85)
        encoded.append(file.read_bytes())
    for number in range(len(encoded), count):
        data = encoded[number % DISTINCT] + number.to_bytes(4, "big")
        (folder / f"{number:06d}.jpg").write_bytes(data)
    return sorted(folder.iterdir()), sum(map(len, encoded)) / len(encoded)


def rate(count, work):
    """Return units a second."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def forward_rate(backbone, views, seconds):
    """Return pictures a second of the network alone, on bytes that lie on the device."""
    size = backbone.batch_size
    cuda = backbone._device.type == "cuda"
    batch = torch.from_numpy(np.stack([views[i % len(views)] for i in range(size)]))
    batch = batch.to(backbone._device)

    def once():
        with torch.inference_mode(), backbone._arithmetic():
            x = batch.permute(0, 3, 1, 2).to(torch.float32).div_(255)
            x = x.sub_(backbone._mean).div_(backbone._std)
            backbone._net(x.contiguous(memory_format=backbone._layout))

    def run(n):
        for _ in range(n):
            once()
        if cuda:
            torch.cuda.synchronize()

    run(3)
    n = max(3, int(seconds / max(1e-4, 1 / rate(3, lambda: run(3)))))
    return rate(n * size, lambda: run(n))


def fed_rate(backbone, views, seconds, guess):
    """Return pictures a second of the network on views in host memory, one batch ahead."""
    size = backbone.batch_size
    n = max(2, int(guess * seconds / size))
    batch = [views[i % len(views)] for i in range(size)]

    def run():
        waiting = []
        for _ in range(n):
            waiting.append(backbone.start(batch))
            if len(waiting) > 1:
                waiting.pop(0)()
        waiting.pop(0)()

    return rate(n * size, run)


def decode_rate(files, backbone, workers):
    """Return pictures a second that threads of this process read, hash, decode and view."""

    def one(file):
        data = read_bytes(str(file))
        key_of(data)
        apply(decode(data).pixels, backbone.recipe.preprocess, backbone.resize)

    with ThreadPoolExecutor(workers) as pool:
        return rate(len(files), lambda: list(pool.map(one, files)))


def one_case(name, net, folder, sets, args):
    """Measure one network on every set of pictures."""
    torch.manual_seed(0)
    weights = folder / f"{net}.safetensors"
    tensors = timm.create_model(net, num_classes=0).state_dict()
    save_file({key: value.contiguous() for key, value in tensors.items()}, weights)
    del tensors
    spec = resolve(f"timm:{net}")
    engine = Engine(weights=str(weights), device=args.device, precision=args.precision)
    engine = replace(engine, batch_size=args.batch_size)
    rows = []
    for px, (files, n_bytes) in sets.items():
        with Store.open(folder / f"store-{net}-{px}", create=True) as store:
            lane = Lane(store, spec, engine, Silent())
            backbone = lane.backbone
            pixels = [decode(read_bytes(str(file))).pixels for file in files[:DISTINCT]]
            views = [apply(p, backbone.recipe.preprocess, backbone.resize) for p in pixels]
            for _ in range(SETTLING):  # the batch grows to its size
                backbone.embed([views[i % len(views)] for i in range(backbone.batch_size)])
            forward = forward_rate(backbone, views, args.seconds / 3)
            fed = fed_rate(backbone, views, args.seconds / 3, forward)
            sample = files[: min(len(files), 200 * args.workers)]
            in_threads = decode_rate(sample, backbone, args.workers)
            seconds, _ = views_in_processes(
                [str(file) for file in sample], args.workers, backbone.recipe.preprocess
            )
            made = len(sample) / seconds
            count = int(min(len(files), max(64, args.seconds * min(forward, made))))
            listed = folder / f"list-{net}-{px}.txt"
            listed.write_text("\n".join(map(str, files[:count])))
            began = time.perf_counter()
            report = embed(store, Source([str(listed)]), [lane], Silent())
            ended = count / (time.perf_counter() - began)
            assert sum(report.embedded.values()) == count, report
        limit = min(forward, made)
        rows.append({
            "net": name, "px": px, "kB": n_bytes / 1e3, "n": count, "batch": backbone.batch_size,
            "precision": backbone.recipe.precision, "forward": forward, "fed": fed,
            "decode": made, "threads": in_threads, "embed": ended,
            "share": ended / forward, "limit": ended / limit,
            "bound": "forward" if forward < made else "decode",
            "stages_ms": {k: v / count * 1e3 for k, v in report.stages.items()},
        })  # fmt: skip
        show(rows[-1])
    return rows


def show(row):
    stages = " ".join(f"{k} {v:.2f}" for k, v in row["stages_ms"].items())
    print(
        f"{row['net']:14}{row['px']:>5}{row['precision']:>6}{row['batch']:>6}{row['n']:>7}"
        f"{row['forward']:>10.0f}{row['fed']:>10.0f}{row['decode']:>10.0f}"
        f"{row['threads']:>10.0f}{row['embed']:>10.0f}"
        f"{row['share']:>7.2f}{row['limit']:>7.2f}  {row['bound']:8} {stages}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="cap of a measurement")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--files", type=int, default=24000)
    parser.add_argument("--tiny", action="store_true", help="toy networks and few pictures")
    args = parser.parse_args()
    nets = TINY if args.tiny else NETS
    n_files = min(args.files, 200) if args.tiny else args.files
    place = torch.cuda.get_device_name(0) if args.device.startswith("cuda") else "CPU"
    print(f"{place}, {args.workers} workers, torch {torch.__version__}")
    print(
        f"{'network':14}{'px':>5}{'':>6}{'batch':>6}{'images':>7}{'forward/s':>10}{'fed/s':>10}"
        f"{'decode/s':>10}{'threads/s':>10}{'embed/s':>10}"
        f"{'share':>7}{'limit':>7}  bound    stages, ms an image"
    )
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sets = {px: make_pictures(folder / str(px), n_files, px) for px in (512, 256)}
        for name, net in nets.items():
            try:
                rows += one_case(name, net, folder, sets, args)
            except Exception as error:  # noqa: BLE001 - one failing case must not cost the others
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
                rows.append({"net": name, "error": f"{type(error).__name__}: {error}"})
    if os.environ.get("OUT"):
        (Path(os.environ["OUT"]) / "gpu_embed.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
