"""The fast resize stays close to the network's own transform; the exact one equals it."""

from dataclasses import replace

import numpy as np
import pytest
import small_nets
import timm
import torch
from PIL import Image

from vta_cli.backbones import registry
from vta_cli.backbones.protocol import RESIZE, is_exact
from vta_cli.images.views import apply
from vta_cli.pipelines.score import stands_in


def picture(width, height, seed=0):
    """Return smooth waves with a little noise, as photographs have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [np.sin(40 * (x * a + y * b)) for a, b in rng.normal(size=(3, 2))]
    noisy = np.stack(waves, -1) * 80 + 128 + rng.normal(scale=8, size=(height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return (fast, exact) of one small network with random weights, and its own transform."""
    folder = tmp_path_factory.mktemp("net")
    net = small_nets.save_timm(folder / "test_vit.safetensors")
    spec = registry.resolve("timm:test_vit")
    fast, exact = (
        registry.load(replace(spec, exact=exact), weights=str(folder), device="cpu")
        for exact in (False, True)
    )
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model=net))
    return fast, exact, net, transform


def view(backbone, pixels):
    return apply(pixels, backbone.recipe.preprocess, backbone.resize)


SIZES = [(512, 512), (640, 427), (200, 311), (1600, 900), (40, 30), (160, 160)]


def test_exact_is_the_networks_own_transform_bit_for_bit(both):
    _, exact, net, transform = both
    for size in SIZES:
        pixels = picture(*size)
        theirs = transform(Image.fromarray(pixels))
        seen = (view(exact, pixels).astype(np.float32) / 255).transpose(2, 0, 1)
        mean, std = (np.float32(exact.recipe.extra[k])[:, None, None] for k in ("mean", "std"))
        assert np.array_equal((seen - mean) / std, theirs.numpy())
        with torch.inference_mode():
            wanted = net(theirs[None]).numpy()
        np.testing.assert_allclose(
            exact.embed([view(exact, pixels)]), wanted, rtol=1e-4, atol=1e-5 * abs(wanted).max()
        )


def test_fast_deviates_by_two_levels_at_most_and_hardly_in_its_vectors(both):
    fast, exact, _, _ = both
    for seed, size in enumerate(SIZES):
        pixels = picture(*size, seed)
        a, b = view(fast, pixels), view(exact, pixels)
        assert a.shape == b.shape
        assert a.flags.c_contiguous
        assert np.abs(a.astype(int) - b).max() <= 2
        u, v = fast.embed([a])[0], exact.embed([b])[0]
        assert u @ v / np.linalg.norm(u) / np.linalg.norm(v) >= 0.9999


def test_the_recipe_tells_them_apart(both):
    fast, exact, _, _ = both
    assert fast.recipe.extra["resize"] == RESIZE
    assert "resize" not in exact.recipe.extra
    assert is_exact(exact.recipe)
    assert not is_exact(fast.recipe)
    assert fast.recipe.digest != exact.recipe.digest
    assert stands_in(exact.recipe, fast.recipe)  # a head trained on one reads the other


def test_a_pass_that_is_begun_gives_the_same_rows(both):
    fast, _, _, _ = both
    pictures = small_nets.pictures(5, fast.recipe.preprocess.crop_px)
    assert np.array_equal(fast.start(pictures)(), fast.embed(pictures))
