"""What a reader could not use, told with its place; a flood of one sort is counted, not listed."""

from collections import Counter
from collections.abc import Sequence

from vta_cli.errors import excerpt
from vta_cli.words import counted

SHOWN = 20
"""Problems of one sort that are told one by one."""
LISTED = 6
"""Values or columns that a message lists."""
LISTED_CHARACTERS = 160
"""Of a message's list at most, from its second value on."""


class Problems:
    """Collects sentences for the user.

    Parameters
    ----------
    name : str
        What was read, as the summary of a flood calls it: the name of a file.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, sort: str, where: str, what: str) -> None:
        """Note one problem.

        Parameters
        ----------
        sort : str
            Plural that the summary uses, e.g. ``rows whose image is not there``.
        where, what : str
            Place and sentence.
        """
        told = self._told.setdefault(sort, [])
        self._counts[sort] += 1
        if len(told) <= SHOWN:
            told.append(f"{where}: {what}")

    def sentences(self) -> tuple[str, ...]:
        """Return all that was noted, the sorts in the order in which they first occurred."""
        found: list[str] = []
        for sort, told in self._told.items():
            rest = self._counts[sort] - SHOWN
            if rest <= 1:  # a line that counts one problem may as well tell it
                found += told
            else:
                found += told[:SHOWN]
                found.append(f"{self._name}: {rest:,} more {sort}")
        return tuple(found)


def without(n: int, noun: str, what: str) -> str:
    """Return ``1 row has no score and is left out``, or the same of several."""
    are = "is" if n == 1 else "are"
    return f"{counted(n, f'{noun} has', f'{noun}s have')} no {what} and {are} left out"


def listed(values: Sequence[str], shown: int = LISTED) -> str:
    """Spell the first few values, and count the others."""
    quoted = [excerpt(value) for value in values[:shown]]
    while len(quoted) > 1 and sum(map(len, quoted)) > LISTED_CHARACTERS:
        quoted.pop()
    text, rest = ", ".join(quoted), len(values) - len(quoted)
    return f"{text} and {rest:,} more" if rest else text
