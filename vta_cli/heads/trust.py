"""How far the figures carry, in a word and in sentences."""

from typing import Literal

from vta_cli.records import Interval

Trust = Literal["none", "low", "fair", "good"]

DECENT_SIDE = 50
"""About 50 + 50 labels make a decent start (the author of the original ensemble, and our curves in
`docs/heads.md`)."""


def trust_level(n_rarer: int, auc: Interval) -> Trust:
    """Judge by the labels of the rarer side (independent groups) and the interval of the AUC.

    ``none``: fewer than 5 a side, no cross-validation, or the interval holds 0.5 or less.
    ``low``: fewer than 20 a side, or the interval is wider than 0.25.
    ``fair``: fewer than 50 a side, or wider than 0.12. ``good``: otherwise.
    """
    if n_rarer < 5 or not auc.low > 0.5:  # a NaN is not above 0.5 either
        return "none"
    width = auc.high - auc.low
    if n_rarer < 20 or width > 0.25:
        return "low"
    return "fair" if n_rarer < DECENT_SIDE or width > 0.12 else "good"


def trust_notes(
    n_positive: int, n_negative: int, n_rarer: int, auc: Interval, level: Trust
) -> tuple[str, ...]:
    """Return sentences for the user: what the figures rest on and what would help."""
    notes = []
    if auc.value != auc.value:  # NaN
        notes.append(
            f"with {n_positive} + {n_negative} labels nothing could be held back to test on: "
            "the scores are a guess from the difference of the two sides, drawn towards even odds"
        )
    elif level == "none" and n_rarer < 5:
        notes.append(
            f"{n_positive} + {n_negative} labels order pictures roughly; no figure is safe"
        )
    elif level == "none":
        notes.append(
            "out of fold the head does no better than chance: the labels may not be visible in "
            "these vectors; more labels or another backbone may help"
        )
    if n_rarer < DECENT_SIDE:
        side = "liked" if n_positive < n_negative else "disliked"
        above_all = f", above all {side} ones" if n_positive != n_negative else ""
        notes.append(
            f"about {DECENT_SIDE} + {DECENT_SIDE} labels are a decent start; you have "
            f"{n_positive} + {n_negative}, so label more{above_all}"
        )
    rarer, other = sorted((n_positive, n_negative))
    if rarer * 10 < other:
        notes.append(
            "one side has more than ten times the labels of the other: probabilities follow that "
            "proportion, and the rarer side decides how good the head can be"
        )
    return tuple(notes)
