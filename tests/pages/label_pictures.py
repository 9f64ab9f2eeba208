"""Pictures that are easily told apart by taste and are no near-copies of each other."""

import os

import numpy as np
from PIL import Image

from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane, choose
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store

OLD_S = 1_700_000_000
SIDE = 96


def draw(path, *, liked, seed):
    """Draw blurred random colours; liked ones hold a large bright disc, others a dark bar."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(40, 200, (5, 5, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()
    y, x = np.mgrid[:SIDE, :SIDE]
    cx, cy = random.uniform(0.4, 0.6, 2) * SIDE
    if liked:
        mask = (x - cx) ** 2 + (y - cy) ** 2 < (SIDE * random.uniform(0.28, 0.36)) ** 2
        pixels[mask] = (250, 215, 90)
    else:
        mask = abs(y - cy) < SIDE * random.uniform(0.1, 0.16)
        pixels[mask] = (20, 25, 60)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=92)
    os.utime(path, (OLD_S + seed, OLD_S + seed))


def make_folder(root):
    """Make pics/ (24, even numbers liked), liked/ and disliked/ (12 each), and a filled store."""
    for index in range(24):
        draw(root / "pics" / f"p{index:02d}.jpg", liked=index % 2 == 0, seed=index)
    for index in range(12):
        draw(root / "liked" / f"l{index:02d}.jpg", liked=True, seed=100 + index)
        draw(root / "disliked" / f"d{index:02d}.jpg", liked=False, seed=200 + index)
    with Store.open(root / ".vta", create=True) as store:
        chosen = choose(store, "classic", [], Engine())
        store.pin(chosen.pin)
        lanes = [Lane(store, spec, Engine(), Silent()) for spec in chosen.specs]
        embed(store, Source([str(root)]), lanes, Silent())
    return root
