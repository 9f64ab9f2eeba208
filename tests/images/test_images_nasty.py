"""The collection of difficult files that lies beside the checkout, decoded as its manifest says."""

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from vta_cli.errors import UnreadableImageError
from vta_cli.images.decode import decode
from vta_cli.images.formats import is_side_file
from vta_cli.images.keys import read_bytes
from vta_cli.images.sources import scan

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NASTY = DATA / "nasty"
VALID_HEIF = {
    "exif-samp__samplefilehub.heif",
    "libheif__with-alpha-512x512.heic",
    "pillow_he__L_xmp_latin1.heic",
    "pillow_he__RGB_8__128x128.heif",
}

needs_nasty = pytest.mark.skipif(not NASTY.is_dir(), reason="no sample data beside the checkout")

# Runs in a process of its own, so that its peak memory is that of decoding, and what C libraries
# print is seen. Two threads, as in an embed.
SCRIPT = """
import json, os, re, sys
from concurrent.futures import ThreadPoolExecutor
heif = sys.argv[2] == "with"
if not heif:
    sys.modules["pillow_heif"] = None
from vta_cli.errors import UnreadableImageError
from vta_cli.images.decode import decode
from vta_cli.images.keys import read_bytes
from vta_cli.images.sources import scan

def one(ref):
    try:
        got = decode(read_bytes(ref.path))
        return [ref.rel, "decode", got.format, list(got.pixels.shape)]
    except UnreadableImageError as error:
        return [ref.rel, "reject", error.slug, error.message]

with ThreadPoolExecutor(2) as pool:
    refs = scan([sys.argv[1]])
    if heif:
        refs = (ref for ref in refs if ref.rel.endswith((".heic", ".heif", ".avif")))
    rows = list(pool.map(one, refs))
# of this program alone: ru_maxrss would count what the process that started it had in memory
with open("/proc/self/status") as status:
    peak = int(re.search("VmHWM:[^0-9]+([0-9]+)", status.read())[1]) * 1024
print(json.dumps({"rows": rows, "peak": peak}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    root = tmp_path_factory.mktemp("nasty")
    with tarfile.open(NASTY / "nasty.tar") as archive:
        archive.extractall(root, filter="data")
    return root


@pytest.fixture(scope="module")
def expected():
    with (NASTY / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return {os.fsdecode(unquote_to_bytes(row["file"])): row for row in csv.DictReader(file)}


def run(folder, heif):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), heif],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == b""
    report = json.loads(done.stdout)
    assert report["peak"] < 2 * 2**30
    return {row[0]: row[1:] for row in report["rows"]}


@needs_nasty
@pytest.mark.parametrize("heif", ["without", "with"])
def test_every_nasty_file_ends_as_its_manifest_says(unpacked, expected, heif):
    if heif == "with":
        pytest.importorskip("pillow_heif")
        # the other files end alike with and without that decoder
        expected = {n: r for n, r in expected.items() if n.endswith((".heic", ".heif", ".avif"))}
    got = run(unpacked, heif)

    assert got.keys() == expected.keys()
    wanted = {
        name: "decode" if heif == "with" and name in VALID_HEIF else row["expect"]
        for name, row in expected.items()
    }
    wrong = {
        name: (row, wanted[name])
        for name, row in got.items()
        if wanted[name] in {"decode", "reject"} and row[0] != wanted[name]
    }
    assert wrong == {}
    named = {n: r["pillow_format"] for n, r in expected.items() if r["expect"] == "decode"}
    assert {n: got[n][1] for n in named} == named


@needs_nasty
def test_reasons_of_nasty_files_say_what_is_wrong(unpacked):
    def reason(name):
        with pytest.raises(UnreadableImageError) as caught:
            decode(read_bytes(str(unpacked / name)))
        return caught.value.slug

    assert reason("empty.webp") == "empty-file"
    assert reason("error_page.jpg") == "not-an-image"
    assert reason("lfs_pointer.jpg") == "not-an-image"
    assert reason("sharp__circle.svg") == "unsupported-format"
    assert reason("pillow__drawing.wmf") == "unsupported-format"
    for name in ("cut_25pct.jpg", "cut_50pct.webp", "cut_50pct.avif", "cut_99pct.png"):
        assert reason(name) == "truncated"
    for name in ("declares_2e31.png", "sharp__65536-uint32-limit.png", "image__Bad_height.bmp"):
        assert reason(name) == "too-many-pixels"
    assert reason("pillow__broken_data_stream.png") in {"corrupt", "truncated"}


@needs_nasty
def test_known_pictures_look_as_they_should(unpacked):
    def mean(name):
        return decode(read_bytes(str(unpacked / name))).pixels.mean(axis=(0, 1))

    upright = mean("orient_1.jpg")
    corners = []
    for i in range(1, 9):
        pixels = decode(read_bytes(str(unpacked / f"orient_{i}.jpg"))).pixels
        assert pixels.shape == (200, 300, 3)
        corners.append(pixels[:40, :40].mean())
        assert abs(pixels.mean(axis=(0, 1)) - upright).max() < 1
    assert max(corners) - min(corners) < 3
    assert mean("sharp__full-transparent.png").tolist() == [255, 255, 255]
    assert mean("libvips__invisible.ico").tolist() == [255, 255, 255]
    assert mean("pillow__hopper.psd") == pytest.approx(mean("pillow__hopper.Lab.tif"), abs=1.5)
    assert mean("pillow__hopper.psd") == pytest.approx(mean("pillow__hopper.dds"), abs=0.5)
    red, green, blue = mean("twelvemon__cmyk-sample.jpg")  # a blue book cover
    assert blue > green > red + 40
    red, green, blue = mean("libvips__sample-xyb.jpg")  # green without its profile
    assert red > green > blue
    assert mean("pillow__iss634.webp") == pytest.approx(mean("pillow__iss634.gif"), abs=2)
    assert mean("float.tif") == pytest.approx(mean("int32.tif"), abs=1)


@pytest.mark.parametrize("folder", ["neardup_real", "neardup_made", "nima_images", "fruit_tiny"])
def test_all_real_pictures_decode(folder):
    if not (DATA / folder).is_dir():
        pytest.skip("no sample data beside the checkout")
    failed, n_decoded = [], 0
    for ref in scan([str(DATA / folder)]):
        name = Path(ref.path).name
        if is_side_file(ref.path) or name.startswith(("SOURCE", "LICENSE")):
            continue
        try:
            decode(read_bytes(ref.path))
            n_decoded += 1
        except UnreadableImageError as error:
            failed.append((ref.rel, error.slug))
    assert failed == []
    assert n_decoded > 0
