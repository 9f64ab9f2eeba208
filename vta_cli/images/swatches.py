"""Pictures of colour themes: bars of one colour each, so that themes can be judged as images."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 320
"""A square, so that a backbone that crops to the centre still sees every colour."""


def swatch(colours: NDArray[np.uint8]) -> bytes:
    """Draw a theme as upright bars of equal width, from left to right.

    Parameters
    ----------
    colours : ndarray of shape (n_colours, 3), uint8
        sRGB, at least one.

    Returns
    -------
    bytes
        A PNG file of `SIDE_PX` x `SIDE_PX`; the same colours give the same bytes.
    """
    bar = np.arange(SIDE_PX) * len(colours) // SIDE_PX  # (SIDE_PX,) which colour a column has
    pixels = np.broadcast_to(colours[bar][None], (SIDE_PX, SIDE_PX, 3))
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()
