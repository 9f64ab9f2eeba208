"""Files of published heads, made here with random numbers or found beside the checkout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from vta_cli.cli import app

HEADS = Path(__file__).parents[2].parent / "shared" / "data" / "heads"

CITY = {
    "up.0": ("hidden", "dim"),
    "up.1.long.0": ("hidden", "hidden"),
    "up.1.long.2": ("hidden", "hidden"),
    "up.1.long.4": ("hidden", "hidden"),
    "down.0": (128, "hidden"),
    "down.1": (64, 128),
    "down.4": (32, 64),
    "down.5": ("out", 32),
}


def published(name):
    """Return a real published file, or skip."""
    if not (HEADS / name).exists():
        pytest.skip("the published heads are not beside this checkout")
    return HEADS / name


def ratings(width):
    """Return the ten rating vectors published with LAION v1, shape (10, width), unit length."""
    folder = {768: "vit_l_14_embeddings", 512: "vit_b_32_embeddings"}[width]
    return np.concatenate([np.load(published(f"{folder}/rating{i}.npy")) for i in range(10)])


def city_tensors(n_out, *, dim=768, seed=0):
    """Return random tensors of a CityClassifiers head."""
    sizes = {"dim": dim, "hidden": {768: 1024, 1024: 1280}[dim], "out": n_out}
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in CITY.items():
        n_to, n_from = (sizes.get(side, side) for side in shape)
        weight = rng.normal(size=(n_to, n_from)) / np.sqrt(n_from)
        tensors[f"{name}.weight"] = weight.astype(np.float32)
        tensors[f"{name}.bias"] = rng.normal(size=n_to, scale=0.1).astype(np.float32)
    return tensors


def save_city(path, n_out, **options):
    """Save a random CityClassifiers head and return its tensors."""
    tensors = city_tensors(n_out, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return tensors


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str


def run_here(monkeypatch, *args, cwd):
    """Run `vta` in this process."""
    monkeypatch.chdir(cwd)
    env = {"VTA_OFFLINE": "1", "COLUMNS": "100"}
    done = CliRunner().invoke(app, [str(arg) for arg in args], env=env)
    return Ran(done.exit_code, done.stdout, done.stderr)
