"""From the name of an image in a label file to the path of a file."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from vta_cli.errors import QUOTED_PATH, excerpt
from vta_cli.records import ImageRef

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .png .webp .gif .bmp .tif .tiff .avif .heic .heif .ppm .jp2".split()  # noqa: SIM905
)
"""Decide between files of one stem only: a picture wins over its caption. Content decides else."""


class Finder(Protocol):
    """Finds the file that a label file means."""

    def find(self, name: str) -> tuple[str | None, str]:
        """Return the absolute path and an empty text, or None and why there is none."""
        ...


class Beside:
    """Finds files by paths: absolute ones, or relative to a file's folder, or to the working one.

    A path that is not there is also looked for as other systems spell it, see `_spellings`.

    Parameters
    ----------
    file : Path
        The file of labels.
    """

    def __init__(self, file: Path) -> None:
        self._bases = (file.absolute().parent, Path.cwd())
        self._known: dict[str, str | None] = {}

    def find(self, name: str) -> tuple[str | None, str]:
        """Return the absolute path of an existing file, or None and why."""
        if name not in self._known:  # many raters: many rows of one image
            self._known[name] = self._look(name)
        path = self._known[name]
        return path, "" if path else f"there is no file {excerpt(name, QUOTED_PATH)}"

    def _look(self, name: str) -> str | None:
        if "\0" in name:
            return None
        for spelled in _spellings(name):
            for base in self._bases:
                candidate = os.path.normpath(base / spelled)
                if os.path.isfile(candidate):  # noqa: PTH113 - a million rows: no Path for each
                    return candidate
        return None


class Listing:
    """Finds files by name or by stem in a listing of images, in any letter case and normalisation.

    TID2013 mixes ``I01`` and ``i01`` and means one folder of files; NIMA's json and AVA.txt give
    stems. An exact name wins over one in other letters, a name over a stem.

    Parameters
    ----------
    refs : iterable of ImageRef
        As the scan of the folder gave them; nothing is looked up on disk.
    """

    def __init__(self, refs: Iterable[ImageRef]) -> None:
        self._steps: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {}, {}, {})
        self.n_files = 0
        for ref in refs:
            self.n_files += 1
            name = ref.path.rpartition("/")[2]
            exact = (ref.rel, name, _stem(name))
            for step, text in zip(
                self._steps, (*exact, *(_folded(text) for text in exact)), strict=True
            ):
                step.setdefault(text, []).append(ref.path)

    def find(self, name: str) -> tuple[str | None, str]:
        """Return the path of the listed file called `name`, or None and why."""
        rels, names, stems, rels_folded, names_folded, stems_folded = self._steps
        base = name.rpartition("/")[2]
        stem = _stem(base)
        looks = (
            (rels, name), (names, base),
            (rels_folded, _folded(name)), (names_folded, _folded(base)),
            (stems, base), (stems_folded, _folded(base)),
            (stems, stem), (stems_folded, _folded(stem)),
        )  # fmt: skip
        for step, text in looks:
            if found := step.get(text):
                return _only(sorted(set(found)), name)
        return None, f"there is no image {excerpt(name, QUOTED_PATH)}"


def _spellings(name: str) -> list[str]:
    """Return a path as it stands, then as it may be called on the disk, each once.

    Macs part letters from their marks in file names where others do not, and tables made on Windows
    have backslashes.
    """
    slashed = name.replace("\\", "/")
    if slashed.isascii():
        return [name] if slashed == name else [name, slashed]
    forms = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
    return list(dict.fromkeys((name, slashed, *forms)))


def _folded(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).casefold()


def _stem(name: str) -> str:
    """Return a name without its last suffix; as `PurePath.stem`, at a tenth of its time."""
    head, dot, _ = name.rpartition(".")
    return head if dot and head else name


def _only(paths: list[str], name: str) -> tuple[str | None, str]:
    if len(paths) > 1:
        pictures = [p for p in paths if PurePosixPath(p).suffix.casefold() in IMAGE_SUFFIXES]
        paths = pictures or paths
    if len(paths) == 1:
        return paths[0], ""
    return None, f"{excerpt(name, QUOTED_PATH)} may be {paths[0]} or {paths[1]}" + (
        f" or {len(paths) - 2:,} more" if len(paths) > 2 else ""
    )


def finder(file: Path, images: Iterable[ImageRef] | None) -> Finder:
    """Return a `Listing` of `images`, or without any what finds paths `Beside` the file."""
    return Beside(file) if images is None else Listing(images)
