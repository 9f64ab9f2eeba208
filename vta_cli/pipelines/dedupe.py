"""Find copies and near-copies in cached vectors, and pick one keeper of each group."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

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
from vta_cli.records import KEY_BYTES, ImageRef, Keys, Skip
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


@dataclass(frozen=True, slots=True)
class Images:
    """Images that can be compared, column by column: an object each would be a gigabyte a million.

    Attributes
    ----------
    refs : list of ImageRef
    keys : ndarray of shape (n, 32), uint8
    pixels : ndarray of shape (n,), int64
        0 where they are not known.
    """

    refs: list[ImageRef]
    keys: Keys
    pixels: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the images of all parts, one after the other."""
        return cls(
            [ref for part in parts for ref in part.refs],
            np.concatenate([np.empty((0, KEY_BYTES), np.uint8), *(part.keys for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.pixels for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.refs)

    def only(self, kept: NDArray[np.bool_]) -> "Images":
        """Return the images that a mask of shape (n,) keeps."""
        if kept.all():
            return self
        refs = [self.refs[at] for at in np.flatnonzero(kept).tolist()]
        return Images(refs, self.keys[kept], self.pixels[kept])


@dataclass(frozen=True, slots=True)
class Copies:
    """The images of each content: `images[starts[i]:starts[i + 1]]` are places of equal images."""

    images: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def first(self) -> NDArray[np.int64]:
        """Place of the first image of each content, shape (m,)."""
        return self.images[self.starts[:-1]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of each content, shape (m,)."""
        return np.diff(self.starts)

    def of(self, content: int) -> list[int]:
        """Return the places of the images of one content."""
        places: list[int] = self.images[self.starts[content] : self.starts[content + 1]].tolist()
        return places

    def only(self, contents: NDArray[np.int64]) -> "Copies":
        """Return some contents, in the order given."""
        counts = self.counts[contents]
        starts = _ends(counts)
        shift = np.repeat(self.starts[contents] - starts[:-1], counts)
        return Copies(self.images[shift + np.arange(len(shift))], starts)


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
    own = own_paths(images)
    if not own.all():
        report.reasons[ALIAS] += int((~own).sum())
    images = images.only(own)
    report.n_images, report.refs = len(images), images.refs
    require_images(images, source, report.reasons)
    # best first, so that the first image of a key is its keeper
    copies = by_content(images.keys, keep_order(images, keep, model))
    keys = images.keys[copies.first]
    places = [space.locate(keys) for space in spaces]
    rows = [SpaceRows(space, place) for space, place in zip(spaces, places, strict=True)]
    marks = np.stack([s.marks(place) for s, place in zip(spaces, places, strict=True)], axis=1)
    memory = Memory(store, source, spaces, threshold, margin)
    before = None if fresh else memory.recall(keys, marks)
    report.n_remembered = 0 if before is None else len(before[0])
    with progress.stage("compare", len(copies)) as stage:
        order = np.arange(len(copies), dtype=np.int64)

        def check(pairs: Pairs) -> None:
            if not pairs.lossless:
                report.recall = measure_recall(rows, threshold, pairs)
            memory.keep(keys, marks, pairs)

        result = group_rows(
            rows, threshold, order,
            margin=margin, progress=stage.advance, check=check, before=before,
        )  # fmt: skip
    collect(report, images.refs, copies, result.group, result.keeper, result.similarity)
    return report


def require_images(images: Images, source: Source, reasons: Counter[str]) -> None:
    """Refuse a source of which no image can be compared.

    Raises
    ------
    UsageError
        ``not-embedded`` or ``no-images``.
    """
    if len(images):
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


def by_content(keys: Keys, order: NDArray[np.int64]) -> Copies:
    """Return the images of each content, contents and images in the order given.

    Parameters
    ----------
    keys : ndarray of shape (n, 32), uint8
    order : ndarray of shape (n,), int64
        A permutation of the images' places.
    """
    whole = np.ascontiguousarray(keys[order]).view(f"V{KEY_BYTES}").ravel()
    _, first, content = np.unique(whole, return_index=True, return_inverse=True)
    by_first = np.argsort(first)
    number = np.empty(len(first), np.int64)
    number[by_first] = np.arange(len(first))
    content = number[content.ravel()]
    counts = np.bincount(content, minlength=len(first))
    return Copies(order[np.argsort(content, kind="stable")], _ends(counts))


def _ends(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def images_of(
    store: Store, source: Source, spaces: Sequence[Space], reasons: Counter[str]
) -> Images:
    """Return the images of a source that have vectors in all spaces; count the others."""
    parts: list[Images] = []
    for batch in known_refs(store, source):
        refs: list[ImageRef] = []
        names: list[bytes] = []
        pixels: list[int] = []
        for item in batch:
            reason = _reason(item)
            if reason:
                reasons[reason] += 1
            elif isinstance(item, Known) and item.entry is not None and item.entry.key is not None:
                refs.append(item.ref)
                names.append(item.entry.key)
                pixels.append((item.entry.width or 0) * (item.entry.height or 0))
        if not refs:
            continue
        keys = key_rows(names)
        lacks = np.logical_or.reduce([space.missing(keys) for space in spaces])
        if lacks.any():
            reasons[NOT_EMBEDDED] += int(lacks.sum())
        parts.append(Images(refs, keys, np.array(pixels, np.int64)).only(~lacks))
    return Images.joined(parts)


def on_disk(images: Images, reasons: Counter[str]) -> Images:
    """Leave out files that were catalogued once: nothing goes aside for a file that is not there.

    Most of all of a folder that was renamed: its old paths are in the catalogue still.
    """
    there = np.array([_is_there(ref) for ref in images.refs], np.bool_)
    if not there.all():
        reasons[GONE] += int((~there).sum())
    return images.only(there)


def _is_there(ref: ImageRef) -> bool:
    try:
        stat = Path(ref.path).stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (ref.size_bytes, ref.mtime_ns)


def own_paths(images: Images) -> NDArray[np.bool_]:
    """Tell which paths do not lead by symbolic links to a file that is there by another path.

    Such a path is no copy: to take the file itself aside as a duplicate would break the link that
    was kept. Only equal content can be the same file, so nothing else is looked up on disk. Of
    several links to a file that is not there by its own path the first counts. So it does of
    several paths to one name of a file, as by two mounts of a folder, or in another letter case.
    """
    copies = by_content(images.keys, np.arange(len(images)))
    own = np.ones(len(images), np.bool_)
    for content in np.flatnonzero(copies.counts > 1).tolist():
        places = copies.of(content)
        paths = [images.refs[place].path for place in places]
        targets = [os.path.realpath(path) for path in paths]
        seen = {path for path, target in zip(paths, targets, strict=True) if path == target}
        only: set[tuple[int, int]] = set()
        for place, path, target in zip(places, paths, targets, strict=True):
            name = _only_name(target)
            if (path != target and target in seen) or name in only:
                own[place] = False
            seen.add(target)
            if own[place] and name is not None:
                only.add(name)
    return own


def _only_name(path: str) -> tuple[int, int] | None:
    """Return device and inode of a file that has no second name; two paths to it are the same."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino) if stat.st_nlink == 1 and stat.st_ino else None


def _reason(item: Known | Skip) -> str:
    if isinstance(item, Skip):
        return item.reason
    if item.entry is None:
        return NOT_EMBEDDED
    return item.entry.reason or ""


def keep_order(images: Images, keep: Keep, model: Model | None) -> NDArray[np.int64]:
    """Return the images' indices, the ones to keep first; ties in source order."""
    if keep == "largest":
        value = -images.pixels.astype(np.float64)
    elif keep == "oldest":
        value = np.array([ref.mtime_ns for ref in images.refs], dtype=np.float64)
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


def _scores(images: Images, model: Model) -> NDArray[np.float64]:
    scores = np.full(len(images), -np.inf)
    for start in range(0, len(images), BLOCK_ROWS):
        keys = images.keys[start : start + BLOCK_ROWS]
        rows = [space.locate(keys) for space in model.spaces]
        present = np.logical_and.reduce([row >= 0 for row in rows])
        blocks = [
            as_read(space.take(row[present])) for space, row in zip(model.spaces, rows, strict=True)
        ]
        scores[start + np.flatnonzero(present)] = model.taste.score(blocks)
    return scores


def collect(
    report: DedupeReport,
    refs: Sequence[ImageRef],
    copies: Copies,
    group: NDArray[np.int64],
    keeper: NDArray[np.bool_],
    similarity: NDArray[np.float32],
) -> None:
    """Number the groups by their keepers; equal bytes belong to the group of their content."""
    members: dict[int, list[int]] = {}
    for index in np.flatnonzero(group >= 0).tolist():
        members.setdefault(int(group[index]), []).append(index)
    alone = [[i] for i in np.flatnonzero((group < 0) & (copies.counts > 1)).tolist()]
    clusters = sorted(
        [*members.values(), *alone], key=lambda c: min(c, key=lambda i: (not keeper[i], i))
    )
    for number, cluster in enumerate(clusters, report.n_groups):
        head = next((i for i in cluster if keeper[i]), cluster[0])
        ordered = [head, *(i for i in cluster if i != head)]
        for index in ordered:
            for nth, place in enumerate(copies.of(index)):
                is_keeper = index == head and nth == 0
                near = 1.0 if index == head else float(similarity[index])
                report.members.append(Member(number, refs[place], near, is_keeper))
                report.n_equal += nth > 0
                report.n_near += nth == 0 and index != head
    report.n_groups += len(clusters)
