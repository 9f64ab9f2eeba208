"""Find what a library has already: new images against it, and against each other."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.neighbors.against import group_against
from vta_cli.neighbors.groups import ALONE
from vta_cli.neighbors.join import Pairs
from vta_cli.neighbors.recall import measure_recall
from vta_cli.neighbors.rows import RowSource
from vta_cli.pipelines.dedupe import (
    ALIAS,
    Candidate,
    DedupeReport,
    Keep,
    Member,
    by_content,
    collect,
    images_of,
    keep_order,
    on_disk,
    require_candidates,
    without_aliases,
)
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import Model
from vta_cli.pipelines.sources import Source
from vta_cli.pipelines.spaces import SpaceRows
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
    require_candidates(new, source, report.reasons)
    require_candidates(known, library, report.library_reasons)
    paths = {image.ref.path for image in new}
    known = [image for image in known if image.ref.path not in paths]
    if not library.specs:
        known = on_disk(known, report.library_reasons)
    new, known = _one_path_a_file(new, known, report)
    if not known:
        raise UsageError(
            "no-library",
            f"nothing to compare with: {library.describe()} has no image besides the new ones",
            hint="name another --against, or leave it out to compare all with all",
        )
    report.n_images, report.n_library = len(new), len(known)
    report.refs = [image.ref for image in new]
    # In the library's order: of equal files, and of equally similar ones, the first is the keeper.
    hosts = by_content(known)
    copies = by_content([new[index] for index in keep_order(new, keep, model)])
    _compare(report, copies, hosts, spaces, progress, threshold, margin)
    return report


def _compare(
    report: DedupeReport,
    copies: dict[bytes, list[Candidate]],
    hosts: dict[bytes, list[Candidate]],
    spaces: Sequence[Space],
    progress: Progress,
    threshold: float,
    margin: float | None,
) -> None:
    names = list(hosts)
    number = {name: index for index, name in enumerate(names)}
    taken: dict[int, list[tuple[list[Candidate], float]]] = {}
    fresh: list[list[Candidate]] = []
    for key, images in copies.items():
        if key in number:
            taken.setdefault(number[key], []).append((images, 1.0))
        else:
            fresh.append(images)
    if not fresh:
        _collect_taken(report, taken, names, hosts)
        return
    mine = _rows(spaces, [images[0].key for images in fresh])
    theirs = _rows(spaces, names)
    with progress.stage("compare", len(fresh) + len(names)) as stage:

        def check_cross(pairs: Pairs) -> None:
            if not pairs.lossless:
                report.recall_library = measure_recall(mine, threshold, pairs, library=theirs)

        def check_among(rest: tuple[RowSource, ...], pairs: Pairs) -> None:
            if not pairs.lossless and rest[0].shape[0]:
                report.recall = measure_recall(rest, threshold, pairs)

        found = group_against(
            mine, theirs, threshold, np.arange(len(fresh)), margin=margin,
            progress=stage.advance, check_cross=check_cross, check_among=check_among,
        )  # fmt: skip
    for images, host, near in zip(
        fresh, found.host.tolist(), found.similarity.tolist(), strict=True
    ):
        if host != ALONE:
            taken.setdefault(host, []).append((images, near))
    _collect_taken(report, taken, names, hosts)
    rest = [fresh[index] for index in found.rest.tolist()]
    collect(report, rest, found.among.group, found.among.keeper, found.among.similarity)


def _rows(spaces: Sequence[Space], names: Sequence[bytes]) -> list[RowSource]:
    keys = key_rows(names)
    return [SpaceRows(space, space.locate(keys)) for space in spaces]


def _collect_taken(
    report: DedupeReport,
    taken: dict[int, list[tuple[list[Candidate], float]]],
    names: Sequence[bytes],
    hosts: dict[bytes, list[Candidate]],
) -> None:
    """Number the groups of the library's images, in its order."""
    for group, host in enumerate(sorted(taken)):
        name = names[host]
        report.members.append(Member(group, hosts[name][0].ref, 1.0, keep=True))
        for images, near in taken[host]:
            report.members += [Member(group, i.ref, near, keep=False) for i in images]
            n_near = 0 if images[0].key == name else 1
            report.n_near += n_near
            report.n_equal += len(images) - n_near
            report.n_in_library += len(images)
    report.n_groups = len(taken)


def _one_path_a_file(
    new: list[Candidate], known: list[Candidate], report: DedupeReport
) -> tuple[list[Candidate], list[Candidate]]:
    """Leave out paths of either side that lead by links to a file of the same or the other side.

    Of several links to one file elsewhere the library's is the one that stays.
    """
    kept = {id(image) for image in without_aliases([*known, *new], Counter())}
    sides = []
    for images, reasons in ((new, report.reasons), (known, report.library_reasons)):
        side = [image for image in images if id(image) in kept]
        if len(side) < len(images):
            reasons[ALIAS] += len(images) - len(side)
        sides.append(side)
    return sides[0], sides[1]
