"""Recompute the centres and scales of the classic backbone from sample pictures.

    python -m benchmarks.classic_constants [--data DIR] [--out FILE]

Every set counts the same, however many pictures it has. No label is looked at. Changing the
constants changes the vectors, so the version in `classic_recipe.py` has to change with them.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.classic_data import DATA, read_picture
from vta_cli.backbones import classic_blocks

SETS = {
    "portraits": "unlabelled/*.jpg",
    "biq2021_quality": "images/*.jpg",
    "dogs_cats": "*/*.jpg",
    "neardup_made": "images/*.jpg",
}
"""Sets and patterns of the pictures used; at most `LIMIT` of each."""

LIMIT = 250

NOTE = (
    "Centre and scale of each channel of the classic backbone, over up to 250 pictures each of "
    "generated portraits, photographs of BIQ2021, pets, and photographs with edits; no labels were "
    "used. Made by benchmarks/classic_constants.py."
)

FLOORS = {"colours": 0.5}
"""Least scale of a channel, as a share of the root mean square scale of its block.

High for histograms, whose rare bins must not count as much as the common ones."""

OTHER_FLOOR = 0.1


def constants(data: Path) -> dict:
    moments: dict[str, list] = {}
    for name, pattern in SETS.items():
        files = sorted((data / name).glob(pattern))[:LIMIT]
        measures = [classic_blocks.measure(read_picture(file)) for file in files]
        for block in classic_blocks.SHARES:
            values = np.stack([m[block] for m in measures]).astype(np.float64)
            both = values.mean(axis=(0, 2)), (values**2).mean(axis=(0, 2))
            moments.setdefault(block, []).append(both)
    blocks = {}
    for block, pairs in moments.items():
        centre, square = (np.mean(column, axis=0) for column in zip(*pairs, strict=True))
        variance = np.maximum(square - centre**2, 0)
        scale = np.sqrt(np.maximum(variance, FLOORS.get(block, OTHER_FLOOR) ** 2 * variance.mean()))
        blocks[block] = {
            "centre": [float(f"{value:.4g}") for value in centre],
            "scale": [float(f"{value:.4g}") for value in scale],
        }
    return blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    blocks = constants(args.data)
    lines = ",\n".join(f' "{name}": {json.dumps(pair)}' for name, pair in blocks.items())
    text = f'{{"note": {json.dumps(NOTE)},\n"blocks": {{\n{lines}\n}}}}\n'
    args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
