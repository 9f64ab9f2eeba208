"""JPEGs straight to bytes of RGB, at full size or at a fraction of it.

The library under simplejpeg is Pillow's, with the same exact arithmetic, so the pixels are equal at
every size; it takes 2.2 ms where Pillow, which goes by four bytes a pixel, takes 3.2 (512 px).
Whatever is damaged or odd is left to Pillow, so that there is one judge of what can be read.
"""

from PIL import Image, JpegImagePlugin

from vta_cli.images.colour import is_plain
from vta_cli.records import Pixels

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: slower, the same pixels
    simplejpeg = None

_BLOCK_PX = 8


def pixels_of(data: bytes, image: Image.Image, shrink: int = 1) -> Pixels | None:
    """Decode an sRGB JPEG; None where Pillow has to have its say.

    Parameters
    ----------
    data : bytes
        The file's content.
    image : Image
        The same, opened by Pillow and not loaded.
    shrink : {1, 2, 4, 8}
        Divides both sides.

    Returns
    -------
    ndarray of shape (height // shrink, width // shrink, 3), uint8, or None
        As stored, not turned upright.
    """
    if simplejpeg is None or not is_plain(image):
        return None
    width, height = image.width // shrink, image.height // shrink
    least = {"min_height": height, "min_width": width} if shrink > 1 else {}
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", **least)
    except (ValueError, RuntimeError, MemoryError):
        return None
    return pixels if pixels.shape[:2] == (height, width) else None


def shrink_on_load(image: Image.Image, shrink: int) -> None:
    """Have Pillow decode the JPEG that it has opened at a fraction of its size."""
    if shrink > 1 and isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (image.width // shrink, image.height // shrink))


def can_shrink(size: tuple[int, int], shrink: int) -> bool:
    """Tell whether a picture of (width, height) comes out whole, without a part of a pixel.

    Else the smaller picture would show a little more than the larger one, and be seen as moved: a
    quarter of a pixel at 224 px, which costs more than the smaller size itself.
    """
    return size[0] % shrink == 0 and size[1] % shrink == 0 and min(size) >= _BLOCK_PX
