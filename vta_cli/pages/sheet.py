"""A contact sheet: thumbnails with scores in one HTML file that needs nothing else.

It knows pictures as JPEG bytes and files as names; it opens none. The page runs no script and asks
for nothing from anywhere, which its own policy header enforces.
"""

import base64
import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal
from urllib.parse import quote_from_bytes

from PIL import Image

from vta_cli.errors import UsageError
from vta_cli.pages.charts import STYLE as CHARTS
from vta_cli.records import Pixels

SIDE_PX = 160

_BYTES_AT_SIDE = 3500
"""JPEG size aimed at for a side of `SIDE_PX`: 200 tiles stay below 1 MB as base64 [bytes]."""

_QUALITIES = (78, 68, 58, 48, 38, 28)


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet.

    Attributes
    ----------
    jpeg : bytes
        From `thumbnail`; empty shows the name alone.
    path : str
        Absolute path as Python's file functions give it; the tile links to it. May be empty.
    score : float or None
        Shown with three decimals.
    note : str
        A few words below the name, such as a reason or a similarity.
    tone : {"", "good", "fair", "bad"}
        Colour of the tile's edge; the note has to say it too, as not everybody sees colours.
    """

    jpeg: bytes
    path: str
    score: float | None = None
    note: str = ""
    tone: Literal["", "good", "fair", "bad"] = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with tiles below it; `text` is a sentence between the two."""

    title: str
    tiles: Sequence[Tile]
    text: str = ""


def thumbnail(pixels: Pixels, side_px: int = SIDE_PX) -> bytes:
    """Shrink a picture to fit into a square and encode it as JPEG.

    The quality is the best of a few that keeps within some 3.5 kB at the default side. A smaller
    picture is not enlarged.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    side_px : int
        Longest side of the thumbnail [px].

    Raises
    ------
    UsageError
        ``bad-picture`` if `pixels` are not such an array or `side_px` is below 1.
    """
    if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise UsageError(
            "bad-picture",
            f"a thumbnail cannot be made of {pixels.dtype} values of shape {pixels.shape}",
            hint="give decoded RGB pixels, shape (height, width, 3), uint8",
        )
    if side_px < 1:
        raise UsageError("bad-picture", f"a side of {side_px} px", hint="give 1 or more")
    image = Image.fromarray(pixels)
    # `reducing_gap` shrinks coarsely first: same look at 160 px, a fraction of the time.
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=3.0)
    allowed = _BYTES_AT_SIDE * (side_px / SIDE_PX) ** 2
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling="4:2:0")
        data = buffer.getvalue()
        if len(data) <= allowed:
            break
    return data


def render_sheet(title: str, sections: Sequence[Section], *, above: Sequence[str] = ()) -> str:
    """Return the page as text to be written as UTF-8.

    Names are escaped, bytes of names that are no text are shown as replacement characters and
    still link to their file. Pictures load as they are scrolled to; colours follow the reader's
    light or dark setting. `above` are charts of `vta_cli.pages.charts`.
    """
    shown = _text(title)
    body = "\n".join(_section(number, section) for number, section in enumerate(sections))
    style = _STYLE
    if above:
        body = f'<div class="charts">{"".join(above)}</div>\n{body}'
        style += CHARTS
    links = "".join(
        f'<a href="#s{number}">{_text(section.title)} <small>{len(section.tiles)}</small></a>'
        for number, section in enumerate(sections)
    )
    nav = f"<nav>{links}</nav>" if len(sections) > 1 else ""
    return _PAGE.format(title=shown, style=style, nav=nav, body=body)


def _section(number: int, section: Section) -> str:
    text = f"<p>{_text(section.text)}</p>" if section.text else ""
    tiles = "\n".join(_tiles(section.tiles)) or "<p>nothing here</p>"
    return (
        f'<section id="s{number}"><h2>{_text(section.title)} '
        f'<small>{len(section.tiles)}</small></h2>{text}\n<div class="grid">\n{tiles}\n'
        f"</div></section>"
    )


def _tiles(tiles: Iterable[Tile]) -> Iterable[str]:
    for tile in tiles:
        name = _text(os.path.basename(tile.path) or tile.path)  # noqa: PTH119 - surrogates survive
        picture = '<span class="none">no picture</span>'
        if tile.jpeg:
            data = base64.b64encode(tile.jpeg).decode("ascii")
            source = f"data:image/jpeg;base64,{data}"
            picture = f'<img loading="lazy" decoding="async" alt="" src="{source}">'
        if tile.path:
            picture = f'<a href="{_uri(tile.path)}">{picture}</a>'
        score = "" if tile.score is None or math.isnan(tile.score) else f"<b>{tile.score:.3f}</b>"
        tone = f' class="{tile.tone}"' if tile.tone else ""
        note = f"<i>{_text(tile.note)}</i>" if tile.note else ""
        caption = f'{score}<span title="{_text(tile.path)}">{name}</span>{note}'
        yield f"<figure{tone}>{picture}<figcaption>{caption}</figcaption></figure>"


def _uri(path: str) -> str:
    return "file://" + quote_from_bytes(os.fsencode(os.path.abspath(path)))  # noqa: PTH100 - bytes


def _text(value: str) -> str:
    """Escape for HTML text and attributes; what UTF-8 cannot hold becomes a replacement mark."""
    return escape(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), quote=True)


_STYLE = """
:root { color-scheme: light dark; --back: #fafaf8; --ink: #1c1c1a; --faint: #6b6b66;
  --card: #ffffff; --line: #e2e2dc; --link: #2a5db0 }
@media (prefers-color-scheme: dark) { :root { --back: #161615; --ink: #ecece8; --faint: #9a9a93;
  --card: #201f1e; --line: #34332f; --link: #8db4f2 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 1500px; background: var(--back);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 0 .75rem; font-weight: 600 }
h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; font-weight: 600 }
p { margin: 0 0 .75rem; color: var(--faint); max-width: 70ch }
small { color: var(--faint); font-weight: 400 }
nav { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem }
a { color: var(--link); text-decoration: none }
.grid { display: grid; gap: .75rem; margin-top: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)) }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden }
figure > a, .none { display: grid; place-items: center; height: 168px; color: var(--faint) }
.good { border: 2px solid #4b9a4b } .fair { border: 2px solid #d89a20 }
.bad { border: 2px solid #cc4433 }
img { display: block; max-width: 160px; max-height: 160px; border-radius: 2px }
figcaption { display: grid; grid-template-columns: auto 1fr; gap: 0 .5rem; padding: .35rem .55rem;
  font-size: .8rem; border-top: 1px solid var(--line) }
figcaption span { grid-column: 2; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  color: var(--faint) }
figcaption b { font-variant-numeric: tabular-nums }
figcaption i { grid-column: 1 / -1; color: var(--faint) }
@media print { body { padding: 0 } figure { break-inside: avoid } }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{nav}
{body}
</body>
</html>
"""
