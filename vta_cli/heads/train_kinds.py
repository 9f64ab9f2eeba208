"""Fit a head for scores, tiers, classes, tags, votes or pairs; everything reported is out of fold.

The binary kind has `train.train_binary`, with members and calibrators.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import Sigmoid, log_odds, sigmoid
from vta_cli.heads.cross import Crossed, cross_fit, fit_all
from vta_cli.heads.crossfit import cross_fit as calibrate_folds
from vta_cli.heads.design import Design, make_design
from vta_cli.heads.judge_kinds import (
    judge_answers,
    judge_names,
    judge_pairs,
    judge_promises,
    suspects,
)
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.learner import Learner, Solution
from vta_cli.heads.mlp import losses_of, require_torch, train_network
from vta_cli.heads.mlp_checkpoint import Checkpoint
from vta_cli.heads.mlp_state import State, kept_folds
from vta_cli.heads.network import Settings
from vta_cli.heads.reduced import Reduced, reduce
from vta_cli.heads.registry import KIND_HEADS, LEARNERS, NETWORKS, resolve
from vta_cli.heads.spread import spread_folds
from vta_cli.heads.threads import one_thread
from vta_cli.heads.viewed import mean_of_views, view_rows
from vta_cli.heads.wanted import Ints, Wanted, by_view, check
from vta_cli.records import Figure, KindReport, Layer, Vectors

Progress = Callable[[str, int, int], None]
"""Called with the name of the step that begins, its number from 0, and the number of steps."""

MOST_NETWORK_FOLDS = 10
FEW_IMAGES = 50
FEWEST_OF_NAME = 10
CALIBRATION_SIDE = 5
"""Images with and without a tag from which its probabilities are calibrated."""


@dataclass(frozen=True)
class Gradients:
    """How a head that learns by gradients goes about it.

    Attributes
    ----------
    settings : Settings
    state : State or None
        Of a training to go on with.
    ids : ndarray of shape (n, m), uint8, or None
        What names each row, for a later training that goes on.
    device : str
        Of torch, or ``auto``.
    keep : callable or None
        Given the state of the new head.
    checkpoint : Checkpoint or None
        Where to write how far the training is.
    """

    settings: Settings = field(default_factory=Settings)
    state: State | None = None
    ids: NDArray[np.uint8] | None = None
    device: str = "auto"
    keep: Callable[[State], None] | None = None
    checkpoint: Checkpoint | None = None


def head_for(kind: str, head: str | None) -> str:
    """Return the head that learns a kind of judgement: the one asked for, or the default.

    Raises
    ------
    UsageError
        ``unknown-head``; ``wrong-head`` if it learns other kinds.
    """
    fitting = KIND_HEADS[kind]
    if head is None:
        return fitting[0]
    if head in fitting:
        if head in NETWORKS:
            require_torch()
        return head
    known = f"for {kind} there is {', '.join(fitting)}"
    if head in LEARNERS:
        raise UsageError("wrong-head", f"the head {head!r} does not learn {kind}", hint=known)
    near = get_close_matches(head, fitting, 1)
    hint = f"did you mean {near[0]}?" if near else known
    raise UsageError("unknown-head", f"there is no head {head!r} for {kind}", hint=hint)


def train_kind(
    blocks: Sequence[Vectors],
    wanted: Wanted,
    *,
    head: str | None = None,
    groups: Ints | None = None,
    n_folds: int = 5,
    seed: int = 0,
    normalise: bool = True,
    progress: Progress | None = None,
    gradients: Gradients | None = None,
) -> tuple[LayeredHead, KindReport]:
    """Fit, cross-validate and judge a head.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, dim_i) or (n, n_views, dim_i), float32
        Raw vectors of the judged images, one block a space. Of several views each is a row that
        is learnt from with the image's judgement; all are in one fold, and the figures are of
        images, after the views' answers were averaged.
    wanted : Wanted
        Their judgements.
    head : str, optional
        A name of `registry.KIND_HEADS`; by default the kind's first.
    groups : ndarray of shape (n,), int64, optional
        Images of one group (near-copies) share a fold and are resampled together.
    n_folds, seed : int
        Wanted number of folds, at least 2; seed of everything random.
    normalise : bool
        Scale the rows of each block to unit length.
    progress : callable, optional
        Told of each step.
    gradients : Gradients, optional
        Of a head that learns by gradients.

    Returns
    -------
    head : LayeredHead
        Fitted on all rows; recipes and metadata are the caller's to set.
    report : KindReport

    Raises
    ------
    UsageError
        ``too-few-labels``, ``one-value``, ``unknown-head``, ``wrong-head``, ``bad-option``;
        ``pairs-of-views`` for pairs of images of several views.
    HeadError
        If the arrays cannot be learnt from.
    """
    started = time.perf_counter()
    name = head_for(wanted.kind, head)
    if n_folds < 2:
        raise UsageError("bad-option", f"{n_folds} folds", hint="at least 2 folds")
    by_gradients = None
    if name in NETWORKS:
        by_gradients = gradients or Gradients()
        normalise = normalise and by_gradients.settings.rows != "raw"
    rows, n_views = view_rows(blocks)
    design = make_design(rows, normalise=normalise)
    n_images = design.n // n_views
    groups = np.arange(n_images) if groups is None else np.asarray(groups, dtype=np.int64)
    check(wanted, n_images, len(np.unique(groups)))
    _check_rows(design, n_views)
    wanted = replace(wanted, weights=wanted.weights / wanted.weights.mean())
    tell = progress or _silent
    if by_gradients is not None:
        with one_thread():  # of numpy alone: a large network may have torch's own threads
            fitted, report = _network(
                design,
                n_views,
                wanted,
                groups,
                n_folds,
                seed,
                by_gradients,
                tell,
                normalise=normalise,
            )
        return fitted, replace(report, seconds=time.perf_counter() - started)
    learner: Learner = resolve(LEARNERS[name])()
    with threadpool_limits(1):  # as in `train.train_binary`
        tell("folds", 0, 3)
        space = reduce(design)
        order = np.zeros(n_images) if wanted.pairs is not None else wanted.numbers
        fold_of = np.repeat(spread_folds(order, groups, n_folds, seed), n_views)
        seen = by_view(wanted, n_views)
        crossed = cross_fit(learner, space, seen, fold_of, seed)
        tell("fit", 1, 3)
        solution = fit_all(learner, space, seen, crossed)
        if wanted.kind == "tags":
            crossed, solution = _calibrate(crossed, solution, seen, fold_of, n_views)
        if wanted.kind == "pairs":
            solution = replace(solution, free=np.array([_middle(space.x, solution)]))
        tell("judge", 2, 3)
        fitted = _saved(learner, space, solution, wanted, design, normalise=normalise)
        report = _judge(name, learner, space, solution, crossed, wanted, groups, seed, n_views)
    seconds = time.perf_counter() - started
    return fitted, replace(report, n_folds=int(fold_of.max()) + 1, seconds=seconds)


def _silent(name: str, step: int, n_steps: int) -> None:
    """Tell nobody."""


def _check_rows(design: Design, n_views: int) -> None:
    if not np.isfinite(design.unit).all():
        row = int(np.flatnonzero(~np.isfinite(design.unit).all(axis=1))[0]) // n_views
        raise HeadError(
            "bad-vectors",
            f"the vector of label {row} holds values that are not finite",
            hint="run `vta store check`, then embed again",
        )


def _middle(x: Floats, solution: Solution) -> float:
    return float(np.median(x @ solution.weight[0]))


def _saved(
    learner: Learner,
    space: Reduced,
    solution: Solution,
    wanted: Wanted,
    design: Design,
    *,
    normalise: bool,
) -> LayeredHead:
    weight = space.on_columns(solution.weight)  # (k, dim)
    first = Layer("affine", weight, -(weight @ space.mean))
    return LayeredHead(
        learner.layers(first, solution.free),
        learner.output,
        learner.promise(wanted),
        design.dims,
        normalise=normalise,
    )


def _calibrate(
    crossed: Crossed, solution: Solution, wanted: Wanted, fold_of: Ints, n_views: int
) -> tuple[Crossed, Solution]:
    """Fit slope and offset of each tag's log-odds, out of fold; those of few images stay."""
    out = crossed.out.copy()
    slopes, offsets = np.ones(out.shape[1]), np.zeros(out.shape[1])
    for column, tag in enumerate(wanted.y.T):
        known = tag >= 0
        sides = (int(np.sum(tag == 1)), int(np.sum(tag == 0)))
        folds = fold_of[known]
        if min(sides) < CALIBRATION_SIDE * n_views or len(np.unique(folds)) < 2:
            continue
        raw = np.asarray(log_odds(out[known, column]))
        targets, weights = tag[known].astype(np.int8), wanted.weights[known] / n_views
        if min(len(np.unique(targets[folds != fold])) for fold in np.unique(folds)) < 2:
            continue
        _, whole = calibrate_folds([raw[None]], targets, weights, folds[None], "sigmoid")
        out[known, column] = whole[0]
        slopes[column], offsets[column] = Sigmoid.fit(raw, targets, weights).line
        out[~known, column] = sigmoid(
            slopes[column] * np.asarray(log_odds(out[~known, column])) + offsets[column]
        )
    weight = solution.weight * slopes[:, None]
    return replace(crossed, out=out), Solution(weight, solution.free * slopes + offsets)


def _judge(
    name: str,
    learner: Learner,
    space: Reduced,
    solution: Solution,
    crossed: Crossed,
    wanted: Wanted,
    groups: Ints,
    seed: int,
    n_views: int,
) -> KindReport:
    """Return the report; `n_folds` and `seconds` are left for the caller."""
    u = space.x @ solution.weight.T
    out = mean_of_views(crossed.out.T, n_views).T
    losses = crossed.losses
    if wanted.pairs is not None:
        figures = judge_pairs(out[:, 0], u[:, 0], wanted, groups, seed)
        sides = out[wanted.pairs[:, 0]] - out[wanted.pairs[:, 1]]
        out = learner.outputs(sides, np.zeros(0))
    else:
        trained = mean_of_views(learner.outputs(u, solution.free).T, n_views).T
        figures = judge_answers(out, trained, wanted, groups, seed)
    if wanted.kind == "tags" or n_views > 1:  # calibrated or averaged since
        losses = learner.losses(out, wanted.y, wanted).sum(axis=1)
    chosen = sorted({crossed.penalties[at] / space.unit for at in crossed.best})
    spread = f"{chosen[0]:.2g}" + (f" to {chosen[-1]:.2g}" if len(chosen) > 1 else "")
    detail = f"penalty {spread} of a row's mean square"
    return _report(name, wanted, groups, figures, out, losses, detail)


def _report(
    name: str,
    wanted: Wanted,
    groups: Ints,
    figures: tuple[Figure, ...],
    out: Floats,
    losses: Floats,
    detail: str,
) -> KindReport:
    by_name, confusion = judge_names(out, wanted)
    return KindReport(
        head=name,
        kind=wanted.kind,
        n_labels=len(wanted.y),
        n_groups=len(np.unique(groups)),
        n_folds=0,
        figures=figures,
        by_name=by_name,
        confusion=confusion,
        suspects=suspects(losses, out, wanted),
        detail=detail,
        notes=tuple(_notes(wanted, groups)),
        seconds=0.0,
        reliability=judge_promises(out, wanted),
    )


def _network(
    design: Design,
    n_views: int,
    wanted: Wanted,
    groups: Ints,
    n_folds: int,
    seed: int,
    by: Gradients,
    tell: Progress,
    *,
    normalise: bool,
) -> tuple[LayeredHead, KindReport]:
    """Fit and judge a network; `seconds` are left for the caller."""
    fold_of = spread_folds(wanted.numbers, groups, min(n_folds, MOST_NETWORK_FOLDS), seed)
    if by.state is not None and by.ids is not None:
        fold_of = kept_folds(by.state, by.ids, groups, fold_of)

    def step(number: int, n_fits: int) -> None:
        tell("fit", number, n_fits + 1)

    found = train_network(
        design.unit, by_view(wanted, n_views), np.repeat(fold_of, n_views), by.settings, seed,
        state=by.state, device=by.device, tell=step, checkpoint=by.checkpoint,
    )  # fmt: skip
    state = replace(found.state, ids=by.ids, fold_of=None if by.ids is None else fold_of)
    out, trained = (mean_of_views(x.T, n_views).T for x in (found.out, found.trained))
    tell("judge", int(fold_of.max()) + 2, int(fold_of.max()) + 3)
    if by.keep is not None:
        by.keep(state)
    fitted = LayeredHead(
        found.layers, found.output, found.promise, design.dims,
        normalise=normalise, meta={"settings": by.settings.to_json()},
    )  # fmt: skip
    figures = judge_answers(out, trained, wanted, groups, seed)
    losses = losses_of(out, wanted)
    report = _report("mlp", wanted, groups, figures, out, losses, found.detail)
    notes = list(report.notes)
    if by.state is not None and by.state.is_published:
        notes.append(
            "the head came without a record of what it had learnt from: the figures hold for "
            "images that it had not seen before"
        )
    report = replace(report, curve=found.curve, notes=tuple(notes), n_folds=int(fold_of.max()) + 1)
    return fitted, report


def _notes(wanted: Wanted, groups: Ints) -> list[str]:
    notes = []
    n_groups = len(np.unique(groups))
    if n_groups < FEW_IMAGES:
        notes.append(f"{n_groups} images are few: the figures may change much with more labels")
    if wanted.kind in ("classes", "ordinal"):
        names = wanted.names or tuple(f"tier {value:g}" for value in wanted.values)
        counts = np.bincount(wanted.y, minlength=len(names))
        few = [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if c < FEWEST_OF_NAME]
        if few:
            notes.append(f"few images, so little is known of them: {', '.join(few)}")
    if wanted.kind == "tags":
        notes += _tag_notes(wanted.names, wanted.y)
    if wanted.class_weights:
        notes.append("with class weights the probabilities lean towards the heavier classes")
    return notes


def _tag_notes(names: Sequence[str], y: NDArray[np.int8]) -> list[str]:
    counts = np.minimum(np.sum(y == 1, axis=0), np.sum(y == 0, axis=0))
    few = [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if c < CALIBRATION_SIDE]
    return [f"tags with too few images to calibrate: {', '.join(few)}"] if few else []
