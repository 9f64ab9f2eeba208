"""Landscapes: sky, sun or moon, hills in haze, water that mirrors them.

The thing that the picture is about (a house, a tree, a boat ...) comes from `drawn_landmarks`.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from vta_cli.images.drawn_canvas import (
    Colour,
    Sheet,
    darker,
    jitter,
    mix,
    mottle,
    ridge,
    soft_mask,
)
from vta_cli.images.drawn_landmarks import LANDMARKS, Tones, conifer, round_tree
from vta_cli.images.drawn_shot import Shot


@dataclass(frozen=True)
class Palette:
    """Colours of one hour of the day."""

    zenith: Colour
    horizon: Colour
    haze: Colour
    ground: Colour
    light: Colour


# From cold (-1) to warm (1) in equal steps; what lies between is mixed.
HOURS = (
    Palette((30, 42, 84), (112, 140, 180), (96, 120, 158), (20, 32, 54), (226, 234, 250)),
    Palette((112, 136, 164), (196, 208, 216), (158, 176, 190), (52, 76, 84), (240, 246, 250)),
    Palette((92, 154, 214), (212, 230, 236), (158, 190, 200), (66, 104, 70), (255, 250, 230)),
    Palette((136, 172, 206), (252, 220, 168), (224, 190, 154), (112, 104, 56), (255, 238, 190)),
    Palette((98, 76, 128), (255, 166, 96), (232, 138, 104), (66, 42, 50), (255, 226, 160)),
)


def palette_at(rng: np.random.Generator, warmth: float) -> Palette:
    """Return the colours of the hour whose light has this warmth, a little varied."""
    place = (warmth + 1) / 2 * (len(HOURS) - 1)
    first = min(int(place), len(HOURS) - 2)
    a, b, t = HOURS[first], HOURS[first + 1], place - first
    return Palette(
        zenith=jitter(rng, mix(a.zenith, b.zenith, t), 9),
        horizon=jitter(rng, mix(a.horizon, b.horizon, t), 7),
        haze=jitter(rng, mix(a.haze, b.haze, t), 7),
        ground=jitter(rng, mix(a.ground, b.ground, t), 8),
        light=mix(a.light, b.light, t),
    )


def draw(rng: np.random.Generator, sheet: Sheet, shot: Shot) -> None:
    """Draw one landscape on the whole sheet."""
    hues = palette_at(rng, shot.warmth)
    landmark = LANDMARKS[int(rng.integers(len(LANDMARKS)))]
    base = (shot.y + shot.extent / 2) * sheet.height  # where the landmark stands
    level = min(base, float(rng.uniform(0.72, 0.86)) * sheet.height)
    lake = landmark.afloat or rng.random() < 0.35
    shore = level - float(rng.uniform(0.03, 0.09) + 0.1 * lake) * sheet.height
    _sky(rng, sheet, hues, shore, shot.warmth)
    _hills(rng, sheet, hues, shore)
    if lake:
        _water(rng, sheet, hues, shore)
    if not landmark.afloat:
        _meadow(rng, sheet, hues, level - 0.03 * sheet.height if lake else shore)
        _bystanders(rng, sheet, hues, level if lake else shore, shot)
    size = shot.extent * sheet.height
    sheet.shadow(shot.x * sheet.width, base, 0.5 * size, 0.06 * size, 0.55)
    tones = Tones(hues.ground, hues.light)
    landmark.draw(rng, sheet, (shot.x * sheet.width, base), size, tones)


def _sky(
    rng: np.random.Generator, sheet: Sheet, hues: Palette, shore: float, warmth: float
) -> None:
    sheet.backdrop(hues.zenith, hues.horizon, 0, max(shore, 2))
    if warmth < -0.6:
        for _ in range(50):
            spot = (float(rng.uniform(0, sheet.width)), float(rng.uniform(0, 0.7)) * shore)
            size = float(rng.uniform(0.8, 2.2))
            sheet.disc(*spot, size, size, mix(hues.zenith, hues.light, float(rng.uniform(0.3, 1))))
    x = float(rng.uniform(0.08, 0.92)) * sheet.width
    y = float(rng.uniform(0.15, 0.85)) * shore
    if rng.random() < 0.7:
        radius = float(rng.uniform(0.025, 0.055)) * sheet.height
        sheet.glow(x, y, 9 * radius, hues.light, 0.75)
        sheet.disc(x, y, radius, radius, mix(hues.light, (255, 255, 255), 0.4))
    if rng.random() < 0.75:
        small = (sheet.width // 6, sheet.height // 6)
        field = mottle(rng, small, cells=int(rng.integers(2, 5)), octaves=5)
        # flat below, more of them aloft: clouds thin out towards the horizon
        field -= np.linspace(-0.2, 1.6, small[1], dtype=np.float32)[:, None]
        mask = soft_mask(field, float(rng.uniform(0.1, 0.7)), 2.4)
        sheet.veil(mask, mix(hues.horizon, hues.light, 0.7))
    if rng.random() < 0.25:
        x, y = float(rng.uniform(0.1, 0.9)) * sheet.width, float(rng.uniform(0.2, 0.6)) * shore
        for _ in range(int(rng.integers(3, 9))):
            wing = float(rng.uniform(0.008, 0.014)) * sheet.width
            x, y = x + float(rng.normal(0, 4)) * wing, y + float(rng.normal(0, 2)) * wing
            bird = [(x - wing, y - 0.5 * wing), (x, y), (x + wing, y - 0.5 * wing)]
            sheet.stroke(bird, darker(hues.ground, 0.2), 3)


def _hills(rng: np.random.Generator, sheet: Sheet, hues: Palette, shore: float) -> None:
    n_ranges = int(rng.integers(2, 5))
    roughness = float(rng.uniform(0.42, 0.62))
    for number in range(n_ranges):
        near = (number + 1) / (n_ranges + 1)
        line = ridge(rng, 65, roughness)
        height = (0.30 - 0.22 * near) * sheet.height * float(rng.uniform(0.6, 1.25))
        ys = shore - height * (0.75 + 0.6 * line) + 0.01 * sheet.height
        xs = np.linspace(0, sheet.width, line.size)
        outline = [*zip(xs.tolist(), ys.tolist(), strict=True)]
        colour = mix(hues.haze, hues.ground, 0.75 * near)
        sheet.polygon([*outline, (sheet.width, shore + 2), (0, shore + 2)], colour)


def _water(rng: np.random.Generator, sheet: Sheet, hues: Palette, shore: float) -> None:
    top = round(shore)
    depth = sheet.height - top
    above = sheet.image.crop((0, max(0, top - depth), sheet.width, max(top, 1)))
    mirror = above.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((sheet.width, depth))
    mirror = mirror.filter(ImageFilter.BoxBlur((2.0, 5.0)))
    pixels = np.asarray(mirror)
    rows = np.arange(depth)
    swell = rng.uniform(0.12, 0.3)
    shift = (2 + 9 * rows / depth) * np.sin(swell * rows / (1 + 2.5 * rows / depth))
    columns = (np.arange(sheet.width)[None, :] + shift[:, None].astype(int)) % sheet.width
    rippled = np.take_along_axis(pixels, columns[..., None], axis=1)  # (depth, width, 3)
    water = Image.blend(
        Image.fromarray(np.ascontiguousarray(rippled)),
        Image.new("RGB", mirror.size, mix(hues.ground, hues.zenith, 0.5)),
        0.32,
    )
    sheet.image.paste(water, (0, top))
    for _ in range(int(rng.integers(8, 20))):
        y = shore + float(rng.uniform(0.04, 1)) * depth
        x = float(rng.uniform(0, sheet.width))
        half = float(rng.uniform(0.01, 0.05)) * sheet.width
        sheet.stroke([(x - half, y), (x + half, y)], mix(hues.horizon, hues.light, 0.5), 2)


def _meadow(rng: np.random.Generator, sheet: Sheet, hues: Palette, shore: float) -> None:
    top = mix(hues.ground, hues.haze, 0.28)
    line = shore + 0.012 * sheet.height * ridge(rng, 33, 0.5)
    xs = np.linspace(0, sheet.width, line.size)
    edge = [*zip(xs.tolist(), line.tolist(), strict=True)]
    sheet.polygon(
        [*edge, (sheet.width, shore + 0.05 * sheet.height), (0, shore + 0.05 * sheet.height)], top
    )
    sheet.backdrop(top, darker(hues.ground, 0.3), shore + 0.02 * sheet.height)
    small = (sheet.width // 4, max(2, (sheet.height - round(shore)) // 2))
    patches = soft_mask(mottle(rng, small, cells=5), -0.4, 3.0)
    mask = Image.new("L", sheet.image.size)
    mask.paste(patches.resize((sheet.width, sheet.height - round(shore))), (0, round(shore)))
    sheet.veil(mask.point([round(0.5 * v) for v in range(256)]), mix(hues.ground, hues.light, 0.35))
    if rng.random() < 0.35:  # a path that leads towards the horizon
        foot = float(rng.uniform(0.1, 0.9)) * sheet.width
        head = foot + float(rng.uniform(-0.25, 0.25)) * sheet.width
        wide = 0.06 * sheet.width
        sheet.polygon(
            [
                (foot - wide, sheet.height),
                (foot + wide, sheet.height),
                (head + wide * 0.06, shore),
                (head - wide * 0.06, shore),
            ],
            mix(hues.haze, hues.ground, 0.35),
        )


def _bystanders(
    rng: np.random.Generator, sheet: Sheet, hues: Palette, shore: float, shot: Shot
) -> None:
    """Plant a few trees that leave the landmark's place free."""
    plant = conifer if rng.random() < 0.5 else round_tree
    clear = shot.extent * shot.aspect * sheet.height * 0.7
    for depth in np.sort(rng.uniform(0, 1, int(rng.integers(2, 9)))):
        x = float(rng.uniform(-0.02, 1.02)) * sheet.width
        if abs(x - shot.x * sheet.width) < clear:
            continue
        y = shore + float(depth) * 0.4 * (sheet.height - shore)
        size = (0.07 + 0.13 * float(depth)) * sheet.height
        shade = mix(hues.haze, hues.ground, 0.55 + 0.4 * float(depth))
        plant(rng, sheet, (x, y), size, Tones(shade, hues.light))
