"""What the classic backbone costs: processor time per picture, by stage, on one core.

    python -m benchmarks.classic_speed [--picture FILE] [--pictures 40] [--threads 2]

Times are of the process (all its threads), so that a busy machine changes them little.
"""

import argparse
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # the thread count has to be set before
from PIL import Image

from vta_cli.backbones import classic, classic_blocks
from vta_cli.backbones.classic_features import planes, scattering


def drawn(side_px: int = 512) -> bytes:
    """Return a JPEG of noise with the spectrum of a photograph: about 90 kB at 512 px."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.fftfreq(side_px)) + 1 / side_px
    channels = []
    for _ in range(3):
        spectrum = np.fft.fft2(rng.standard_normal((side_px, side_px))) / frequency
        plane = np.fft.ifft2(spectrum).real
        channels.append(128 + 50 * plane / plane.std())
    pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def cost_ms(work: Callable[[], object], n: int) -> float:
    work()
    start = time.process_time()
    for _ in range(n):
        work()
    return 1e3 * (time.process_time() - start) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="a file to take instead of the drawn one")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    n = args.pictures
    data = args.picture.read_bytes() if args.picture else drawn()
    pixels = decode(data)
    backbone = classic.load()
    shared = planes.read(pixels)
    stages: dict[str, Callable[[], object]] = {
        "decode (Pillow)": lambda: decode(data),
        "planes": lambda: planes.read(pixels),
        "texture and contrast": lambda: scattering.luma_blocks(shared),
    }
    for name, family in classic_blocks.FAMILIES.items():
        stages[name] = lambda family=family: family(shared)
    print(f"{pixels.shape[1]} x {pixels.shape[0]} px, {len(data)} bytes, {n} times")
    for name, work in stages.items():
        print(f"{name:24s} {cost_ms(work, n):7.2f} ms")
    whole = cost_ms(lambda: backbone.embed([decode(data)]), n)
    print(f"{'decode and embed':24s} {whole:7.2f} ms = {1e3 / whole:.0f} pictures per core-second")
    with ThreadPoolExecutor(args.threads) as pool:
        start, spent = time.perf_counter(), time.process_time()
        list(pool.map(lambda _: backbone.embed([decode(data)]), range(n)))
        wall, spent = time.perf_counter() - start, time.process_time() - spent
    print(f"{args.threads} threads: {n / wall:.0f} pictures/s wall, {1e3 * spent / n:.1f} ms each")


if __name__ == "__main__":
    main()
