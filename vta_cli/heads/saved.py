"""Any saved head: what all kinds offer, and the way from a file to the right one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from safetensors import SafetensorError, safe_open

from vta_cli.heads.blocks import Block, Floats
from vta_cli.heads.layered import TYPE, LayeredHead
from vta_cli.heads.persist import FIELD, read, unreadable
from vta_cli.heads.taste import Taste
from vta_cli.records import Promise


class Head(Protocol):
    """A head ready to score; see `taste.Taste` and `layered.LayeredHead`."""

    recipes: tuple[dict[str, Any], ...]
    meta: dict[str, Any]
    dims: tuple[int, ...]
    normalise: bool

    @property
    def promise(self) -> Promise:
        """What the score means."""

    def with_meta(self, *, recipes: Sequence[dict[str, Any]] | None = None, **meta: Any) -> Self:
        """Return the same head with other recipes or more metadata."""

    def score(self, blocks: Sequence[Block]) -> Floats:
        """Return the score of each row, shape (n,), float64."""

    def answer(self, blocks: Sequence[Block]) -> tuple[Floats, dict[str, Floats]]:
        """Return the score of each row, and the columns that always stand beside it."""

    def members(self, blocks: Sequence[Block]) -> dict[str, Floats]:
        """Return what the score was made of, on request: members, or bins."""

    def save(self, path: Path) -> None:
        """Write the head to one file, atomically."""


def load_head(path: Path) -> Head:
    """Read a saved head of any kind.

    Raises
    ------
    HeadError
        ``no-such-head``, ``head-unreadable`` or ``head-newer``.
    """
    path = Path(path)
    document, arrays = read(path)
    kind = document.get("type")
    if kind == TYPE:
        return LayeredHead.restore(path, document, arrays)
    if kind is not None:
        raise unreadable(path, f"its type {kind!r} is unknown")
    return Taste.restore(path, document, arrays)


def is_own(path: Path) -> bool:
    """Tell a head that vta has saved from any other file."""
    try:
        with safe_open(path, framework="numpy") as file:
            return FIELD in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False
