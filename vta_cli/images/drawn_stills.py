"""Still-life pictures: fruit, vases with flowers, bottles and cups on a table."""

import math

import numpy as np

from vta_cli.images.drawn_canvas import (
    Colour,
    Point,
    Sheet,
    darker,
    jitter,
    mix,
    mottle,
    oval,
    soft_mask,
)
from vta_cli.images.drawn_shot import Shot

ASPECT = 1.05
"""Width of an arrangement over its height."""

FRUITS: tuple[tuple[str, Colour], ...] = (
    ("apple", (196, 48, 44)),
    ("apple", (136, 168, 62)),
    ("orange", (238, 140, 40)),
    ("lemon", (246, 214, 72)),
    ("plum", (92, 50, 96)),
    ("pear", (188, 186, 84)),
)
GLAZES: tuple[Colour, ...] = (
    (232, 226, 212),
    (60, 92, 124),
    (164, 86, 58),
    (84, 116, 98),
    (214, 164, 92),
)
BLOSSOMS: tuple[Colour, ...] = (
    (236, 92, 96),
    (250, 196, 84),
    (224, 148, 190),
    (250, 244, 236),
    (150, 118, 190),
)
GLASSES: tuple[Colour, ...] = ((56, 92, 70), (92, 60, 40), (70, 104, 132))
WARM_ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((206, 158, 112), (128, 78, 50)),
    ((232, 204, 160), (170, 112, 70)),
    ((150, 78, 60), (92, 54, 40)),
)
COLD_ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((134, 152, 172), (84, 92, 104)),
    ((94, 120, 142), (178, 186, 192)),
    ((62, 76, 98), (96, 104, 120)),
)


def draw(rng: np.random.Generator, sheet: Sheet, shot: Shot) -> None:
    """Draw one arrangement on the whole sheet."""
    u = shot.extent * sheet.height
    x, base = shot.x * sheet.width, shot.y * sheet.height + u / 2
    _room(rng, sheet, shot.warmth, base - 0.1 * u)
    tall = (_flowers, _bottle, _jug)[int(rng.integers(3))]
    side = 1 if rng.random() < 0.5 else -1
    tall(rng, sheet, (x - side * 0.22 * u, base - 0.06 * u), u)
    if rng.random() < 0.4:
        _bowl(rng, sheet, (x + side * 0.24 * u, base), 0.5 * u)
    else:
        _fruit(rng, sheet, (x + side * 0.4 * u, base - 0.05 * u), 0.13 * u)
        _fruit(rng, sheet, (x + side * 0.14 * u, base), 0.14 * u)
        _fruit(rng, sheet, (x + side * 0.3 * u, base + 0.03 * u), 0.12 * u)
    if rng.random() < 0.5:
        _fruit(rng, sheet, (x - side * 0.4 * u, base + 0.02 * u), 0.11 * u)


def _room(rng: np.random.Generator, sheet: Sheet, warmth: float, edge: float) -> None:
    rooms = WARM_ROOMS if warmth > 0 else COLD_ROOMS
    wall, wood = rooms[int(rng.integers(len(rooms)))]
    wall, wood = jitter(rng, wall, 7), jitter(rng, wood, 6)
    edge = float(np.clip(edge, 0.25 * sheet.height, 0.85 * sheet.height))
    sheet.backdrop(mix(wall, (255, 255, 255), 0.12), darker(wall, 0.3), 0, edge)
    small = (sheet.width // 8, sheet.height // 8)
    plaster = soft_mask(mottle(rng, small, cells=2), -0.5, 3)
    sheet.veil(plaster.point([round(0.35 * v) for v in range(256)]), darker(wall, 0.5))
    if rng.random() < 0.5:  # a slanting patch of light from a window
        left = float(rng.uniform(-0.1, 0.7)) * sheet.width
        lean, wide = 0.22 * sheet.width, 0.15 * sheet.width
        for pane in range(2):
            x0 = left + pane * 1.2 * wide
            patch = [(x0, 0), (x0 + wide, 0), (x0 + wide - lean, edge), (x0 - lean, edge)]
            sheet.polygon(patch, mix(wall, (255, 248, 225), 0.33))
    sheet.backdrop(mix(wood, (255, 255, 255), 0.12), darker(wood, 0.35), edge)
    for _ in range(12):  # grain of the table
        y = edge + float(rng.uniform(0.02, 1)) * (sheet.height - edge)
        line = [(0.0, y), (sheet.width / 2, y + float(rng.uniform(-4, 4))), (float(sheet.width), y)]
        sheet.stroke(line, darker(wood, float(rng.uniform(0.12, 0.3))), 2)
    sheet.stroke([(0, edge), (sheet.width, edge)], mix(wood, (255, 240, 215), 0.35), 4)


def _fruit(rng: np.random.Generator, sheet: Sheet, foot: Point, r: float) -> None:
    kind, colour = FRUITS[int(rng.integers(len(FRUITS)))]
    x, y = foot[0], foot[1] - r
    colour = jitter(rng, colour, 9)
    sheet.shadow(x + 0.25 * r, foot[1] - 0.05 * r, 1.5 * r, 0.42 * r, 0.8)
    if kind == "lemon":
        sheet.solid(
            oval(x, y + 0.15 * r, 1.2 * r, 0.85 * r, turn=float(rng.uniform(-0.5, 0.5))), colour
        )
    elif kind == "pear":
        sheet.solid(oval(x, y - 0.75 * r, 0.5 * r, 0.65 * r), colour)
        sheet.solid(oval(x, y, 0.95 * r, r), colour)
    else:
        sheet.solid(oval(x, y, r, 0.95 * r), colour)
    if kind in {"apple", "pear"}:
        top = y - (1.35 if kind == "pear" else 0.85) * r
        sheet.stroke([(x, top), (x + 0.12 * r, top - 0.4 * r)], (70, 48, 34), 0.1 * r)
        sheet.polygon(
            oval(x + 0.42 * r, top - 0.25 * r, 0.34 * r, 0.14 * r, turn=-0.5), (84, 124, 62)
        )


def _bowl(rng: np.random.Generator, sheet: Sheet, foot: Point, u: float) -> None:
    x, y = foot
    glaze = jitter(rng, GLAZES[int(rng.integers(len(GLAZES)))], 8)
    sheet.shadow(x + 0.1 * u, y, 0.75 * u, 0.12 * u, 0.8)
    sheet.disc(x, y - 0.45 * u, 0.6 * u, 0.12 * u, darker(glaze, 0.45))
    for dx, dy in ((-0.28, 0.33), (0.28, 0.33), (0.0, 0.36), (-0.14, 0.52), (0.15, 0.5)):
        _, colour = FRUITS[int(rng.integers(len(FRUITS)))]
        sheet.solid(
            oval(x + dx * u, y - (dy + 0.17) * u, 0.19 * u, 0.18 * u), jitter(rng, colour, 9)
        )
    rim = [
        (x + 0.6 * u * math.cos(t), y - 0.45 * u + 0.12 * u * math.sin(t))
        for t in np.linspace(np.pi, 0, 20)
    ]
    body = [
        (x + 0.6 * u * math.cos(t), y - 0.45 * u + 0.45 * u * math.sin(t))
        for t in np.linspace(0, np.pi, 24)
    ]
    sheet.solid([*rim, *body], glaze, surface="turned")


def _profile(at: Point, u: float, widths: tuple[tuple[float, float], ...]) -> list[Point]:
    """Return the outline of a turned body from (height, half width) pairs, in units of `u`."""
    heights = np.linspace(widths[0][0], widths[-1][0], 40)
    halves = np.interp(heights, [h for h, _ in widths], [w for _, w in widths])
    halves = np.convolve(np.pad(halves, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    left = [
        (at[0] - float(w) * u, at[1] - float(h) * u) for h, w in zip(heights, halves, strict=True)
    ]
    right = [(2 * at[0] - px, py) for px, py in reversed(left)]
    return [*left, *right]


def _bottle(rng: np.random.Generator, sheet: Sheet, foot: Point, u: float) -> None:
    glass = jitter(rng, GLASSES[int(rng.integers(len(GLASSES)))], 9)
    sheet.shadow(foot[0] + 0.06 * u, foot[1], 0.26 * u, 0.06 * u, 0.8)
    shape = ((0, 0.14), (0.55, 0.14), (0.7, 0.05), (0.93, 0.045), (0.94, 0.055))
    sheet.solid(_profile(foot, u, shape), glass, surface="turned")
    label = (foot[0] - 0.135 * u, foot[1] - 0.42 * u, foot[0] + 0.135 * u, foot[1] - 0.2 * u)
    sheet.draw.rectangle(label, fill=mix(glass, (240, 230, 208), 0.75))


def _jug(rng: np.random.Generator, sheet: Sheet, foot: Point, u: float) -> None:
    glaze = jitter(rng, GLAZES[int(rng.integers(len(GLAZES)))], 9)
    sheet.shadow(foot[0] + 0.06 * u, foot[1], 0.34 * u, 0.07 * u, 0.8)
    handle = oval(foot[0] + 0.2 * u, foot[1] - 0.5 * u, 0.13 * u, 0.2 * u)
    sheet.stroke([*handle, handle[0]], darker(glaze, 0.25), 0.04 * u)
    shape = ((0, 0.13), (0.08, 0.16), (0.35, 0.22), (0.6, 0.14), (0.76, 0.1), (0.86, 0.14))
    sheet.solid(_profile(foot, u, shape), glaze, surface="turned")
    sheet.disc(foot[0], foot[1] - 0.86 * u, 0.13 * u, 0.025 * u, darker(glaze, 0.5))


def _flowers(rng: np.random.Generator, sheet: Sheet, foot: Point, u: float) -> None:
    x, y = foot
    glaze = jitter(rng, GLAZES[int(rng.integers(len(GLAZES)))], 9)
    blossom = BLOSSOMS[int(rng.integers(len(BLOSSOMS)))]
    green = jitter(rng, (70, 104, 62), 9)
    sheet.shadow(x + 0.06 * u, y, 0.28 * u, 0.06 * u, 0.8)
    angles = np.linspace(-0.95, 0.95, int(rng.integers(5, 8)))
    heads = [
        (
            x + 0.34 * u * math.sin(a),
            y - (0.42 + 0.42 * math.cos(a) * float(rng.uniform(0.8, 1.08))) * u,
        )
        for a in angles.tolist()
    ]
    for hx, hy in heads:
        sheet.stroke([(x, y - 0.36 * u), ((x + hx) / 2, y - 0.58 * u), (hx, hy)], green, 0.018 * u)
        leaf = oval(
            (x + hx) / 2,
            (y - 0.5 * u + hy) / 2,
            0.085 * u,
            0.03 * u,
            turn=float(rng.uniform(-1, 1)),
        )
        sheet.polygon(leaf, darker(green, 0.15))
    for hx, hy in heads:
        colour = jitter(rng, blossom, 12)
        size = float(rng.uniform(0.085, 0.115)) * u
        n_petals = 9
        for ring, scale in enumerate((1.0, 0.66)):
            for number in range(n_petals):
                a = 2 * math.pi * (number + ring / 2) / n_petals
                px, py = (
                    hx + scale * 0.6 * size * math.cos(a),
                    hy + scale * 0.6 * size * math.sin(a),
                )
                tone = darker(colour, 0.16 * (1 - ring) + 0.1 * max(0.0, math.sin(a)))
                sheet.polygon(
                    oval(px, py, 0.55 * size * scale, 0.3 * size * scale, turn=a, n=14), tone
                )
        sheet.disc(hx, hy, 0.24 * size, 0.24 * size, mix((150, 96, 40), blossom, 0.2))
    shape = ((0, 0.1), (0.1, 0.15), (0.26, 0.16), (0.38, 0.08), (0.43, 0.11))
    sheet.solid(_profile(foot, u, shape), glaze, surface="turned")
