"""What a stream can show: width, colours, characters beyond ASCII. Imports nothing heavy."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

WIDTH = 80
"""Columns where the stream is no terminal."""
WIDEST = 100
"""Columns that are used at most: longer lines are hard to follow."""
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
"""ANSI codes: the eight basic colours follow the user's own palette."""


@dataclass(frozen=True, slots=True)
class Look:
    """How to draw for one stream.

    Attributes
    ----------
    width : int
        Columns.
    colour : bool
        Whether ANSI styles may be used.
    unicode : bool
        Whether characters such as block elements can be encoded.
    """

    width: int = WIDTH
    colour: bool = False
    unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] | None = None) -> "Look":
        """Look at a stream and the environment (``NO_COLOR``, ``TERM``)."""
        environ = os.environ if environ is None else environ
        terminal = stream.isatty()
        # https://no-color.org: present and not empty means no colour
        colour = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDEST) if terminal else WIDTH
        return cls(width, colour, can_encode(stream))

    def style(self, text: str, style: str) -> str:
        """Return `text` in a style of `STYLES`, or plain where there are no colours."""
        if not self.colour or not text:
            return text
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m"

    def pick(self, fancy: str, plain: str) -> str:
        """Return `fancy` where it can be shown, else its ASCII stand-in."""
        return fancy if self.unicode else plain

    @property
    def dash(self) -> str:
        """The dash of a range or of a figure that is not defined."""
        return self.pick("–", "-")  # noqa: RUF001 - an en dash is meant


def can_encode(stream: TextIO) -> bool:
    """Tell whether a stream takes the characters of bars and lines."""
    try:
        "█▌▐│─·…".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def printable(text: str, stream: TextIO | None = None) -> str:
    r"""Return `text` as one that the stream can show: for names of files in sentences.

    Control characters, bytes that are not UTF-8, and what the stream cannot encode become
    escapes, so that no file name can drive the terminal or break a line.

    >>> printable("a\nb\udcff")
    'a\\nb\\udcff'
    """
    stream = sys.stderr if stream is None else stream
    if not text.isprintable():
        # blanks other than the space are not printable either, but do no harm
        text = "".join(
            letter
            if letter.isprintable() or (letter.isspace() and letter > "\x9f")
            else letter.encode("unicode_escape").decode("ascii")
            for letter in text
        )
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")
