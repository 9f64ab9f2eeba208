"""The order of the labels in the review of the labelling page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vta_cli.labels.journal import Judgement
from vta_cli.pipelines.label_learn import Fit
from vta_cli.pipelines.label_pool import Pool

SIDES = {"all": None, "liked": 1, "disliked": 0}


def reviewed(
    pool: Pool, fit: Fit | None, judgements: Mapping[str, Judgement], *, show: str, order: str
) -> list[tuple[int, dict[str, Any]]]:
    """Return rows of labelled images with what is told of their labels.

    The opinion is the out-of-fold one where there is one: a head that has learnt a label nearly
    always agrees with it.

    Parameters
    ----------
    show : {"all", "liked", "disliked"}
    order : str
        ``mistakes`` puts the labels first that the head finds least likely; else the newest first.
    """
    opinion = pool.scores.copy()
    if fit is not None:
        known = ~np.isnan(fit.head.oof_scores)
        opinion[fit.rows[known]] = fit.head.oof_scores[known]
    wanted = SIDES.get(show)
    found: list[tuple[float, int, float, Judgement]] = []
    for key, held in judgements.items():
        row = pool.row(key)
        if row is None or wanted not in {None, held.label}:
            continue
        score = float(opinion[row])
        wrong = abs(held.label - score) if np.isfinite(score) else -1.0
        found.append((wrong, row, score, held))
    if order == "mistakes":
        found.sort(key=lambda item: (-item[0], item[3].at))
    else:
        found.sort(key=lambda item: item[3].at, reverse=True)
    return [(row, _facts(score, held)) for _, row, score, held in found]


def _facts(score: float, held: Judgement) -> dict[str, Any]:
    return {
        "at": held.at, "rater": held.rater, "mode": held.mode,
        "opinion": round(score, 4) if np.isfinite(score) else None,
    }  # fmt: skip
