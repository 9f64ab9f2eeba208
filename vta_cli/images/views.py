"""Geometric readings of a decoded picture: what a backbone is shown. Knows no backbone.

``whole`` shows the picture once; ``five-crop`` shows a large one in four corners and the centre.

The sizes, the rounding and the filters are those of torchvision's `Resize` and `CenterCrop` on
Pillow pictures, on which open_clip's and timm's evaluation pipelines are built, so that vectors
equal those of published networks bit for bit up to the normalisation.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from vta_cli.images.tiling import View, tile_sizes
from vta_cli.records import Pixels, Preprocess

Resize = Callable[[Pixels, tuple[int, int], str], Pixels]
"""From pixels, (width, height) and the name of a filter to pixels of that size."""

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
}

MAX_RESIZED_PIXELS = 2**24
"""Largest picture that is resized whole before its centre is cropped [px]. Beyond it (aspects above
some 100 to 1, which would need gigabytes) only the part under the crop is resized: the same but for
Pillow's rounding and clipping between its two passes."""


def readings(
    pixels: Pixels, preprocess: Preprocess, view: View, resize: Resize | None = None
) -> list[Pixels]:
    """Make what a backbone is shown of a picture.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    preprocess : Preprocess
        Applied to the picture, or to each tile.
    view : {"whole", "five-crop"}
    resize : callable, optional
        As for `apply`.

    Returns
    -------
    list of ndarray, uint8
        One for ``whole``. For ``five-crop`` top left, top right, bottom left, bottom right and
        centre; or only the whole picture, which then stands for all five, where the shorter side is
        no longer than a tile.
    """
    shown = [pixels] if view == "whole" else tiles(pixels, *tile_sizes(preprocess))
    return [apply(part, preprocess, resize) for part in shown]


def tiles(pixels: Pixels, tile_px: int, limit_px: int) -> list[Pixels]:
    """Cut four corners and the centre out of a picture; small ones come back whole, alone.

    The rule is CityClassifiers', but for its fault: there a picture of 1700 x 800 was enlarged to
    3264 x 1536; here no picture is ever enlarged. The order and the rounding of the centre are
    those of torchvision's `FiveCrop`.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    tile_px : int
        Side of a tile; 0, as of readings that keep any size, cuts none.
    limit_px : int
        If the longer side exceeds it and the shorter one too, the shorter one is shrunk to it.
    """
    height, width = pixels.shape[:2]
    if not 0 < tile_px < min(height, width):
        return [pixels]
    if min(height, width) > limit_px:
        longest = int(limit_px * max(height, width) / min(height, width))
        size = (limit_px, longest) if width <= height else (longest, limit_px)
        pixels = _resize(pixels, size, Image.Resampling.BILINEAR)
        height, width = pixels.shape[:2]
    top, left = round((height - tile_px) / 2), round((width - tile_px) / 2)
    low, right = height - tile_px, width - tile_px
    corners = ((0, 0), (0, right), (low, 0), (low, right), (top, left))
    return [pixels[y : y + tile_px, x : x + tile_px] for y, x in corners]


def apply(pixels: Pixels, preprocess: Preprocess, resize: Resize | None = None) -> Pixels:
    """Make one view.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    preprocess : Preprocess
        ``native``: shrunk so that the longest side is `resize_px`, if it is longer (0: never);
        sides rounded to the nearest pixel and at least 1. ``shortest``: shortest side to
        `resize_px`, the other truncated to whole pixels, then the centre `crop_px` square, padded
        with black where the picture is smaller. ``squash``: to `crop_px` x `crop_px`.
    resize : callable, optional
        A backbone's own way to resize; without it Pillow's, which is exact.

    Returns
    -------
    ndarray of shape (crop_px, crop_px, 3), or as `native` leaves it, uint8, C order
        May be `pixels` itself, or a part of it, where nothing changes.
    """
    resample = _FILTERS[preprocess.interpolation]
    if resize is not None:
        return _resized_by(resize, pixels, preprocess)
    match preprocess.mode:
        case "native":
            return _native(pixels, preprocess.resize_px, resample)
        case "squash":
            return _resize(pixels, (preprocess.crop_px, preprocess.crop_px), resample)
        case "shortest":
            return _shortest(pixels, preprocess.resize_px, preprocess.crop_px, resample)


def _resized_by(resize: Resize, pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Make the view with another resize than Pillow's, where the picture is not extreme."""
    height, width = pixels.shape[:2]
    px = preprocess.crop_px
    size = (px, px) if preprocess.mode == "squash" else _size(pixels, preprocess.resize_px)
    if preprocess.mode == "native" or size[0] * size[1] > MAX_RESIZED_PIXELS:
        return apply(pixels, preprocess)
    if size != (width, height):
        pixels = resize(pixels, size, preprocess.interpolation)
    return _centre(pixels, px)


def _native(pixels: Pixels, longest_px: int, resample: Image.Resampling) -> Pixels:
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if longest_px <= 0 or scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _resize(pixels, size, resample)


def _shortest(pixels: Pixels, resize_px: int, crop_px: int, resample: Image.Resampling) -> Pixels:
    size = _size(pixels, resize_px)
    if size[0] * size[1] > MAX_RESIZED_PIXELS:
        return _resize_under_crop(pixels, size, crop_px, resample)
    return _centre(_resize(pixels, size, resample), crop_px)


def _size(pixels: Pixels, resize_px: int) -> tuple[int, int]:
    """Return (width, height) with the shortest side at `resize_px`.

    torchvision.transforms.functional._compute_resized_output_size: int() truncates.
    """
    height, width = pixels.shape[:2]
    longest = int(resize_px * max(height, width) / min(height, width))
    return (resize_px, longest) if width <= height else (longest, resize_px)


def _resize(pixels: Pixels, size: tuple[int, int], resample: Image.Resampling) -> Pixels:
    height, width = pixels.shape[:2]
    if size == (width, height):
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, resample))


def _centre(pixels: Pixels, crop_px: int) -> Pixels:
    """Cut the centre square; torchvision.transforms.functional.center_crop.

    Python's `round` goes to the even neighbour, as there; of an odd padding, the larger half is
    at the right and at the bottom.
    """
    height, width = pixels.shape[:2]
    if height < crop_px or width < crop_px:
        padded = np.zeros((max(height, crop_px), max(width, crop_px), 3), np.uint8)
        top, left = max(0, crop_px - height) // 2, max(0, crop_px - width) // 2
        padded[top : top + height, left : left + width] = pixels
        pixels, (height, width) = padded, padded.shape[:2]
    top, left = round((height - crop_px) / 2), round((width - crop_px) / 2)
    return np.ascontiguousarray(pixels[top : top + crop_px, left : left + crop_px])


def _resize_under_crop(
    pixels: Pixels, size: tuple[int, int], crop_px: int, resample: Image.Resampling
) -> Pixels:
    """Resize only what the centre crop shows; see `MAX_RESIZED_PIXELS`."""
    height, width = pixels.shape[:2]
    kept = min(crop_px, size[0]), min(crop_px, size[1])
    left, top = round((size[0] - kept[0]) / 2), round((size[1] - kept[1]) / 2)
    x_scale, y_scale = width / size[0], height / size[1]
    box = (left * x_scale, top * y_scale, (left + kept[0]) * x_scale, (top + kept[1]) * y_scale)
    # Pillow takes single precision: a box that rounds to beyond the edge would be refused
    box = (box[0], box[1], min(box[2], width), min(box[3], height))
    return _centre(np.array(Image.fromarray(pixels).resize(kept, resample, box=box)), crop_px)
