"""The classic backbone as others use it: shape, limits, independence, pinned values."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import classic_pictures as pictures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.backbones import classic, classic_recipe
from vta_cli.errors import UsageError
from vta_cli.records import Recipe

GOLDEN = Path(__file__).parent / "classic_golden.npy"
EVERY = 7  # every seventh column is pinned: a few kilobytes that touch each block


@pytest.fixture(scope="module")
def backbone():
    return classic.load()


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_recipe_is_told_without_scipy_and_matches_the_backbone(backbone):
    code = (
        "import sys; from vta_cli.backbones.classic_recipe import recipe; print(recipe().digest);"
        "print(sorted({'scipy', 'PIL', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.split("\n")[:2] == [backbone.recipe.digest, "[]"]


def test_recipe_survives_json_and_names_the_version(backbone):
    recipe = backbone.recipe

    assert Recipe.from_json(recipe.to_json()).digest == recipe.digest
    assert (recipe.backbone, recipe.weights, recipe.precision) == ("classic/1", "none", "fp32")
    assert recipe.space_name.startswith("classic-1-")


def test_golden_vectors(backbone):
    got = backbone.embed(pictures.golden())[:, ::EVERY]

    np.testing.assert_allclose(got, np.load(GOLDEN), rtol=0, atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1024), (1024, 1), (2, 3), (3, 2), (17, 5), (700, 9)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_of_any_size_are_finite_and_fit_float16(backbone, shape, value):
    row = backbone.embed([np.full((*shape, 3), value, np.uint8)])

    assert row.shape == (1, classic_recipe.DIM)
    assert row.dtype == np.float32
    assert np.isfinite(row.astype(np.float16)).all()
    assert 1.0 < np.linalg.norm(row) <= 10.001


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.booleans())
def test_any_picture_is_finite_bounded_and_repeatable(height, width, seed, harsh):
    pixels = pictures.grain(height, width, seed)
    if harsh:
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
    once, twice = classic.load().embed([pixels, pixels.copy()])

    assert np.isfinite(once).all()
    assert np.abs(once).max() <= 10.0
    np.testing.assert_array_equal(once, twice)


def test_a_row_does_not_depend_on_its_batch_mates_nor_on_their_order(backbone):
    batch = pictures.golden()
    together = backbone.embed(batch)
    alone = np.concatenate([backbone.embed([pixels]) for pixels in batch])

    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(backbone.embed(batch[::-1]), alone[::-1])


def test_threads_give_the_same_rows(backbone):
    batch = pictures.golden() * 3
    alone = backbone.embed(batch)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda pixels: backbone.embed([pixels])[0], batch))

    np.testing.assert_array_equal(np.stack(rows), alone)


def test_embedding_leaves_the_pixels_alone_and_takes_read_only_views(backbone):
    pixels = pictures.scene()
    before = pixels.copy()
    pixels.flags.writeable = False
    strided = np.repeat(pixels, 2, axis=0)[::2]

    np.testing.assert_array_equal(backbone.embed([strided]), backbone.embed([pixels]))
    np.testing.assert_array_equal(pixels, before)


def test_an_empty_batch_gives_no_rows(backbone):
    assert backbone.embed([]).shape == (0, classic_recipe.DIM)


def test_other_precisions_are_refused_and_devices_do_not_matter():
    with pytest.raises(UsageError, match="fp32"):
        classic.load(precision="bf16")

    assert classic.load(device="cuda", weights="x", precision="fp32", batch_size=3).batch_size == 3


def test_light_edits_are_near_copies_and_other_pictures_are_not(backbone):
    scene = pictures.scene()
    brighter = np.clip(scene.astype(float) * 1.05, 0, 255).astype(np.uint8)
    edge = scene[2:-2, 2:-2]
    others = [pictures.waves(200, 260, seed) for seed in range(3)]
    rows = unit(backbone.embed([scene, brighter, edge, *others]))
    similar = rows @ rows[0]

    assert similar[1:3].min() > classic_recipe.DEDUPE_THRESHOLD
    assert similar[3:].max() < 0.6


def test_a_mirror_image_is_alike_but_not_a_near_copy_of_everything(backbone):
    scene = pictures.scene()
    rows = unit(backbone.embed([scene, scene[:, ::-1], pictures.waves(200, 260)]))

    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3
    assert rows[0] @ rows[1] < 0.9999
