"""Simple portraits: a head, hair, shoulders, and something behind them.

Lengths are in heads: `u` is the height of the head with its hair, in sheet pixels.
"""

import math
from dataclasses import dataclass

import numpy as np

from vta_cli.images.drawn_canvas import (
    Colour,
    Sheet,
    darker,
    jitter,
    mix,
    mottle,
    oval,
    soft_mask,
)
from vta_cli.images.drawn_shot import Shot

ASPECT = 0.78
"""Width of a head over its height."""

SKINS: tuple[Colour, ...] = (
    (247, 214, 190),
    (236, 188, 150),
    (214, 156, 112),
    (170, 112, 74),
    (118, 74, 50),
)
HAIRS: tuple[Colour, ...] = (
    (34, 26, 28),
    (72, 46, 34),
    (128, 78, 44),
    (206, 164, 96),
    (158, 66, 38),
    (150, 148, 150),
)
CLOTHES: tuple[Colour, ...] = (
    (178, 52, 56),
    (40, 84, 122),
    (48, 104, 84),
    (226, 180, 74),
    (96, 70, 116),
    (232, 226, 214),
    (58, 60, 70),
)
WARM_WALLS: tuple[Colour, ...] = ((232, 190, 140), (214, 142, 98), (240, 208, 170), (178, 110, 84))
COLD_WALLS: tuple[Colour, ...] = ((146, 170, 196), (104, 130, 156), (178, 192, 204), (74, 96, 128))


@dataclass(frozen=True)
class Head:
    """Where a head is, how high (`u`), and what it looks like."""

    x: float
    y: float
    u: float
    skin: Colour
    hair: Colour
    style: str


def draw(rng: np.random.Generator, sheet: Sheet, shot: Shot) -> None:
    """Draw one portrait on the whole sheet."""
    head = Head(
        x=shot.x * sheet.width,
        y=shot.y * sheet.height,
        u=shot.extent * sheet.height,
        skin=jitter(rng, SKINS[rng.integers(len(SKINS))], 6),
        hair=jitter(rng, HAIRS[rng.integers(len(HAIRS))], 6),
        style=str(rng.choice(("short", "long", "bun", "bob", "curls"))),
    )
    _background(rng, sheet, shot.warmth)
    _hair_behind(rng, sheet, head)
    _shoulders(rng, sheet, head)
    x, y, u = head.x, head.y, head.u
    for side in (-1, 1):
        ear = oval(x + side * 0.335 * u, y + 0.06 * u, 0.055 * u, 0.09 * u)
        sheet.solid(ear, darker(head.skin, 0.06), surface="soft")
    face = oval(x, y + 0.04 * u, 0.34 * u, 0.45 * u, taper=0.16)
    sheet.solid(face, head.skin, surface="soft")
    _features(rng, sheet, head)
    _fringe(rng, sheet, head)


def _background(rng: np.random.Generator, sheet: Sheet, warmth: float) -> None:
    walls = WARM_WALLS if warmth > 0 else COLD_WALLS
    wall = jitter(rng, walls[rng.integers(len(walls))], 8)
    sheet.backdrop(mix(wall, (255, 255, 255), 0.18), darker(wall, 0.35))
    kind = str(rng.choice(("bokeh", "wall", "window", "leaves")))
    if kind == "bokeh":
        for _ in range(int(rng.integers(10, 22))):
            spot = (float(rng.uniform(0, sheet.width)), float(rng.uniform(0, sheet.height)))
            light = mix(wall, (255, 244, 220) if warmth > 0 else (220, 236, 255), 0.8)
            sheet.glow(*spot, float(rng.uniform(0.05, 0.16)) * sheet.height, light, 0.45)
    elif kind == "window":
        left = float(rng.uniform(-0.1, 0.6)) * sheet.width
        for column in range(2):
            for row in range(3):
                x0 = left + column * 0.21 * sheet.width
                y0 = (0.06 + row * 0.24) * sheet.height
                box = (x0, y0, x0 + 0.19 * sheet.width, y0 + 0.22 * sheet.height)
                sheet.draw.rectangle(box, fill=mix(wall, (255, 250, 235), 0.55))
    else:
        small = (sheet.width // 8, sheet.height // 8)
        cells, strength = (4, 0.45) if kind == "leaves" else (2, 0.16)
        mask = soft_mask(mottle(rng, small, cells=cells), -0.2, 2.5 if kind == "wall" else 1.2)
        sheet.veil(mask.point([round(v * strength) for v in range(256)]), darker(wall, 0.6))


def _hair_behind(rng: np.random.Generator, sheet: Sheet, head: Head) -> None:
    x, y, u = head.x, head.y, head.u
    if head.style == "long":
        sheet.solid(
            oval(x, y + 0.32 * u, 0.47 * u, 0.8 * u), darker(head.hair, 0.12), surface="soft"
        )
    elif head.style == "bob":
        sheet.solid(
            oval(x, y + 0.06 * u, 0.45 * u, 0.5 * u), darker(head.hair, 0.12), surface="soft"
        )
    elif head.style == "bun":
        sheet.solid(oval(x, y - 0.47 * u, 0.17 * u, 0.15 * u), head.hair, surface="soft")
    elif head.style == "curls":
        for angle in np.linspace(-0.25 * np.pi, 1.25 * np.pi, 17):
            px = x + 0.38 * u * math.cos(angle)
            py = y - 0.06 * u - 0.37 * u * math.sin(angle)
            size = float(rng.uniform(0.11, 0.15)) * u
            sheet.solid(oval(px, py, size, size, n=20), head.hair, surface="soft")


def _shoulders(rng: np.random.Generator, sheet: Sheet, head: Head) -> None:
    x, y, u = head.x, head.y, head.u
    cloth = jitter(rng, CLOTHES[rng.integers(len(CLOTHES))], 10)
    neck = darker(head.skin, 0.16)
    width = float(rng.uniform(0.82, 0.98)) * u
    low = max(sheet.height, y + 1.1 * u) + 4
    trunk = [*oval(x, y + 1.05 * u, width, 0.46 * u)[20:], (x + width, low), (x - width, low)]
    sheet.solid(trunk, cloth, surface="cloth")
    sheet.polygon(
        [
            (x - 0.17 * u, y + 0.3 * u),
            (x + 0.17 * u, y + 0.3 * u),
            (x + 0.2 * u, y + 0.66 * u),
            (x, y + 0.78 * u),
            (x - 0.2 * u, y + 0.66 * u),
        ],
        neck,
    )
    collar = str(rng.choice(("round", "open", "high")))
    if collar == "round":
        ring = [
            (x + 0.26 * u * math.cos(t), y + 0.6 * u + 0.22 * u * math.sin(t))
            for t in np.linspace(0, np.pi, 16)
        ]
        sheet.stroke(ring, darker(cloth, 0.25), 0.06 * u)
    elif collar == "open":
        sheet.polygon(
            [(x - 0.13 * u, y + 0.62 * u), (x + 0.13 * u, y + 0.62 * u), (x, y + 1.05 * u)], neck
        )
        for side in (-1, 1):
            flap = [
                (x + side * 0.17 * u, y + 0.54 * u),
                (x + side * 0.32 * u, y + 0.66 * u),
                (x, y + 1.05 * u),
            ]
            sheet.polygon(flap, mix(cloth, (255, 255, 255), 0.25))
    else:
        sheet.polygon(oval(x, y + 0.6 * u, 0.23 * u, 0.13 * u), darker(cloth, 0.15))


def _features(rng: np.random.Generator, sheet: Sheet, head: Head) -> None:
    x, y, u = head.x, head.y, head.u
    glance = float(rng.uniform(-0.014, 0.014)) * u
    iris = jitter(rng, ((74, 52, 36), (70, 104, 130), (84, 112, 74))[rng.integers(3)], 8)
    brow = darker(head.hair, 0.3)
    raised = float(rng.uniform(0, 0.03)) * u
    for side in (-1, 1):
        ex, ey = x + side * 0.145 * u, y + 0.05 * u
        sheet.disc(
            x + side * 0.2 * u,
            y + 0.2 * u,
            0.07 * u,
            0.045 * u,
            mix(head.skin, (226, 104, 92), 0.13),
        )
        sheet.polygon(oval(ex, ey, 0.066 * u, 0.036 * u), (250, 248, 244))
        sheet.disc(ex + glance, ey, 0.034 * u, 0.034 * u, iris)
        sheet.disc(ex + glance, ey, 0.016 * u, 0.016 * u, (16, 14, 16))
        sheet.disc(ex + glance - 0.012 * u, ey - 0.014 * u, 0.008 * u, 0.008 * u, (255, 255, 255))
        lid = oval(ex, ey, 0.07 * u, 0.04 * u)[20:]
        sheet.stroke(lid, darker(head.hair, 0.5), 0.014 * u)
        arch = [
            (ex + side * 0.075 * u * t, ey - 0.08 * u - raised - 0.02 * u * (1 - t * t))
            for t in (-1, -0.4, 0.3, 1)
        ]
        sheet.stroke(arch, brow, 0.024 * u)
    nose = [
        (x + 0.01 * u, y + 0.07 * u),
        (x + 0.045 * u, y + 0.19 * u),
        (x - 0.01 * u, y + 0.2 * u),
    ]
    sheet.stroke(nose, darker(head.skin, 0.22), 0.014 * u)
    smile = float(rng.uniform(-0.01, 0.05)) * u
    lips = mix(head.skin, (176, 48, 60), float(rng.uniform(0.45, 0.75)))
    curve = [(x + 0.1 * u * t, y + 0.315 * u - smile * t * t) for t in np.linspace(-1, 1, 9)]
    low = [(px, py + 0.035 * u * (1 - ((px - x) / (0.1 * u)) ** 2)) for px, py in reversed(curve)]
    sheet.polygon([*curve, *low], lips)
    sheet.stroke(curve, darker(lips, 0.35), 0.012 * u)


def _fringe(rng: np.random.Generator, sheet: Sheet, head: Head) -> None:
    x, y, u = head.x, head.y, head.u
    parting = float(rng.uniform(-0.2, 0.2)) * u
    if head.style == "curls":
        for angle in np.linspace(0.12 * np.pi, 0.88 * np.pi, 9):
            px, py = x + 0.28 * u * math.cos(angle), y - 0.1 * u - 0.26 * u * math.sin(angle)
            sheet.solid(oval(px, py, 0.1 * u, 0.1 * u, n=20), head.hair, surface="soft")
        return
    low = 0.14 if head.style in {"long", "bob"} else 0.0
    crown = [
        (x + 0.385 * u * math.cos(t), y - 0.02 * u - 0.48 * u * math.sin(t))
        for t in np.linspace(0, np.pi, 24)
    ]
    brow_line = [
        (x - 0.385 * u, y + low * u + 0.05 * u),
        (x - 0.3 * u, y - 0.06 * u),
        (x + parting, y - float(rng.uniform(0.2, 0.3)) * u),
        (x + 0.3 * u, y - 0.06 * u),
        (x + 0.385 * u, y + low * u + 0.05 * u),
    ]
    sheet.solid([*crown, *brow_line], head.hair, surface="soft")
    top = (x + parting, y - 0.46 * u)
    for end in np.linspace(-0.3, 0.3, 7):
        strand = [
            top,
            (x + end * u, y - (0.38 - 0.7 * end * end) * u),
            (x + 1.1 * end * u, y - 0.12 * u),
        ]
        if abs(x + end * u - x - parting) > 0.08 * u:
            sheet.stroke(strand[:2], mix(head.hair, (255, 240, 220), 0.16), 0.01 * u)
