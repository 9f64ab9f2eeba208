"""Who judged: agreement of each rater with the head and with the others, and the ceiling.

The head's answers are out of fold: no rater's own label of an image has a part in them.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.figures import spearman
from vta_cli.heads.metrics import auc
from vta_cli.labels.consistency import consistency
from vta_cli.labels.judgements import Question, judgements, question_of_tag
from vta_cli.labels.records import Label, LabelSet
from vta_cli.records import Keys, RaterFigures, Suspect
from vta_cli.words import counted

NUMBERS = ("ordinal", "scores", "histograms")
"""Kinds whose labels are numbers; of votes the mean."""
NOUNS = {"pairs": ("pair", "pairs"), "tags": ("tag of an image", "tags of images")}
TIE = 0.5
FEWEST = 5
"""Images below which a measure says nothing."""
Floats = NDArray[np.float64]


def answers_of(suspects: Sequence[Suspect], keys: Keys) -> dict[bytes, float]:
    """Return the head's out-of-fold answer of each content, where there is one."""
    return {keys[one.row].tobytes(): one.value for one in suspects if np.isfinite(one.value)}


def questions_of(
    kind: str, suspects: Sequence[Suspect], keys: Keys, pairs: NDArray[np.int64] | None = None
) -> dict[Question, float]:
    """Return the head's out-of-fold answer to each question, where there is one.

    Parameters
    ----------
    kind : str
        Of the labels.
    keys : ndarray of shape (n, KEY_BYTES), uint8
    pairs : ndarray of shape (m, 2), int64, optional
        Of pairs: places of their contents in `keys`; the suspects are then of pairs.
    """
    if kind == "tags":
        return {
            question_of_tag(keys[one.row].tobytes(), tag): value
            for one in suspects
            for tag, value in enumerate(one.values)
        }
    if pairs is None:
        return {(key,): value for key, value in answers_of(suspects, keys).items()}
    found: dict[Question, float] = {}
    for one in suspects:
        left, right = (keys[at].tobytes() for at in pairs[one.row])
        turned = right < left
        found[min(left, right), max(left, right)] = 1.0 - one.value if turned else one.value
    return found


def rater_figures(
    labels: LabelSet, keys: Mapping[str, bytes], found: Mapping[Question, float]
) -> tuple[RaterFigures, ...]:
    """Judge each named rater, the busiest first; none where fewer than two are named.

    Parameters
    ----------
    labels : LabelSet
        Before any merge.
    keys : mapping of str to bytes
        Content key of each labelled path.
    found : mapping of tuple to float
        The head's out-of-fold answer to each question, see `questions_of`.
    """
    names = {label.rater for label in labels.labels if label.rater}
    if len(names) < 2:
        return ()
    own: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for key, judged in judgements(labels, keys).items():
        if key not in found:
            continue
        for name in {label.rater for label in judged if label.rater}:
            mine = _one([label for label in judged if label.rater == name], labels.kind)
            others = _one([label for label in judged if label.rater != name], labels.kind)
            tied = labels.kind == "pairs" and mine == TIE
            if np.isfinite(mine) and not tied:
                own[name].append((mine, found[key], others))
    rows = [_figures(name, np.array(rows), labels.kind) for name, rows in own.items()]
    return tuple(sorted(rows, key=lambda row: (-row.n_labels, row.name)))


def _one(judged: Sequence[Label], kind: str) -> float:
    """Return what several judgements say together; NaN if they say nothing, or are tied."""
    if not judged:
        return float("nan")
    if kind in NUMBERS:
        return float(np.average([one.value for one in judged], weights=[x.weight for x in judged]))
    weight: dict[float, float] = defaultdict(float)
    for one in judged:
        weight[one.value] += one.weight
    best = max(weight.values())
    winners = [value for value, total in weight.items() if math.isclose(total, best)]
    return winners[0] if len(winners) == 1 else float("nan")


def _figures(name: str, rows: Floats, kind: str) -> RaterFigures:
    mine, found, others = rows.T
    shared = np.isfinite(others)
    return RaterFigures(
        name=name,
        n_labels=len(rows),
        n_shared=int(shared.sum()),
        with_head=_measures(found, mine, kind),
        with_others=_measures(others[shared], mine[shared], kind, certain=True),
    )


def _measures(said: Floats, mine: Floats, kind: str, *, certain: bool = False) -> dict[str, float]:
    """Compare answers with one rater's labels; `certain` ones are labels, not probabilities."""
    few = len(mine) < FEWEST
    if kind in NUMBERS:
        srcc = spearman(said, mine) if not few else np.nan
        return {"SRCC": srcc, "MAE": float(np.abs(said - mine).mean()) if not few else np.nan}
    if kind == "classes" or certain:
        return {"accuracy": float(np.mean(said == mine)) if not few else np.nan}
    right = (said >= 0.5) == (mine >= 0.5)
    if kind == "tags":  # of what is there: most tags are absent from most images
        borne = mine >= 0.5
        recall = float(right[borne].mean()) if borne.sum() >= FEWEST else np.nan
        return {"accuracy": float(right.mean()) if not few else np.nan, "recall": recall}
    if kind == "pairs":  # left and right are nothing to be ranked
        return {"accuracy": float(right.mean()) if not few else np.nan}
    area = float(auc(said, (mine >= 0.5).astype(np.int8))[0]) if not few else np.nan
    return {"AUC": area, "accuracy": float(right.mean()) if not few else np.nan}


def ceiling_notes(labels: LabelSet, keys: Mapping[str, bytes]) -> list[str]:
    """Say how far repeated judgements agree: no head can agree any better."""
    if labels.kind == "histograms":
        return []
    one, several = NOUNS.get(labels.kind, ("image", "images"))
    notes = []
    for same_rater, who in ((True, "of one rater"), (False, "of two raters")):
        found = consistency(labels, keys, same_rater=same_rater)
        if not found.n_contents:
            continue
        n = found.n_contents
        what = counted(n, f"{one} was", f"{several} were")
        measured = labels.kind in ("ordinal", "scores") and np.isfinite(found.mean_difference)
        apart = f", {found.mean_difference:.3g} apart on average" if measured else ""
        so = "that much no head can foretell" if measured else "no head can do better"
        notes.append(
            f"{what} judged more than once: judgements {who} agree in "
            f"{100 * found.agreement:.0f} %{apart}; "
            + (so if n >= FEWEST else "too few to say how good a head can be")
        )
    return notes
