import io
import struct
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from vta_cli.errors import UnreadableImageError
from vta_cli.images import decode as decode_module
from vta_cli.images.decode import MAX_PIXELS, REASONS, decode, probe


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width=48, height=32):
    """A picture without symmetry: red grows to the right, green downwards, blue corner top left."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    blue = np.where((x < 64) & (y < 64), 255, 0)
    return Image.fromarray(np.stack([x, y, blue], axis=-1).astype(np.uint8))


def reason_of(data, **options):
    with pytest.raises(UnreadableImageError) as caught:
        decode(data, **options)
    return caught.value.slug


def png(width, height, body=b""):
    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "QOI", "PCX", "TGA", "DDS"])
def test_lossless_formats_give_back_their_pixels(kind):
    got = decode(saved(scene(), kind))

    assert got.format == kind
    assert (got.width, got.height) == (48, 32)
    assert got.pixels.dtype == np.uint8
    assert got.pixels.flags.c_contiguous
    assert got.pixels.flags.writeable
    np.testing.assert_array_equal(got.pixels, np.asarray(scene()))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("WEBP", {"lossless": True}), ("JPEG2000", {}), ("GIF", {}), ("AVIF", {"quality": 100})],
)
def test_other_formats_give_nearly_their_pixels(kind, options):
    got = decode(saved(scene(), kind, **options))

    assert got.format == kind
    error = np.abs(got.pixels.astype(int) - np.asarray(scene()))
    assert error.mean() <= {"GIF": 10, "AVIF": 3}.get(kind, 0)


def test_jpeg_pixels_are_exactly_those_of_pillow():
    data = saved(scene(333, 217), "JPEG", quality=80)
    np.testing.assert_array_equal(decode(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    turn_back = {  # how a camera that is held so stores the upright scene
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = scene() if turn_back is None else scene().transpose(turn_back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = saved(stored, kind, exif=exif, **options.get(kind, {}))

    got = decode(data)

    assert (got.width, got.height) == (48, 32)
    assert np.abs(got.pixels.astype(int) - np.asarray(scene())).max() <= 6
    assert probe(data) == (48, 32, kind)


def test_orientation_of_a_picture_that_is_converted_in_strips(monkeypatch):
    monkeypatch.setattr("vta_cli.images.colour.STRIP_PIXELS", 100)
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        data = saved(scene(41, 29).convert("RGBA"), "PNG", exif=exif)
        with monkeypatch.context() as whole:
            whole.setattr("vta_cli.images.colour.STRIP_PIXELS", 10**9)
            expected = decode(data).pixels
        np.testing.assert_array_equal(decode(data).pixels, expected)


def test_orientation_values_outside_the_standard_are_ignored():
    exif = Image.Exif()
    exif[0x0112] = 9
    got = decode(saved(scene(), "PNG", exif=exif))
    np.testing.assert_array_equal(got.pixels, np.asarray(scene()))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(mode):
    image = Image.new("RGB", (3, 1), (200, 100, 0)).convert(mode[:-1]).convert(mode)
    image.putalpha(Image.frombytes("L", (3, 1), bytes([0, 128, 255])))
    row = decode(saved(image, "PNG")).pixels[0].astype(int)

    colour = np.asarray(Image.new("RGB", (1, 1), (200, 100, 0)).convert(mode[:-1]).convert("RGB"))
    np.testing.assert_array_equal(row[0], [255, 255, 255])
    half = colour[0, 0] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(row[1] - half).max() <= 1
    np.testing.assert_array_equal(row[2], colour[0, 0])


def test_transparency_of_palettes_and_of_plain_modes_is_laid_over_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    got = decode(saved(palette, "PNG", transparency=bytes([0, 255]))).pixels
    np.testing.assert_array_equal(got[0], [[255, 255, 255], [40, 50, 60]])

    got = decode(saved(palette, "GIF", transparency=0)).pixels
    np.testing.assert_array_equal(got[0], [[255, 255, 255], [40, 50, 60]])

    grey = Image.frombytes("L", (2, 1), bytes([7, 9]))
    got = decode(saved(grey, "PNG", transparency=7)).pixels
    np.testing.assert_array_equal(got[0, :, 0], [255, 9])


def test_cmyk_jpegs_with_and_without_the_adobe_inversion():
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    red = decode(saved(ink, "JPEG", quality=95)).pixels.mean(axis=(0, 1))
    assert red[0] > 240
    assert red[1:].max() < 15


def test_one_bit_grey_and_palette():
    dots = Image.frombytes("1", (8, 1), bytes([0b10100000]))
    np.testing.assert_array_equal(
        decode(saved(dots, "PNG")).pixels[0, :, 0], [255, 0, 255, 0, 0, 0, 0, 0]
    )
    grey = Image.frombytes("L", (3, 1), bytes([0, 99, 255]))
    np.testing.assert_array_equal(decode(saved(grey, "PNG")).pixels[0, :, 2], [0, 99, 255])


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.array([[0, 255, 256, 65535]], np.uint16), [0, 0, 1, 255]),
        (np.array([[0, 100, 65535]], np.int32), [0, 0, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 200.0]], np.float32), [0, 100, 200]),
        (np.array([[-1.0, np.nan, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[0.0, np.inf, 1.0]], np.float32), [0, 255, 255]),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
        (np.array([[1e9, 1e9]], np.float32), [0, 0]),
    ],
)
def test_deep_samples_are_scaled_as_documented(values, levels):
    got = decode(saved(Image.fromarray(values), "TIFF")).pixels
    np.testing.assert_array_equal(got[0], np.repeat(np.array(levels)[:, None], 3, axis=1))


def test_first_frame_of_animations_and_first_page():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        red, _, blue = decode(data).pixels.reshape(-1, 3).mean(axis=0)
        assert (red > 240, blue < 15) == (True, True), kind


def test_a_profile_that_differs_from_srgb_is_applied():
    swapped = swap_profile()
    got = decode(saved(Image.new("RGB", (4, 4), (255, 0, 0)), "PNG", icc_profile=swapped)).pixels
    assert got[0, 0, 1] > 200  # its red primary is sRGB's green
    assert got[0, 0, 0] < 60

    half = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    np.testing.assert_array_equal(decode(saved(half, "PNG", icc_profile=swapped)).pixels, 255)


def test_srgb_and_broken_profiles_change_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", srgb[:200]):
        got = decode(saved(scene(), "PNG", icc_profile=profile))
        np.testing.assert_array_equal(got.pixels, np.asarray(scene()))
    grey = decode(saved(scene().convert("L"), "PNG", icc_profile=srgb))  # of another space
    np.testing.assert_array_equal(grey.pixels[..., 0], np.asarray(scene().convert("L")))


def swap_profile():
    """sRGB with its red and green primaries swapped: the tags rXYZ and gXYZ change names."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table, rest = data[128 : 132 + 12 * data[131]], data[132 + 12 * data[131] :]
    table = table.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    return data[:128] + table + rest


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM"])
def test_truncated_files_are_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = saved(noise, kind)
    slug = reason_of(data[: int(len(data) * share)])
    assert slug in {"truncated", "corrupt"}
    if kind in {"JPEG", "PNG", "WEBP", "BMP", "AVIF"}:
        assert slug == "truncated"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty-file"),
        (b"\xff", "not-an-image"),
        (b"<html><body>404</body></html>", "not-an-image"),
        (b"version https://git-lfs.github.com/spec/v1", "not-an-image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff\xd9", "corrupt"),
        (b"<?xml version='1.0'?><!-- x --><svg xmlns='x'/>", "unsupported-format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported-format"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), "unsupported-format"),
        (b"FUJIFILMCCD-RAW 0201", "unsupported-format"),
        (b"\xff\x0a" + bytes(20), "unsupported-format"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01", "unsupported-format"),
    ],
)
def test_what_is_no_picture_has_its_reason(data, reason):
    assert reason in REASONS
    assert reason_of(data) == reason


def test_camera_raw_in_tiff_clothes_is_refused_rather_than_read_as_its_thumbnail():
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"
    assert reason_of(saved(scene(), "TIFF", tiffinfo=tags)) == "unsupported-format"


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 2**31 - 1), (14000, 14000)])
def test_pictures_that_declare_too_much_are_refused_unread(size):
    assert reason_of(png(*size)) == "too-many-pixels"


def test_the_pixel_limit_can_be_lowered_but_not_raised():
    data = saved(scene(100, 100), "PNG")
    assert reason_of(data, max_pixels=9999) == "too-many-pixels"
    assert decode(data, max_pixels=10000).width == 100
    assert reason_of(png(14000, 14000), max_pixels=10**12) == "too-many-pixels"
    assert MAX_PIXELS < 14000 * 14000


def test_a_codec_that_needs_more_than_the_budget_is_refused(monkeypatch):
    monkeypatch.setattr(decode_module, "MEMORY_BUDGET_BYTES", 100 * 100 * 18)
    data = saved(scene(100, 100), "WEBP")
    assert reason_of(data) == "too-many-pixels"
    assert decode(saved(scene(100, 100), "PNG")).width == 100


def test_the_header_alone_tells_the_size():
    assert probe(saved(scene(), "JPEG")) == (48, 32, "JPEG")
    assert probe(png(5000, 4000)) == (5000, 4000, "PNG")
    with pytest.raises(UnreadableImageError) as caught:
        probe(b"text")
    assert caught.value.slug == "not-an-image"


def test_heif_without_its_decoder_names_the_extra(monkeypatch):
    decode_module._heif_opener.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    try:
        with pytest.raises(UnreadableImageError, match=r"vta\[heif\]") as caught:
            decode(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100))
    finally:
        decode_module._heif_opener.cache_clear()
    assert caught.value.slug == "needs-heif"


def test_heif_with_its_decoder():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = saved(scene(), "HEIF", quality=100)
    got = decode(data)
    assert got.format == "HEIF"
    assert np.abs(got.pixels.astype(int) - np.asarray(scene())).mean() < 6
    assert reason_of(data[:-1]) == "truncated"


def test_avif_without_its_decoder_says_so(monkeypatch):
    data = saved(scene(), "AVIF")
    monkeypatch.setattr(decode_module.features, "check", lambda name: False)
    assert reason_of(data) == "needs-avif"


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemError("x"), MemoryError(), RecursionError(), KeyError(1)]
)
def test_whatever_a_plug_in_raises_becomes_a_reason(monkeypatch, error):
    def load(image):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert reason_of(saved(scene(), "PNG")) in {"corrupt", "decode-failed"}


def test_no_warning_escapes(recwarn):
    warnings.simplefilter("always")
    cut = saved(scene(), "TIFF")
    with pytest.raises(UnreadableImageError):
        decode(cut[:-40])
    probe(png(9600, 9600))  # above Pillow's warning limit, which speaks when a file is opened
    assert [str(w.message) for w in recwarn] == []


def test_many_threads_decode_alike():
    files = [saved(scene(64 + i, 48), kind) for i in range(6) for kind in ("JPEG", "PNG")]
    expected = [decode(data).pixels for data in files]
    wrong = []

    def work():
        for data, pixels in zip(files, expected, strict=True):
            if not np.array_equal(decode(data).pixels, pixels):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


SEEDS = [
    saved(scene(), kind)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM", "QOI")
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_decode_or_have_a_reason(data):
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 6))):
        seed[data.draw(st.integers(0, len(seed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(seed) // 2, len(seed)))
    failure = None
    try:
        got = decode(bytes(seed[:cut]), max_pixels=2**22)
    except UnreadableImageError as error:
        failure = error
    if failure is None:
        assert got.pixels.shape == (got.height, got.width, 3)
    else:
        assert failure.slug in REASONS
        assert failure.message


@given(st.binary(max_size=600))
def test_any_bytes_have_a_reason(data):
    try:
        decode(data, max_pixels=2**20)
    except UnreadableImageError as error:
        slug = error.slug
    else:
        slug = REASONS[0]
    assert slug in REASONS
