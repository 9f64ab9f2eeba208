import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vta_cli.images.formats import DECODABLE, SIDE_SUFFIXES, SNIFF_BYTES, identify, is_side_file
from vta_cli.images.reasons import MEANINGS, REASONS
from vta_cli.images.sources import sniff

WRITABLE = ["AVIF", "BMP", "DDS", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM"]
WRITABLE += ["QOI", "TIFF", "WEBP"]


@pytest.mark.parametrize("kind", WRITABLE)
def test_the_first_bytes_name_the_format(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(buffer, kind)
    assert sniff(buffer.getvalue()[:SNIFF_BYTES]) == kind
    assert sniff(buffer.getvalue()[:32]) == kind
    assert kind in DECODABLE


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"P5",
        b"BM is how this note begins, and it goes on",
        b"P1 is the first point of the agenda",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2mp41",
        b'{"path": "a.jpg"}',
        b"path,score\n",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00",
    ],
)
def test_other_files_are_not_taken_for_images(head):
    assert sniff(head) is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00mif1heicmiaf", "HEIF"),
        (b"\x00\x00\x00\x20ftypmif1\x00\x00\x00\x00mif1heicmiaf\x00\x00\x00\x00", "HEIF"),
        (b"\x00\x00\x00\x20ftypmif1\x00\x00\x00\x00mif1avifmiaf\x00\x00\x00\x00", "AVIF"),
        (b"\x00\x00\x00\x1cftypavis\x00\x00\x00\x00msf1avis", "AVIF"),
    ],
)
def test_heif_and_avif_are_told_apart_by_their_brands(head, kind):
    assert sniff(head) == kind


def test_side_files_are_known_by_name_in_any_letter_case():
    assert all(is_side_file(f"/x/NAME{suffix.upper()}") for suffix in SIDE_SUFFIXES)
    assert is_side_file("Thumbs.db")
    for name in ("a.jpg", "a.JPG", "noextension", "a.csv.png", "folder.txt/a", "a.heic", "x.tmp"):
        assert not is_side_file(name)


@given(st.binary(max_size=200))
def test_sniffing_takes_any_bytes(head):
    assert sniff(head) is None or isinstance(sniff(head), str)
    assert identify(head) is None or isinstance(identify(head), str)


def test_every_reason_has_a_meaning():
    assert len(REASONS) == len(set(REASONS)) == len(MEANINGS)
    assert all(MEANINGS[reason] for reason in REASONS)
