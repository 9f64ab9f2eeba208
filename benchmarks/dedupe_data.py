"""Synthetic embeddings that look like CLIP's to a near-duplicate join."""

import numpy as np
from numpy.typing import NDArray

_BACKGROUND = 0.6
_THEME = 0.68
_SUBJECT = 0.76
"""Cosines of rows that share nothing, a theme, or a subject within the theme."""

_ROWS_PER_THEME = 4000
_ROWS_PER_SUBJECT = 100
_DECAY = 0.5
_PLANTED = 0.008
_PIECE = 20_000


def clip_like(
    n: int, dim: int = 512, *, seed: int = 0
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Draw unit rows: one cone, themes in it, subjects in them, and some near-copies.

    Two rows of different themes have a cosine of about 0.6, as unrelated photographs have in
    CLIP's image space; the standard deviation of the axes falls off with the root of their rank,
    sizes of themes and subjects are uneven.

    Returns
    -------
    vectors : ndarray of shape (n, dim), float16
    planted : ndarray of shape (m, 2), int64
        Rows and the earlier rows that they are copies of, at cosines of 0.965 to 0.9999.
    """
    rng = np.random.default_rng(seed)
    spectrum = (1 + np.arange(dim)) ** -_DECAY
    spectrum *= np.sqrt(1 / np.sum(spectrum**2))

    def draw(m: int) -> NDArray[np.float32]:
        out = rng.standard_normal((m, dim), dtype=np.float32)
        out *= spectrum.astype(np.float32)
        return out

    cone = rng.standard_normal(dim).astype(np.float32)
    cone *= np.sqrt(_BACKGROUND) / np.linalg.norm(cone)
    themes = draw(max(4, n // _ROWS_PER_THEME)) * np.float32(np.sqrt(_THEME - _BACKGROUND))
    subjects = draw(max(8, n // _ROWS_PER_SUBJECT)) * np.float32(np.sqrt(_SUBJECT - _THEME))
    subjects += themes[_uneven(rng, subjects.shape[0], themes.shape[0])]
    vectors = np.empty((n, dim), np.float16)
    for start in range(0, n, _PIECE):
        m = min(_PIECE, n - start)
        piece = draw(m) * np.float32(np.sqrt(1 - _SUBJECT))
        piece += subjects[_uneven(rng, m, subjects.shape[0])]
        piece += cone
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
        vectors[start : start + m] = piece
    n_planted = int(n * _PLANTED)
    chosen = rng.choice(n, 2 * n_planted, replace=False)
    copies, originals = chosen[:n_planted], chosen[n_planted:]
    cosine = 1 - np.exp(rng.uniform(np.log(1e-4), np.log(0.035), n_planted))
    base = vectors[originals].astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    noise = draw(n_planted)
    noise -= base * np.einsum("ij,ij->i", noise, base)[:, None]
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = base * cosine[:, None] + noise * np.sqrt(1 - cosine**2)[:, None]
    vectors[copies] = mixed
    return vectors, np.stack([copies, originals], axis=1)


def _uneven(rng: np.random.Generator, n: int, n_kinds: int) -> NDArray[np.int64]:
    """Draw kinds, the first ones more often."""
    return (rng.random(n) ** 1.5 * n_kinds).astype(np.int64)
