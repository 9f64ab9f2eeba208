"""File names that fit: within the length limit, without collisions, never outside the folder."""

import os
import unicodedata
from hashlib import blake2b
from pathlib import Path, PurePosixPath

NAME_MAX_BYTES = 255
"""Longest file name on the usual Linux and macOS file systems [bytes]."""
SUFFIX_DIGITS = 6
"""Hex digits of the digest that tells equal names apart."""
EXTENSION_MAX_BYTES = 16
"""What is longer than this after the last dot is no extension [bytes]."""


def name_limit(folder: Path) -> int:
    """Return the longest file name that `folder` takes [bytes]; it need not exist yet."""
    for place in (folder, *folder.parents):
        try:
            return min(NAME_MAX_BYTES, os.pathconf(place, "PC_NAME_MAX"))
        except (OSError, ValueError):
            continue
    return NAME_MAX_BYTES


def safe_parts(rel: str) -> list[str]:
    """Split a relative path; what would lead out of a folder (``..``, a leading slash) is dropped.

    >>> safe_parts("../a//./b.jpg")
    ['a', 'b.jpg']
    """
    return [part for part in rel.split("/") if part not in {"", ".", ".."}]


def folded(path: str) -> str:
    """Return what a file system without letter case or Unicode forms of its own would compare."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def mark(text: str) -> str:
    """Return a short digest of `text`, the same on every run."""
    return blake2b(os.fsencode(text), digest_size=16).hexdigest()[:SUFFIX_DIGITS]


def fit(name: str, limit: int, suffix: str = "") -> str:
    """Return `name` with `suffix` before its extension, shortened to `limit` bytes.

    A name that has to be shortened keeps its extension and gets a digest of what it was, so that
    two long names with the same beginning stay apart. Characters are never cut in half.

    >>> fit("portrait.jpg", 255, "-2")
    'portrait-2.jpg'
    """
    if not suffix and _size(name) <= limit:
        return name
    stem, extension = _split(name)
    if _size(stem + suffix + extension) <= limit:
        return stem + suffix + extension
    tail = f"-{mark(name)}{suffix}{extension}"
    room = limit - _size(tail)
    kept = []
    for letter in stem:
        room -= _size(letter)
        if room < 0:
            break
        kept.append(letter)
    return "".join(kept) + tail


def _split(name: str) -> tuple[str, str]:
    extension = PurePosixPath(name).suffix
    if _size(extension) > EXTENSION_MAX_BYTES:
        return name, ""
    return name[: len(name) - len(extension)], extension


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(os.fsencode(text))
