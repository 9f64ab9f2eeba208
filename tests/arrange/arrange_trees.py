"""What the tests of arranging share: a folder of photographs, and a picture of a whole tree."""

import os
from pathlib import Path

from vta_cli.arrange.plan import Action, Item, plan

PHOTOS = {
    "1.jpg": b"one",
    "trip/2.jpg": b"two" * 1000,
    "trip/3 \udcff\n.jpg": b"three",
    "empty.jpg": b"",
}
ACTIONS = list(Action)


def make_photos(folder: Path) -> list[Item]:
    items = []
    for number, (rel, data) in enumerate(PHOTOS.items()):
        path = folder / rel
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(10**18, 10**18 + number * 10**9))
        items.append(Item(str(path), rel))
    return items


def snapshot(folder: Path) -> dict[str, object]:
    """Return all names below a folder with what they hold."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        rel = str(path.relative_to(folder))
        if path.is_symlink():
            found[rel] = ("link", os.readlink(path))
        elif path.is_dir():
            found[rel] = "folder"
        else:
            found[rel] = (path.read_bytes(), path.stat().st_mtime_ns)
    return found


def make_plan(root: Path, action: Action, **options):
    return plan(make_photos(root / "photos"), root / "out" / "picked", action, **options)
