"""Labels from folders: what lies in one folder is liked, what lies in the other is not."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from vta_cli.labels.records import Label, LabelSet
from vta_cli.records import ImageRef


def read_folders(positives: Iterable[ImageRef], negatives: Iterable[ImageRef]) -> LabelSet:
    """Make a binary label set of two listings of images.

    Parameters
    ----------
    positives, negatives : iterable of ImageRef
        As the scan of the folders gave them; the scan itself is not this room's work.

    Returns
    -------
    LabelSet
        Of kind ``binary``; a path that one side lists twice (folders within each other) counts
        once. One that both sides list is kept twice: `merge` reports it.
    """
    return LabelSet("binary", (*_side(positives, 1.0), *_side(negatives, 0.0)))


def _side(refs: Iterable[ImageRef], value: float) -> Iterator[Label]:
    seen: set[str] = set()
    for ref in refs:
        if ref.path not in seen:
            seen.add(ref.path)
            yield Label(ref.path, value, f"folder {_folder(ref)}/")


def _folder(ref: ImageRef) -> str:
    """Name the folder that was listed: what of the path is left without the relative part."""
    if ref.rel and ref.path.endswith("/" + ref.rel.lstrip("/")):
        return PurePath(ref.path[: -len(ref.rel.lstrip("/"))]).name
    return PurePath(ref.path).parent.name
