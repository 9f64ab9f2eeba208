"""Five crops: where the tiles lie, and that no picture is ever enlarged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.images.tiling import tile_sizes
from vta_cli.images.views import apply, readings, tiles
from vta_cli.records import Preprocess

CLIP_336 = Preprocess("shortest", 336, 336)
SIDES = st.integers(1, 90)


def places(height, width):
    """Return a picture whose pixels tell their own row and column."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(y, 7)], axis=2).astype(np.uint8)


def test_the_sizes_of_cityclassifiers():
    """672 px and 1536 px for their network of 336 px; other networks in proportion."""
    assert tile_sizes(CLIP_336) == (672, 1536)
    assert tile_sizes(Preprocess("shortest", 256, 224)) == (448, 1024)
    assert tile_sizes(Preprocess("native", 1024, 0)) == (2048, 4681)
    assert tile_sizes(Preprocess("native", 0, 0)) == (0, 0), "any size: nothing to cut"


def test_four_corners_and_the_centre():
    """Rows and columns of each tile, in the order of torchvision's FiveCrop."""
    found = tiles(places(30, 41), 10, 30)
    corners = [tuple(int(v) for v in tile[0, 0, :2]) for tile in found]
    assert corners == [(0, 0), (0, 31), (20, 0), (20, 31), (10, 16)]  # round(15.5) is 16
    assert all(tile.shape == (10, 10, 3) for tile in found)
    assert [tuple(int(v) for v in tile[-1, -1, :2]) for tile in found][3] == (29, 40)


def test_the_original_s_fault_is_not_there():
    """1700 x 800 is longer than 1536, but its shorter side is less: it is not blown up."""
    pixels = np.zeros((800, 1700, 3), np.uint8)
    pixels[:672, :672] = 9
    pixels[0, 0] = 200
    corner = tiles(pixels, 672, 1536)[0]
    assert np.shares_memory(corner, pixels), "cut from the picture as it is"
    assert (corner[0, 0] == 200).all()
    assert (corner[1:, 1:] == 9).all()


def test_a_very_large_picture_is_shrunk_first():
    """3072 x 4096 becomes 1536 x 2048; the tiles are cut from that."""
    pixels = np.zeros((3072, 4096, 3), np.uint8)
    pixels[:, :1344] = 255  # ends at 672 after shrinking by two
    left, right = tiles(pixels, 672, 1536)[:2]
    assert left[:, :660].min() == 255
    assert right.max() == 0


@pytest.mark.parametrize("size", [(672, 672), (672, 5000), (100, 80), (1, 1)])
def test_small_pictures_are_shown_whole(size):
    """No side longer than a tile: one reading, which is the whole view."""
    pixels = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    (only,) = readings(pixels, CLIP_336, "five-crop")
    assert np.array_equal(only, apply(pixels, CLIP_336))
    (whole,) = readings(pixels, CLIP_336, "whole")
    assert np.array_equal(only, whole)


def test_each_tile_goes_through_the_preprocessing():
    """Readings are what the network would see of each tile as a picture of its own."""
    pixels = np.random.default_rng(2).integers(0, 255, (60, 45, 3), dtype=np.uint8)
    small = Preprocess("shortest", 18, 16)
    found = readings(pixels, small, "five-crop")
    cut = tiles(pixels, *tile_sizes(small))
    assert len(found) == len(cut) == 5
    for shown, tile in zip(found, cut, strict=True):
        assert np.array_equal(shown, apply(tile, small))


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, st.integers(1, 12))
def test_never_enlarged(height, width, px):
    """Tiles lie inside; nothing of a picture is spread over more pixels than it had."""
    tile_px, limit_px = tile_sizes(Preprocess("squash", px, px))
    pixels = places(height, width)
    found = tiles(pixels, tile_px, limit_px)
    assert len(found) == (5 if min(height, width) > tile_px else 1)
    if len(found) == 1:
        assert found[0] is pixels
        return
    assert all(tile.shape == (tile_px, tile_px, 3) for tile in found)
    spans = [int(tile[-1, 0, 0]) - int(tile[0, 0, 0]) for tile in found]
    assert min(spans) >= tile_px - 2, "a tile covers at least as many rows as it has"
    if min(height, width) <= limit_px:
        assert all(np.shares_memory(tile, pixels) for tile in found)
