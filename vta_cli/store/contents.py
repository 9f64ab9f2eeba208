"""What the catalogue knows of the content of some files, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys

UNKNOWN = "unknown"
"""Reason of a file that has no key and no reason of its own."""

_NO_KEY = bytes(KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known of n files, in the order in which they were asked for.

    Attributes
    ----------
    known : ndarray of shape (n,), bool
        Whether an entry that is to be believed exists.
    keys : ndarray of shape (n, 32), uint8
        Anything where `images` is False.
    reasons, details : list of str or None
        Why a known file is no good image, as in `Entry`; empty strings for images and for what is
        not known. None if there is no reason at all.
    """

    known: NDArray[np.bool_]
    keys: Keys
    reasons: list[str] | None = None
    details: list[str] | None = None

    @property
    def images(self) -> NDArray[np.bool_]:
        """Which of the files are known as good images."""
        if self.reasons is None:
            return self.known
        return self.known & np.array([not reason for reason in self.reasons], np.bool_)

    def why(self, at: int) -> tuple[str, str]:
        """Return reason and detail of one file."""
        return (
            self.reasons[at] if self.reasons else "",
            self.details[at] if self.details else "",
        )

    def filled(self, rows: Mapping[int, tuple[bytes | None, str | None, str | None]]) -> Self:
        """Return these files with more known of some: key, reason and detail by place."""
        places = list(rows)
        more = contents_of(list(rows.values()))
        known, keys = self.known.copy(), self.keys.copy()
        known[places], keys[places] = True, more.keys
        if self.reasons is None and more.reasons is None:
            return type(self)(known, keys)
        reasons = list(self.reasons or [""] * len(known))
        details = list(self.details or [""] * len(known))
        for number, place in enumerate(places):
            reasons[place], details[place] = more.why(number)
        return type(self)(known, keys, reasons, details)

    def spread(self, where: NDArray[np.bool_]) -> Self:
        """Return these files among others of which nothing is known.

        Parameters
        ----------
        where : ndarray of shape (m,), bool
            True at the n places that these files take, in their order.
        """
        known = np.zeros(len(where), np.bool_)
        known[where] = self.known
        keys = np.zeros((len(where), KEY_BYTES), np.uint8)
        keys[where] = self.keys

        def texts(said: list[str] | None) -> list[str] | None:
            if said is None:
                return None
            rest = iter(said)
            return [next(rest) if here else "" for here in where.tolist()]

        return type(self)(known, keys, texts(self.reasons), texts(self.details))


def contents_of(rows: Sequence[Any]) -> Contents:
    """Return what rows of the catalogue say.

    Parameters
    ----------
    rows : sequence of (key, reason, detail) or None
        None for a file of which nothing is known or believed.
    """
    known = np.array([row is not None for row in rows], np.bool_)
    keys: list[bytes] = []
    reasons: list[str] = []
    details: list[str] = []
    for row in rows:
        key, reason, detail = row or (None, None, None)
        key = key if key is not None and len(key) == KEY_BYTES else None
        keys.append(key or _NO_KEY)
        reasons.append(reason or ("" if key or row is None else UNKNOWN))
        details.append(detail or "")
    array = np.frombuffer(b"".join(keys), np.uint8).reshape(len(rows), KEY_BYTES)
    if not any(reasons):
        return Contents(known, array)
    return Contents(known, array, reasons, details)
