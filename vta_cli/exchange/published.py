"""Which published heads are known, and the way from a file to one of them.

To add a kind: one file with two functions, one line in `KINDS`.
"""

import importlib
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.exchange.city import read_settings
from vta_cli.exchange.records import Published
from vta_cli.exchange.tensor_files import Tensors, read_tensors

KINDS: dict[str, tuple[str, str]] = {
    "laion-v1": ("vta_cli.exchange.laion:is_v1", "vta_cli.exchange.laion:read_v1"),
    "laion-v2": ("vta_cli.exchange.laion:is_v2", "vta_cli.exchange.laion:read_v2"),
    "ap-v2.5": ("vta_cli.exchange.laion:is_ap25", "vta_cli.exchange.laion:read_ap25"),
    "nima-idealo": ("vta_cli.exchange.nima:is_nima", "vta_cli.exchange.nima:read_nima"),
    "city": ("vta_cli.exchange.city:is_city", "vta_cli.exchange.city:read_city"),
}
"""Kind to (function that tells it by its tensors, function that reads it)."""

WITH_SETTINGS = frozenset({"city"})
"""Kinds that come with a JSON file beside the tensors."""


def read_published(path: Path, kind: str | None = None) -> Published:
    """Read a head that another tool published.

    Parameters
    ----------
    path : Path
    kind : str, optional
        One of `KINDS`; without it the names of the tensors decide.

    Raises
    ------
    UsageError
        ``unknown-kind``, ``unknown-head-file``, and what the kind asks for.
    HeadError
        If the file is damaged or not of that kind.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(
            "unknown-kind", f"there is no kind {kind!r}", hint=f"known: {', '.join(KINDS)}"
        )
    tensors = read_tensors(path)
    kind = kind or _tell(path, tensors)
    read = _resolve(KINDS[kind][1])
    found: Published = (
        read(tensors, read_settings(path)) if kind in WITH_SETTINGS else read(tensors)
    )
    return found


def _tell(path: Path, tensors: Tensors) -> str:
    for kind, (tell, _) in KINDS.items():
        if _resolve(tell)(tensors):
            return kind
    shown = ", ".join(list(tensors)[:4]) or "none"
    raise UsageError(
        "unknown-head-file",
        f"{path} is no published head that vta knows: its tensors are {shown}"
        + (" and others" if len(tensors) > 4 else ""),
        hint=f"known kinds: {', '.join(KINDS)}",
    )


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
