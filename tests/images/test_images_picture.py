"""A file is decoded once for each size that is wanted; nobody sees that others looked at it too."""

import io

import numpy as np
import pytest
from PIL import Image

from vta_cli.images import picture as picture_module
from vta_cli.images.decode import decode
from vta_cli.images.picture import Picture, shrink_for
from vta_cli.images.views import readings
from vta_cli.records import Preprocess

SMALL = Preprocess("shortest", 32, 32)
MIDDLE = Preprocess("shortest", 64, 56)
LARGE = Preprocess("shortest", 72, 72)


def halved(pixels, size, interpolation):
    """Resize as a backbone of its own ways might."""
    assert interpolation == "bicubic"
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :640] / 100
    smooth = np.stack([np.sin(x * 3), np.cos(y * 2), np.sin(x * y)], -1) * 90 + 128
    noisy = (smooth + rng.normal(scale=9, size=smooth.shape)).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=92)
    return out.getvalue()


@pytest.mark.parametrize(
    ("size", "preprocess", "view", "wanted"),
    [
        ((4000, 3000), Preprocess("shortest", 224, 224), "whole", 2),
        ((3000, 4000), Preprocess("shortest", 224, 224), "whole", 2),
        ((8000, 7168), Preprocess("shortest", 224, 224), "whole", 2),
        ((512, 512), Preprocess("shortest", 224, 224), "whole", 1),
        ((1792, 1792), Preprocess("shortest", 224, 224), "whole", 2),
        ((1792, 1790), Preprocess("shortest", 224, 224), "whole", 1),
        ((4000, 3001), Preprocess("shortest", 224, 224), "whole", 1),  # would be seen as moved
        ((4000, 3000), Preprocess("shortest", 336, 336), "whole", 2),
        ((4000, 2680), Preprocess("shortest", 336, 336), "whole", 1),
        ((4000, 3062), Preprocess("shortest", 383, 383), "whole", 1),
        ((4000, 3064), Preprocess("shortest", 383, 383), "whole", 2),
        ((4000, 2302), Preprocess("squash", 384, 384), "whole", 1),
        ((4000, 2304), Preprocess("squash", 384, 384), "whole", 2),
        ((4032, 3024), Preprocess("shortest", 448, 448), "whole", 2),
        ((4032, 2686), Preprocess("shortest", 448, 448), "whole", 1),
        ((6144, 64), Preprocess("native", 1024, 0), "whole", 2),
        ((4000, 3000), Preprocess("native", 0, 0), "whole", 1),
        ((4000, 3000), Preprocess("squash", 224, 224, "nearest"), "whole", 1),
        ((9000, 6142), Preprocess("shortest", 224, 224), "five-crop", 1),  # tiles of 1024 px
        ((9000, 6144), Preprocess("shortest", 224, 224), "five-crop", 2),
    ],
)
def test_three_or_four_times_the_target_is_left(size, preprocess, view, wanted):
    assert shrink_for(size, preprocess, view) == wanted


def test_who_else_looks_at_a_file_changes_no_pixel(photo):
    wishes = [
        (SMALL, "whole", halved),
        (MIDDLE, "whole", halved),
        (LARGE, "whole", halved),
        (SMALL, "whole", None),
        (SMALL, "five-crop", halved),
    ]
    assert [shrink_for((640, 512), *wish[:2]) for wish in wishes[:3]] == [2, 2, 1]
    together = Picture(photo)
    for wish in [*wishes, *wishes[::-1]]:
        alone = Picture(photo).readings(*wish)
        for a, b in zip(together.readings(*wish), alone, strict=True):
            assert np.array_equal(a, b)


def test_exact_views_come_of_the_full_picture(photo):
    exact = Picture(photo).readings(SMALL, "whole", None)
    assert np.array_equal(exact, readings(decode(photo).pixels, SMALL, "whole"))
    fast = Picture(photo).readings(SMALL, "whole", halved)
    assert not np.array_equal(fast, exact)
    assert np.abs(fast[0].astype(int) - exact[0]).mean() < 1


def test_each_size_is_decoded_once_and_each_view_made_once(photo, monkeypatch):
    sizes = []

    def counted(data, *, shrink):
        sizes.append(shrink)
        return decode(data, shrink=shrink)

    monkeypatch.setattr(picture_module, "decode", counted)
    seen = Picture(photo)
    for wish in [(SMALL, "whole", halved), (MIDDLE, "whole", halved)] * 2:
        assert seen.readings(*wish) is seen.readings(*wish)
    for preprocess in (SMALL, LARGE):
        seen.readings(preprocess, "whole", None)
    assert sizes == [2, 1]
    assert (seen.width, seen.height, seen.format) == (640, 512, "JPEG")


def test_other_formats_are_never_smaller():
    out = io.BytesIO()
    Image.new("RGB", (512, 512)).save(out, "PNG")
    seen = Picture(out.getvalue())
    assert seen.pixels(SMALL, "whole", exact=False).shape == (512, 512, 3)
