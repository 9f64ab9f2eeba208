"""Find what a library has already: new images against it, and against each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.neighbors.against import group_against
from vta_cli.neighbors.groups import ALONE
from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.recall import measure_recall
from vta_cli.neighbors.rows import RowSource
from vta_cli.pipelines.dedupe import (
    ALIAS,
    Copies,
    DedupeReport,
    Images,
    Keep,
    Member,
    by_content,
    collect,
    images_of,
    keep_order,
    on_disk,
    own_paths,
    require_images,
)
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import Model
from vta_cli.pipelines.sources import Source
from vta_cli.pipelines.spaces import SpaceRows
from vta_cli.records import ImageRef, Keys
from vta_cli.store.keyindex import KeyIndex
from vta_cli.store.space import Space
from vta_cli.store.store import Store


def dedupe_against(
    store: Store,
    source: Source,
    library: Source,
    spaces: Sequence[Space],
    progress: Progress,
    *,
    threshold: float,
    keep: Keep = "first",
    model: Model | None = None,
    margin: float | None = None,
) -> DedupeReport:
    """Group new images around the images of a library, and what is left among themselves.

    A new image with a near-copy in the library belongs to the most similar image of the library,
    the first of equally similar ones, which is its keeper. The library is not compared with itself.
    A path of both sides is new.

    Parameters
    ----------
    source, library : Source
        What is new, and what it is held against. A library without specs is every image that the
        store knows, of which those are left out that are not on disk as they were embedded.
    spaces, progress, threshold, model, margin
        As in `vta_cli.pipelines.dedupe.dedupe`.
    keep : {"best", "largest", "oldest", "first"}
        As there, among new images without a near-copy in the library.

    Raises
    ------
    UsageError
        ``not-embedded`` or ``no-images`` for either side; ``no-library`` if every image of the
        library is a new one.
    """
    report = DedupeReport()
    new = images_of(store, source, spaces, report.reasons)
    known = images_of(store, library, spaces, report.library_reasons)
    require_images(new, source, report.reasons)
    require_images(known, library, report.library_reasons)
    paths = {ref.path for ref in new.refs}
    known = known.only(np.array([ref.path not in paths for ref in known.refs], np.bool_))
    if not library.specs:
        known = on_disk(known, report.library_reasons)
    new, known = _one_path_a_file(new, known, report)
    if not len(known):
        raise UsageError(
            "no-library",
            f"nothing to compare with: {library.describe()} has no image besides the new ones",
            hint="name another --against, or leave it out to compare all with all",
        )
    report.n_images, report.n_library = len(new), len(known)
    report.refs = new.refs
    _compare(report, new, known, keep_order(new, keep, model), spaces, progress, threshold, margin)
    return report


def _compare(
    report: DedupeReport,
    new: Images,
    known: Images,
    order: NDArray[np.int64],
    spaces: Sequence[Space],
    progress: Progress,
    threshold: float,
    margin: float | None,
) -> None:
    """Find each content's place; `order` has the new images to keep first in front."""
    # In the library's order: of equal files, and of equally similar ones, the first is the keeper.
    hosts = by_content(known.keys, np.arange(len(known)))
    copies = by_content(new.keys, order)
    theirs, mine = known.keys[hosts.first], new.keys[copies.first]
    equal = KeyIndex(theirs).locate(mine)  # shape (n_contents,), -1 where the library lacks it
    host, near = equal.copy(), np.ones(len(copies))
    fresh = np.flatnonzero(equal < 0)
    if not len(fresh):
        _collect_taken(report, new.refs, known.refs, copies, hosts, host, equal, near)
        return
    rows, library = _rows(spaces, mine[fresh]), _rows(spaces, theirs)
    with progress.stage("compare", len(fresh) + len(hosts)) as stage:

        def check_cross(pairs: Pairs) -> None:
            if not pairs.lossless:
                report.recall_library = measure_recall(rows, threshold, pairs, library=library)

        def check_among(rest: tuple[RowSource, ...], pairs: Pairs) -> None:
            if not pairs.lossless and rest[0].shape[0]:
                report.recall = measure_recall(rest, threshold, pairs)

        found = group_against(
            rows, library, threshold, np.arange(len(fresh)), margin=margin,
            progress=stage.advance, check_cross=check_cross, check_among=check_among,
        )  # fmt: skip
    host[fresh], near[fresh] = np.where(found.host == ALONE, -1, found.host), found.similarity
    _collect_taken(report, new.refs, known.refs, copies, hosts, host, equal, near)
    among = found.among
    rest = copies.only(fresh[found.rest])
    collect(report, new.refs, rest, among.group, among.keeper, among.similarity)


def _rows(spaces: Sequence[Space], keys: Keys) -> list[RowSource]:
    return [SpaceRows(space, space.locate(keys)) for space in spaces]


def _collect_taken(
    report: DedupeReport,
    new: Sequence[ImageRef],
    known: Sequence[ImageRef],
    copies: Copies,
    hosts: Copies,
    host: NDArray[np.int64],
    equal: NDArray[np.int64],
    near: NDArray[np.float64],
) -> None:
    """Number the groups of the library's images, in its order; `host` is -1 for what stays new."""
    taken = np.flatnonzero(host >= 0)
    # of one host its equal bytes come first, then the order of the contents
    taken = taken[np.lexsort([taken, equal[taken] < 0, host[taken]])]
    before = -1
    for content in taken.tolist():
        place = int(host[content])
        if place != before:
            report.members.append(
                Member(report.n_groups, known[hosts.of(place)[0]], 1.0, keep=True)
            )
            report.n_groups, before = report.n_groups + 1, place
        refs = [new[at] for at in copies.of(content)]
        group, similarity = report.n_groups - 1, float(near[content])
        report.members += [Member(group, ref, similarity, keep=False) for ref in refs]
        n_near = int(equal[content] < 0)
        report.n_near += n_near
        report.n_equal += len(refs) - n_near
        report.n_in_library += len(refs)


def _one_path_a_file(new: Images, known: Images, report: DedupeReport) -> tuple[Images, Images]:
    """Leave out paths of either side that lead by links to a file of the same or the other side.

    Of several links to one file elsewhere the library's is the one that stays.
    """
    own = own_paths(Images.joined([known, new]))
    sides = []
    for images, kept, reasons in (
        (new, own[len(known) :], report.reasons),
        (known, own[: len(known)], report.library_reasons),
    ):
        if not kept.all():
            reasons[ALIAS] += int((~kept).sum())
        sides.append(images.only(kept))
    return sides[0], sides[1]
