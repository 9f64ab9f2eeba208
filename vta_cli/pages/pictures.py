"""Pictures for the browser: JPEG bytes of decoded pixels, and a cache bounded by its bytes.

Originals are never handed out: what the browser gets has no metadata, stands upright, is sRGB, and
comes from any format that vta decodes.
"""

import io
import threading
from collections import OrderedDict

from PIL import Image

from vta_cli.records import Pixels

SIDES_PX = {"thumb": 320, "screen": 1600, "full": 8000}
"""Longest side of each size [px]; smaller pictures are not enlarged."""
QUALITY = {"thumb": 78, "screen": 86, "full": 90}
CACHE_BYTES = 192 * 2**20


def encode(pixels: Pixels, size: str) -> bytes:
    """Return a JPEG of one of the sizes in `SIDES_PX`.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    """
    image = Image.fromarray(pixels)
    side = SIDES_PX[size]
    if max(image.size) > side:
        scale = side / max(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY[size], optimize=False)
    return buffer.getvalue()


class Cache:
    """The pictures asked for last, up to a number of bytes; used by many threads."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._found: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, size: str) -> bytes | None:
        """Return a picture, or None."""
        with self._lock:
            data = self._found.get((key, size))
            if data is not None:
                self._found.move_to_end((key, size))
            return data

    def put(self, key: str, size: str, data: bytes) -> None:
        """Keep a picture, and let the oldest go."""
        with self._lock:
            old = self._found.pop((key, size), b"")
            self._found[key, size] = data
            self._n_bytes += len(data) - len(old)
            while self._n_bytes > self._max_bytes and len(self._found) > 1:
                _, gone = self._found.popitem(last=False)
                self._n_bytes -= len(gone)
