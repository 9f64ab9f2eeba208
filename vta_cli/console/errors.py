"""Errors as people read them: what happened to which object, and what to do next."""

import sys
from typing import TextIO

from vta_cli.console.look import Look, printable
from vta_cli.errors import VtaError

__all__ = ["printable", "render"]


def render(error: VtaError, *, stream: TextIO | None = None) -> str:
    """Return an error as text for a stream (stderr if None), without a final newline.

    The first line is ``error[slug]: message``, the next ``  hint: ...`` if there is a hint; further
    lines of a hint follow as they are, to be copied.
    """
    stream = sys.stderr if stream is None else stream
    look = Look.of(stream)
    head = look.style(f"error[{error.slug}]:", "red")
    lines = [f"{head} {printable(error.message, stream)}"]
    if error.hint:
        first, *more = error.hint.rstrip("\n").split("\n")  # a hint may hold a file to write
        lines.append(f"  {look.style('hint:', 'cyan')} {printable(first, stream)}")
        lines += [printable(line, stream) for line in more]
    return "\n".join(lines)
