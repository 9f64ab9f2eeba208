import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vta_cli.images import views
from vta_cli.records import Preprocess

FILTERS = ["bicubic", "bilinear", "lanczos", "nearest", "box"]


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def torchvision():
    return pytest.importorskip("torchvision.transforms")


SIZES = [(512, 512), (640, 427), (427, 641), (224, 224), (336, 224), (225, 223), (91, 333)]
SIZES += [(100, 80), (1, 40), (333, 1), (1023, 257), (7, 5)]


@pytest.mark.parametrize(("resize_px", "crop_px"), [(224, 224), (256, 224), (248, 224), (64, 97)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_shortest_equals_torchvision_bit_for_bit(torchvision, resize_px, crop_px, interpolation):
    theirs = torchvision.Compose(
        [
            torchvision.Resize(
                resize_px, interpolation=torchvision.InterpolationMode(interpolation)
            ),
            torchvision.CenterCrop(crop_px),
        ]
    )
    preprocess = Preprocess("shortest", resize_px, crop_px, interpolation)
    for width, height in SIZES:
        pixels = noise(width, height)
        expected = np.asarray(theirs(Image.fromarray(pixels)))
        np.testing.assert_array_equal(views.apply(pixels, preprocess), expected)


@pytest.mark.parametrize("crop_px", [224, 97])
def test_squash_equals_torchvision_bit_for_bit(torchvision, crop_px):
    theirs = torchvision.Resize(
        (crop_px, crop_px), interpolation=torchvision.InterpolationMode.BICUBIC
    )
    for width, height in SIZES:
        pixels = noise(width, height)
        expected = np.asarray(theirs(Image.fromarray(pixels)))
        got = views.apply(pixels, Preprocess("squash", crop_px, crop_px))
        np.testing.assert_array_equal(got, expected)


def test_the_pipelines_of_the_network_packages_see_the_same_pixels():
    open_clip_transform = pytest.importorskip("open_clip.transform")
    timm_data = pytest.importorskip("timm.data")
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    cases = [
        (
            open_clip_transform.image_transform(224, is_train=False, **plain),
            Preprocess("shortest", 224, 224),
        ),
        (
            open_clip_transform.image_transform(
                384, is_train=False, resize_mode="squash", interpolation="bicubic", **plain
            ),
            Preprocess("squash", 384, 384),
        ),
        (
            timm_data.create_transform(
                224, is_training=False, crop_pct=0.875, interpolation="bicubic", **plain
            ),
            Preprocess("shortest", 256, 224),
        ),
        (
            timm_data.create_transform(
                224, is_training=False, crop_pct=0.9, interpolation="bilinear", **plain
            ),
            Preprocess("shortest", 248, 224, "bilinear"),
        ),
        (
            timm_data.create_transform(
                288,
                is_training=False,
                crop_pct=1.0,
                crop_mode="squash",
                interpolation="bicubic",
                **plain,
            ),
            Preprocess("squash", 288, 288),
        ),
    ]
    for theirs, preprocess in cases:
        for width, height in ((641, 427), (301, 512), (150, 99)):
            pixels = noise(width, height)
            expected = (theirs(Image.fromarray(pixels)) * 255).round().byte().numpy()
            got = views.apply(pixels, preprocess)
            np.testing.assert_array_equal(got.transpose(2, 0, 1), expected)


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(FILTERS),
)
def test_views_have_the_promised_size(width, height, resize_px, crop_px, interpolation):
    pixels = noise(width, height)
    for mode in ("shortest", "squash"):
        got = views.apply(pixels, Preprocess(mode, resize_px, crop_px, interpolation))
        assert got.shape == (crop_px, crop_px, 3)
        assert got.dtype == np.uint8
        assert got.flags.c_contiguous
    got = views.apply(pixels, Preprocess("native", resize_px, 0, interpolation))
    assert max(got.shape[:2]) == min(max(width, height), resize_px)
    assert min(got.shape) >= 1


def test_native_leaves_small_pictures_alone_and_keeps_the_aspect_of_large_ones():
    pixels = noise(30, 20)
    assert views.apply(pixels, Preprocess("native", 30, 0)) is pixels
    assert views.apply(pixels, Preprocess("native", 0, 0)) is pixels
    assert views.apply(noise(300, 200), Preprocess("native", 150, 0)).shape == (100, 150, 3)


def test_a_crop_shows_the_centre():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 200
    got = views.apply(pixels, Preprocess("shortest", 50, 50, "box"))
    np.testing.assert_array_equal(got, 200)


def test_a_flat_colour_stays_flat_under_every_filter():
    pixels = np.full((77, 130, 3), (10, 128, 250), np.uint8)
    for interpolation in FILTERS:
        got = views.apply(pixels, Preprocess("shortest", 64, 48, interpolation))
        np.testing.assert_array_equal(got.reshape(-1, 3), np.tile([[10, 128, 250]], (48 * 48, 1)))


@pytest.mark.parametrize("shape", [(20000, 1), (1, 20000), (30000, 3)])
def test_extreme_aspects_do_not_need_gigabytes(shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    got = views.apply(pixels, Preprocess("shortest", 336, 336))
    assert got.shape == (336, 336, 3)


def test_the_shortcut_for_extreme_aspects_agrees_with_the_whole(monkeypatch):
    for width, height in ((900, 7), (5, 700), (60, 55)):
        pixels = noise(width, height)
        # a filter without overshoot: Pillow clips between its two passes and chooses their order
        for preprocess in (
            Preprocess("shortest", 64, 64, "bilinear"),
            Preprocess("shortest", 20, 33, "bilinear"),
        ):
            whole = views.apply(pixels, preprocess)
            with monkeypatch.context() as small:
                small.setattr(views, "MAX_RESIZED_PIXELS", 0)
                part = views.apply(pixels, preprocess)
            assert np.abs(part.astype(int) - whole).max() <= 1
