"""Find copies and near-copies in cached vectors, and pick one keeper of each group."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.recall import Recall, measure_recall
from vta_cli.neighbors.regroup import group_rows
from vta_cli.pipelines.dedupe_memory import Memory
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import Model
from vta_cli.pipelines.sources import NOT_EMBEDDED, Known, Source, known_refs
from vta_cli.pipelines.spaces import SpaceRows
from vta_cli.pipelines.views import as_read
from vta_cli.records import ImageRef, Skip
from vta_cli.store.space import Space
from vta_cli.store.store import Store

Keep = Literal["best", "largest", "oldest", "first"]
KEEPS: tuple[str, ...] = ("best", "largest", "oldest", "first")
BLOCK_ROWS = 4096
ALIAS = "same-file"
"""Reason of paths that lead by symbolic links to a file that is compared under another path."""
GONE = "gone-or-changed"
"""Reason of a catalogued file that is not on disk as it was embedded."""


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a duplicate group.

    `similarity` is its mean cosine to the group's keeper (1 for the keeper and for equal bytes).
    """

    group: int
    ref: ImageRef
    similarity: float
    keep: bool


@dataclass
class DedupeReport:
    """Duplicate groups in order of their keepers; `refs` are all images that were compared.

    `recall` is that of a join with a narrow margin; None where no pair can have been lost, or where
    so many were alike that they were compared in pieces. `n_remembered` contents were compared with
    each other by an earlier run.

    Only of a comparison with a library: `n_library` images of it; `n_in_library` new images that
    have a copy in it; `library_reasons`, why others of it were left out; `recall_library`, that of
    new images with it. Then `refs` and the other counts are of the new images.
    """

    members: list[Member] = field(default_factory=list)
    refs: list[ImageRef] = field(default_factory=list)
    n_images: int = 0
    n_groups: int = 0
    n_equal: int = 0
    n_near: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    recall: Recall | None = None
    n_remembered: int = 0
    n_library: int = 0
    n_in_library: int = 0
    library_reasons: Counter[str] = field(default_factory=Counter)
    recall_library: Recall | None = None


@dataclass(slots=True)
class Candidate:
    """An image that can be compared; `pixels` is 0 where they are not known."""

    ref: ImageRef
    key: bytes
    pixels: int


def dedupe(
    store: Store,
    source: Source,
    spaces: Sequence[Space],
    progress: Progress,
    *,
    threshold: float,
    keep: Keep = "first",
    model: Model | None = None,
    margin: float | None = None,
    fresh: bool = False,
    look: bool = True,
) -> DedupeReport:
    """Group images that are equal or look alike.

    What an earlier run over the same source compared is not compared again; the groups are those
    of a comparison of all with all.

    Parameters
    ----------
    spaces : sequence of Space
        Similarity is the mean cosine over these.
    threshold : float
        Least similarity of a member to its group's keeper, 0..1.
    keep : {"best", "largest", "oldest", "first"}
        Which member stays: highest score (needs `model`), most pixels, earliest file time, or first
        path.
    margin : float, optional
        As in `self_join`; where pairs may be lost by it, the report tells the measured recall.
    fresh : bool
        Compare all with all, whatever is remembered.
    look : bool
        Of a source without specs, leave out the files that are not on disk as they were embedded.

    Raises
    ------
    UsageError
        If no image of the source has vectors.
    """
    report = DedupeReport()
    images = images_of(store, source, spaces, report.reasons)
    if look and not source.specs:
        images = on_disk(images, report.reasons)
    images = without_aliases(images, report.reasons)
    report.n_images = len(images)
    report.refs = [image.ref for image in images]
    require_candidates(images, source, report.reasons)
    # best first, so that the first image of a key is its keeper
    copies = by_content([images[index] for index in keep_order(images, keep, model)])
    distinct = list(copies)
    keys = key_rows(distinct)
    places = [space.locate(keys) for space in spaces]
    rows = [SpaceRows(space, place) for space, place in zip(spaces, places, strict=True)]
    marks = np.stack([s.marks(place) for s, place in zip(spaces, places, strict=True)], axis=1)
    memory = Memory(store, source, spaces, threshold, margin)
    before = None if fresh else memory.recall(keys, marks)
    report.n_remembered = 0 if before is None else len(before[0])
    with progress.stage("compare", len(distinct)) as stage:
        order = np.arange(len(distinct), dtype=np.int64)

        def check(pairs: Pairs) -> None:
            if not pairs.lossless:
                report.recall = measure_recall(rows, threshold, pairs)
            memory.keep(keys, marks, pairs)

        result = group_rows(
            rows, threshold, order,
            margin=margin, progress=stage.advance, check=check, before=before,
        )  # fmt: skip
    collect(report, [copies[key] for key in distinct], result.group, result.keeper,
             result.similarity)  # fmt: skip
    return report


def require_candidates(images: Sequence[Candidate], source: Source, reasons: Counter[str]) -> None:
    """Refuse a source of which no image can be compared.

    Raises
    ------
    UsageError
        ``not-embedded`` or ``no-images``.
    """
    if images:
        return
    if reasons[NOT_EMBEDDED]:
        raise UsageError(
            "not-embedded",
            f"no image of {source.describe()} has the vectors that dedupe needs",
            hint=f"run: {source.embed_line()}",
        )
    raise UsageError(
        "no-images", f"no images in {source.describe()}", hint="name a folder with pictures"
    )


def by_content(images: Sequence[Candidate]) -> dict[bytes, list[Candidate]]:
    """Return the images of each content, contents and images in the order given."""
    copies: dict[bytes, list[Candidate]] = {}
    for image in images:
        copies.setdefault(image.key, []).append(image)
    return copies


def images_of(
    store: Store, source: Source, spaces: Sequence[Space], reasons: Counter[str]
) -> list[Candidate]:
    """Return the images of a source that have vectors in all spaces; count the others."""
    found: list[Candidate] = []
    for batch in known_refs(store, source):
        usable: list[Candidate] = []
        for item in batch:
            reason = _reason(item)
            if reason:
                reasons[reason] += 1
            elif isinstance(item, Known) and item.entry is not None and item.entry.key is not None:
                entry = item.entry
                n_pixels = (entry.width or 0) * (entry.height or 0)
                usable.append(Candidate(item.ref, item.entry.key, n_pixels))
        if not usable:
            continue
        keys = key_rows([image.key for image in usable])
        lacks = np.logical_or.reduce([space.missing(keys) for space in spaces])
        if lacks.any():
            reasons[NOT_EMBEDDED] += int(lacks.sum())
        found.extend(image for image, lack in zip(usable, lacks, strict=True) if not lack)
    return found


def on_disk(images: list[Candidate], reasons: Counter[str]) -> list[Candidate]:
    """Leave out files that were catalogued once: nothing goes aside for a file that is not there.

    Most of all of a folder that was renamed: its old paths are in the catalogue still.
    """
    kept = []
    for image in images:
        try:
            stat = Path(image.ref.path).stat()
        except OSError:
            reasons[GONE] += 1
            continue
        if (stat.st_size, stat.st_mtime_ns) == (image.ref.size_bytes, image.ref.mtime_ns):
            kept.append(image)
        else:
            reasons[GONE] += 1
    return kept


def without_aliases(images: list[Candidate], reasons: Counter[str]) -> list[Candidate]:
    """Leave out paths that lead through symbolic links to a file that is there by its own path.

    Such a path is no copy: to take the file itself aside as a duplicate would break the link that
    was kept. Only equal content can be the same file, so nothing else is looked up on disk.
    """
    n_paths = Counter(image.key for image in images)
    real = {
        image.ref.path: os.path.realpath(image.ref.path)
        for image in images
        if n_paths[image.key] > 1
    }
    own = {path for path, target in real.items() if path == target}
    seen: set[str] = set()
    kept = []
    for image in images:
        path = image.ref.path
        target = real.get(path, path)
        if target != path and (target in own or target in seen):
            reasons[ALIAS] += 1
            continue
        seen.add(target)
        kept.append(image)
    return kept


def _reason(item: Known | Skip) -> str:
    if isinstance(item, Skip):
        return item.reason
    if item.entry is None:
        return NOT_EMBEDDED
    return item.entry.reason or ""


def keep_order(images: Sequence[Candidate], keep: Keep, model: Model | None) -> NDArray[np.int64]:
    """Return the images' indices, the ones to keep first; ties in source order."""
    if keep == "largest":
        value = np.array([-image.pixels for image in images], dtype=np.float64)
    elif keep == "oldest":
        value = np.array([image.ref.mtime_ns for image in images], dtype=np.float64)
    elif keep == "best":
        if model is None:
            raise UsageError(
                "no-head",
                "--keep best needs a trained head",
                hint="train one, or say --keep largest",
            )
        value = -_scores(images, model)
    else:
        value = np.zeros(len(images))
    return np.argsort(value, kind="stable").astype(np.int64)


def _scores(images: Sequence[Candidate], model: Model) -> NDArray[np.float64]:
    scores = np.full(len(images), -np.inf)
    for start in range(0, len(images), BLOCK_ROWS):
        part = images[start : start + BLOCK_ROWS]
        keys = key_rows([image.key for image in part])
        rows = [space.locate(keys) for space in model.spaces]
        present = np.logical_and.reduce([row >= 0 for row in rows])
        blocks = [
            as_read(space.take(row[present])) for space, row in zip(model.spaces, rows, strict=True)
        ]
        scores[start + np.flatnonzero(present)] = model.taste.score(blocks)
    return scores


def collect(
    report: DedupeReport,
    copies: Sequence[Sequence[Candidate]],
    group: NDArray[np.int64],
    keeper: NDArray[np.bool_],
    similarity: NDArray[np.float32],
) -> None:
    """Number the groups by their keepers; equal bytes belong to the group of their content."""
    members: dict[int, list[int]] = {}
    for index, label in enumerate(group):
        if label >= 0:
            members.setdefault(int(label), []).append(index)
    alone = [[i] for i, label in enumerate(group) if label < 0 and len(copies[i]) > 1]
    clusters = sorted(
        [*members.values(), *alone], key=lambda c: min(c, key=lambda i: (not keeper[i], i))
    )
    for number, cluster in enumerate(clusters, report.n_groups):
        head = next((i for i in cluster if keeper[i]), cluster[0])
        ordered = [head, *(i for i in cluster if i != head)]
        for index in ordered:
            for place, image in enumerate(copies[index]):
                is_keeper = index == head and place == 0
                near = 1.0 if index == head else float(similarity[index])
                report.members.append(Member(number, image.ref, near, is_keeper))
                report.n_equal += place > 0
                report.n_near += place == 0 and index != head
    report.n_groups += len(clusters)
