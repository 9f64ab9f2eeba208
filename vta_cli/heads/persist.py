"""Saved heads: one safetensors file of arrays, with one JSON document in its metadata.

Nothing in such a file is ever executed. What is read is checked before it is used, since files may
come from anyone.
"""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from vta_cli.errors import HeadError

FORMAT = "vta-head"
VERSION = 1
FIELD = "vta"
MAX_ARRAYS = 1_000
MAX_BLOCKS = 64
MAX_DIM = 1_000_000


def write(path: Path, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a head so that `path` holds either the old file or the whole new one.

    The same document and arrays give the same bytes.

    Raises
    ------
    HeadError
        ``head-unwritable`` if the file cannot be written, ``bad-meta`` if the document is no JSON.
    """
    whole = {"format": FORMAT, "version": VERSION, **document}
    try:
        text = json.dumps(whole, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise HeadError("bad-meta", f"the head's metadata cannot be saved: {error}") from None
    named = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    data = to_bytes(named, metadata={FIELD: text})
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise HeadError(
            "head-unwritable",
            f"cannot write {path}: {error.strerror or error}",
            hint="check the folder, its permissions and the space left on the disk",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; some file systems cannot, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read the document and the arrays of a head.

    Raises
    ------
    HeadError
        ``no-such-head``, ``head-unreadable``, or ``head-newer`` for a later format.
    """
    if not path.is_file():
        raise HeadError(
            "no-such-head", f"there is no head {path}", hint="`vta heads list` names the saved ones"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(FIELD)
            if text is None:
                raise HeadError(
                    "head-unreadable",
                    f"{path} is no head of vta: it has no {FIELD!r} metadata",
                    hint="published heads of other tools are imported, not loaded",
                )
            document = parse(path, text)
            names = list(file.keys())
            if len(names) > MAX_ARRAYS:
                raise ValueError(f"{len(names)} arrays")
            arrays = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, TypeError, MemoryError, AttributeError) as error:
        raise unreadable(path, str(error)) from error
    return document, arrays


def parse(path: Path, text: str) -> dict[str, Any]:
    """Return the JSON document of a head, its format and version checked."""
    try:
        document = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_not_endless
        )
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"its metadata is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise unreadable(path, "it does not say that it is a head")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise unreadable(path, f"its version is {version!r}")
    if version > VERSION:
        raise HeadError(
            "head-newer",
            f"{path} has head format {version}, this vta knows up to {VERSION}",
            hint="upgrade vta, or train again with this one",
        )
    return document


def about(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a head of any kind says of itself: dims, normalise, recipes and meta, checked.

    Raises
    ------
    ValueError, KeyError
        If one is missing, or is not what it should be.
    """
    found = {name: document[name] for name in ("dims", "normalise", "recipes", "meta")}
    dims, recipes = found["dims"], found["recipes"]
    if not isinstance(dims, list) or not 0 < len(dims) <= MAX_BLOCKS:
        raise ValueError("the widths of the blocks are not a list")
    if not all(type(dim) is int and 0 < dim <= MAX_DIM for dim in dims):
        raise ValueError("a block's width is no whole number above 0")
    if not isinstance(recipes, list) or not all(isinstance(item, dict) for item in recipes):
        raise ValueError("the recipes are not a list of objects")
    if (type(found["meta"]), type(found["normalise"])) != (dict, bool):
        raise ValueError("the metadata is not an object")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    """Return a number that a float can hold: Python would read ``1e999`` as infinity."""
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _not_endless(text: str) -> int:
    """Return a whole number that a float can stand for."""
    _finite(text)
    return int(text)


def unreadable(path: Path, why: str) -> HeadError:
    """Return the error of a file that is not a whole, sound head."""
    return HeadError(
        "head-unreadable",
        f"{path} cannot be read as a head: {why}",
        hint="train it again, or restore the file from a copy",
    )
