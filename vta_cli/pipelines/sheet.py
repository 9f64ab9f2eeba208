"""A contact sheet of scored images: the best, those on the fence, the worst."""

from collections.abc import Sequence
from pathlib import Path

from vta_cli.errors import UnreadableImageError
from vta_cli.images.decode import decode
from vta_cli.images.keys import read_bytes
from vta_cli.pages.sheet import Section, Tile, render_sheet, thumbnail
from vta_cli.pipelines.select import Scored, rank

TILES = 24
"""Pictures a section."""
FENCE = 0.5
"""Score of an image that could go either way."""


def write_sheet(scored: Sequence[Scored], out: Path, *, title: str) -> Path:
    """Write a self-contained HTML page of the best, the undecided and the worst images.

    Parameters
    ----------
    scored : sequence of Scored
        Images with calibrated scores; none without.
    out : Path
        The page; its folder is made.

    Returns
    -------
    Path
        The page.
    """
    ranked = rank(scored)
    fence = sorted(ranked, key=lambda item: (abs(item.score - FENCE), item.ref.path))
    sections = [
        Section("Best", _tiles(ranked[:TILES])),
        Section("On the fence", _tiles(fence[:TILES]), f"nearest to a score of {FENCE:g}"),
        Section("Worst", _tiles(ranked[::-1][:TILES])),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render_sheet(title, sections), encoding="utf-8")
    return out


def _tiles(scored: Sequence[Scored]) -> list[Tile]:
    return [Tile(picture(item.ref.path), item.ref.path, item.score) for item in scored]


def picture(path: str) -> bytes:
    """Return a small JPEG, empty if the file went away or broke since it was scored."""
    try:
        return thumbnail(decode(read_bytes(path)).pixels)
    except UnreadableImageError:
        return b""
