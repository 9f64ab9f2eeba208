"""What the blocks of the classic backbone mean: each reacts to what it is named after."""

import io

import classic_pictures as pictures
import numpy as np
import pytest
from PIL import Image, ImageFilter

from vta_cli.backbones import classic_blocks
from vta_cli.backbones.classic_features import planes, quality, scattering, tones
from vta_cli.backbones.classic_recipe import DEDUPE_THRESHOLD


def fresh(height=256, width=256, seed=3):
    """A picture of clouds: noise smoothed at several scales, so that it has detail to lose."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for step in (1, 4, 16):
        noise = rng.standard_normal((height // step, width // step, 3))
        total += np.repeat(np.repeat(noise, step, 0), step, 1) * step**0.5
    return np.clip(128 + 14 * total, 0, 255).astype(np.uint8)


def blurred(pixels, radius):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def recoded(pixels, quality_):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality_)
    return np.asarray(Image.open(buffer).convert("RGB"))


def stripes(angle, period_px, side=128):
    y, x = np.mgrid[:side, :side]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period_px)
    return (0.5 + 0.4 * wave).astype(np.float32)


def test_the_shares_fill_the_vector_and_every_block_has_constants():
    columns = classic_blocks.columns()
    row = classic_blocks.assemble(classic_blocks.measure(fresh()))
    total = sum(classic_blocks.SHARES.values())
    lengths = {name: np.sum(row[part] ** 2) for name, part in columns.items()}

    assert list(columns) == list(classic_blocks.SHARES)
    assert max(part.stop for part in columns.values()) == row.size
    for name, length in lengths.items():
        assert length <= 100 * classic_blocks.SHARES[name] / total * 1.001, name


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (256, 256), (515, 333)])
def test_the_square_reading_keeps_a_flat_colour_and_the_mean(size):
    flat = planes.read(np.full((*size, 3), (255, 51, 0), np.uint8)).opponent[256]
    np.testing.assert_allclose(flat[1], 0.8, atol=1e-5)
    np.testing.assert_allclose(flat[2], 0.6, atol=1e-5)

    pixels = pictures.waves(*size)
    luma = planes.read(pixels)
    np.testing.assert_allclose(luma.opponent[256][0].mean(), luma.luma.mean(), atol=0.02)


def test_the_square_reading_agrees_with_pillow():
    pixels = pictures.waves(411, 303)
    wanted = np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR))
    got = planes.read(pixels).opponent[256]
    wanted_luma = (wanted / 255.0) @ planes.LUMA

    assert np.abs(got[0] - wanted_luma).max() < 0.006


@pytest.mark.parametrize("octave", [0, 1, 2])
@pytest.mark.parametrize("angle_index", [0, 1, 3, 5])
def test_a_wave_answers_at_its_own_scale_and_angle(octave, angle_index):
    scatter = scattering.scattering(128, 8, 4, 6, 2)
    period_px = 2 * np.pi / (0.75 * np.pi * 2.0**-octave)
    first, _ = scatter(stripes(np.pi * angle_index / 6, period_px))
    energy = first.mean(axis=(2, 3))

    assert np.unravel_index(energy.argmax(), energy.shape) == (octave, angle_index)


def test_cut_spectra_sample_the_same_moduli_as_whole_ones():
    plane = planes.read(fresh(128, 128)).opponent[128][0]
    spectrum = np.fft.fft2(plane).astype(np.complex64)
    whole = scattering.Bank(128, 2, 6, 128).moduli(spectrum)
    cut = scattering.Bank(128, 2, 6, 32).moduli(spectrum)

    np.testing.assert_allclose(planes.pool(cut), planes.pool(whole), rtol=0.03)


def test_texture_does_not_depend_on_contrast_but_contrast_does():
    pixels = fresh()
    weak = (128 + (pixels.astype(float) - 128) * 0.6).round().astype(np.uint8)
    (contrast, texture), (contrast_weak, texture_weak) = (
        scattering.luma_blocks(planes.read(p)) for p in (pixels, weak)
    )

    change = (contrast - contrast_weak).mean()

    assert change == pytest.approx(-np.log(0.6), abs=0.1)
    assert np.abs(texture - texture_weak).mean() < change / 3


def test_oriented_blocks_of_a_mirror_image_are_those_of_the_picture():
    pixels = pictures.scene(256, 256)
    pair = [classic_blocks.measure(p) for p in (pixels, np.ascontiguousarray(pixels[:, ::-1]))]
    for name in ("texture", "contrast", "gradients", "patterns", "attention", "sharpness"):
        left, right = (measures[name] for measures in pair)

        assert np.abs(left - right).mean() < 0.02 * (left.std() + 1e-6), name
    assert np.abs(pair[0]["thumbnail"] - pair[1]["thumbnail"]).mean() > 0.3


def test_blur_lowers_sharpness_step_by_step_and_most_at_full_size():
    steps = [quality.sharpness(planes.read(blurred(fresh(), r))) for r in (0, 1, 2, 4)]
    means = [step.mean() for step in steps]
    loss = (steps[0] - steps[1]).reshape(3, 4, -1).mean(axis=(1, 2))

    assert means == sorted(means, reverse=True)
    assert loss[0] > loss[1] > loss[2]


def test_sharpness_tells_where_the_detail_is():
    pixels = fresh()
    pixels[:128] = blurred(pixels, 6)[:128]
    cells = quality.sharpness(planes.read(pixels))

    assert (cells[:, 2:].mean(axis=(1, 2)) > cells[:, :2].mean(axis=(1, 2))).all()


def test_noise_raises_the_noise_floor():
    smooth = pictures.waves(256, 256)
    rng = np.random.default_rng(0)
    floors = []
    for deviation in (0, 4, 12):
        noisy = np.clip(smooth + rng.normal(0, deviation, smooth.shape), 0, 255).astype(np.uint8)
        floors.append(tones.faults(planes.read(noisy))[2])

    assert floors == sorted(floors)
    assert floors[2] - floors[1] == pytest.approx(np.log(3), abs=0.25)


def test_compression_shows_on_the_grid_of_eight():
    pixels = fresh()
    grid = [tones.faults(planes.read(recoded(pixels, q)))[[3, 5]].mean() for q in (95, 30, 8)]

    assert grid[0] < grid[1] < grid[2]
    assert grid[2] > 0.3


def test_a_colour_plane_that_is_larger_shows_as_fringes():
    pixels = blurred(fresh(), 2)
    grey = np.repeat(pixels[..., 1:2], 3, axis=2)
    fringed = grey.copy()
    fringed[..., 0] = np.asarray(
        Image.fromarray(grey).resize((260, 260), Image.Resampling.BICUBIC).crop((2, 2, 258, 258))
    )[..., 0]
    plain, shifted = (tones.faults(planes.read(p)) for p in (grey, fringed))

    assert abs(plain[9]) < 0.01
    assert shifted[9] < -0.1  # red moved outwards
    assert abs(shifted[12]) < 0.01  # blue did not


def test_exposure_reads_quantiles_and_clipping():
    dark, bright = (np.clip(fresh().astype(int) + d, 0, 255).astype(np.uint8) for d in (-90, 90))
    low, high = (tones.exposure(planes.read(p)) for p in (dark, bright))

    assert (low[:9] < high[:9]).all()
    assert low[23] > high[23]  # share of black
    assert high[25] > low[25]  # share of white


def test_naturalness_tells_photograph_like_texture_from_noise_and_blur():
    rows = [
        quality.naturalness(planes.read(p))
        for p in (fresh(), fresh(seed=4), blurred(fresh(), 3), pictures.grain(256, 256))
    ]
    distance = [np.linalg.norm(rows[0] - row) for row in rows[1:]]

    assert distance[0] < 0.2 * min(distance[1:])


def test_the_centre_of_attention_follows_the_subject():
    heights = []
    for top in (20, 100, 180):
        pixels = np.full((256, 256, 3), 120, np.uint8)
        pixels[top : top + 50, 100:150] = (230, 60, 40)
        heights.append(classic_blocks.measure(pixels)["balance"][:2, 0])

    assert (np.diff(np.stack(heights), axis=0) > 0.1).all()


def test_symmetry_is_one_for_a_symmetric_picture():
    half = pictures.waves(256, 128)
    balance = classic_blocks.measure(np.concatenate([half, half[:, ::-1]], axis=1))["balance"]

    assert balance[15:18].min() > 0.95
    assert balance[15, 0] > classic_blocks.measure(pictures.waves(256, 256))["balance"][15, 0]


def test_the_colour_histogram_separates_hues_and_shares_sum_to_one():
    colours = [(200, 30, 30), (30, 30, 200), (190, 40, 35)]
    rows = [
        classic_blocks.measure(np.full((64, 64, 3), c, np.uint8))["colours"][:, 0] for c in colours
    ]

    assert (np.stack(rows) ** 2).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert rows[0] @ rows[2] > 0.9
    assert rows[0] @ rows[1] < 0.1


def test_two_dark_pictures_are_not_near_copies():
    rows = []
    for seed in (1, 2):
        dim = (pictures.waves(256, 256, seed) * 0.1).astype(np.uint8)
        row = classic_blocks.assemble(classic_blocks.measure(dim))
        rows.append(row / np.linalg.norm(row))

    assert rows[0] @ rows[1] < DEDUPE_THRESHOLD
