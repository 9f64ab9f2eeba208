"""The errors that vta raises on purpose. A leaf: imports nothing of vta.

Each error names what happened to which object (`message`) and what to do next (`hint`), and has a
stable short name (`slug`) and an exit code. `cli.py` turns them into one line for the user.
"""

QUOTED = 60
"""Characters of a foreign file that a message quotes at most at once: it may be no text at all."""
QUOTED_PATH = 255
"""The same of what should be a path: those that are one are shown whole, to be found again."""


class VtaError(Exception):
    """Something that vta foresaw.

    Parameters
    ----------
    slug : str
        Stable kebab-case name of the situation, e.g. ``no-such-source``.
    message : str
        One sentence that names the object concerned.
    hint : str
        What the user can do next; one sentence, may be empty.
    """

    exit_code = 1

    def __init__(self, slug: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.slug = slug
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(VtaError):
    """The request cannot be meant as it stands: exit code 2."""

    exit_code = 2


class StoreError(VtaError):
    """The store cannot be read or written."""


class BackboneError(VtaError):
    """A backbone cannot be had or run: unknown weights, missing extra, no memory."""


class HeadError(VtaError):
    """A head cannot be fitted, read or applied."""


class ArrangeError(VtaError):
    """Files could not be copied, linked or moved."""


class UnreadableImageError(VtaError):
    """One image cannot be decoded; `slug` is the reason under which it is skipped."""


def excerpt(value: object, most: int = QUOTED) -> str:
    r"""Return what a message quotes of a file: on one line, escaped, at most `most` characters.

    >>> excerpt("a\x00b"), excerpt(11)
    ("'a\\x00b'", '11')
    >>> len(excerpt("\x00" * 5000))
    60
    """
    shown = repr(value)
    return shown if len(shown) <= most else shown[: most - 3] + "..."
