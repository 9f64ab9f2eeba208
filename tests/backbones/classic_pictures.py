"""Pictures made from formulas, for the tests of the classic backbone."""

import numpy as np


def waves(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Smooth coloured waves: six sines of seeded direction and phase a channel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    planes = []
    for _ in range(3):
        total = np.zeros((height, width))
        for _ in range(6):
            fy, fx, phase = *rng.integers(-9, 10, 2).tolist(), rng.random()
            total += np.sin(2 * np.pi * (fy * y + fx * x + phase))
        planes.append(127.5 + 100 * total / 3)
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def grain(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Independent uniform noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scene(height: int = 200, width: int = 260) -> np.ndarray:
    """A sky that darkens, ground, a red disc on the left and a bright post on the right."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    out = np.empty((height, width, 3))
    out[:] = np.stack([90 + 60 * y / height, 140 + 40 * y / height, 230 - 50 * y / height], -1)
    ground = y > 0.7 * height
    out[ground] = (70, 110, 50)
    out[ground] += 25 * np.sin(0.9 * x + 0.4 * y)[ground][:, None]
    disc = (y - 0.4 * height) ** 2 + (x - 0.3 * width) ** 2 < (0.18 * height) ** 2
    out[disc] = (200, 40, 30)
    out[(x > 0.8 * width) & (x < 0.84 * width) & (y > 0.2 * height)] = (240, 240, 220)
    return np.clip(out, 0, 255).astype(np.uint8)


def golden() -> list[np.ndarray]:
    """The pictures whose vectors are pinned."""
    return [
        waves(),
        scene(),
        grain(37, 21),
        np.full((5, 9, 3), (10, 200, 90), np.uint8),
        waves(300, 40, 1),
    ]
