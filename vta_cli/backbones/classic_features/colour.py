"""Colour: which colours there are, how strong, and where."""

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_features.planes import Plane, Planes, pool

LUMA_BINS, CHROMA_BINS = 4, 7
"""Bins of the joint histogram: luma by red-green by yellow-blue."""


def histogram(planes: Planes) -> NDArray[np.float32]:
    """Joint soft histogram of luma and both opponent channels at 64 px, square roots (Hellinger).

    The chroma axes are compressed by a square root, since photographs crowd around grey.
    """
    luma, red_green, yellow_blue = planes.opponent[64].reshape(3, -1)
    axes = [
        _soft(luma * (LUMA_BINS - 1), LUMA_BINS),
        _soft(_stretch(red_green), CHROMA_BINS),
        _soft(_stretch(yellow_blue), CHROMA_BINS),
    ]
    n_bins = LUMA_BINS * CHROMA_BINS * CHROMA_BINS
    total = np.zeros(n_bins)
    for l_bin, l_share in axes[0]:
        for r_bin, r_share in axes[1]:
            for y_bin, y_share in axes[2]:
                place = (l_bin * CHROMA_BINS + r_bin) * CHROMA_BINS + y_bin
                total += np.bincount(place, l_share * r_share * y_share, minlength=n_bins)
    return np.sqrt(total / luma.size).astype(np.float32)


def layout(planes: Planes) -> Plane:
    """Mean and spread of each opponent channel and of the chroma per cell, shape (8, 4, 2)."""
    opponent = planes.opponent[64]
    chroma = np.hypot(opponent[1], opponent[2])[None]
    channels = np.concatenate([opponent, chroma])  # (4, 64, 64)
    means = pool(channels)
    spread = np.sqrt(np.maximum(pool(channels * channels) - means * means, 0.0))
    both = np.concatenate([means, spread])  # (8, 4, 4)
    folded: Plane = np.float32(0.5) * (both + both[..., ::-1])[..., :2]
    return folded


def _stretch(chroma: Plane) -> Plane:
    """Map -1..1 to 0..CHROMA_BINS-1, finer around 0."""
    spread = np.sign(chroma) * np.sqrt(np.minimum(np.abs(chroma), 1.0))
    return (spread * np.float32(0.5) + np.float32(0.5)) * np.float32(CHROMA_BINS - 1)


def _soft(place: Plane, n_bins: int) -> list[tuple[NDArray[np.int64], Plane]]:
    """Split positions in 0..n_bins-1 between the two nearest bins."""
    low = np.clip(np.floor(place), 0, n_bins - 2).astype(np.int64)
    share = np.clip(place - low, 0.0, 1.0).astype(np.float32)
    return [(low, 1 - share), (low + 1, share)]
