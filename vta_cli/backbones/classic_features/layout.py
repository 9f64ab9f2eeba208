"""Layout: the picture shrunk to a few cells, and what stands where in it."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vta_cli.backbones.classic_features.planes import Planes, pool


def thumbnail(planes: Planes) -> NDArray[np.float32]:
    """Luma at 16 x 16 and both opponent channels at 8 x 8, luma without its mean."""
    tiny = planes.opponent[16]
    luma = tiny[0] - tiny[0].mean()
    return np.concatenate([luma.ravel(), pool(tiny[1:], 8).ravel()])


def composition(planes: Planes) -> NDArray[np.float32]:
    """Where the eye may go: maps of edges, of colour that stands out, and of the spectral residual.

    Each map is 8 x 8, of unit sum, as square roots, averaged with its mirror image; then their centres
    of mass, spread, share of the border and of the middle third, and the symmetry of the picture.
    """
    opponent = planes.opponent[64]
    luma = opponent[0]
    gx = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    gy = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    edges = gx + gy
    centre = opponent.mean(axis=(1, 2), keepdims=True)
    odd = np.sqrt(((opponent - centre) ** 2).sum(axis=0))
    maps = np.stack([edges, odd, _residual(luma)])
    maps = pool(maps, 8) + np.float32(1e-4)  # (3, 8, 8)
    maps /= maps.sum(axis=(1, 2), keepdims=True)
    axis = ((np.arange(8) + 0.5) / 8 - 0.5).astype(np.float32)
    rows, columns = maps.sum(axis=2), maps.sum(axis=1)
    middle_y, middle_x = rows @ axis, columns @ axis
    spread_y = np.sqrt(np.maximum(rows @ axis**2 - middle_y**2, 0))
    spread_x = np.sqrt(np.maximum(columns @ axis**2 - middle_x**2, 0))
    inner = maps[:, 2:6, 2:6].sum(axis=(1, 2))
    moments = np.stack([middle_y, np.abs(middle_x), spread_y, spread_x, inner])
    tiny = planes.opponent[16]
    flat = np.sqrt(maps)
    folded = (0.5 * (flat + flat[..., ::-1]))[..., :4]
    symmetry = [_agreement(tiny[i], tiny[i][:, ::-1]) for i in range(3)]
    symmetry += [_agreement(tiny[i], tiny[i][::-1]) for i in range(3)]
    return np.concatenate([8 * folded.ravel(), 4 * moments.ravel(), np.array(symmetry)]).astype(
        np.float32
    )


def _residual(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spectral residual saliency (X. Hou, L. Zhang, CVPR 2007)."""
    spectrum = fft.fft2(luma)
    amplitude = np.log(np.abs(spectrum) + 1e-3)
    smooth = amplitude.copy()
    for axis in (0, 1):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 3
    phase = spectrum / (np.abs(spectrum) + 1e-6)
    return np.asarray(np.abs(fft.ifft2(np.exp(amplitude - smooth) * phase)) ** 2, np.float32)


def _agreement(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Correlation of two planes, 0 where one is flat."""
    a, b = left - left.mean(), right - right.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-3))
