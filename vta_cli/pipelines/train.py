"""Learn a taste: labels become keys, keys become vectors, vectors and targets become a head."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import vta_cli
from vta_cli.errors import UsageError, VtaError
from vta_cli.heads.taste import Taste
from vta_cli.heads.train import train_binary
from vta_cli.labels.journal import is_journal
from vta_cli.labels.merge import Judged, merge, require_both
from vta_cli.labels.records import LabelSet
from vta_cli.labels.registry import reader
from vta_cli.neighbors.components import components
from vta_cli.neighbors.join import self_join
from vta_cli.neighbors.regroup import group_rows
from vta_cli.pipelines.embed import EmbedReport, embed
from vta_cli.pipelines.lanes import Lane, key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import HEAD_NAME, SUFFIX
from vta_cli.pipelines.sources import Known, Source, known_refs, refs_of
from vta_cli.pipelines.spaces import default_threshold
from vta_cli.records import ImageRef, Skip, TrainReport, Vectors
from vta_cli.store.space import Space
from vta_cli.store.store import Store

MAX_REMEMBERED = 20_000
"""Labels whose keys a head remembers, for `vta explain`."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    name : str
        Name of the head; it is saved in the store under it, or in `out`.
    head : str
        Kind of head.
    n_folds, seed : int
        Folds of the cross-validation, and the seed of everything random.
    embed_missing : bool
        Embed labelled images that the store lacks.
    on_conflict : {"error", "drop"}
        What becomes of images that are labelled both ways.
    """

    name: str = "taste"
    head: str = "ensemble"
    n_folds: int = 5
    seed: int = 0
    embed_missing: bool = True
    on_conflict: Literal["error", "drop"] = "error"
    out: Path | None = None


@dataclass(frozen=True)
class Trained:
    """A saved head: where it is, what is known of it, what was left out on the way."""

    path: Path
    taste: Taste
    report: TrainReport
    notes: tuple[str, ...]
    embedded: EmbedReport | None


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
        If a side is empty, labels conflict, or the name cannot be a file name.
    HeadError
        If there is nothing to fit.
    """
    path = _target(store, plan)
    source = Source(sorted({label.path for label in labels.labels}), hidden=True)
    embedded = None
    if plan.embed_missing:
        embedded = embed(store, source, lanes, progress)
        if embedded.interrupted:
            raise KeyboardInterrupt
    spaces = [lane.space for lane in lanes]
    for space in spaces:
        space.refresh()
    keys, lost = _keys(store, source, spaces)
    if not keys:
        raise UsageError(
            "not-embedded" if any(skip.reason == "not-embedded" for skip in lost) else "no-images",
            f"none of the {len(lost)} labelled files has a vector: {'; '.join(_lost(lost))}",
            hint="embed them first: vta embed FOLDER",
        )
    judged = merge(labels, keys, on_conflict=plan.on_conflict)
    blocks = [space.read(judged.keys)[:, 0, :] for space in spaces]
    groups = _near_copies(blocks, default_threshold(spaces))
    with progress.stage("train", unit="steps") as stage:

        def tell(name: str, step: int, n_steps: int) -> None:
            del name
            stage.set_total(n_steps)
            if step:
                stage.advance()

        taste, report = train_binary(
            blocks, judged.targets, head=plan.head, groups=groups, weights=judged.weights,
            n_folds=plan.n_folds, seed=plan.seed, progress=tell,
        )  # fmt: skip
    taste.recipes = tuple(space.recipe.to_json() for space in spaces)
    taste.meta.update(_meta(plan, spaces, judged, report))
    taste.save(path)
    notes = (*labels.problems, *judged.notes, *_lost(lost), *report.notes)
    return Trained(path, taste, report, notes, embedded)


def _target(store: Store, plan: Plan) -> Path:
    if plan.out is not None:
        if plan.out.suffix != SUFFIX:
            raise UsageError(
                "bad-name",
                f"a head is a {SUFFIX} file, not {plan.out.name}",
                hint=f"say --out {plan.out.with_suffix(SUFFIX)}",
            )
        if not plan.out.absolute().parent.is_dir():
            raise UsageError(
                "no-such-folder",
                f"cannot write {plan.out}: its folder does not exist",
                hint=f"make it first: mkdir -p {plan.out.parent}",
            )
        return plan.out
    if not HEAD_NAME.fullmatch(plan.name):
        raise UsageError(
            "bad-name",
            f"{plan.name!r} cannot name a head",
            hint="use letters, digits, dots, dashes and underscores",
        )
    store.heads_dir.mkdir(parents=True, exist_ok=True)
    return store.heads_dir / f"{plan.name}{SUFFIX}"


def _keys(
    store: Store, source: Source, spaces: Sequence[Space]
) -> tuple[dict[str, bytes], list[Skip]]:
    """Return the key of each labelled file that has all vectors, and why the others have none."""
    found: dict[str, bytes] = {}
    lost: list[Skip] = []
    for batch in known_refs(store, source):
        usable: list[tuple[str, bytes]] = []
        for item in batch:
            if isinstance(item, Skip):
                lost.append(item)
            elif item.entry is None or item.entry.key is None or item.entry.reason:
                lost.append(_skip_of(item))
            else:
                usable.append((item.ref.path, item.entry.key))
        if not usable:
            continue
        keys = key_rows([key for _, key in usable])
        lacks = np.logical_or.reduce([space.missing(keys) for space in spaces])
        for (path, key), lack in zip(usable, lacks, strict=True):
            if lack:
                lost.append(Skip(path, "not-embedded", "the store has no vector of it"))
            else:
                found[path] = key
    return found, lost


def _skip_of(item: Known) -> Skip:
    if item.entry is None:
        return Skip(item.ref.path, "not-embedded", "the store has never seen it")
    return Skip(item.ref.path, item.entry.reason or "unknown", item.entry.detail)


def _lost(lost: Sequence[Skip]) -> list[str]:
    """Say by reason which labelled files had no vector."""
    by_reason: dict[str, list[Skip]] = {}
    for skip in lost:
        by_reason.setdefault(skip.reason, []).append(skip)
    return [
        f"{len(skips)} labelled files left out: {reason}, e.g. {skips[0].path}"
        for reason, skips in by_reason.items()
    ]


def _near_copies(blocks: Sequence[Vectors], threshold: float) -> NDArray[np.int64]:
    """Number near-copies alike, so that they share a fold.

    Chains are followed to their ends; where thousands of labels are all alike, which makes too many
    pairs, groups around keepers have to do.
    """
    try:
        return components(self_join(blocks, threshold))
    except VtaError as error:
        if error.slug != "too-many-pairs":
            raise
    n_rows = len(blocks[0])
    group = group_rows(blocks, threshold, np.arange(n_rows, dtype=np.int64)).group
    return np.where(group >= 0, group, n_rows + np.arange(n_rows, dtype=np.int64))


def _meta(
    plan: Plan, spaces: Sequence[Space], judged: Judged, report: TrainReport
) -> dict[str, object]:
    """Return what the head says of itself."""
    final = report.members[-1]
    remembered = {}
    if len(judged.keys) <= MAX_REMEMBERED:
        for side, wanted in (("positive", 1), ("negative", 0)):
            rows = judged.keys[judged.targets == wanted]
            remembered[side] = [row.tobytes().hex() for row in rows]
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
        "trust": report.trust,
        "margins": {"left": report.margins.left, "right": report.margins.right},
        "thresholds": {item.name: _number(item.value) for item in report.thresholds},
        "seed": plan.seed,
        "labels": remembered,
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
