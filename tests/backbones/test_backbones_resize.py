"""The fast way stays close to the network's own transform; the exact one equals it."""

import io
from dataclasses import replace

import numpy as np
import pytest
import small_nets
import timm
import torch
from PIL import Image

from tests.conftest import SHARED
from vta_cli.backbones import registry
from vta_cli.backbones.protocol import RESIZE, is_exact
from vta_cli.backbones.resize import resize
from vta_cli.images.picture import Picture, shrink_for
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


def test_exact_is_open_clips_own_transform_bit_for_bit_from_the_file_on(tmp_path):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    net = small_nets.save_clip(tmp_path / "tiny")
    spec = replace(registry.resolve(f"open_clip:{tmp_path / 'tiny'}"), exact=True)
    exact = registry.load(spec, weights=str(tmp_path / "tiny"), device="cpu")
    config = PreprocessCfg(size=small_nets.CLIP_PX, **small_nets.CLIP_CONFIG["preprocess_cfg"])
    transform = image_transform_v2(config, is_train=False)
    mean, std = (np.float32(exact.recipe.extra[k])[:, None, None] for k in ("mean", "std"))
    for seed, size in enumerate([(512, 512), (641, 427), (40, 311), (1024, 768)]):
        data = jpeg(picture(*size, seed))
        with Image.open(io.BytesIO(data)) as image:
            theirs = transform(image)
        seen = Picture(data).readings(exact.recipe.preprocess, "whole", exact.resize)
        ours = (seen[0].astype(np.float32) / 255).transpose(2, 0, 1)
        assert np.array_equal((ours - mean) / std, theirs.numpy())
        with torch.inference_mode():
            wanted = net.encode_image(theirs[None]).numpy()
        np.testing.assert_allclose(exact.embed(seen), wanted, rtol=1e-4, atol=1e-5)


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


def jpeg(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()


@pytest.fixture(scope="module")
def large():
    """Return large JPEGs of real photographs: enlarged ones, and sharp ones side by side."""
    files = sorted((SHARED / "biq2021_quality" / "images").glob("*.jpg"))
    if not files:
        pytest.skip("no sample data beside the checkout")
    photos = [Image.open(file).convert("RGB") for file in files[:120:5]]
    found = [jpeg(np.asarray(one.resize((2480, 1840), Image.BICUBIC))) for one in photos[:5]]
    for first in (0, 8):
        parts = [np.asarray(one.resize((512, 460))) for one in photos[first : first + 16]]
        rows = [np.concatenate(parts[at : at + 4], axis=1) for at in range(0, 16, 4)]
        found.append(jpeg(np.concatenate(rows)))
    return found


def cosines(backbone, preprocess, large):
    """Return the cosine between each picture's exact vector and the fast one, half its size."""
    found = []
    for data in large:
        seen = Picture(data)
        assert shrink_for((seen.width, seen.height), preprocess, "whole") == 2
        exact = seen.readings(preprocess, "whole", None)[0]
        fast = seen.readings(preprocess, "whole", resize)[0]
        assert np.abs(exact.astype(int) - fast).mean() < 0.5
        u, v = (backbone.embed([one])[0].astype(np.float64) for one in (exact, fast))
        found.append(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    return np.array(found)


def test_vectors_of_pictures_decoded_at_half_their_size_hardly_move(both, large):
    fast, _, _, _ = both
    found = cosines(fast, replace(fast.recipe.preprocess, resize_px=224), large)
    assert found.min() >= 0.9999


def test_nor_do_those_of_a_network_that_was_trained(large):
    """SqueezeNet moves as far if one pixel in ten changes by one level."""
    weights = sorted((SHARED / "weights").rglob("SqueezeNet*.onnx"))
    if not weights:
        pytest.skip("no sample weights beside the checkout")
    pytest.importorskip("onnxruntime")
    spec = registry.resolve("onnx:squeezenet")
    backbone = registry.load(spec, weights=str(weights[0]), device="cpu")
    found = cosines(backbone, backbone.recipe.preprocess, large)
    assert found.mean() >= 0.9999
    assert found.min() >= 0.9996
