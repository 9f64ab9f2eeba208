"""What every training does with labelled files: their keys, their vectors, their near-copies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UnreadableImageError, UsageError, VtaError
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.neighbors.components import components
from vta_cli.neighbors.join import self_join
from vta_cli.neighbors.regroup import group_rows
from vta_cli.pipelines.embed import EmbedReport, embed
from vta_cli.pipelines.lanes import Lane, key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import HEAD_NAME, SUFFIX
from vta_cli.pipelines.sources import NOT_EMBEDDED, Source, known_refs, listed
from vta_cli.records import Skip, Vectors
from vta_cli.store.space import Space
from vta_cli.store.store import Store
from vta_cli.words import counted


@dataclass(frozen=True)
class ByGradients:
    """What the user says of such a head.

    Attributes
    ----------
    settings : mapping of str to value
        See `vta_cli.heads.network.Settings`.
    resume : str or None
        Name or file of a saved head to go on from.
    device : str
        Of torch, or ``auto``.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    name : str
        Name of the head; it is saved in the store under it, or in `out`.
    head : str or None
        Which head learns; None: the default of the labels' kind.
    n_folds, seed : int
        Folds of the cross-validation, and the seed of everything random.
    embed_missing : bool
        Embed labelled images that the store lacks.
    on_conflict : {"error", "drop", "majority"}
        What becomes of images that are labelled both ways.
    class_weights : mapping of str to float
        Loss weight of classes by name; 1 for those that are not named.
    score_classes : sequence of str
        Classes or tags that the score speaks of; of several the largest probability.
    by : ByGradients
        Settings of a head that learns by gradients, and what it goes on from.
    """

    name: str = "taste"
    head: str | None = None
    n_folds: int = 5
    seed: int = 0
    embed_missing: bool = True
    on_conflict: Literal["error", "drop", "majority"] = "error"
    out: Path | None = None
    class_weights: Mapping[str, float] = field(default_factory=dict)
    score_classes: Sequence[str] = ()
    by: ByGradients = field(default_factory=ByGradients)


@dataclass(frozen=True)
class Labelled:
    """Labelled files that have vectors.

    Attributes
    ----------
    keys : dict of str to bytes
        Content key of each path.
    lost : list of Skip
        The others, and why.
    """

    keys: dict[str, bytes]
    lost: list[Skip]
    spaces: list[Space]
    embedded: EmbedReport | None


def labelled(
    store: Store,
    paths: Sequence[str],
    lanes: Sequence[Lane],
    progress: Progress,
    *,
    embed_missing: bool,
) -> Labelled:
    """Embed labelled files where wanted, and look up their keys.

    Raises
    ------
    UsageError
        ``nothing-to-learn`` if not one of the files has vectors.
    KeyboardInterrupt
        If the embedding was interrupted; what it did is committed.
    """
    files = sorted(set(paths))
    embedded = None
    if embed_missing:
        embedded = embed(store, listed(files), lanes, progress)
        if embedded.interrupted:
            raise KeyboardInterrupt
    spaces = [lane.space for lane in lanes]
    for space in spaces:
        space.refresh()
    keys, lost = _keys(store, listed(files), spaces)
    if not keys and lost:
        raise UsageError(
            "nothing-to-learn",
            f"none of the labelled images has vectors: {'; '.join(lost_notes(lost))}",
            hint="leave out --no-embed, or run `vta embed` on them and read why it skips them",
        )
    return Labelled(keys, lost, spaces, embedded)


def head_path(store: Store, plan: Plan) -> Path:
    """Return where the head will be saved.

    Raises
    ------
    UsageError
        If the name cannot be a file name, or the folder does not exist.
    """
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
            elif item.entry is None:
                content = _key_of_bytes(item.ref.path)
                if isinstance(content, Skip):
                    lost.append(content)
                else:
                    usable.append((item.ref.path, content))
            elif item.entry.key is None or item.entry.reason:
                reason = item.entry.reason or "unknown"
                lost.append(Skip(item.ref.path, reason, item.entry.detail))
            else:
                usable.append((item.ref.path, item.entry.key))
        if not usable:
            continue
        keys = key_rows([key for _, key in usable])
        lacks = np.logical_or.reduce([space.missing(keys) for space in spaces])
        for (path, key), lack in zip(usable, lacks, strict=True):
            if lack:
                lost.append(Skip(path, NOT_EMBEDDED, "the store has no vector of it"))
            else:
                found[path] = key
    return found, lost


def _key_of_bytes(path: str) -> bytes | Skip:
    """Return the key of a file that the catalogue does not know: a copy may have been embedded."""
    try:
        return key_of(read_bytes(path))
    except UnreadableImageError as error:
        return Skip(path, error.slug, error.message)


def lost_notes(lost: Sequence[Skip]) -> list[str]:
    """Say by reason which labelled files had no vector."""
    by_reason: dict[str, list[Skip]] = {}
    for skip in lost:
        by_reason.setdefault(skip.reason, []).append(skip)
    return [
        f"{counted(len(skips), 'labelled file')} left out: {reason}, e.g. {skips[0].path}"
        for reason, skips in by_reason.items()
    ]


@contextmanager
def told_steps(progress: Progress) -> Iterator[Callable[[str, int, int], None]]:
    """Count the steps of a training as they begin, so that the last one is told as the last."""
    with progress.stage("train", unit="steps") as stage:

        def tell(name: str, step: int, n_steps: int) -> None:
            del name, step
            stage.set_total(n_steps)
            stage.advance()

        yield tell


def near_copies(blocks: Sequence[Vectors], threshold: float) -> NDArray[np.int64]:
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
