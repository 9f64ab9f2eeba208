"""From whatever Pillow decoded to sRGB bytes: modes, depths, alpha, profiles, orientation.

Works in strips, so that a conversion costs a few megabytes whatever the picture's size, and
writes each strip to its place in the upright picture, so that turning costs no second copy.
"""

import functools
import io
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from vta_cli.records import Pixels

STRIP_PIXELS = 2**20
"""Pixels that are converted at a time; pictures up to four times this go in one piece."""

PROFILE_TOLERANCE = 2
"""An RGB or grey profile that moves no colour of a coarse grid by more levels than this counts as
sRGB and is not applied: editors embed a dozen slightly rounded variants of it."""

MAX_PROFILE_BYTES = 4 * 2**20
"""Larger embedded profiles are ignored [bytes]: printers' profiles end at some three megabytes, and
the last few are kept in memory."""

_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


def to_srgb(image: Image.Image, orientation: int) -> Pixels:
    """Convert a loaded picture to upright sRGB.

    Parameters
    ----------
    image : Image
        Loaded; its first frame is taken as it stands.
    orientation : int
        EXIF orientation 1..8; anything else counts as 1.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8, C order
        Upright. Alpha is laid over white. An embedded ICC profile is applied where it differs
        from sRGB (see `PROFILE_TOLERANCE`) and can be read; perceptual intent. `gAMA` and `cICP`
        chunks are ignored.

    Notes
    -----
    16-bit samples keep their high byte, as Pillow itself does for 16-bit RGB. 32-bit integers and
    floats have no agreed white: see `_levels`.
    """
    width, height = image.size
    turned = orientation in (5, 6, 7, 8)
    out = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    place = _unturned(out, orientation)  # (height, width, 3), a view of `out`
    convert = _converter(image)
    for top, bottom in _strips(width, height):
        whole = bottom - top == height
        strip = image if whole else image.crop((0, top, width, bottom))
        place[top:bottom] = convert(strip)
    return out


def is_plain(image: Image.Image) -> bool:
    """Tell whether the picture is RGB without alpha and no embedded profile would change it."""
    if image.mode != "RGB" or image.has_transparency_data:
        return False
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return True
    return _transform(profile, "RGB") is None


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn sRGB pixels as `to_srgb` does; `pixels` itself where there is nothing to turn."""
    if orientation not in range(2, 9):
        return pixels
    height, width = pixels.shape[:2]
    turned = orientation in (5, 6, 7, 8)
    out = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    _unturned(out, orientation)[:] = pixels
    return out


def _strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = height if width * height <= 4 * STRIP_PIXELS else max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _unturned(out: Pixels, orientation: int) -> Pixels:
    """View the upright array so that writing the stored rows into the view turns them upright.

    EXIF 2.32, tag 274: which corner of the scene the stored row 0 and column 0 are.
    """
    match orientation:
        case 2:
            return out[:, ::-1]
        case 3:
            return out[::-1, ::-1]
        case 4:
            return out[::-1]
        case 5:
            return out.swapaxes(0, 1)
        case 6:
            return out.swapaxes(0, 1)[::-1]
        case 7:
            return out.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            return out.swapaxes(0, 1)[:, ::-1]
        case _:
            return out


def _converter(image: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """Choose how strips of this picture become RGB, once for all its strips."""
    if image.mode in _DEEP_MODES:
        scale, offset = _levels(image)
        return lambda strip: _deep(strip, scale, offset)
    if image.mode == "LAB":
        return lambda strip: np.asarray(strip.convert("RGB"))
    has_alpha = image.has_transparency_data
    base = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    base = "CMYK" if image.mode == "CMYK" else base
    profile = image.info.get("icc_profile")
    usable = isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES
    transform = _transform(profile, base) if usable else None
    if not has_alpha:
        return lambda strip: np.asarray(_coloured(strip, base, transform))
    return lambda strip: np.asarray(_over_white(strip, base, transform))


def _coloured(
    strip: Image.Image, base: str, transform: ImageCms.ImageCmsTransform | None
) -> Image.Image:
    if transform is None:
        return strip if strip.mode == "RGB" else strip.convert("RGB")
    plain = strip if strip.mode == base else strip.convert(base)
    return ImageCms.applyTransform(plain, transform) or plain


def _over_white(
    strip: Image.Image, base: str, transform: ImageCms.ImageCmsTransform | None
) -> Image.Image:
    rgba = strip.convert("RGBA")
    alpha = rgba.getchannel("A")
    colour = _coloured(rgba.convert("RGB"), base, transform)
    if alpha.getextrema() == (255, 255):
        return colour
    white = Image.new("RGB", strip.size, "white")
    white.paste(colour, mask=alpha)
    return white


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, base: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform from an embedded profile to sRGB; None where none is needed or works."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            base,
            "RGB",
        )
        if base == "CMYK":
            return transform
        probe = _probe(base)
        moved = ImageCms.applyTransform(probe, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a broken profile, or one of another colour space than the picture's
    if moved is None:
        return None
    change = np.asarray(moved).astype(np.int16) - np.asarray(probe.convert("RGB"))
    return transform if int(np.abs(change).max()) > PROFILE_TOLERANCE else None


def _probe(base: str) -> Image.Image:
    """Return a picture that holds a coarse grid of all colours."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)  # 16 levels
    if base == "L":
        return Image.fromarray(levels[None])
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return Image.fromarray(grid.reshape(64, 64, 3))  # (16, 16, 16, 3) -> (64, 64, 3)


def _levels(image: Image.Image) -> tuple[float, float]:
    """Return scale and offset that bring deep samples to 0..255.

    16-bit modes, and 32-bit integers within 0..65535: 65535 is white. Integers within 0..255 and
    floats within 0..255 (or 0..1): 255 (or 1) is white. Anything else: the darkest sample is
    black and the brightest white, since the file states no range.
    """
    if image.mode.startswith("I;16"):
        return 1 / 256, 0.0
    low, high = math.inf, -math.inf
    for top, bottom in _strips(*image.size):
        values = np.asarray(image.crop((0, top, image.width, bottom)))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low < high and not 0 <= low <= 65535:
        return 0.0, 0.0
    if image.mode == "I" and image.format == "PPM":
        return 1 / 256, 0.0  # Pillow has scaled the file's maximum to 65535
    for white, scale in ((1.0, 255.0), (255.0, 1.0), (65535.0, 1 / 256)):
        if low >= 0 and high <= white and (image.mode == "F" or white > 1):
            return scale, 0.0
    return 255.0 / (high - low), -low


def _deep(strip: Image.Image, scale: float, offset: float) -> NDArray[np.uint8]:
    values = np.asarray(strip).astype(np.float64)  # (rows, width)
    np.nan_to_num(values, copy=False, nan=-offset, posinf=math.inf, neginf=-math.inf)
    levels = np.clip((values + offset) * scale, 0, 255)
    # 1/256 truncates as a shift by eight does; the other scales round to the nearest level
    grey = levels.astype(np.uint8) if scale == 1 / 256 else np.rint(levels).astype(np.uint8)
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))  # (rows, width, 3)
