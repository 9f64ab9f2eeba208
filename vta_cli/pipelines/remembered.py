"""What a head keeps of its own training: which contents, what was said, what it said out of fold.

The report draws it; it never leaves with a published head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, Keys

FIELD = "oof"
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
