"""Learn scores, tiers, classes, tags, votes or pairs: from a label set to a saved head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import vta_cli
from vta_cli.errors import UsageError
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.mlp_state import State
from vta_cli.heads.registry import NETWORKS
from vta_cli.heads.train_kinds import head_for, train_kind
from vta_cli.heads.wanted import Wanted
from vta_cli.labels.distribution import Rows, bar_width, distribution
from vta_cli.labels.records import LabelSet
from vta_cli.labels.registry import merge_of
from vta_cli.pipelines.embed import EmbedReport
from vta_cli.pipelines.labelled import (
    Plan,
    head_path,
    labelled,
    lost_notes,
    near_copies,
    told_steps,
)
from vta_cli.pipelines.lanes import Lane
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.raters import answers_of, ceiling_notes, questions_of, rater_figures
from vta_cli.pipelines.remembered import LABELS, by_judgement, remember, words
from vta_cli.pipelines.spaces import default_threshold
from vta_cli.pipelines.train_gradients import (
    checkpointed,
    gradients,
    head_of,
    id_rows,
    save_beside,
)
from vta_cli.pipelines.views import one_vector, to_learn
from vta_cli.records import Curve, KindReport, RaterFigures, Suspect
from vta_cli.store.space import Space
from vta_cli.store.store import Store


@dataclass(frozen=True)
class TrainedKind:
    """A saved head: where it is, what is known of it, what was left out on the way.

    Attributes
    ----------
    spread : rows of (str, int)
        How the labels are spread; a bar of all would have `spread_width` columns.
    suspects : tuple of Suspect
        All labels, the most doubtful first; `Suspect.row` is a place in `paths`.
    paths : tuple of str
        Of the labels; of pairs both, with a blank between.
    raters : tuple of RaterFigures
        Where several are named.
    """

    path: Path
    head: LayeredHead
    report: KindReport
    notes: tuple[str, ...]
    embedded: EmbedReport | None
    spread: Rows
    spread_width: int
    suspects: tuple[Suspect, ...]
    paths: tuple[str, ...]
    raters: tuple[RaterFigures, ...]
    curve: Curve | None = None


def train_labels(
    store: Store, labels: LabelSet, lanes: Sequence[Lane], plan: Plan, progress: Progress
) -> TrainedKind:
    """Fit, cross-validate and save a head for judgements that are not yes or no.

    Parameters
    ----------
    labels : LabelSet
        Of any kind but ``binary``.
    lanes : sequence of Lane
        The backbones whose vectors the head reads, in column order.

    Raises
    ------
    UsageError
        If there is too little to learn from, labels conflict, or an option does not fit the kind.
    HeadError
        If there is nothing to fit.
    """
    path = head_path(store, plan)
    labels = replace(labels, names=_apart(labels.names))
    plan = replace(plan, head=head_of(plan.head, plan.by))
    head_for(labels.kind, plan.head)  # a wrong name costs no embedding
    weights, chosen = _class_weights(labels, plan), _chosen(labels, plan)
    known = labelled(store, labels.paths(), lanes, progress, embed_missing=plan.embed_missing)
    judged = merge_of(labels.kind)(labels, known.keys, on_conflict=plan.on_conflict)
    wanted = WANTED[labels.kind](judged)
    wanted = Wanted(**{**wanted.__dict__, "class_weights": weights, "chosen": chosen})
    vectors = [space.read(judged.keys) for space in known.spaces]
    blocks = to_learn(vectors)
    groups = near_copies([one_vector(v) for v in vectors], default_threshold(known.spaces))
    by = None
    states: list[State] = []
    with checkpointed(plan.head, path, progress) as checkpoint:
        if plan.head in NETWORKS:
            ids = id_rows(judged.keys)
            by = gradients(store, plan.by, known.spaces, ids, states, checkpoint)
        with told_steps(progress) as tell:
            head, report = train_kind(
                blocks, wanted, head=plan.head, groups=groups,
                n_folds=plan.n_folds, seed=plan.seed, progress=tell, gradients=by,
            )  # fmt: skip
        answers = {} if wanted.pairs is not None else answers_of(report.suspects, judged.keys)
        names = [row.tobytes().hex() for row in judged.keys]
        head = head.with_meta(
            recipes=[space.recipe.to_json() for space in known.spaces],
            **_meta(plan, known.spaces, report),
            **remember(judged.keys, wanted.numbers, answers),
            **{LABELS: by_judgement(names, words(wanted, len(names)))},
        )
        if states:
            save_beside(path, states[0], report.curve)
        head.save(path)
    notes = (
        *labels.problems, *judged.notes, *lost_notes(known.lost),
        *ceiling_notes(labels, known.keys), *report.notes,
    )  # fmt: skip
    return TrainedKind(
        path=path,
        head=head,
        report=report,
        notes=notes,
        embedded=known.embedded,
        spread=distribution(labels),
        spread_width=bar_width(labels),
        suspects=report.suspects,
        paths=_paths(judged, wanted),
        raters=rater_figures(
            labels,
            known.keys,
            questions_of(labels.kind, report.suspects, judged.keys, wanted.pairs),
        ),
        curve=report.curve,
    )


def _apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """Number classes that are called alike, such as those of the folders 0_reg and 1_reg."""
    return tuple(f"{at}_{name}" if names.count(name) > 1 else name for at, name in enumerate(names))


def _classes(judged: Any) -> Wanted:
    return Wanted("classes", judged.targets, judged.weights, names=judged.names)


def _tiers(judged: Any) -> Wanted:
    return Wanted("ordinal", judged.targets, judged.weights, values=judged.tiers)


def _scores(judged: Any) -> Wanted:
    return Wanted("scores", judged.targets, judged.weights)


def _tags(judged: Any) -> Wanted:
    return Wanted("tags", judged.targets, judged.weights, names=judged.names)


def _votes(judged: Any) -> Wanted:
    values = tuple(float(value) for value in judged.bins)
    return Wanted("histograms", judged.targets, judged.weights, values=values)


def _pairs(judged: Any) -> Wanted:
    return Wanted("pairs", judged.targets, judged.weights, pairs=judged.rows)


WANTED: dict[str, Callable[[Any], Wanted]] = {
    "classes": _classes,
    "ordinal": _tiers,
    "scores": _scores,
    "tags": _tags,
    "histograms": _votes,
    "pairs": _pairs,
}
"""Kind of a label set to what turns its merged judgements into those that a head learns."""


def _class_weights(labels: LabelSet, plan: Plan) -> tuple[float, ...]:
    if not plan.class_weights:
        return ()
    if labels.kind != "classes":
        raise UsageError(
            "wrong-option",
            f"--class-weight is for classes, these labels are {labels.kind}",
            hint="leave it out",
        )
    for name, weight in plan.class_weights.items():
        _place(name, labels)
        if not 0 < weight < np.inf:
            raise UsageError(
                "bad-option", f"the class {name!r} cannot weigh {weight:g}", hint="say more than 0"
            )
    return tuple(float(plan.class_weights.get(name, 1.0)) for name in labels.names)


def _chosen(labels: LabelSet, plan: Plan) -> tuple[int, ...]:
    if plan.score_classes and labels.kind not in ("classes", "tags"):
        raise UsageError(
            "wrong-option",
            f"--score-class is for classes and tags, these labels are {labels.kind}",
            hint="leave it out",
        )
    return tuple(dict.fromkeys(_place(name, labels) for name in plan.score_classes))


def _place(name: str, labels: LabelSet) -> int:
    if name not in labels.names:
        raise UsageError(
            "no-such-class",
            f"there is no {name!r} among the {labels.kind}",
            hint=f"there are: {', '.join(labels.names)}",
        )
    return labels.names.index(name)


def _paths(judged: Any, wanted: Wanted) -> tuple[str, ...]:
    if wanted.pairs is None:
        return tuple(judged.paths)
    return tuple(f"{judged.paths[left]} {judged.paths[right]}" for left, right in wanted.pairs)


def _meta(plan: Plan, spaces: Sequence[Space], report: KindReport) -> dict[str, Any]:
    """Return what the head says of itself."""
    return {
        "name": plan.name,
        "vta": vta_cli.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "backbones": [space.recipe.backbone for space in spaces],
        "head": report.head,
        "kind": report.kind,
        "n_labels": report.n_labels,
        "n_groups": report.n_groups,
        "figures": {
            figure.name: figure.found.value
            for figure in report.figures
            if np.isfinite(figure.found.value)
        },
        "seed": plan.seed,
    }
