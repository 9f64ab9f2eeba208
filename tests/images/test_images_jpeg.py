"""JPEGs read straight into arrays equal Pillow's bit for bit, at every size."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.conftest import SHARED
from vta_cli.errors import UnreadableImageError
from vta_cli.images import jpeg
from vta_cli.images.decode import decode

SIZES = (1, 2, 4, 8)


def picture(width, height, mode="RGB"):
    """Return smooth colour with noise on it."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=-1)
    noisy = np.clip(smooth + rng.integers(-20, 20, smooth.shape), 0, 255)
    return Image.fromarray(noisy.astype(np.uint8)).convert(mode)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def straight(data, shrink=1):
    with Image.open(io.BytesIO(data)) as image:
        return jpeg.pixels_of(data, image, shrink)


def by_pillow(data, shrink=1):
    """Decode with the way round Pillow closed off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "simplejpeg", None)
        return decode(data, shrink=shrink).pixels


@settings(max_examples=60)
@given(
    size=st.one_of(
        st.tuples(st.integers(1, 70), st.integers(1, 70)),
        st.tuples(st.sampled_from([8, 16, 40, 72, 104]), st.sampled_from([8, 24, 64, 136])),
    ),
    quality=st.integers(5, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    orientation=st.integers(0, 9),
    shrink=st.sampled_from(SIZES),
)
def test_pixels_equal_those_of_pillow(size, quality, subsampling, progressive, orientation, shrink):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(
        picture(*size), quality=quality, subsampling=subsampling, progressive=progressive,
        exif=exif,
    )  # fmt: skip
    assert straight(data) is not None
    found = decode(data, shrink=shrink)
    np.testing.assert_array_equal(found.pixels, by_pillow(data, shrink))
    turned = orientation in (5, 6, 7, 8)
    assert (found.width, found.height) == (size[::-1] if turned else size)


@pytest.mark.parametrize("shrink", SIZES)
@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB with a profile"])
def test_other_modes_are_left_to_pillow_and_shrink_all_the_same(mode, shrink):
    options = {}
    if mode.startswith("RGB"):  # LAB is no profile of RGB, so it is passed over: red and blue swap
        options = {"icc_profile": wide_profile()}
    data = saved(picture(64, 48, mode[:4].strip()), **options)
    assert straight(data, shrink) is None
    pixels = decode(data, shrink=shrink).pixels
    assert pixels.shape == (48 // shrink, 64 // shrink, 3)
    full = decode(data).pixels.reshape(48 // shrink, shrink, 64 // shrink, shrink, 3)
    assert np.abs(full.mean(axis=(1, 3)) - pixels).mean() < 8  # the same colours, nothing swapped


def wide_profile():
    """Return an RGB profile that is not sRGB: the red and the blue primary change places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ", 128), data.index(b"bXYZ", 128)
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def test_a_profile_is_applied_to_the_small_picture_as_to_the_large():
    image = Image.new("RGB", (64, 64), (250, 20, 10))
    data = saved(image, icc_profile=wide_profile(), quality=100, subsampling=0)
    plain = decode(saved(image, quality=100, subsampling=0)).pixels
    assert np.abs(decode(data).pixels.astype(int) - plain).max() > 50
    small, full = decode(data, shrink=4).pixels, decode(data).pixels
    assert np.abs(small.astype(int) - full[::4, ::4]).max() <= 1


def test_stored_rgb_and_profiles_are_as_pillow_has_them():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        saved(picture(40, 32), keep_rgb=True),
        saved(picture(40, 32), icc_profile=profile),
        saved(picture(40, 32), icc_profile=b"no profile"),
    ):
        for shrink in SIZES:
            found = decode(data, shrink=shrink).pixels
            np.testing.assert_array_equal(found, by_pillow(data, shrink))


def test_what_does_not_divide_comes_in_full():
    data = saved(picture(66, 64))
    np.testing.assert_array_equal(decode(data, shrink=4).pixels, decode(data).pixels)
    assert decode(data, shrink=2).pixels.shape == (32, 33, 3)


def test_other_formats_come_in_full():
    out = io.BytesIO()
    picture(64, 64).save(out, "PNG")
    assert decode(out.getvalue(), shrink=8).pixels.shape == (64, 64, 3)


def test_bytes_behind_the_end_change_nothing():
    data = saved(picture(40, 30))
    np.testing.assert_array_equal(decode(data + b"tail" * 9).pixels, decode(data).pixels)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_cut_files_are_refused_at_every_size_alike(share, progressive):
    data = saved(picture(64, 64), quality=95, progressive=progressive)
    cut = data[: int(len(data) * share)]
    with Image.open(io.BytesIO(cut)) as image:
        assert jpeg.pixels_of(cut, image) is None
    slugs = set()
    for shrink in SIZES:
        with pytest.raises(UnreadableImageError) as caught:
            decode(cut, shrink=shrink)
        slugs.add(caught.value.slug)
    assert slugs == {"truncated"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no sample data beside the checkout")
def test_real_photographs():
    files = sorted((SHARED / "biq2021_quality" / "images").glob("*.jpg"))[:12]
    files += sorted((SHARED / "dogs_cats").rglob("*.jpg"))[:12]
    files += sorted((SHARED / "neardup_real").rglob("*.jpg"))[::8]
    assert len(files) > 24
    for file in files:
        data = file.read_bytes()
        for shrink in (1, 2):
            np.testing.assert_array_equal(
                decode(data, shrink=shrink).pixels, by_pillow(data, shrink)
            )
