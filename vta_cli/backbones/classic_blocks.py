"""The blocks of the classic vector: their order, their shares, and how raw measures are scaled.

A block is an array (n_channels, n_cells) or (n_channels,) of raw measures of one picture. Each
channel is centred and scaled by two constants that are the same for all its cells, limited, and
weighted so that the squared length of the block is its share at most.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.classic_features import (
    colour,
    gradients,
    layout,
    quality,
    scattering,
    tones,
)
from vta_cli.backbones.classic_features.planes import Plane, Planes, read
from vta_cli.records import Pixels

CONSTANTS = "classic_constants.json"
"""Centres and scales, a file beside this one; made by `benchmarks/classic_constants.py`."""

LIMIT = 3.0
"""Standardised measures are cut off here, so that no odd picture is ruled by one column."""

LENGTH = 10.0
"""Greatest length of a vector; keeps its values (mostly 0.01 to 1) well inside float16.

A block that is farther from its centre than usual is shortened to its share: else one block would
rule the vector of an odd picture, and all very dark pictures would look alike.
"""

SHARES: Mapping[str, float] = {
    "texture": 1.5,
    "contrast": 0.3,
    "colour_contrast": 0.6,
    "gradients": 0.4,
    "patterns": 0.4,
    "colours": 0.2,
    "colour_layout": 0.1,
    "attention": 0.1,
    "balance": 0.1,
    "thumbnail": 0.7,
    "naturalness": 0.7,
    "sharpness": 0.35,
    "exposure": 0.5,
    "faults": 0.15,
    "shape": 0.02,
}
"""Share of each block in the squared length of a vector, relative; in the order of the columns."""

FAMILIES: Mapping[str, Callable[[Planes], Plane]] = {
    "colour_contrast": scattering.colour_contrast,
    "gradients": gradients.histograms,
    "patterns": gradients.patterns,
    "colours": colour.histogram,
    "colour_layout": colour.layout,
    "attention": layout.attention,
    "balance": layout.balance,
    "thumbnail": layout.thumbnail,
    "naturalness": quality.naturalness,
    "sharpness": quality.sharpness,
    "exposure": tones.exposure,
    "faults": tones.faults,
    "shape": layout.shape,
}


@dataclass(frozen=True)
class Scaling:
    """Constants of one block, each of shape (n_channels, 1), float32."""

    centre: Plane
    factor: Plane


def measure(pixels: Pixels) -> dict[str, Plane]:
    """Take the raw measures of one picture.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
        Any size from 1 x 1 up.

    Returns
    -------
    dict of str to ndarray of shape (n_channels, n_cells), float32
        In the order of `SHARES`.
    """
    planes = read(pixels)
    contrast, texture = scattering.luma_blocks(planes)
    raw = {"texture": texture, "contrast": contrast}
    raw |= {name: family(planes) for name, family in FAMILIES.items()}
    return {name: raw[name].reshape(raw[name].shape[0], -1) for name in SHARES}


def assemble(raw: Mapping[str, Plane]) -> NDArray[np.float32]:
    """Scale raw measures and join them to one vector, shape (dim,), float32."""
    scalings = _scalings()
    parts = []
    for name, values in raw.items():
        scaling = scalings[name]
        standard = np.clip((values - scaling.centre) * scaling.factor, -LIMIT, LIMIT).ravel()
        spread = max(1.0, float(np.sqrt(np.mean(standard * standard))))
        weight = LENGTH * np.sqrt(SHARES[name] / sum(SHARES.values()) / values.size) / spread
        parts.append(standard * np.float32(weight))
    return np.concatenate(parts)


def columns() -> dict[str, slice]:
    """Return which columns of a vector belong to which block."""
    blank = measure(np.zeros((1, 1, 3), dtype=np.uint8))
    out, start = {}, 0
    for name, values in blank.items():
        out[name] = slice(start, start + values.size)
        start += values.size
    return out


@lru_cache(maxsize=1)
def _scalings() -> dict[str, Scaling]:
    text = resources.files("vta_cli.backbones").joinpath(CONSTANTS).read_text(encoding="utf-8")
    out = {}
    for name, pair in json.loads(text)["blocks"].items():
        centre = np.array(pair["centre"], dtype=np.float32)[:, None]
        scale = np.array(pair["scale"], dtype=np.float32)[:, None]
        out[name] = Scaling(centre, np.float32(1) / scale)
    return out
