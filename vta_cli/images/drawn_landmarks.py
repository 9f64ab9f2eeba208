"""Things that a landscape can be about: each stands on a point and has a height.

Every function takes the point (x, y) of its foot, its height `u` in sheet pixels, and the tones
of its surroundings.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vta_cli.images.drawn_canvas import Colour, Point, Sheet, darker, jitter, mix, oval


@dataclass(frozen=True)
class Tones:
    """What the surroundings lend to a thing: the colour of the ground, the colour of the light."""

    ground: Colour
    light: Colour


Drawing = Callable[[np.random.Generator, Sheet, Point, float, Tones], None]

ASPECT = 0.8
"""Width of a landmark over its height, about."""

WALLS: tuple[Colour, ...] = ((240, 232, 218), (206, 96, 72), (226, 190, 124), (150, 168, 176))
ROOFS: tuple[Colour, ...] = ((150, 62, 48), (84, 70, 72), (62, 84, 104))
SAILS: tuple[Colour, ...] = ((250, 246, 236), (206, 74, 62), (240, 196, 92))
LEAVES: tuple[Colour, ...] = ((84, 122, 62), (190, 116, 48), (52, 92, 74), (206, 150, 60))


@dataclass(frozen=True)
class Landmark:
    """Something to look at, and whether it needs water."""

    draw: Drawing
    afloat: bool = False


def house(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a house with a gable, a chimney and lit windows."""
    x, y = at
    wall = mix(jitter(rng, WALLS[rng.integers(len(WALLS))]), tones.ground, 0.15)
    roof = mix(jitter(rng, ROOFS[rng.integers(len(ROOFS))]), tones.ground, 0.1)
    half, eaves, top = 0.42 * u, y - 0.52 * u, y - 0.95 * u
    sheet.draw.rectangle((x + 0.16 * u, y - u, x + 0.26 * u, eaves), fill=darker(roof, 0.25))
    sheet.draw.rectangle((x - half, eaves, x + 0.1 * u, y), fill=wall)
    sheet.draw.rectangle((x + 0.1 * u, eaves, x + half, y), fill=darker(wall, 0.22))
    sheet.polygon([(x - half, eaves), (x - 0.16 * u, top), (x + 0.1 * u, eaves)], wall)
    slope = [(x - 0.16 * u, top), (x + 0.26 * u, top), (x + 0.48 * u, eaves), (x + 0.1 * u, eaves)]
    sheet.polygon(slope, roof)
    sheet.stroke(
        [(x - 0.47 * u, eaves + 0.03 * u), (x - 0.16 * u, top), (x + 0.12 * u, eaves + 0.02 * u)],
        darker(roof, 0.15),
        0.04 * u,
    )
    pane = mix(tones.light, (255, 214, 130), 0.6)
    for wx, wy in ((-0.31, 0.4), (-0.08, 0.4), (0.18, 0.4), (0.31, 0.4), (-0.2, 0.68)):
        box = (x + wx * u, y - wy * u, x + (wx + 0.08) * u, y - (wy - 0.13) * u)
        sheet.draw.rectangle(box, fill=pane, outline=darker(wall, 0.5))
    sheet.draw.rectangle((x - 0.2 * u, y - 0.24 * u, x - 0.09 * u, y), fill=darker(roof, 0.3))


def round_tree(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a tree with a crown of many round tufts, lit from the upper left."""
    x, y = at
    leaf = mix(jitter(rng, LEAVES[rng.integers(len(LEAVES))]), tones.ground, 0.45)
    trunk = darker(mix((96, 66, 48), tones.ground, 0.4), 0.1)
    foot, neck = 0.06 * u, 0.03 * u
    sheet.polygon(
        [(x - foot, y), (x + foot, y), (x + neck, y - 0.5 * u), (x - neck, y - 0.5 * u)], trunk
    )
    for side, lift in ((-1, 0.5), (1, 0.56)):
        limb = [(x, y - 0.34 * u), (x + side * 0.2 * u, y - lift * u)]
        sheet.stroke(limb, trunk, 0.035 * u)
    n_tufts = 46
    height = np.sort(rng.uniform(-1, 1, n_tufts))[::-1]  # lower tufts first, in the shade
    for level in height:
        wide = math.sqrt(1 - 0.85 * level**2)
        px = x + float(rng.uniform(-1, 1)) * wide * 0.3 * u
        py = y - 0.66 * u + 0.25 * u * float(level)
        lit = 0.42 * (1 - level) / 2 + 0.14 * (x - px) / (0.3 * u)
        tone = mix(
            darker(leaf, 0.38), mix(leaf, tones.light, 0.3), float(np.clip(0.28 + lit * 1.7, 0, 1))
        )
        size = float(rng.uniform(0.055, 0.105)) * u
        sheet.disc(px, py, size, size * 0.85, jitter(rng, tone, 5))


def conifer(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a spruce of overlapping skirts."""
    x, y = at
    needles = mix(jitter(rng, (40, 84, 66)), tones.ground, 0.5)
    sheet.draw.rectangle((x - 0.025 * u, y - 0.12 * u, x + 0.025 * u, y), fill=(58, 42, 36))
    n_skirts = 7
    for number in range(n_skirts):
        t = number / n_skirts
        low, high = y - (0.08 + 0.8 * t) * u, y - (0.36 + 0.64 * t) * u
        half = (0.29 - 0.23 * t) * u * float(rng.uniform(0.9, 1.1))
        droop = 0.035 * u
        skirt = [(x - half, low + droop), (x, high), (x + half, low + droop), (x, low - droop)]
        sheet.polygon(skirt, darker(needles, 0.22 * (1 - t)))
        sheet.polygon([skirt[0], skirt[1], skirt[3]], mix(needles, tones.light, 0.1 + 0.08 * t))


def grove(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw three spruces that stand together."""
    x, y = at
    for side, size in ((-0.27, 0.72), (0.25, 0.82), (0.0, 1.0)):
        conifer(rng, sheet, (x + side * u, y), size * u, tones)


def lighthouse(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a striped tower with a lamp, on a rock."""
    x, y = at
    stripe = jitter(rng, ((196, 60, 52), (50, 78, 110), (40, 40, 44))[rng.integers(3)])
    sheet.solid(
        oval(x, y + 0.02 * u, 0.42 * u, 0.12 * u),
        darker(mix(tones.ground, (110, 100, 96), 0.5), 0.1),
    )
    n_bands = 5
    for band in range(n_bands):
        low, high = band / n_bands, (band + 1) / n_bands
        lo, hi = 0.15 - 0.055 * low, 0.15 - 0.055 * high
        y0, y1 = y - (0.04 + 0.74 * low) * u, y - (0.04 + 0.74 * high) * u
        quad = [(x - lo * u, y0), (x + lo * u, y0), (x + hi * u, y1), (x - hi * u, y1)]
        sheet.solid(quad, (244, 238, 228) if band % 2 else stripe, surface="turned")
    sheet.draw.rectangle((x - 0.13 * u, y - 0.8 * u, x + 0.13 * u, y - 0.77 * u), fill=(40, 40, 46))
    lamp = (255, 236, 160)
    sheet.draw.rectangle((x - 0.07 * u, y - 0.91 * u, x + 0.07 * u, y - 0.8 * u), fill=lamp)
    sheet.glow(x, y - 0.86 * u, 0.3 * u, mix(lamp, tones.light, 0.3), 0.8)
    roof = [(x - 0.1 * u, y - 0.91 * u), (x, y - u), (x + 0.1 * u, y - 0.91 * u)]
    sheet.polygon(roof, darker(stripe, 0.3))


def sailing_boat(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a boat under sail, with its image in the water."""
    x, y = at
    hull = jitter(rng, ((92, 54, 44), (40, 62, 92), (236, 230, 220))[rng.integers(3)])
    sail = mix(SAILS[rng.integers(len(SAILS))], tones.light, 0.2)
    way = 1.0 if rng.random() < 0.5 else -1.0
    for part in range(5):  # broken image of the sail, fading with the distance
        low = y + (0.06 + 0.09 * part) * u
        half = (0.24 - 0.03 * part) * u
        sheet.disc(
            x + (-1) ** part * 0.03 * u,
            low,
            half,
            0.016 * u,
            mix(sail, tones.ground, 0.35 + 0.1 * part),
        )
    sheet.stroke([(x, y - 0.1 * u), (x, y - u)], darker(hull, 0.4), 0.018 * u)
    main = [(x + way * 0.02 * u, y - 0.97 * u), (x + way * 0.38 * u, y - 0.17 * u)]
    sheet.solid([*main, (x + way * 0.02 * u, y - 0.17 * u)], sail, surface="turned")
    jib = [(x - way * 0.02 * u, y - 0.85 * u), (x - way * 0.33 * u, y - 0.17 * u)]
    sheet.solid(
        [*jib, (x - way * 0.03 * u, y - 0.2 * u)], mix(sail, (255, 255, 255), 0.3), surface="turned"
    )
    sheet.polygon(
        [
            (x - 0.42 * u, y - 0.16 * u),
            (x + 0.42 * u, y - 0.16 * u),
            (x + 0.3 * u, y + 0.02 * u),
            (x - 0.28 * u, y + 0.02 * u),
        ],
        hull,
    )
    sheet.stroke(
        [(x - 0.41 * u, y - 0.13 * u), (x + 0.41 * u, y - 0.13 * u)],
        mix(hull, tones.light, 0.5),
        0.016 * u,
    )


def balloon(rng: np.random.Generator, sheet: Sheet, at: Point, u: float, tones: Tones) -> None:
    """Draw a striped hot-air balloon just above the ground."""
    x, y = at
    first = jitter(rng, (206, 70, 60), 30)
    second = mix(jitter(rng, (244, 206, 110), 20), tones.light, 0.2)
    middle = y - 0.64 * u
    for number, half in enumerate((0.36, 0.25, 0.13)):
        shape = oval(x, middle, half * u, 0.36 * u)
        sheet.solid(shape, second if number % 2 else first)
    skirt = [(x - 0.2 * u, y - 0.35 * u), (x + 0.2 * u, y - 0.35 * u), (x + 0.07 * u, y - 0.2 * u)]
    sheet.polygon([*skirt, (x - 0.07 * u, y - 0.2 * u)], darker(first, 0.2))
    for side in (-1, 1):
        rope = [(x + side * 0.06 * u, y - 0.2 * u), (x + side * 0.06 * u, y - 0.12 * u)]
        sheet.stroke(rope, darker(tones.ground, 0.4), 0.008 * u)
    sheet.draw.rectangle(
        (x - 0.075 * u, y - 0.13 * u, x + 0.075 * u, y - 0.02 * u), fill=(120, 80, 52)
    )


LANDMARKS = (
    Landmark(house),
    Landmark(round_tree),
    Landmark(grove),
    Landmark(lighthouse),
    Landmark(sailing_boat, afloat=True),
    Landmark(balloon),
)
