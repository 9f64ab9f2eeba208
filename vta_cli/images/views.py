"""Geometric readings of a decoded picture: what a backbone is shown. Knows no backbone.

The sizes, the rounding and the filters are those of torchvision's `Resize` and `CenterCrop` on
Pillow pictures, on which open_clip's and timm's evaluation pipelines are built, so that vectors
equal those of published networks bit for bit up to the normalisation.
"""

import numpy as np
from PIL import Image

from vta_cli.records import Pixels, Preprocess

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


def apply(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Make one view.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    preprocess : Preprocess
        ``native``: shrunk so that the longest side is `resize_px`, if it is longer (0: never);
        sides rounded to the nearest pixel and at least 1. ``shortest``: shortest side to
        `resize_px`, the other truncated to whole pixels, then the centre `crop_px` square, padded
        with black where the picture is smaller. ``squash``: to `crop_px` x `crop_px`.

    Returns
    -------
    ndarray of shape (crop_px, crop_px, 3), or as `native` leaves it, uint8, C order
        May be `pixels` itself where nothing changes.
    """
    resample = _FILTERS[preprocess.interpolation]
    match preprocess.mode:
        case "native":
            return _native(pixels, preprocess.resize_px, resample)
        case "squash":
            return _resize(pixels, (preprocess.crop_px, preprocess.crop_px), resample)
        case "shortest":
            return _shortest(pixels, preprocess.resize_px, preprocess.crop_px, resample)


def _native(pixels: Pixels, longest_px: int, resample: Image.Resampling) -> Pixels:
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if longest_px <= 0 or scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _resize(pixels, size, resample)


def _shortest(pixels: Pixels, resize_px: int, crop_px: int, resample: Image.Resampling) -> Pixels:
    height, width = pixels.shape[:2]
    # torchvision.transforms.functional._compute_resized_output_size: int() truncates
    longest = int(resize_px * max(height, width) / min(height, width))
    size = (resize_px, longest) if width <= height else (longest, resize_px)
    if size[0] * size[1] > MAX_RESIZED_PIXELS:
        return _resize_under_crop(pixels, size, crop_px, resample)
    return _centre(_resize(pixels, size, resample), crop_px)


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
