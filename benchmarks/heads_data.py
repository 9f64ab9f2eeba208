"""Labelled sets and their vectors, for the benchmark of the heads."""

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vta_cli.backbones.protocol import Backbone
from vta_cli.backbones.registry import load, resolve
from vta_cli.images.decode import decode
from vta_cli.images.views import apply

SAMPLES = Path(__file__).parents[1].parent / "shared" / "data"
"""Sample data beside the checkout."""
BACKBONES = {"squeezenet": "onnx:squeezenet", "classic": "classic/1"}

BEST_MOS = 0.7773
"""Score that three tenths of the quality set reach: a lopsided taste."""
Label = Callable[[dict[str, str]], int]

SETS: dict[str, tuple[str, Label]] = {
    "portraits": ("portraits", lambda row: int(row["label"])),
    "dogs": ("dogs_cats", lambda row: int(row["label"] == "dog")),
    "quality": ("biq2021_quality", lambda row: int(row["above_median"])),
    "best three tenths": ("biq2021_quality", lambda row: int(float(row["mos"]) >= BEST_MOS)),
    "best fifth": ("biq2021_quality", lambda row: int(row["grade5"] == "5")),
    "apples": ("fruit_tiny", lambda row: int(row["label"] == "apple")),
}
"""Set by name: its folder, and what is a positive in it."""


@dataclass(frozen=True)
class LabelledSet:
    """`x` of shape (n, dim), raw float32 vectors; `y` of shape (n,), 0 and 1."""

    name: str
    x: np.ndarray
    y: np.ndarray


def labelled_sets(data: Path, names: list[str], backbone: str) -> list[LabelledSet]:
    """Return the wanted sets with vectors of one backbone, kept in a temporary folder."""
    made: dict[str, np.ndarray] = {}
    found = []
    for name in names:
        folder, label = SETS[name]
        rows = _rows(data / folder / "labels.csv")
        if folder not in made:
            made[folder] = _vectors(data, folder, [row["file"] for row in rows], backbone)
        y = np.array([label(row) for row in rows], dtype=np.int8)
        found.append(LabelledSet(name, made[folder], y))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("label", "-") != ""]


def _vectors(data: Path, folder: str, files: list[str], backbone: str) -> np.ndarray:
    loaded = _load(data, backbone)
    digest = loaded.recipe.digest[:12]
    cache = Path(tempfile.gettempdir()) / f"vta-bench-{folder}-{backbone}-{digest}.npy"
    if cache.is_file():
        kept = np.load(cache)
        if len(kept) == len(files):
            return kept
    vectors = np.concatenate(
        [
            loaded.embed([apply(decode((data / folder / f).read_bytes()).pixels,
                                loaded.recipe.preprocess)])
            for f in files
        ]
    )  # fmt: skip
    np.save(cache, vectors)
    return vectors


def _load(data: Path, backbone: str) -> Backbone:
    weights = next((data / "weights").rglob("*.onnx"), None)
    return load(resolve(BACKBONES[backbone]), weights=str(weights) if weights else None)
