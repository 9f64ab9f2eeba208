"""Counts as people read them."""

import re
from pathlib import Path

import vta_cli
from vta_cli.words import counted

ROOT = Path(vta_cli.__file__).parent
BY_HAND = re.compile(
    r":,} ([\w-]+ ){0,2}(copies|files|folds|images|labels|paths|pictures|raters|shards|vectors)\b"
)


def test_one_is_singular_and_all_else_is_plural():
    """None takes the plural too; a verb goes with its noun."""
    assert [counted(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert [counted(n, "copy is", "copies are") for n in (1, 2)] == ["1 copy is", "2 copies are"]


def test_no_message_counts_by_itself():
    """A number with thousands marks before a plural would say "1 files"."""
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in ROOT.rglob("*.py")
        for match in BY_HAND.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []
