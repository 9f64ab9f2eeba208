"""Wavelet scattering: how much contrast there is at each scale and orientation, cell by cell.

First order: moduli of a Morlet filter bank. Second order: the same bank applied to these moduli,
which tells lines from corners and textures from edges. J. Bruna and S. Mallat, "Invariant
Scattering Convolution Networks", 2013; filters as there (and as in kymatio), computation our own:
each filter reads only the square of the spectrum in which it lives, so that every inverse
transform has the size at which its modulus is sampled.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vta_cli.backbones.classic_features.planes import N_CELLS, Plane, pool

Complex = NDArray[np.complex64]


class Bank:
    """Oriented band-pass filters of one octave, for spectra of one size.

    Parameters
    ----------
    size_px : int
        Side of the images whose spectra are filtered.
    octave : int
        Scale: centre frequency 3/4 pi 2^-octave, envelope 0.8 2^octave pixels.
    n_angles : int
        Orientations, evenly over half a turn.
    out_px : int
        Side at which the moduli are sampled.
    """

    def __init__(self, size_px: int, octave: int, n_angles: int, out_px: int) -> None:
        self.size_px, self.out_px = size_px, out_px
        xi = 0.75 * np.pi * 2.0**-octave
        sigma = 0.8 * 2.0**octave
        slant = 4.0 / n_angles
        angles = np.pi * np.arange(n_angles) / n_angles
        step = 2 * np.pi / size_px
        offsets = np.arange(-(out_px // 2), out_px - out_px // 2)
        index, taps = [], []
        for angle in angles:
            centre_y = round(xi * np.sin(angle) / step)
            centre_x = round(xi * np.cos(angle) / step)
            if out_px == size_px:
                centre_y = centre_x = 0
            ky, kx = np.meshgrid(centre_y + offsets, centre_x + offsets, indexing="ij")
            index.append((ky % size_px) * size_px + kx % size_px)
            taps.append(_morlet(ky * step, kx * step, xi, sigma, slant, angle))
        self.index = np.stack(index)  # (n_angles, out_px, out_px)
        scale = (out_px / size_px) ** 2
        self.taps = (np.stack(taps) * scale).astype(np.float32)

    def moduli(self, spectra: Complex) -> Plane:
        """Filter spectra (..., size_px, size_px) to moduli (..., n_angles, out_px, out_px)."""
        flat = spectra.reshape(*spectra.shape[:-2], -1)
        part = np.take(flat, self.index, axis=-1)  # (..., n_angles, out_px, out_px)
        part *= self.taps
        return np.abs(fft.ifft2(part, overwrite_x=True))


def _morlet(
    wy: NDArray[np.float64],
    wx: NDArray[np.float64],
    xi: float,
    sigma: float,
    slant: float,
    angle: float,
) -> NDArray[np.float64]:
    """Spectrum of a Morlet wavelet without mean at angular frequencies `wy`, `wx`."""
    total = np.zeros_like(wy)
    origin = 0.0
    blob = np.zeros_like(wy)
    for shift_y in (-1, 0, 1):  # aliases: the filter is periodic in frequency
        for shift_x in (-1, 0, 1):
            y, x = wy + 2 * np.pi * shift_y, wx + 2 * np.pi * shift_x
            total += _gauss(y, x, xi, sigma, slant, angle)
            blob += _gauss(y, x, 0.0, sigma, slant, angle)
            y0, x0 = np.array(2 * np.pi * shift_y), np.array(2 * np.pi * shift_x)
            origin += float(_gauss(y0, x0, xi, sigma, slant, angle))
    norm = sum(
        float(_gauss(np.array(2 * np.pi * i), np.array(2 * np.pi * j), 0.0, sigma, slant, angle))
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    )
    return total - origin / norm * blob


def _gauss(
    wy: NDArray[np.float64],
    wx: NDArray[np.float64],
    xi: float,
    sigma: float,
    slant: float,
    angle: float,
) -> NDArray[np.float64]:
    along = np.cos(angle) * wx + np.sin(angle) * wy - xi
    across = -np.sin(angle) * wx + np.cos(angle) * wy
    return np.exp(-0.5 * sigma**2 * (along**2 + (across / slant) ** 2))


class Scattering:
    """Scattering of square planes, pooled over 4 x 4 cells and averaged with the mirror image."""

    def __init__(
        self, side_px: int, pad_px: int, n_octaves: int, n_angles: int, order: int = 2
    ) -> None:
        self.side_px, self.pad_px = side_px, pad_px
        self.n_octaves, self.n_angles, self.order = n_octaves, n_angles, order
        full = side_px + 2 * pad_px
        self.sizes = [full >> j for j in range(n_octaves)]
        self.first = [Bank(full, j, n_angles, self.sizes[j]) for j in range(n_octaves)]
        self.second = {
            (a, b): Bank(self.sizes[a], b - a, n_angles, self.sizes[b])
            for b in range(n_octaves)
            for a in range(b)
        }

    def _cells(self, planes: Plane, octave: int) -> Plane:
        pad = self.pad_px >> octave
        inner = planes[..., pad : planes.shape[-2] - pad, pad : planes.shape[-1] - pad]
        return pool(inner, N_CELLS)

    def __call__(self, plane: Plane) -> tuple[Plane, Plane]:
        """Scatter one plane (side, side).

        Returns
        -------
        first : ndarray of shape (n_octaves, n_angles, 4, 4)
        second : ndarray of shape (n_pairs, n_angles, n_angles, 4, 4)
            Pairs (a, b) with a < b in the order of `second`; axis 1 is the angle at octave a.
        """
        padded = np.pad(plane, self.pad_px, mode="symmetric") if self.pad_px else plane
        spectrum = np.asarray(fft.fft2(padded), dtype=np.complex64)
        moduli = [bank.moduli(spectrum) for bank in self.first]
        first = np.stack([self._cells(m, j) for j, m in enumerate(moduli)])
        if self.order < 2:
            return first, np.zeros((0, self.n_angles, self.n_angles, N_CELLS, N_CELLS), np.float32)
        spectra = [np.asarray(fft.fft2(m), np.complex64) for m in moduli[:-1]]
        second = [self._cells(b.moduli(spectra[i]), j) for (i, j), b in self.second.items()]
        return first, np.stack(second)


def mirror_fold(energies: Plane, angle_axes: tuple[int, ...]) -> Plane:
    """Average oriented cell energies with those of the mirror image and keep the left half.

    Parameters
    ----------
    energies : ndarray of shape (..., n_rows, n_columns)
    angle_axes : tuple of int
        Axes over orientations (evenly over half a turn, the first along the rows).

    Returns
    -------
    ndarray of shape (..., n_rows, n_columns / 2)
    """
    twin = energies[..., ::-1]
    for axis in angle_axes:
        n_angles = energies.shape[axis]
        twin = np.take(twin, (-np.arange(n_angles)) % n_angles, axis=axis)
    half = energies.shape[-1] // 2
    return 0.5 * (energies[..., :half] + twin[..., :half])


@lru_cache(maxsize=4)
def scattering(
    side_px: int, pad_px: int, n_octaves: int, n_angles: int, order: int = 2
) -> Scattering:
    """Return the scattering of that shape, built once."""
    return Scattering(side_px, pad_px, n_octaves, n_angles, order)
