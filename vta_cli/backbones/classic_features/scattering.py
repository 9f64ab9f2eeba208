"""Wavelet scattering: how much contrast there is at each scale and orientation, cell by cell.

First order: moduli of a Morlet filter bank. Second order: the same bank applied to these moduli,
which tells lines from corners and textures from edges. J. Bruna and S. Mallat, "Invariant
Scattering Convolution Networks", 2013; filters as there, computation our own: each filter reads
only the square of the spectrum in which it lives, so that every inverse transform has the size at
which its modulus is sampled.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vta_cli.backbones.classic_features.planes import N_CELLS, Plane, Planes, pool

Complex = NDArray[np.complex64]
Angular = NDArray[np.float64]

PAD_PX = 8
"""By how much planes are mirrored outwards: divisible by the coarsest sampling step."""


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
        Side at which the moduli are sampled, in the middle of equal squares: else the samples of
        a picture and of its mirror image would not lie at the same places.
    """

    def __init__(self, size_px: int, octave: int, n_angles: int, out_px: int) -> None:
        self.size_px, self.out_px = size_px, out_px
        xi = 0.75 * np.pi * 2.0**-octave
        sigma = 0.8 * 2.0**octave
        slant = 4.0 / n_angles
        angles = np.pi * np.arange(n_angles) / n_angles
        step = 2 * np.pi / size_px
        offsets = np.arange(-(out_px // 2), out_px - out_px // 2)
        shift = 0.5 * (size_px / out_px - 1)  # from the first pixel of a square to its middle
        index, taps = [], []
        for angle in angles:
            centre_y = round(xi * np.sin(angle) / step)
            centre_x = round(xi * np.cos(angle) / step)
            if out_px == size_px:
                centre_y = centre_x = 0
            ky, kx = np.meshgrid(centre_y + offsets, centre_x + offsets, indexing="ij")
            index.append((ky % size_px) * size_px + kx % size_px)
            wave = _morlet(ky * step, kx * step, xi, sigma, slant, angle)
            taps.append(wave * np.exp(1j * shift * step * (ky + kx)))
        self.index = np.stack(index)  # (n_angles, out_px, out_px)
        scale = (out_px / size_px) ** 2
        self.taps = (np.stack(taps) * scale).astype(np.complex64)

    def moduli(self, spectra: Complex) -> Plane:
        """Filter spectra (..., size_px, size_px) to moduli (..., n_angles, out_px, out_px)."""
        flat = spectra.reshape(*spectra.shape[:-2], -1)
        part = np.take(flat, self.index, axis=-1)  # (..., n_angles, out_px, out_px)
        part *= self.taps
        moduli: Plane = np.abs(fft.ifft2(part, overwrite_x=True))
        return moduli


def _morlet(
    wy: Angular, wx: Angular, xi: float, sigma: float, slant: float, angle: float
) -> Angular:
    """Spectrum of a Morlet wavelet of mean 0, at angular frequencies `wy`, `wx`."""
    turn = 2 * np.pi * np.array([-1, 0, 1])  # aliases: the filter is periodic in frequency
    ys, xs = (part.ravel() for part in np.meshgrid(turn, turn))
    wave, blob = np.zeros_like(wy), np.zeros_like(wy)
    for y, x in zip(ys, xs, strict=True):
        wave += _gauss(wy + y, wx + x, xi, sigma, slant, angle)
        blob += _gauss(wy + y, wx + x, 0.0, sigma, slant, angle)
    at_zero = _gauss(ys, xs, xi, sigma, slant, angle).sum()
    wave -= at_zero / _gauss(ys, xs, 0.0, sigma, slant, angle).sum() * blob
    return wave


def _gauss(
    wy: Angular, wx: Angular, xi: float, sigma: float, slant: float, angle: float
) -> Angular:
    along = np.cos(angle) * wx + np.sin(angle) * wy - xi
    across = -np.sin(angle) * wx + np.cos(angle) * wy
    bell: Angular = np.exp(-0.5 * sigma**2 * (along**2 + (across / slant) ** 2))
    return bell


class Scattering:
    """Scattering of square planes, averaged over 4 x 4 cells.

    Parameters
    ----------
    side_px, pad_px : int
        Side of the planes, and by how much they are mirrored outwards against wrap-around.
    n_octaves, n_angles : int
        Scales and orientations of the filter bank.
    order : {1, 2}
        Whether second-order moduli are taken as well.
    """

    def __init__(
        self, side_px: int, pad_px: int, n_octaves: int, n_angles: int, order: int
    ) -> None:
        self.pad_px, self.n_angles = pad_px, n_angles
        full = side_px + 2 * pad_px
        sizes = [full >> octave for octave in range(n_octaves)]
        self.first = [Bank(full, j, n_angles, sizes[j]) for j in range(n_octaves)]
        self.pairs = [(a, b) for b in range(n_octaves) for a in range(b)] if order == 2 else []
        self.second = [Bank(sizes[a], b - a, n_angles, sizes[b]) for a, b in self.pairs]

    def __call__(self, plane: Plane) -> tuple[Plane, Plane]:
        """Scatter one plane (side_px, side_px).

        Returns
        -------
        first : ndarray of shape (n_octaves, n_angles, 4, 4), float32
        second : ndarray of shape (n_pairs, n_angles, n_angles, 4, 4), float32
            In the order of `pairs` (finer octave, coarser octave); the finer one's angle comes
            first.
        """
        spectrum = fft.fft2(np.pad(plane, self.pad_px, mode="symmetric"))
        moduli = [bank.moduli(spectrum) for bank in self.first]
        first = np.stack([self._cells(m, octave) for octave, m in enumerate(moduli)])
        spectra = [fft.fft2(m) for m in (moduli[:-1] if self.pairs else [])]
        second = [
            self._cells(bank.moduli(spectra[a]), b)
            for (a, b), bank in zip(self.pairs, self.second, strict=True)
        ]
        shape = (len(self.pairs), self.n_angles, self.n_angles, N_CELLS, N_CELLS)
        return first, np.reshape(second, shape).astype(np.float32, copy=False)

    def _cells(self, planes: Plane, octave: int) -> Plane:
        pad = self.pad_px >> octave
        return pool(planes[..., pad:-pad, pad:-pad], N_CELLS)


def luma_blocks(planes: Planes) -> tuple[Plane, Plane]:
    """Scatter luma at 128 pixels: contrast by scale and angle, and the texture within it.

    Returns
    -------
    contrast : ndarray of shape (4 * 6, 4, 2), float32
        Logarithms of the first order.
    texture : ndarray of shape (6 * 6 * 6, 4, 2), float32
        Logarithms of second over first order: how the contrast is arranged, whatever its strength.
        That ratio separates framing and subjects better than the second order itself.
    """
    scatter = scattering(128, PAD_PX, 4, 6, 2)
    first, second = scatter(planes.opponent[128][0])
    finer = first[[a for a, _ in scatter.pairs]]  # (n_pairs, n_angles, 4, 4)
    ratio = second / (finer[:, :, None] + np.float32(0.01))
    contrast = mirror_fold(np.log(first + np.float32(0.003)), (1,))
    texture = mirror_fold(np.log(ratio + np.float32(0.03)), (1, 2))
    return contrast.reshape(-1, N_CELLS, 2), texture.reshape(-1, N_CELLS, 2)


def colour_contrast(planes: Planes) -> Plane:
    """First order of both opponent channels at 64 pixels, as logarithms, shape (36, 4, 2)."""
    scatter = scattering(64, PAD_PX, 3, 6, 1)
    channels = [scatter(plane)[0] for plane in planes.opponent[64][1:]]
    logs = np.log(np.stack(channels) + np.float32(0.001))  # (2, n_octaves, n_angles, 4, 4)
    return mirror_fold(logs, (2,)).reshape(-1, N_CELLS, 2)


def mirror_fold(energies: Plane, angle_axes: tuple[int, ...]) -> Plane:
    """Average oriented cells with those of the mirror image and keep the left half.

    Parameters
    ----------
    energies : ndarray of shape (..., n_rows, n_columns)
    angle_axes : tuple of int
        Axes over orientations, evenly over half a turn from the direction along the rows.

    Returns
    -------
    ndarray of shape (..., n_rows, n_columns / 2)
    """
    twin = energies[..., ::-1]
    for axis in angle_axes:
        n_angles = energies.shape[axis]
        twin = np.take(twin, (-np.arange(n_angles)) % n_angles, axis=axis)
    half = energies.shape[-1] // 2
    return np.float32(0.5) * (energies[..., :half] + twin[..., :half])


@lru_cache(maxsize=4)
def scattering(side_px: int, pad_px: int, n_octaves: int, n_angles: int, order: int) -> Scattering:
    """Return the scattering of that shape, built once."""
    return Scattering(side_px, pad_px, n_octaves, n_angles, order)
