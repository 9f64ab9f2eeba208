"""Fixtures that several rooms' tests share: small real pictures, and the real commands on them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import forked
import hypothesis
import numpy as np
import pytest
from PIL import Image, ImageFilter

# A busy machine is slow now and then; that is no failure.
hypothesis.settings.register_profile("vta", deadline=None)
hypothesis.settings.load_profile("vta")

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


# Files of the last seconds are not trusted by their time stamps, so the fixtures' are older.
OLD_S = 1_700_000_000


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str


OF_THE_SHELL = frozenset(name for name in os.environ if name.startswith("VTA_"))
"""Settings of whoever runs the tests, and of this suite: none of the commands' business."""


def environment(more):
    """Return what a command sees: no settings but those of the test."""
    own = {name: value for name, value in os.environ.items() if name not in OF_THE_SHELL}
    return own | {"VTA_OFFLINE": "1", "COLUMNS": "100"} | (more or {})


def run_vta(*args, cwd, stdin=None, env=None, timeout=300):
    """Run the real `vta` in its own process."""
    words = [*map(str, args)]
    if env is None and forked.can_fork():
        ran = forked.run(words, cwd=cwd, stdin=stdin, env=environment(None), timeout=timeout)
        return Ran(
            ran[0], ran[1].decode("utf-8", "surrogateescape"), ran[2].decode("utf-8", "replace")
        )
    done = subprocess.run(
        [sys.executable, "-m", "vta_cli", *words],
        cwd=cwd, input=stdin, capture_output=True, check=False, timeout=timeout,
        env=environment(env),
    )  # fmt: skip
    return Ran(
        done.returncode,
        done.stdout.decode("utf-8", "surrogateescape"),
        done.stderr.decode("utf-8", "replace"),
    )


@pytest.fixture(scope="session")
def vta():
    """Return the function that runs `vta` as a user would."""
    return run_vta


def draw(path, *, liked, seed, side=96):
    """Draw one picture: liked ones hold a large warm disc, the others a small cold square."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (side, side, 3), dtype=np.uint8)
    canvas = Image.fromarray(noise + np.uint8(60)).filter(ImageFilter.GaussianBlur(1))
    pixels = np.asarray(canvas).copy()
    y, x = np.mgrid[:side, :side]
    cx, cy = rng.uniform(0.35, 0.65, 2) * side
    if liked:
        mask = (x - cx) ** 2 + (y - cy) ** 2 < (side * rng.uniform(0.28, 0.38)) ** 2
        colour = (230, 140 + int(rng.integers(0, 40)), 60)
    else:
        half = side * rng.uniform(0.06, 0.12)
        mask = (abs(x - cx) < half) & (abs(y - cy) < half)
        colour = (40, 90, 170 + int(rng.integers(0, 60)))
    pixels[mask] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=92)
    os.utime(path, (OLD_S + seed, OLD_S + seed))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Return a folder with pics/ (24 unlabelled), liked/ (12) and disliked/ (12)."""
    root = tmp_path_factory.mktemp("drawn")
    for index in range(24):
        draw(root / "pics" / f"p{index:02d}.jpg", liked=index % 2 == 0, seed=index)
    for index in range(12):
        draw(root / "liked" / f"l{index:02d}.jpg", liked=True, seed=100 + index)
        draw(root / "disliked" / f"d{index:02d}.jpg", liked=False, seed=200 + index)
    return root


@pytest.fixture(scope="session")
def _trained(drawn, tmp_path_factory):
    root = tmp_path_factory.mktemp("trained") / "work"
    shutil.copytree(drawn, root)
    ran = run_vta("embed", "pics", "liked", "disliked", "--preset", "classic", cwd=root)
    assert ran.code == 0, ran.err
    ran = run_vta("train", "--pos", "liked", "--neg", "disliked", cwd=root)
    assert ran.code == 0, ran.err
    return root


@pytest.fixture(scope="session")
def trained_once(_trained):
    """Return a folder as `trained_folder`, shared by tests that change nothing in it."""
    (_trained / "empty").mkdir()
    (_trained / "texts").mkdir()
    (_trained / "texts/readme.txt").write_text("no picture")
    return _trained


@pytest.fixture
def trained_folder(_trained, tmp_path):
    """Return a fresh copy of a folder with pictures, a filled store and a trained head."""
    root = tmp_path / "work"
    shutil.copytree(_trained, root, copy_function=_copy_with_times)
    # the catalogue knows absolute paths: the copy's files are made known by one embed
    ran = run_vta("embed", "pics", "liked", "disliked", cwd=root)
    assert ran.code == 0, ran.err
    return root


def _copy_with_times(source, target):
    return shutil.copy2(source, target)


@pytest.fixture
def fresh(drawn, tmp_path):
    """Return a fresh copy of the drawn pictures, without a store."""
    root = tmp_path / "fresh"
    shutil.copytree(drawn, root)
    return root


@pytest.fixture(scope="session")
def shared_data():
    """Return the sample data beside the checkout, or skip."""
    if not SHARED.is_dir():
        pytest.skip("the sample data is not beside this checkout")
    return SHARED
