"""What a head keeps of its own training: which contents, what was said, what it said out of fold.

The report draws it and `vta explain` names it; it never leaves with a published head.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.wanted import Wanted
from vta_cli.records import KEY_BYTES, Keys

FIELD, LABELS = "oof", "labels"
MOST = 20_000
"""Labels up to which they are kept."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OutOfFold:
    """Labels with the answers of heads that did not see them.

    Attributes
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    truth, found : ndarray of shape (n,), float64
        Of classes their places.
    """

    keys: Keys
    truth: Floats
    found: Floats


def by_judgement(keys: Iterable[str], said: Iterable[str]) -> dict[str, list[str]]:
    """Return metadata for a head: the keys of each judgement; empty where there are too many.

    Parameters
    ----------
    keys : iterable of str
        Content keys, hexadecimal.
    said : iterable of str
        What was said of each: ``positive`` and ``negative``, or as `words` spells it.
    """
    found: dict[str, list[str]] = {}
    for key, judgement in zip(keys, said, strict=True):
        found.setdefault(judgement, []).append(key)
    return found if sum(map(len, found.values())) <= MOST else {}


def words(wanted: Wanted, n: int) -> list[str]:
    """Spell what was said of each of `n` contents: 7.5, cats, or won 3 of 4."""
    if wanted.pairs is not None:
        won, of = np.zeros(n), np.zeros(n, np.int64)
        for side, share in ((0, wanted.y), (1, 1 - wanted.y)):
            np.add.at(won, wanted.pairs[:, side], share)
            np.add.at(of, wanted.pairs[:, side], 1)
        return [f"won {float(a):g} of {int(b)}" for a, b in zip(won, of, strict=True)]
    if wanted.kind == "classes":
        return [wanted.names[place] for place in wanted.y]
    if wanted.kind == "tags":
        rows = [np.flatnonzero(row == 1) for row in wanted.y]
        return [", ".join(wanted.names[at] for at in row) or "no tag" for row in rows]
    return [f"{number:g}" for number in wanted.numbers]


def judgements(meta: Mapping[str, Any]) -> dict[bytes, str]:
    """Return what a head remembers of its labels, by content key; nonsense is left out."""
    kept = meta.get(LABELS)
    found: dict[bytes, str] = {}
    for said, keys in kept.items() if isinstance(kept, Mapping) else ():
        try:
            raw = [bytes.fromhex(text) for text in keys]
        except (TypeError, ValueError):
            continue
        found.update((key, str(said)) for key in raw if len(key) == KEY_BYTES)
    return found


def remember(keys: Keys, truth: NDArray[Any], answers: Mapping[bytes, float]) -> dict[str, Any]:
    """Return metadata for a head; empty where there are too many labels, or no answer.

    Parameters
    ----------
    keys : ndarray of shape (n, KEY_BYTES), uint8
    truth : ndarray of shape (n,)
        The judgements as numbers.
    answers : mapping of bytes to float
        Out-of-fold answer of each key that has one.
    """
    if not answers or len(keys) > MOST:
        return {}
    rows = [row for row, key in enumerate(keys) if key.tobytes() in answers]
    return {
        FIELD: {
            "keys": [keys[row].tobytes().hex() for row in rows],
            "truth": [float(f"{float(truth[row]):.6g}") for row in rows],
            "found": [float(f"{answers[keys[row].tobytes()]:.6g}") for row in rows],
        }
    }


def recall(meta: Mapping[str, Any]) -> OutOfFold | None:
    """Return what a head remembers; None if nothing, or nonsense, as heads come from anyone."""
    try:
        kept = meta[FIELD]
        raw = b"".join(bytes.fromhex(text) for text in kept["keys"])
        keys = np.frombuffer(raw, np.uint8).reshape(-1, KEY_BYTES)
        truth = np.array(kept["truth"], dtype=np.float64)
        found = np.array(kept["found"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    good = truth.shape == found.shape == (len(keys),) and len(keys) > 0
    if not good or not np.isfinite([truth, found]).all():
        return None
    return OutOfFold(keys, truth, found)
