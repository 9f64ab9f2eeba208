"""One image file for all backbones: decoded once for each size that is wanted, viewed once each.

What a backbone is shown is a function of the file and of that backbone's own recipe. Which others
look at the same file changes how often it is decoded, never a pixel.
"""

from vta_cli.images import jpeg
from vta_cli.images.decode import Decoded, decode, probe
from vta_cli.images.tiling import View, tile_sizes
from vta_cli.images.views import Resize, readings
from vta_cli.records import Pixels, Preprocess

HALF = 2
"""By what a JPEG may be shrunk. A quarter or an eighth would be hardly faster, since every byte has
to be read in any case, and backbones of different sizes would less often share the decode."""

TIMES_TARGET = 4
"""What is left has to be so many times what the view is resized to. From there on the smaller
picture moves vectors hardly further than floating point in the resize would; at twice the target it
moves them three times as far (`docs/decisions/embed-hot-path.md`)."""

LARGE_TARGET_PX = 384
TIMES_LARGE_TARGET = 3
"""The same from views of `LARGE_TARGET_PX` on: their vectors are means over three times the pixels
of a view of 224, and as near to the exact ones as its are at four times."""


class Picture:
    """An image file in memory.

    Parameters
    ----------
    data : bytes
        The file's content.

    Attributes
    ----------
    width, height : int
        Size of the upright picture [px], from the header until the pixels are decoded.
    format : str
        One of `formats.DECODABLE`.

    Raises
    ------
    UnreadableImageError
        As `probe`; the methods as `decode`.
    """

    def __init__(self, data: bytes) -> None:
        self.width, self.height, self.format = probe(data)
        self._data = data
        self._decoded: dict[int, Decoded] = {}
        self._shown: dict[tuple[Preprocess, View, Resize | None], list[Pixels]] = {}

    def pixels(self, preprocess: Preprocess, view: View, *, exact: bool) -> Pixels:
        """Return the pixels from which a view is made; decodes them unless that was done before.

        Parameters
        ----------
        exact : bool
            False: JPEGs may come smaller, see `shrink_for`.

        Returns
        -------
        ndarray of shape (height, width, 3), uint8
        """
        shrink = 1
        if not exact and self.format == "JPEG":
            shrink = shrink_for((self.width, self.height), preprocess, view)
        if shrink not in self._decoded:
            found = decode(self._data, shrink=shrink)
            self._decoded[shrink] = found
            self.width, self.height = found.width, found.height
        return self._decoded[shrink].pixels

    def readings(self, preprocess: Preprocess, view: View, resize: Resize | None) -> list[Pixels]:
        """Return what a backbone is shown, see `views.readings`; with a `resize`, not exactly."""
        wanted = preprocess, view, resize
        if wanted not in self._shown:
            pixels = self.pixels(preprocess, view, exact=resize is None)
            self._shown[wanted] = readings(pixels, *wanted)
        return self._shown[wanted]


def shrink_for(size: tuple[int, int], preprocess: Preprocess, view: View) -> int:
    """Return by how much a JPEG may be shrunk while it is decoded, for one view of it.

    Parameters
    ----------
    size : (width, height)
        Of the picture [px].

    Returns
    -------
    int
        `HALF` where that leaves `TIMES_TARGET`, or `TIMES_LARGE_TARGET`, times what the view is
        resized to and divides both sides, so that the geometry is the same; else 1.
    """
    match preprocess.mode:
        case "native":
            side, target = max(size), preprocess.resize_px
        case "squash":
            side, target = min(size), preprocess.crop_px
        case "shortest":
            side, target = min(size), preprocess.resize_px
    if view == "five-crop":
        side, target = min(size), tile_sizes(preprocess)[1]
    if target < 1 or preprocess.interpolation == "nearest":
        return 1
    times = TIMES_TARGET if target < LARGE_TARGET_PX else TIMES_LARGE_TARGET
    large = side >= HALF * times * target
    return HALF if large and jpeg.can_shrink(size, HALF) else 1
