"""The contact sheet: one file, small, safe with any name."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from vta_cli.errors import UsageError
from vta_cli.pages.sheet import Section, Tile, render_sheet, thumbnail


def photograph(height, width, seed=0, grain=12):
    """Draw smooth colours with some grain: about as hard to compress as a photograph."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    noisy = smooth + grain * rng.standard_normal((height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.attrs = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, name):
        return [attrs[name] for kind, attrs in self.attrs if kind == tag and name in attrs]


@pytest.mark.parametrize(
    ("shape", "size"), [((600, 800), (160, 120)), ((900, 300), (53, 160)), ((20, 30), (30, 20))]
)
def test_a_thumbnail_fits_the_square_and_shows_the_picture(shape, size):
    pixels = photograph(*shape, grain=0)

    seen = Image.open(io.BytesIO(thumbnail(pixels)))

    assert (seen.format, seen.mode, seen.size) == ("JPEG", "RGB", size)
    expected = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    difference = np.asarray(seen, np.float32) - np.asarray(expected, np.float32)
    assert np.abs(difference).mean() < 15


def test_a_thumbnail_of_noise_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)

    assert len(thumbnail(noise)) < 8000
    assert len(thumbnail(noise, side_px=40)) < 1200


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_a_thumbnail_of_something_else_is_misuse(pixels):
    with pytest.raises(UsageError, match="thumbnail"):
        thumbnail(pixels)


def test_two_hundred_tiles_stay_below_a_megabyte():
    jpegs = [thumbnail(photograph(480, 640, seed)) for seed in range(10)]
    tiles = [Tile(jpegs[i % 10], f"/photos/trip/IMG_{i:05d}.jpg", i / 200) for i in range(200)]

    page = render_sheet("Best of the trip", [Section("All", tiles)])

    assert len(page.encode()) < 1_000_000
    assert len(Reader(page).all("img", "src")) == 200


def test_the_page_shows_scores_names_notes_and_pictures_in_order():
    first, second = thumbnail(photograph(60, 80, 1)), thumbnail(photograph(60, 80, 2))
    sections = [
        Section("Kept", [Tile(first, "/a/one.jpg", 0.98765)], "Scores from 0.6 to 0.9"),
        Section("Left out", [Tile(second, "/a/two.png", None, "similar 0.97"), Tile(b"", "/a/3")]),
        Section("Empty", []),
    ]

    reader = Reader(render_sheet("A sheet", sections))

    words = [text.strip() for text in reader.texts if text.strip()]
    body = words[words.index("Scores from 0.6 to 0.9") :]
    assert body == [
        *("Scores from 0.6 to 0.9", "0.988", "one.jpg"),
        *("Left out", "2", "two.png", "similar 0.97", "no picture", "3"),
        *("Empty", "0", "nothing here"),
    ]
    sources = reader.all("img", "src")
    assert [base64.b64decode(source.partition(",")[2]) for source in sources] == [first, second]
    assert reader.all("img", "loading") == ["lazy", "lazy"]


def test_any_name_is_shown_as_text_and_linked_to_its_bytes(tmp_path):
    name = 'a"><script>alert(1)<b>&amp;#?% ü\udcff.jpg'
    path = str(tmp_path / "x") + "/" + name

    page = render_sheet("<b>T</b>", [Section("<i>s</i>", [Tile(b"\xff", path, 0.5, "<u>")], "<s>")])

    page.encode("utf-8")  # no surrogate is left
    reader = Reader(page)
    assert not {"script", "i>", "u", "s", "b>"} & set(reader.tags)
    (link,) = [href for href in reader.all("a", "href") if href.startswith("file:")]
    assert unquote_to_bytes(link.removeprefix("file://")) == path.encode("utf-8", "surrogateescape")
    assert re.fullmatch(r"[A-Za-z0-9/._~%:-]+", link)
    assert any("<script>alert(1)<b>&amp;#?% ü\N{REPLACEMENT CHARACTER}" in text
               for text in reader.texts)  # fmt: skip


def test_the_page_asks_for_nothing_and_runs_nothing():
    page = render_sheet("t", [Section("s", [Tile(thumbnail(photograph(9, 9)), "/a.jpg", 1.0)])])

    reader = Reader(page)
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert "http" not in re.sub(r"http-equiv", "", page)
    (policy,) = [c for c in reader.all("meta", "content") if "default-src" in c]
    assert "default-src 'none'" in policy


def test_a_relative_path_links_to_the_file_it_means(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    (link,) = Reader(render_sheet("t", [Section("s", [Tile(b"", "b c.jpg")])])).all("a", "href")

    assert link == (Path.cwd() / "b c.jpg").as_uri()
