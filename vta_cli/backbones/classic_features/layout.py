"""Layout: the picture shrunk to a few cells, and what stands where in it."""

import numpy as np
from scipy import fft

from vta_cli.backbones.classic_features.planes import Plane, Planes, pool

LEAST_CONTRAST = 0.01
"""Deviation of luma below which a picture counts as flat and its thumbnail fades to nothing."""


def thumbnail(planes: Planes) -> Plane:
    """Luma at 16 x 16, of mean 0 and deviation 1, shape (1, 256).

    The one block that is not folded onto its left half: it tells a picture from its mirror image,
    and from others that are as smooth or as dark. Unless a picture is flat its length is always the
    same, so that two pictures with unrelated thumbnails stay below a cosine of about 0.89,
    whatever the other blocks say.
    """
    tiny = planes.opponent[16][0]
    flat: Plane = tiny - tiny.mean()
    flat /= max(float(flat.std()), LEAST_CONTRAST)
    return flat.reshape(1, 256)


def shape(planes: Planes) -> Plane:
    """Logarithms of aspect ratio and of the number of pixels, shape (2,)."""
    height, width = planes.luma.shape
    return np.log(np.array([width / height, width * height], dtype=np.float32))


def attention(planes: Planes) -> Plane:
    """Where the eye may go: edges, colours that stand out, and the spectral residual.

    Each map has 8 x 8 cells and unit sum; square roots, folded onto the left half.

    Returns
    -------
    ndarray of shape (3, 32), float32
    """
    roots = np.sqrt(_maps(planes.opponent[64]))
    return (np.float32(0.5) * (roots + roots[..., ::-1])[..., :4]).reshape(3, 32)


def balance(planes: Planes) -> Plane:
    """Composition in figures, shape (21,), float32.

    Of each map of `attention`: height of the centre of mass, its distance from the middle column,
    spread down and across, share of the inner quarter. Of each channel: likeness of the left and
    right half, and of the upper and lower.
    """
    maps = _maps(planes.opponent[64])
    line = ((np.arange(8) + 0.5) / 8 - 0.5).astype(np.float32)
    rows, columns = maps.sum(axis=2), maps.sum(axis=1)  # (3, 8)
    middle_y, middle_x = rows @ line, columns @ line
    spread_y = np.sqrt(np.maximum(rows @ line**2 - middle_y**2, 0))
    spread_x = np.sqrt(np.maximum(columns @ line**2 - middle_x**2, 0))
    inner = maps[:, 2:6, 2:6].sum(axis=(1, 2))
    tiny = planes.opponent[16]
    symmetry = [_likeness(plane, plane[:, ::-1]) for plane in tiny]
    symmetry += [_likeness(plane, plane[::-1]) for plane in tiny]
    return np.concatenate(
        [middle_y, np.abs(middle_x), spread_y, spread_x, inner, symmetry], dtype=np.float32
    )


def _maps(opponent: Plane) -> Plane:
    """Maps of edges, odd colours and spectral residual, shape (3, 8, 8), each of sum 1."""
    luma = opponent[0]
    across = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    down = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    offset = opponent - opponent.mean(axis=(1, 2), keepdims=True)
    odd = np.sqrt((offset * offset).sum(axis=0))
    maps = pool(np.stack([across + down, odd, _residual(luma)]), 8) + np.float32(1e-4)
    maps /= maps.sum(axis=(1, 2), keepdims=True)
    return maps


def _residual(luma: Plane) -> Plane:
    """Spectral residual saliency (X. Hou, L. Zhang, CVPR 2007)."""
    spectrum = fft.fft2(luma)
    amplitude = np.log(np.abs(spectrum) + np.float32(1e-3))
    smooth = amplitude
    for axis in (0, 1):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / np.float32(3)
    phase = spectrum / (np.abs(spectrum) + np.float32(1e-6))
    back = np.abs(fft.ifft2(np.exp(amplitude - smooth) * phase))
    return np.asarray(back * back, dtype=np.float32)


def _likeness(left: Plane, right: Plane) -> float:
    """Correlation of two planes, 0 where one is flat."""
    a, b = left - left.mean(), right - right.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-3))
