"""Fit a binary head: fold, fit, calibrate, weigh, judge; everything reported is out of fold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.crossfit import Blend
from vta_cli.heads.design import Design, make_design
from vta_cli.heads.folds import make_folds
from vta_cli.heads.judge import Targets, Task, blend_members, judge, judge_beside
from vta_cli.heads.metrics import auc
from vta_cli.heads.mlp import Mlp
from vta_cli.heads.protocol import Fitted, Fitter
from vta_cli.heads.registry import (
    FEWEST_LABELS,
    FEWEST_TOGETHER,
    HEADS,
    MEMBERS,
    NETWORKS,
    STAND_IN,
    resolve,
)
from vta_cli.heads.taste import Member, Taste
from vta_cli.heads.viewed import mean_of_views, view_rows
from vta_cli.records import TrainReport, Vectors

FEWEST_SIDE = 2
"""Fewer labels a side cannot be learnt from."""

Progress = Callable[[str, int, int], None]
"""Called with the name of the step that begins, its number from 0, and the number of steps."""


def train_binary(
    blocks: Sequence[Vectors],
    targets: NDArray[np.int8],
    *,
    head: str = "ensemble",
    groups: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
    n_folds: int = 5,
    n_repeats: int | None = None,
    seed: int = 0,
    normalise: bool = True,
    ratio: float = 30.0,
    progress: Progress | None = None,
    network: Mlp | None = None,
) -> tuple[Taste, TrainReport]:
    """Fit, cross-validate and calibrate a head for two classes.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i) or (n, n_views, dim_i), float32
        Raw vectors of the labelled images, one block a space. Of several views each is a row that
        is learnt from with the image's label and its share of the weight; all are in one fold, and
        the figures are of images, after the views' scores were averaged.
    targets : ndarray of shape (n,), int8
        1 positive, 0 negative.
    head : str
        A name of `registry.HEADS`.
    groups : ndarray of shape (n,), int64, optional
        Images of one group (near-copies) share a fold and are resampled together.
    weights : ndarray of shape (n,), float64, optional
        Weight of each label, above 0; only proportions count.
    n_folds : int
        Wanted number of folds, at least 2; fewer where a side has fewer groups.
    n_repeats : int, optional
        How often the folds are dealt anew; by default more often for fewer labels.
    seed : int
        The same input and seed give the same head, to the bit.
    normalise : bool
        Scale the rows of each block to unit length.
    ratio : float
        Of the safety margins.
    progress : callable, optional
        Told of each step.
    network : Mlp, optional
        The member of the head ``mlp`` with its settings; it keeps the curve and the state.

    Returns
    -------
    taste : Taste
        Fitted on all rows; recipes and metadata are the caller's to set.
    report : TrainReport

    Raises
    ------
    UsageError
        ``too-few-labels``, ``unknown-head``, ``bad-option``.
    HeadError
        ``wrong-vectors`` or ``bad-vectors`` if the blocks cannot be learnt from.
    """
    started = time.perf_counter()
    _check_options(head, n_folds, n_repeats, ratio)
    targets = _checked_targets(targets)
    if head in NETWORKS:
        n_repeats = n_repeats or 1  # its fits are dear
    tell = progress or _silent
    rows, n_views = view_rows(blocks)
    design = make_design(rows, normalise=normalise)
    # threads that wait for each other cost more than they gain, and sums that they part differ
    # in their last bits: the same labels would give other heads on other machines
    with threadpool_limits(1):
        task = _task(design, n_views, targets, groups, weights, n_folds, n_repeats, seed)
        if network is not None:
            task = replace(task, folds=network.folds(task.groups, task.folds))
        seen = task.by_view(n_views)
        names, notes = _member_names(head, task)
        fitted = []
        for at, name in enumerate(names):
            tell(name, at, len(names) + 1)
            by_hand = network if network is not None and name == network.name else None
            fitter: Fitter = by_hand or resolve(MEMBERS[name])()
            fitted.append(fitter.fit(design, seen.targets, seen.balanced, seen.folds, seed))
        tell("judge", len(names), len(names) + 1)
        blend, *found = blend_members(seen, names, [item.raw_oof for item in fitted])
        each, whole = (mean_of_views(scores, n_views) for scores in found)
        taste = _taste(design, names, fitted, blend, normalise=normalise)
        details = [item.detail for item in fitted]
        report = judge(head, task, names, details, blend, each, whole, ratio, notes)
        own = mean_of_views(taste.score(rows), n_views)
        figures, reliability = judge_beside(task, whole, own)
    return taste, replace(
        report,
        train_auc=float(auc(own, task.targets)[0]),
        seconds=time.perf_counter() - started,
        figures=figures,
        reliability=reliability,
    )


def _silent(name: str, step: int, n_steps: int) -> None:
    """Tell nobody."""


def _check_options(head: str, n_folds: int, n_repeats: int | None, ratio: float) -> None:
    if head not in HEADS:
        near = get_close_matches(head, HEADS, 1)
        raise UsageError(
            "unknown-head",
            f"there is no head {head!r}",
            hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(HEADS)}",
        )
    if n_folds < 2 or (n_repeats is not None and n_repeats < 1):
        raise UsageError(
            "bad-option", f"{n_folds} folds, {n_repeats} repeats", hint="at least 2 folds, 1 repeat"
        )
    if not ratio > 1.0:
        raise UsageError("bad-option", f"a margin ratio of {ratio:g}", hint="say more than 1")


def _checked_targets(targets: NDArray[np.int8]) -> Targets:
    found = np.asarray(targets)
    if found.ndim != 1 or not np.isin(found, (0, 1)).all():
        raise HeadError("bad-targets", "targets of a binary head are 0 and 1, one a row")
    sides = [int(np.sum(found == side)) for side in (1, 0)]
    if min(sides) < FEWEST_SIDE:
        raise UsageError(
            "too-few-labels",
            f"{sides[0]} positive and {sides[1]} negative labels are too few to learn from",
            hint="label at least 2 of each; about 50 of each are a decent start",
        )
    return found.astype(np.int8)


def _task(
    design: Design,
    n_views: int,
    targets: Targets,
    groups: NDArray[np.int64] | None,
    weights: NDArray[np.float64] | None,
    n_folds: int,
    n_repeats: int | None,
    seed: int,
) -> Task:
    n = len(targets)
    groups = np.arange(n) if groups is None else np.asarray(groups, dtype=np.int64)
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if not design.n // n_views == len(groups) == len(weights) == n:
        raise HeadError(
            "wrong-vectors",
            f"{design.n // n_views} images, {n} targets, {len(groups)} groups, "
            f"{len(weights)} weights",
        )
    if not np.isfinite(design.unit).all():
        row = int(np.flatnonzero(~np.isfinite(design.unit).all(axis=1))[0]) // n_views
        raise HeadError(
            "bad-vectors",
            f"the vector of label {row} holds values that are not finite",
            hint="run `vta store check`, then embed again",
        )
    if not np.isfinite(weights).all() or np.any(weights <= 0):
        raise HeadError("bad-weights", "weights of labels must be finite and above 0")
    n_rarer = min(len(np.unique(groups[targets == side])) for side in (0, 1))
    repeats = n_repeats or _repeats(n)
    folds = make_folds(targets, groups, n_folds, repeats, seed)
    return Task(design, targets, weights / weights.mean(), groups, folds, n_rarer, seed)


def _repeats(n: int) -> int:
    """Repeats for `n` labels: the fewer, the more the deal of the folds matters."""
    return 2 if n <= 80 else 1


def _member_names(head: str, task: Task) -> tuple[tuple[str, ...], list[str]]:
    """Return the members that make sense for so few labels, and what to say about it."""
    if not task.tiny:
        fewest = FEWEST_TOGETHER if len(HEADS[head]) > 1 else FEWEST_LABELS
        names = tuple(name for name in HEADS[head] if fewest[name] <= task.n_rarer)
        if names:
            return names, []
    note = f"too few labels for the head {head!r}: the difference of the class means stands in"
    return (STAND_IN,), [] if head == STAND_IN else [note]


def _taste(
    design: Design, names: Sequence[str], fitted: Sequence[Fitted], blend: Blend, *, normalise: bool
) -> Taste:
    members = [
        Member(name, item.part, own, float(share), float(weight))
        for name, item, own, share, weight in zip(
            names, fitted, blend.own, blend.shares, blend.weights, strict=True
        )
        if share > 0
    ]
    return Taste(members, blend.final, design.columns, design.dims, normalise=normalise)
