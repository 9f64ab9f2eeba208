"""Decodes the bytes of one image file to sRGB pixels, safely, from any number of threads.

Every failure is an `UnreadableImageError` whose slug is one of `reasons.REASONS`. Knows nothing
of paths, and nothing of what the pixels are for.
"""

import ctypes
import functools
import importlib
import io
import logging
import re
import struct
import threading
import warnings
from dataclasses import dataclass
from typing import NoReturn

from PIL import (  # importing a plug-in registers its format; nothing is left to be found later
    AvifImagePlugin,
    BmpImagePlugin,
    DdsImagePlugin,
    FitsImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    QoiImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    features,
)

from vta_cli.errors import UnreadableImageError
from vta_cli.images import jpeg
from vta_cli.images.colour import to_srgb, upright
from vta_cli.images.formats import DECODABLE, identify, is_cut_short
from vta_cli.images.gate import MemoryGate
from vta_cli.images.reasons import REASONS
from vta_cli.records import Pixels

__all__ = [
    "MAX_PIXELS",
    "MEMORY_BUDGET_BYTES",
    "REASONS",
    "Decoded",
    "decode",
    "from_pillow",
    "probe",
]

MAX_PIXELS = 178_956_970
"""Most pixels that a picture may declare: twice the 2**30 / 4 / 3 of `PIL.Image.MAX_IMAGE_PIXELS`,
the limit at which Pillow itself refuses."""

MEMORY_BUDGET_BYTES = 3 * 2**29
"""Memory that all decoding threads of the process may hold together, estimated [bytes]: 1.5 GiB,
so that the process stays below 2 GiB. A picture that would need more alone is refused: JPEG above
161 million pixels, TIFF above 134, WebP, AVIF and HEIF above 84, JPEG 2000 above 59."""

_ORIENTATION = 0x0112  # EXIF 2.32, tag 274

_PLUGINS = (
    *(AvifImagePlugin, BmpImagePlugin, DdsImagePlugin, FitsImagePlugin, GifImagePlugin),
    *(IcoImagePlugin, Jpeg2KImagePlugin, JpegImagePlugin, MpoImagePlugin, PcxImagePlugin),
    *(PngImagePlugin, PpmImagePlugin, PsdImagePlugin, QoiImagePlugin, TgaImagePlugin),
    *(TiffImagePlugin, WebPImagePlugin),
)

# Peak memory while decoding, beside the file's bytes and the 3 bytes a pixel of the result
# [bytes a pixel]: Pillow's own picture (at most 4) and what the codec holds. Measured on pictures
# of 32 million pixels as the growth of the process (JPEG progressive 7.0, PNG 4.4, WebP 13.8,
# AVIF 4:4:4 with alpha 9.9, JPEG 2000 with alpha 21.4, others below 6), with room for ten-bit
# planes and for the copy that Pillow makes when it turns a TIFF.
_CODEC_BYTES_PER_PIXEL = {"JPEG": 7, "PNG": 5, "WEBP": 16, "AVIF": 16, "HEIF": 16, "JPEG2000": 24}
_OTHER_BYTES_PER_PIXEL = 9

_FORESEEN: tuple[type[Exception], ...] = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, RuntimeError),
    *(struct.error, OverflowError, ZeroDivisionError, AttributeError),
)
_SPEAKS_OF_AN_END = re.compile(
    r"truncated|not enough (image )?data|unexpected end|broken data stream|end of file|EOF",
    re.IGNORECASE,
)
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)  # a filter as `warnings` keeps it

_gate = MemoryGate(MEMORY_BUDGET_BYTES)
_set_up = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """A decoded picture.

    Attributes
    ----------
    pixels : ndarray of shape (height // shrink, width // shrink, 3), uint8
        Upright sRGB, owned by the caller.
    width, height : int
        Size of the upright picture [px], whatever that of `pixels`.
    format : str
        One of `formats.DECODABLE`, from the content.
    """

    pixels: Pixels
    width: int
    height: int
    format: str


def decode(data: bytes, *, shrink: int = 1, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a whole image file.

    Parameters
    ----------
    data : bytes
        The file's content.
    shrink : {1, 2, 4, 8}
        Decode a JPEG at this fraction of its size, if it divides both sides (DCT scaling). Which
        files can be read, and the reasons why others cannot, do not depend on it.
    max_pixels : int
        Pictures that declare more are refused before any pixel is decoded; values above
        `MAX_PIXELS` have no effect.

    Returns
    -------
    Decoded
        The first frame or page, upright, sRGB, alpha over white (see `colour.to_srgb`); the pixels
        are exactly Pillow's.

    Raises
    ------
    UnreadableImageError
        With one of `REASONS` as slug and a sentence for people as message. Nothing else is
        raised, whatever the bytes.
    """
    name = _named(data)
    try:
        with _opened(data, name) as image:
            n_pixels = _checked_pixels(image, max_pixels)
            needed = n_pixels * (_bytes_per_pixel(name) + 3)
            if needed > MEMORY_BUDGET_BYTES:
                raise _too_many(image.size, MEMORY_BUDGET_BYTES // (_bytes_per_pixel(name) + 3))
            if name == "ICO":
                # The directory's size is a claim; the PNG inside may be any size that Pillow
                # admits, but deflate expands at most 1032 times.
                needed += min(len(data) * 1032, MEMORY_BUDGET_BYTES)
            shrink = shrink if name == "JPEG" and jpeg.can_shrink(image.size, shrink) else 1
            with _gate.reserve(needed + len(data)):
                plain = jpeg.pixels_of(data, image, shrink) if name == "JPEG" else None
                if plain is not None:
                    pixels = upright(plain, _orientation(image))
                else:
                    jpeg.shrink_on_load(image, shrink)
                    image.load()
                    _checked_pixels(image, max_pixels)
                    pixels = to_srgb(image, _orientation(image))
    except UnreadableImageError:
        raise
    except Exception as error:  # noqa: BLE001 (plug-ins raise anything, from struct.error to SystemError)
        _fail(error, data, name)
    height, width = pixels.shape[:2]
    return Decoded(pixels, width * shrink, height * shrink, name)


def probe(data: bytes) -> tuple[int, int, str]:
    """Read width, height (upright) and format from the header, without decoding pixels.

    Raises
    ------
    UnreadableImageError
        As `decode`, as far as the header tells. An orientation that a PNG states behind its
        pixels is not seen.
    """
    name = _named(data)
    try:
        with _opened(data, name) as image:
            _checked_pixels(image, MAX_PIXELS)
            width, height = image.size
            late = name == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys()
            if name != "TIFF" and not late and _orientation(image) in (5, 6, 7, 8):
                width, height = height, width
    except UnreadableImageError:
        raise
    except Exception as error:  # noqa: BLE001 (as in decode)
        _fail(error, data, name)
    return width, height, name


def _named(data: bytes) -> str:
    """Return the format, or raise for what is empty, no image, or of no use here."""
    if not data:
        raise UnreadableImageError("empty-file", "the file is empty")
    name = identify(data)
    if name is None:
        raise UnreadableImageError("not-an-image", "the content is of no known image format")
    if name not in DECODABLE:
        raise UnreadableImageError("unsupported-format", f"{name} is not decoded")
    if name == "HEIF":
        _need_heif()
    if name == "AVIF" and not features.check("avif"):
        raise UnreadableImageError(
            "needs-avif",
            "this Pillow was built without AVIF: install pillow>=11.3 from a wheel",
            hint="pip install --force-reinstall --only-binary :all: 'pillow>=11.3'",
        )
    return name


@functools.cache
def _heif_opener() -> bool:
    """Register the HEIF decoder with Pillow, once; False where the extra is not installed."""
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def _need_heif() -> None:
    with _set_up:
        if _heif_opener():
            return
    raise UnreadableImageError(
        "needs-heif",
        "HEIC and HEIF need an extra: pip install 'vta[heif]'",
        hint="pip install 'vta[heif]'",
    )


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    _silence()
    if name == "HEIF" and is_cut_short(data, name):
        # libheif decodes what is there and says nothing
        raise UnreadableImageError("truncated", "HEIF: the file ends before its last box does")
    image = Image.open(io.BytesIO(data), formats=(name,))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _refuse_raw(image)
    return image


def _silence() -> None:
    """Keep Pillow and libtiff off stderr: the reasons say what matters."""
    _silence_libtiff()
    if _QUIET in warnings.filters:
        return
    with _set_up:
        warnings.filterwarnings("ignore", module=_QUIET[3].pattern)
        logger = logging.getLogger("PIL")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # else the last resort prints to stderr


@functools.cache
def _silence_libtiff() -> None:
    """Take away the handlers by which libtiff prints; its return codes reach Pillow all the same.

    The library is found through Pillow's own module, so it is the copy that Pillow uses. Where it
    is linked in without its names (some wheels), it cannot be reached and may print.
    """
    try:
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            handler = getattr(library, name)
            handler.restype = ctypes.c_void_p
            handler(None)
    except (OSError, AttributeError):
        return


def _refuse_raw(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse camera raw files that look like TIFF: Pillow would decode their thumbnail.

    DNG specification 1.7: tag 50706 is DNGVersion. TIFF/EP (NEF, ARW, PEF): the first directory
    is marked as a reduced picture (254, bit 0) and the others hang from SubIFDs (330).
    """
    tags = image.tag_v2
    reduced = tags.get(254, 0)
    if 50706 in tags or (330 in tags and isinstance(reduced, int) and reduced & 1):
        raise UnreadableImageError(
            "unsupported-format", "a camera's raw file is not decoded: export it as JPEG or TIFF"
        )


def _checked_pixels(image: Image.Image, max_pixels: int) -> int:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImageError("corrupt", f"declares {width} x {height} pixels")
    if width * height > min(max_pixels, MAX_PIXELS):
        raise _too_many(image.size, min(max_pixels, MAX_PIXELS))
    return width * height


def _too_many(size: tuple[int, int], limit: int) -> UnreadableImageError:
    width, height = size
    return UnreadableImageError(
        "too-many-pixels",
        f"declares {width} x {height} pixels, more than the {limit / 1e6:.0f} million admitted",
        hint="shrink the picture, or leave it out",
    )


def _bytes_per_pixel(name: str) -> int:
    return _CODEC_BYTES_PER_PIXEL.get(name, _OTHER_BYTES_PER_PIXEL)


def from_pillow(image: Image.Image) -> Pixels:
    """Return the pixels of a picture that Pillow has opened, as `decode` gives those of its file.

    Parameters
    ----------
    image : Image
        Its current frame is taken; it stays open.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        Upright sRGB, alpha over white.

    Raises
    ------
    UnreadableImageError
        ``corrupt`` if Pillow cannot load it.
    """
    try:
        image.load()
        return to_srgb(image, _orientation(image))
    except _FORESEEN as error:
        raise UnreadableImageError("corrupt", f"the picture cannot be loaded: {error}") from error


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or the metadata is broken."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (broken metadata raise anything; the pixels are still good)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _fail(error: Exception, data: bytes, name: str) -> NoReturn:
    """Raise the `UnreadableImageError` that says best what went wrong."""
    text = " ".join(str(error).split())
    slug = "corrupt"
    if isinstance(error, Image.DecompressionBombError):
        slug, text = (
            "too-many-pixels",
            text.removesuffix(", could be decompression bomb DOS attack."),
        )
    elif isinstance(error, MemoryError):
        slug, text = "decode-failed", "the decoder ran out of memory"
    elif is_cut_short(data, name) or _SPEAKS_OF_AN_END.search(text):
        slug = "truncated"
    elif not isinstance(error, _FORESEEN):
        slug = "decode-failed"
    if isinstance(error, UnidentifiedImageError):  # its text names a Python object, not the file
        text = "the header is damaged, or of a variant that is not decoded"
    raise UnreadableImageError(slug, f"{name}: {text or type(error).__name__}") from error
