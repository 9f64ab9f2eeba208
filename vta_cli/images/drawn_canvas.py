"""A sheet to draw on: shapes, gradients, noise and soft light, at twice the final size.

Pictures are drawn large and reduced afterwards, which is what smooths their edges. Nothing here
knows what is drawn. Coordinates are pixels of the large sheet, colours are sRGB triples 0..255.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageOps

Colour = tuple[int, int, int]
Point = tuple[float, float]
Surface = Literal["glossy", "soft", "turned", "cloth"]

OVERSAMPLING = 2
"""Sheet pixels per picture pixel and axis; reduced by a box filter at the end."""


class Sheet:
    """A picture under way.

    Parameters
    ----------
    width_px, height_px : int
        Size of the sheet [px].
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width = width_px
        self.height = height_px
        self.put(Image.new("RGB", (width_px, height_px)))

    def put(self, image: Image.Image) -> None:
        """Make `image` the sheet's content and draw on it from now on."""
        self.image = image
        self.draw = ImageDraw.Draw(image)

    def disc(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Fill the ellipse around (x, y) with half axes `rx` and `ry`."""
        if rx > 0 and ry > 0:
            self.draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon(list(points), fill=fill)

    def stroke(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        """Draw a line through `points`, at least one pixel wide."""
        self.draw.line(list(points), fill=fill, width=max(1, round(width)), joint="curve")

    def backdrop(self, top: Colour, bottom: Colour, from_y: float = 0, to_y: float = 0) -> None:
        """Fill the rows from `from_y` to `to_y` (0: the last) with a vertical gradient."""
        y0, y1 = round(from_y), round(to_y) or self.height
        if y1 > y0:
            column = vertical(top, bottom, y1 - y0)
            self.image.paste(column.resize((self.width, y1 - y0)), (0, y0))

    def veil(self, mask: Image.Image, colour: Colour) -> None:
        """Lay `colour` over the sheet as densely as `mask` (any size, mode L) says."""
        if mask.size != self.image.size:
            mask = mask.resize(self.image.size, Image.Resampling.BILINEAR)
        self.image.paste(colour, (0, 0), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Add light that fades with the distance from (x, y); `strength` lies in 0..1."""
        side = max(2, round(2 * radius))
        light = _halo().resize((side, side), Image.Resampling.BILINEAR)
        tint = ImageOps.colorize(light, (0, 0, 0), mix((0, 0, 0), colour, strength))
        corner = (round(x) - side // 2, round(y) - side // 2)
        box = (corner[0], corner[1], corner[0] + side, corner[1] + side)
        lit = ImageChops.screen(self.image.crop(box), tint)
        self.image.paste(lit, corner)

    def solid(
        self, points: Sequence[Point], colour: Colour, *, surface: Surface = "glossy"
    ) -> None:
        """Fill a polygon with a colour that is shaded like a body lit from the upper left.

        `surface` is ``glossy`` (a fruit), ``soft`` (skin, hair), ``turned`` (a vase, a bottle) or
        ``cloth``.
        """
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        x0, y0 = math.floor(min(xs)), math.floor(min(ys))
        x1, y1 = math.ceil(max(xs)) + 1, math.ceil(max(ys)) + 1
        dark, bright = (0.62, 0.72) if surface in {"glossy", "turned"} else (0.4, 0.3)
        body = ImageOps.colorize(
            _shading(surface).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR),
            black=darker(colour, dark),
            mid=colour,
            white=mix(colour, (255, 252, 240), bright),
            midpoint=150,
        )
        mask = Image.new("L", body.size)
        ImageDraw.Draw(mask).polygon([(x - x0, y - y0) for x, y in points], fill=255)
        self.image.paste(body, (x0, y0), mask)

    def shadow(self, x: float, y: float, rx: float, ry: float, strength: float = 0.5) -> None:
        """Darken a soft ellipse, as a body does where it stands."""
        size = (max(2, round(2 * rx)), max(2, round(2 * ry)))
        mask = _halo().resize(size, Image.Resampling.BILINEAR)
        mask = mask.point([round(value * strength) for value in range(256)])
        self.image.paste((12, 10, 18), (round(x - rx), round(y - ry)), mask)


@cache
def _halo() -> Image.Image:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    return _grey(np.clip(1 - np.hypot(x, y), 0, 1) ** 1.6)


@cache
def _shading(surface: Surface) -> Image.Image:
    """Return how bright a body of this surface is over its bounding box; 150 is its own colour."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    if surface == "glossy":
        spot = 0.5 * np.exp(-(((x + 0.36) ** 2 + (y + 0.42) ** 2) / 0.03))
        return _grey(np.clip(0.86 - 0.55 * np.hypot(x + 0.3, y + 0.35), 0, 1) + spot)
    if surface == "soft":
        return _grey(0.82 - 0.34 * np.hypot(x + 0.35, y + 0.3) ** 1.3)
    if surface == "cloth":
        return _grey(0.66 - 0.34 * np.abs(x + 0.2) ** 1.5 - 0.12 * y)
    edge = 0.35 * np.exp(-(((x + 0.45) / 0.11) ** 2))
    return _grey(0.68 - 0.5 * np.abs(x + 0.25) ** 1.6 + edge)


def _grey(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray((255 * np.clip(values, 0, 1)).astype(np.uint8))


def vertical(top: Colour, bottom: Colour, height_px: int) -> Image.Image:
    """Return a gradient one pixel wide."""
    t = np.linspace(0, 1, height_px)[:, None]
    rows = np.array(top) * (1 - t) + np.array(bottom) * t
    return Image.fromarray(np.round(rows[:, None, :]).astype(np.uint8))


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """Return the colour a share `t` of the way from `a` to `b`."""
    red, green, blue = (round(p + (q - p) * t) for p, q in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: Colour, by: float) -> Colour:
    """Return the colour with a share `by` of its light taken away."""
    return mix(colour, (0, 0, 0), by)


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 10) -> Colour:
    """Return a colour near `colour`; `spread` is the standard deviation of each channel."""
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, spread, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)


def mottle(
    rng: np.random.Generator, size: tuple[int, int], *, cells: int, octaves: int = 4
) -> NDArray[np.float32]:
    """Return value noise: random grids, each twice as fine and half as strong, summed.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the grids.
    size : (int, int)
        Width and height [px].
    cells : int
        Cells of the coarsest grid over the width.
    octaves : int
        Number of grids.

    Returns
    -------
    ndarray of shape (height, width), float32
        Standardised to mean 0 and standard deviation 1.
    """
    total = np.zeros((size[1], size[0]), np.float32)
    for octave in range(octaves):
        n_x = max(2, cells * 2**octave)
        n_y = max(2, round(n_x * size[1] / size[0]))
        grid = Image.fromarray(rng.standard_normal((n_y, n_x), np.float32))
        total += np.asarray(grid.resize(size, Image.Resampling.BICUBIC)) / 2**octave
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), np.float32)


def soft_mask(values: NDArray[np.float32], low: float, high: float) -> Image.Image:
    """Return a mask (mode L) that is 0 where `values` <= `low`, 255 where >= `high`."""
    return _grey(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1))


def ridge(rng: np.random.Generator, n_points: int, roughness: float) -> NDArray[np.float64]:
    """Return a mountain line by midpoint displacement, in about -1..1.

    Fournier, Fussell and Carpenter, "Computer rendering of stochastic models", 1982: halve each
    stretch, move its middle by a random step, shrink the step by `roughness`, repeat.
    """
    line = rng.uniform(-0.6, 0.6, 2)
    step = 0.7
    while line.size < n_points:
        middle = (line[:-1] + line[1:]) / 2 + rng.uniform(-step, step, line.size - 1)
        line = np.insert(line, np.arange(1, line.size), middle)
        step *= roughness
    return line[:n_points]


def oval(
    x: float, y: float, rx: float, ry: float, *, turn: float = 0, taper: float = 0, n: int = 40
) -> list[Point]:
    """Return an ellipse as a polygon, turned by `turn` [rad], narrower below by `taper` (0..1)."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    px, py = rx * np.cos(angles), ry * np.sin(angles)
    px = px * (1 - taper * np.clip(np.sin(angles), 0, 1) ** 2)
    c, s = math.cos(turn), math.sin(turn)
    return [
        (float(x + a * c - b * s), float(y + a * s + b * c)) for a, b in zip(px, py, strict=True)
    ]
