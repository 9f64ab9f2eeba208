"""One file, opened: read, hashed, decoded, and shown to the backbones. What every worker does.

The same functions run in threads of the process and in worker processes, so that the vectors are
the same bit for bit. Knows neither store nor lanes, and imports no network.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from vta_cli.errors import UnreadableImageError
from vta_cli.images.formats import SNIFF_BYTES, is_side_file, sniff
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.images.picture import Picture
from vta_cli.images.tiling import View
from vta_cli.images.views import Resize
from vta_cli.records import Pixels, Preprocess, Vectors

LARGE_PIXELS = 32_000_000
"""Pictures beyond this are decoded and viewed one at a time, whatever the number of workers."""

Shown = list[Pixels] | Vectors
"""What comes of a reading: pictures for a network, or finished vectors, (n_views, dim) float32."""


Embed = Callable[[Sequence[Pixels]], Vectors]


@dataclass(frozen=True)
class Reading:
    """What a backbone wants of a picture.

    Attributes
    ----------
    preprocess, view, exact
        As for `images.picture.Picture.pixels`.
    loaded : callable
        Asked once there are pixels, so that no network is loaded for a bad file. Returns the resize
        of `Picture.readings`, and a backbone's `embed` if it runs where the picture is decoded; if
        that is None, the pixels are handed on.
    """

    preprocess: Preprocess
    view: View
    exact: bool
    loaded: Callable[[], tuple[Resize | None, Embed | None]]


@dataclass(frozen=True)
class Content:
    """What reading and hashing a file tell.

    `key` is None where the file cannot be read; `side` marks files that never claimed to be images
    and are none; `read_ns` is when reading began, by the system's clock.
    """

    read_ns: int
    key: bytes | None = None
    side: bool = False
    reason: str | None = None
    detail: str = ""
    read_s: float = 0.0
    hash_s: float = 0.0


@dataclass
class Look:
    """What decoding a file gave; `seconds` are those of decoding, viewing and computing features.

    `shown` has one item for each reading, or none if `reason` tells why there are no pixels.
    """

    width: int = 0
    height: int = 0
    format: str = ""
    reason: str | None = None
    detail: str = ""
    shown: list[Shown] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


def read(path: str) -> tuple[Content, bytes]:
    """Read and hash one file; of what cannot be read, or is a side file, no bytes are returned."""
    start, read_ns = time.perf_counter(), time.time_ns()
    try:
        if is_side_file(path) and _head_format(path) is None:
            return Content(read_ns, side=True), b""
        data = read_bytes(path)
        read_s = time.perf_counter() - start
        key = key_of(data)
    except UnreadableImageError as error:
        return Content(read_ns, reason=error.slug, detail=error.message), b""
    hash_s = time.perf_counter() - start - read_s
    return Content(read_ns, key, read_s=read_s, hash_s=hash_s), data


def _head_format(path: str) -> str | None:
    """Return the image format that a file's first bytes announce, if any."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the path may hold undecodable bytes
            return sniff(file.read(SNIFF_BYTES))
    except OSError as error:
        raise UnreadableImageError("io-error", error.strerror or str(error)) from None


def look(data: bytes, wanted: Sequence[Reading], alone: AbstractContextManager[Any]) -> Look:
    """Make each reading of a picture once, from as few decodes as there can be.

    Parameters
    ----------
    data : bytes
        The file's content.
    wanted : sequence of Reading
        If it is empty, only the header is read.
    alone : context manager
        Held while a picture of more than `LARGE_PIXELS` is decoded.

    Returns
    -------
    Look
        Bad files are a reason in it.
    """
    found = Look()
    try:
        picture = Picture(data)
        found.width, found.height, found.format = picture.width, picture.height, picture.format
        large = bool(wanted) and picture.width * picture.height > LARGE_PIXELS
        with alone if large else nullcontext():
            for reading in wanted:
                found.shown.append(_shown(picture, reading, found.seconds))
        found.width, found.height = picture.width, picture.height
    except UnreadableImageError as error:
        found.reason, found.detail, found.shown = error.slug, error.message, []
    return found


def _shown(picture: Picture, reading: Reading, seconds: list[float]) -> Shown:
    clock = time.perf_counter()
    picture.pixels(reading.preprocess, reading.view, exact=reading.exact)
    seconds[0] += time.perf_counter() - clock
    resize, embed = reading.loaded()
    clock = time.perf_counter()
    shown = picture.readings(reading.preprocess, reading.view, resize)
    seconds[1] += time.perf_counter() - clock
    if embed is None:
        return shown
    clock = time.perf_counter()
    vectors = embed(shown)
    seconds[2] += time.perf_counter() - clock
    return vectors


one_at_a_time = threading.Semaphore(1)
"""What `look` holds for large pictures in threads of one process."""
