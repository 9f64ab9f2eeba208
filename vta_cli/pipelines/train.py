"""Learn a taste: labels become keys, keys become vectors, vectors and targets become a head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import vta_cli
from vta_cli.errors import UsageError
from vta_cli.heads.audit import doubtful_labels
from vta_cli.heads.registry import NETWORKS
from vta_cli.heads.taste import Taste
from vta_cli.heads.train import train_binary
from vta_cli.labels.journal import is_journal
from vta_cli.labels.merge import Judged, merge, require_both
from vta_cli.labels.records import LabelSet
from vta_cli.labels.registry import reader
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
from vta_cli.pipelines.raters import answers_of, ceiling_notes, rater_figures
from vta_cli.pipelines.remembered import LABELS, by_judgement, remember
from vta_cli.pipelines.sources import Source, refs_of
from vta_cli.pipelines.spaces import default_threshold
from vta_cli.pipelines.train_gradients import (
    checkpointed,
    head_of,
    id_rows,
    member,
    save_beside,
)
from vta_cli.pipelines.views import one_vector, to_learn
from vta_cli.records import Curve, ImageRef, RaterFigures, Suspect, TrainReport
from vta_cli.store.space import Space
from vta_cli.store.store import Store

DEFAULT_HEAD = "ensemble"


@dataclass(frozen=True)
class Trained:
    """A saved head: where it is, what is known of it, what was left out on the way.

    `suspects` are all labels, the most doubtful first; their rows count in `paths`. `raters` are
    empty unless several are named.
    """

    path: Path
    taste: Taste
    report: TrainReport
    notes: tuple[str, ...]
    embedded: EmbedReport | None
    suspects: tuple[Suspect, ...]
    paths: tuple[str, ...]
    raters: tuple[RaterFigures, ...] = ()
    curve: Curve | None = None


def labels_from_folders(store: Store, positive: Source, negative: Source) -> LabelSet:
    """Read labels from liked and disliked folders.

    Raises
    ------
    UsageError
        If a folder does not exist or a side is empty.
    """
    sides = [
        [ref for ref in refs_of(store, side) if isinstance(ref, ImageRef)]
        for side in (positive, negative)
    ]
    labels = reader("folders")(*sides)
    require_both(labels.labels)
    return labels


def labels_from_file(
    file: Path,
    positive: str | None = None,
    label_column: str | None = None,
    path_column: str | None = None,
) -> LabelSet:
    """Read labels from a table, see `vta_cli.labels.table`, or from the journal of `vta label`."""
    if is_journal(file):
        labels = reader("journal")(file)
    else:
        labels = reader("table")(
            file, positive=positive, label_column=label_column, path_column=path_column
        )
    require_both(labels.labels)
    return labels


def train(
    store: Store, labels: LabelSet, lanes: Sequence[Lane], plan: Plan, progress: Progress
) -> Trained:
    """Fit, cross-validate, calibrate and save a head.

    Parameters
    ----------
    labels : LabelSet
        Binary judgements of files.
    lanes : sequence of Lane
        The backbones whose vectors the head reads, in column order.

    Raises
    ------
    UsageError
        If a side is empty, labels conflict, an option is for other kinds of labels, or the name
        cannot be a file name.
    HeadError
        If there is nothing to fit.
    """
    if plan.class_weights or plan.score_classes:
        raise UsageError(
            "wrong-option",
            "--class-weight and --score-class are for classes and tags, these labels are yes or no",
            hint="leave them out, or say --kind classes",
        )
    plan = replace(plan, head=head_of(plan.head, plan.by))
    path = head_path(store, plan)
    paths = [label.path for label in labels.labels]
    known = labelled(store, paths, lanes, progress, embed_missing=plan.embed_missing)
    judged = merge(labels, known.keys, on_conflict=plan.on_conflict)
    vectors = [space.read(judged.keys) for space in known.spaces]
    blocks = to_learn(vectors)
    groups = near_copies([one_vector(v) for v in vectors], default_threshold(known.spaces))
    network = None
    with checkpointed(plan.head, path, progress) as checkpoint:
        if plan.head in NETWORKS:
            ids = id_rows(judged.keys)
            network = member(store, plan.by, known.spaces, ids, checkpoint)
        with told_steps(progress) as tell:
            taste, report = train_binary(
                blocks, judged.targets, head=plan.head or DEFAULT_HEAD, groups=groups,
                weights=judged.weights, n_folds=plan.n_folds, seed=plan.seed, progress=tell,
                normalise=network is None or network.settings.rows != "raw", network=network,
            )  # fmt: skip
        taste.recipes = tuple(space.recipe.to_json() for space in known.spaces)
        doubtful = doubtful_labels(report.oof_scores, report.targets)
        answers = answers_of(doubtful, judged.keys)
        taste.meta.update(_meta(plan, known.spaces, judged, report))
        taste.meta.update(remember(judged.keys, judged.targets, answers))
        if network is not None:
            taste.meta["settings"] = network.settings.to_json()
            save_beside(path, network.state, network.curve)
        taste.save(path)
    notes = (
        *labels.problems, *judged.notes, *lost_notes(known.lost),
        *ceiling_notes(labels, known.keys), *report.notes,
    )  # fmt: skip
    raters = rater_figures(labels, known.keys, {(key,): x for key, x in answers.items()})
    curve = None if network is None else network.curve
    return Trained(
        path, taste, report, notes, known.embedded, doubtful, judged.paths, raters, curve
    )


def _meta(
    plan: Plan, spaces: Sequence[Space], judged: Judged, report: TrainReport
) -> dict[str, object]:
    """Return what the head says of itself."""
    final = report.members[-1]
    return {
        "name": plan.name,
        "vta": vta_cli.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "backbones": [space.recipe.backbone for space in spaces],
        "n_positive": report.n_positive,
        "n_negative": report.n_negative,
        "n_groups": report.n_groups,
        "auc": _number(final.auc.value),
        "accuracy": _number(final.accuracy.value),
        "brier": _number(final.brier.value),
        "ece": _number(final.ece.value),
        "figures": {  # the others stand above
            one.name: one.found.value for one in report.figures[:2] if np.isfinite(one.found.value)
        },
        "trust": report.trust,
        "margins": {"left": report.margins.left, "right": report.margins.right},
        "thresholds": {item.name: _number(item.value) for item in report.thresholds},
        "seed": plan.seed,
        LABELS: by_judgement(
            (row.tobytes().hex() for row in judged.keys),
            ("positive" if target else "negative" for target in judged.targets),
        ),
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
