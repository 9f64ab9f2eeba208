"""How a made picture is taken, and how much the made-up person likes it.

A `Shot` holds what a photographer decides: light, focus, exposure, and where the subject stands.
The hidden taste is a smooth function of these alone, never of what is shown, so that it has to be
learned across portraits, landscapes, still-life pictures and photographs alike.
"""

import math
from dataclasses import dataclass

import numpy as np

TASTE = (
    "Likes a sharp picture in warm light, its subject whole, with room around it, near the middle "
    "or a third; dislikes blur, burnt-out or murky exposure, and a subject that is cut off."
)
"""The hidden taste in one sentence."""

WOBBLE = 0.28
"""Standard deviation of the person's mood, in units of the liking's own spread (about 1)."""


@dataclass(frozen=True)
class Shot:
    """What decides the liking of a picture.

    Attributes
    ----------
    width_px, height_px : int
        Size of the finished picture [px].
    x, y : float
        Centre of the subject, in widths and heights of the frame.
    extent : float
        Height of the subject in heights of the frame.
    aspect : float
        Width of the subject over its height.
    warmth : float
        Colour of the light: -1 cold and blue, 1 warm and golden.
    blur_px : float
        Standard deviation of the blur [px of the finished picture].
    exposure_ev : float
        Stops away from a right exposure.
    """

    width_px: int
    height_px: int
    x: float
    y: float
    extent: float
    aspect: float
    warmth: float
    blur_px: float
    exposure_ev: float

    @property
    def cut(self) -> float:
        """Share of the subject's box that lies outside the frame, 0..1."""
        half_y = self.extent / 2
        half_x = half_y * self.aspect * self.height_px / self.width_px
        inside = _overlap(self.x, half_x) * _overlap(self.y, half_y)
        return max(0.0, 1 - inside / (4 * half_x * half_y))

    @property
    def framing(self) -> float:
        """How well the subject is placed, 0 (cut in half) to 1 (whole, with room, on a third)."""
        whole = math.exp(-((self.cut / 0.14) ** 2))
        excess = max(0.34 / self.extent, self.extent / 0.72, 1) - 1  # outside a comfortable size
        room = math.exp(-((excess / 0.45) ** 2))
        off = min(abs(self.x - spot) for spot in (1 / 3, 1 / 2, 2 / 3))
        placed = math.exp(-((off / 0.09) ** 2))
        return whole * (0.25 + 0.5 * room + 0.25 * placed)

    @property
    def liking(self) -> float:
        """The hidden taste without its mood: mean about 0, standard deviation about 1.

        A weighted sum of four terms of the same range; the weights are invented, and such that
        none of the terms alone orders the pictures well.
        """
        sharp = math.exp(-((self.blur_px / 1.4) ** 2))
        burnt = 0.75 if self.exposure_ev > 0 else 1.1  # what is burnt out is lost sooner
        exposed = math.exp(-((self.exposure_ev / burnt) ** 2))
        light = (self.warmth + 1) / 2
        raw = 1.5 * self.framing + 0.7 * sharp + 0.6 * exposed + 2.2 * light
        return (raw - 2.74) / 1.2


def _overlap(centre: float, half: float) -> float:
    return max(0.0, min(1.0, centre + half) - max(0.0, centre - half))


@dataclass(frozen=True)
class Hand:
    """How often a photographer gets things right; all are chances of the named outcomes."""

    focus: tuple[float, float, float]  # sharp, slightly soft, blurred
    exposure: tuple[float, float, float]  # right, too light, too dark
    framing: tuple[float, float, float, float]  # good, cut off, too near, too far
    warm: float


# Virtues come together in real folders, too: who frames with care mostly focuses with care.
CAREFUL = Hand((0.65, 0.23, 0.12), (0.82, 0.11, 0.07), (0.82, 0.08, 0.06, 0.04), warm=0.68)
CARELESS = Hand((0.35, 0.17, 0.48), (0.5, 0.29, 0.21), (0.16, 0.46, 0.2, 0.18), warm=0.32)


def take(rng: np.random.Generator, size_px: tuple[int, int], aspect: float) -> Shot:
    """Draw the lots of one shot, taken by a careful or a careless hand.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the lots.
    size_px : (int, int)
        Width and height of the finished picture [px].
    aspect : float
        Width of the subject over its height.
    """
    hand = CAREFUL if rng.random() < 0.5 else CARELESS
    x, y, extent = _frame(rng, hand, aspect * size_px[1] / size_px[0])
    return Shot(
        *size_px,
        x=x,
        y=y,
        extent=extent,
        aspect=aspect,
        warmth=float(rng.beta(2.0, 1.2)) * (1 if rng.random() < hand.warm else -1),
        blur_px=_lot(rng, hand.focus, ((0, 0), (0.2, 0.6), (1.6, 4.0))),
        exposure_ev=_lot(rng, hand.exposure, ((-0.2, 0.2), (0.7, 1.7), (-2.4, -1.0))),
    )


def _lot(
    rng: np.random.Generator, chances: tuple[float, ...], ranges: tuple[tuple[float, float], ...]
) -> float:
    low, high = ranges[int(rng.choice(len(chances), p=chances))]
    return float(rng.uniform(low, high))


def _frame(
    rng: np.random.Generator, hand: Hand, width_over_extent: float
) -> tuple[float, float, float]:
    spot = float(rng.choice((1 / 3, 1 / 2, 2 / 3)))
    y = float(rng.normal(0.5, 0.03))
    how = str(rng.choice(("good", "cut", "near", "far"), p=hand.framing))
    if how == "good":
        return spot + float(rng.normal(0, 0.03)), y, float(rng.uniform(0.4, 0.62))
    if how == "near":
        return spot, y, float(rng.uniform(0.95, 1.4))
    if how == "far":
        extent = float(rng.uniform(0.13, 0.22))
        return float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.3, 0.7)), extent
    extent = float(rng.uniform(0.45, 0.8))
    half = width_over_extent * extent / 2
    beyond = float(rng.uniform(0.5, 1.2)) * half  # how far the subject's edge is out of the frame
    edge = beyond - half
    side = str(rng.choice(("left", "right", "top"), p=(0.4, 0.4, 0.2)))
    if side == "top":
        return spot, extent * float(rng.uniform(-0.1, 0.2)), extent
    return (-edge if side == "left" else 1 + edge), y, extent
