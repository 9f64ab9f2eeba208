"""Tones and faults of the camera: exposure, noise floor, blocks of compression, colour fringes."""

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_features.planes import Plane, Planes, at_least

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Where distributions are read."""


def exposure(planes: Planes) -> NDArray[np.float32]:
    """Quantiles of luma and chroma, spreads, clipped shares, skew and entropy, shape (30,)."""
    luma, red_green, yellow_blue = planes.opponent[64].reshape(3, -1)
    chroma = np.hypot(red_green, yellow_blue)
    sample = planes.pixels[::2, ::2]
    counts = np.bincount(sample.ravel(), minlength=256) / sample.size
    spread = [luma.std(), red_green.std(), yellow_blue.std(), chroma.std(), chroma.mean()]
    ends = [counts[0], counts[:4].sum(), counts[255], counts[252:].sum(), counts.max()]
    centred = luma - luma.mean()
    skew = np.mean(centred * centred * centred) / (luma.std() ** 3 + 1e-3)
    entropy = -(counts * np.log(counts + 1e-9)).sum() / np.log(256)
    return np.concatenate(
        [
            np.quantile(luma, QUANTILES),
            np.sqrt(np.quantile(chroma, QUANTILES)),
            spread,
            np.sqrt(ends),
            [skew, entropy],
        ]
    ).astype(np.float32)


def faults(planes: Planes) -> NDArray[np.float32]:
    """Noise floor, 8-pixel grid of JPEG blocks, and fringes of red and blue, shape (13,)."""
    luma = at_least(planes.luma, 18)
    across = luma[::2, 2:] - 2 * luma[::2, 1:-1] + luma[::2, :-2]
    down = across[2:] - 2 * across[1:-1] + across[:-2]
    noise = np.quantile(np.abs(down[::2, ::2]), (0.1, 0.25, 0.5))
    blocks = _blocking(luma, 1) + _blocking(luma, 0)
    return np.concatenate([np.log(noise + 1e-3), blocks, _fringes(planes)]).astype(np.float32)


def _blocking(luma: Plane, axis: int) -> list[float]:
    """Log ratio of the steps on the 8-pixel grid to all others, and of the largest phase."""
    steps = np.abs(np.diff(luma, axis=axis))
    profile = steps.mean(axis=1 - axis)  # mean step at each position along the axis
    phases = np.bincount(np.arange(profile.size) % 8, profile) / np.bincount(
        np.arange(profile.size) % 8
    )
    phases += 1e-3
    on_grid = np.log(phases[7] / phases[:7].mean())
    return [float(on_grid), float(np.log(phases.max() / phases.mean()))]


def _fringes(planes: Planes) -> list[float]:
    """Regress red and blue against green on green's outward slope, in the centre and outside.

    A colour plane that is shifted by d pixels along the radius differs from green by d times the
    slope (lateral chromatic aberration). The fine detail of the difference comes first.
    """
    luma, red_green, yellow_blue = planes.opponent[128]
    blue_green = np.float32(0.5) * red_green - yellow_blue
    green = luma - np.float32(0.299) * red_green - np.float32(0.114) * blue_green
    line = ((np.arange(1, 127) + 0.5) / 64 - 1).astype(np.float32)
    across = green[1:-1, 2:] - green[1:-1, :-2]
    down = green[2:, 1:-1] - green[:-2, 1:-1]
    slope = across * line + down * line[:, None]
    outside = (line**2 + line[:, None] ** 2) >= 0.5
    out = []
    for plane in (red_green, blue_green):
        core = plane[1:-1, 1:-1]
        around = plane[1:-1, 2:] + plane[1:-1, :-2] + plane[2:, 1:-1] + plane[:-2, 1:-1]
        out.append(float(np.log(np.mean(np.abs(core - 0.25 * around)) + 1e-3)))
        for zone in (~outside, outside):
            product, square = (core * slope)[zone].sum(), (slope * slope)[zone].sum()
            out.append(float(product / (square + 0.1)))
    return out
