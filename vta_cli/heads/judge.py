"""What is known of a fitted head: figures, margins and thresholds, all of them out of fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads import metrics
from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import Sigmoid, choose_kind, log_odds, soft_targets
from vta_cli.heads.crossfit import Blend, cross_fit, fit_pooled
from vta_cli.heads.design import Design
from vta_cli.heads.margins import safety_margins
from vta_cli.heads.registry import PRIOR_WEIGHTS
from vta_cli.heads.thresholds import recommend
from vta_cli.heads.trust import trust_level, trust_notes
from vta_cli.records import Figure, MemberReport, Reliability, TrainReport

Ints = NDArray[np.int64]
Targets = NDArray[np.int8]

TINY_SIDE = 4
"""With fewer independent labels a side only the difference of the means is fitted."""


@dataclass(frozen=True)
class Task:
    """What is learnt from, checked.

    Attributes
    ----------
    design : Design
    targets : ndarray of shape (n,), int8
    weights : ndarray of shape (n,), float64
        Of mean 1.
    groups : ndarray of shape (n,), int64
    folds : ndarray of shape (n_repeats, n), int64
        No repeats where folds cannot be had.
    n_rarer : int
        Independent labels of the rarer side.
    seed : int
    """

    design: Design
    targets: Targets
    weights: Floats
    groups: Ints
    folds: Ints
    n_rarer: int
    seed: int

    @property
    def tiny(self) -> bool:
        """Whether there is too little to calibrate on."""
        return self.n_rarer < TINY_SIDE or not len(self.folds)

    def by_view(self, n_views: int) -> "Task":
        """Return the task with a row for each view, which carries its share of the weight."""
        if n_views == 1:
            return self
        return replace(
            self,
            targets=np.repeat(self.targets, n_views),
            weights=np.repeat(self.weights / n_views, n_views),
            groups=np.repeat(self.groups, n_views),
            folds=np.repeat(self.folds, n_views, axis=1),
        )

    @property
    def balanced(self) -> Floats:
        """Weights with which both classes sum to half the number of rows."""
        weights = self.weights.copy()
        for side in (0, 1):
            rows = self.targets == side
            weights[rows] *= len(weights) / (2.0 * weights[rows].sum())
        return weights


def blend_members(
    task: Task, names: Sequence[str], raws: Sequence[Floats]
) -> tuple[Blend, Floats, Floats]:
    """Decide how raw scores become probabilities.

    Parameters
    ----------
    names : sequence of str
        Of the members.
    raws : sequence of ndarray of shape (n_repeats, n), float64
        Out-of-fold raw scores of each member.

    Returns
    -------
    blend : Blend
        Fitted on all out-of-fold scores.
    each, whole : ndarray of shape (n_members, n_repeats, n) and (n_repeats, n), float64
        Out-of-fold probabilities of the members and of the head.
    """
    if task.tiny:
        guess = _guess(task)
        blend = Blend((guess,), np.ones(1), np.ones(1), guess)
        whole = guess.probability(raws[0])
        return blend, whole[None], whole
    kind = choose_kind(task.n_rarer)
    prior = np.array([PRIOR_WEIGHTS[name] for name in names])
    each, whole = cross_fit(raws, task.targets, task.weights, task.folds, kind, prior)
    return fit_pooled(raws, task.targets, task.weights, kind, prior), each, whole


def _guess(task: Task) -> Sigmoid:
    """Return a calibrator for raw scores of -1 and 1 at the class means, without any fit.

    Laplace's rule of succession: after n of n hits the next is one with (n + 1) / (n + 2), so the
    odds at a class mean are those of the prior times n + 1.
    """
    share = float(task.weights @ soft_targets(task.targets, task.weights) / task.weights.sum())
    return Sigmoid(np.array([np.log1p(task.n_rarer), float(log_odds(np.array(share)))]))


def judge_beside(
    task: Task, whole: Floats, own: Floats
) -> tuple[tuple[Figure, ...], tuple[Reliability, ...]]:
    """Return what else is known of yes and no, each beside its base, and the reliability table.

    Parameters
    ----------
    whole : ndarray of shape (n_repeats, n), float64
        Out-of-fold probabilities of the head.
    own : ndarray of shape (n,), float64
        What the head says of the images that fitted it.

    Notes
    -----
    Base: the larger side of everything for the accuracy, the share of the positives for the Brier
    score and the average precision, everything kept for the F-measure.
    """
    if not len(whole):
        return (), ()
    counts = metrics.resamples(task.groups, task.seed)
    share = float(np.mean(task.targets == 1))
    square = metrics.BETA**2
    measures = (
        ("average precision", "high", metrics.average_precision, share),
        (f"F{metrics.BETA:g} at 0.5", "high", metrics.f_beta,
         (1 + square) * share / (square * share + 1)),
        ("accuracy at 0.5", "high", metrics.accuracy, max(share, 1 - share)),
        ("Brier", "low", metrics.brier, share * (1 - share)),
    )  # fmt: skip
    figures = tuple(
        Figure(
            name, "low" if better == "low" else "high",
            metrics.interval(measure, whole, task.targets, counts), base,
            float(measure(own, task.targets)[0]),
        )
        for name, better, measure, base in measures
    )  # fmt: skip
    return figures, metrics.reliability(whole.mean(axis=0), task.targets)


def judge(
    head: str,
    task: Task,
    names: Sequence[str],
    details: Sequence[str],
    blend: Blend,
    each: Floats,
    whole: Floats,
    ratio: float,
    notes: Sequence[str],
) -> TrainReport:
    """Return the report; `train_auc` and `seconds` are left for the caller.

    Parameters
    ----------
    names, details : sequence of str
        Of the members.
    each, whole : ndarray of shape (n_members, n_repeats, n) and (n_repeats, n), float64
        Out-of-fold probabilities.
    """
    counts = metrics.resamples(task.groups, task.seed)
    single = len(names) == 1
    members = [
        _member(task, name, scores, counts, None if single else float(share), detail)
        for name, scores, share, detail in zip(names, each, blend.shares, details, strict=True)
    ]
    if not single:
        detail = f"{blend.final.kind} calibration"
        members.append(_member(task, head, whole, counts, None, detail))
    auc = members[-1].auc
    level = trust_level(task.n_rarer, auc)
    n_positive = int(np.sum(task.targets == 1))
    n_negative = len(task.targets) - n_positive
    known = len(whole) > 0
    scores = whole.mean(axis=0) if known else np.full(len(task.targets), np.nan)
    return TrainReport(
        head=head,
        n_positive=n_positive,
        n_negative=n_negative,
        n_groups=len(np.unique(task.groups)),
        n_folds=int(task.folds.max()) + 1 if known else 0,
        n_repeats=len(whole),
        members=tuple(members),
        oof_scores=scores,
        targets=task.targets,
        margins=safety_margins(scores, task.targets, ratio),
        thresholds=recommend(scores, task.targets, task.folds[0], ratio) if known else (),
        trust=level,
        notes=(*notes, *trust_notes(n_positive, n_negative, task.n_rarer, auc, level)),
        train_auc=float("nan"),
        seconds=0.0,
    )


def _member(
    task: Task, name: str, scores: Floats, counts: Floats, share: float | None, detail: str
) -> MemberReport:
    """Judge one member on its out-of-fold probabilities, shape (n_repeats, n).

    The AUC compares pictures of one fold only; see `metrics.auc`.
    """
    calibration = partial(metrics.ece, n_bins=metrics.bins_for(len(task.targets)))
    return MemberReport(
        name=name,
        auc=metrics.interval(metrics.auc, scores, task.targets, counts, task.folds),
        accuracy=metrics.interval(metrics.accuracy, scores, task.targets, counts),
        brier=metrics.interval(metrics.brier, scores, task.targets, counts),
        ece=metrics.interval(calibration, scores, task.targets, counts),
        weight=share,
        detail=detail,
    )
