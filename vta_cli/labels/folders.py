"""Labels from folders: what lies in one folder is liked, or is of one class, or of one tier.

The scan of the folders is not this room's work: listings come in.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath, PurePosixPath

from vta_cli.errors import UsageError
from vta_cli.labels.problems import Problems, listed
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import number
from vta_cli.records import ImageRef
from vta_cli.words import counted


def read_folders(positives: Iterable[ImageRef], negatives: Iterable[ImageRef]) -> LabelSet:
    """Make a binary label set of two listings of images.

    Parameters
    ----------
    positives, negatives : iterable of ImageRef
        As the scan of the folders gave them.

    Returns
    -------
    LabelSet
        Of kind ``binary``; a path that one side lists twice (folders within each other) counts
        once. One that both sides list is kept twice: `merge` reports it.
    """
    return LabelSet("binary", (*_side(positives, 1.0), *_side(negatives, 0.0)))


def read_classes(refs: Iterable[ImageRef], *, names: Mapping[int, str] | None = None) -> LabelSet:
    """Make a set of classes of the folders of one listing.

    Parameters
    ----------
    refs : iterable of ImageRef
        The scan of the folder that holds one folder for each class; `ImageRef.rel` begins with the
        name of the class's folder.
    names : mapping of int to str, optional
        Names that win over those of the folders, e.g. from a settings file.

    Returns
    -------
    LabelSet
        Of kind ``classes``. A folder ``k_name`` (CityClassifiers) belongs to class k, several may
        belong to one (``0_reg``, ``0_reg_booru``), whose name is that of the first of them. Where
        no folder begins with a number, each is a class, in the order of the alphabet. What lies in
        other folders, or in none, is reported and left out.

    Raises
    ------
    UsageError
        ``no-labels``; ``class-gap`` if the numbers are not 0, 1, 2... without a gap.
    """
    folders, loose = _by_folder(refs)
    numbers = {folder: _whole(folder) for folder in folders}
    problems = Problems("the classes")
    if all(value is None for value in numbers.values()):
        numbers = {folder: place for place, folder in enumerate(sorted(folders))}
        found = {place: folder for folder, place in numbers.items() if place is not None}
    else:
        found = {}
        for folder in sorted(folders):
            k = numbers[folder]
            if k is not None:
                found.setdefault(k, folder.partition("_")[2] or str(k))
    _tell_left_out(folders, numbers, loose, "is not called k_name, k a whole number", problems)
    if not found:
        raise _no_folders("0_no/ 1_yes/, or cats/ dogs/")
    if sorted(found) != list(range(len(found))):
        missing = sorted(set(range(max(found))) - found.keys())
        raise UsageError(
            "class-gap",
            f"the classes are numbered {', '.join(map(str, sorted(found)))}",
            hint=f"number them 0, 1, 2...; there is no class {', '.join(map(str, missing))}"
            if missing and min(found) >= 0
            else "number them 0, 1, 2...",
        )
    labels = tuple(
        Label(path, float(numbers[folder] or 0), f"folder {folder}/")
        for folder, paths in sorted(folders.items())
        if numbers[folder] is not None
        for path in paths
    )
    shown = tuple((names or {}).get(k, found[k]) for k in range(len(found)))
    return LabelSet("classes", labels, problems.sentences(), names=shown)


def read_tiers(refs: Iterable[ImageRef], *, as_scores: bool = False) -> LabelSet:
    """Make an ordinal set of numbered folders.

    Parameters
    ----------
    refs : iterable of ImageRef
        The scan of the folder that holds one folder for each tier; a folder's name is a number, or
        begins with one and an underscore (``3_best``, ``0.5``).
    as_scores : bool
        Take the numbers as scores, so that 0, 1 and 10 are not evenly spaced.

    Returns
    -------
    LabelSet
        Of kind ``ordinal`` with the tiers in `bins`, or of kind ``scores``. What lies in other
        folders, or in none, is reported and left out.

    Raises
    ------
    UsageError
        ``no-labels``.
    """
    folders, loose = _by_folder(refs)
    numbers = {folder: number(folder.partition("_")[0]) for folder in folders}
    problems = Problems("the tiers")
    _tell_left_out(folders, numbers, loose, "does not begin with a number", problems)
    labels = tuple(
        Label(path, value, f"folder {folder}/")
        for folder, value in sorted(numbers.items(), key=lambda item: (item[1] or 0.0, item[0]))
        if value is not None
        for path in folders[folder]
    )
    if not labels:
        raise _no_folders("0/ 1/ 2/ 3/")
    if as_scores:
        return LabelSet("scores", labels, problems.sentences())
    bins = tuple(sorted({label.value for label in labels}))
    return LabelSet("ordinal", labels, problems.sentences(), bins=bins)


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


def _by_folder(refs: Iterable[ImageRef]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the paths below each folder of the root, and those that lie in the root itself."""
    folders: dict[str, dict[str, None]] = {}
    loose: list[str] = []
    for ref in refs:
        parts = PurePosixPath(ref.rel).parts
        if len(parts) > 1:
            folders.setdefault(parts[0], {})[ref.path] = None
        else:
            loose.append(ref.path)
    return {folder: list(paths) for folder, paths in folders.items()}, loose


def _whole(folder: str) -> int | None:
    head = folder.partition("_")[0]
    return int(head) if head.lstrip("-").isdecimal() and head.count("-") <= 1 else None


def _tell_left_out(
    folders: Mapping[str, list[str]],
    numbers: Mapping[str, float | None],
    loose: list[str],
    why: str,
    problems: Problems,
) -> None:
    for folder in sorted(folder for folder in folders if numbers[folder] is None):
        are = counted(len(folders[folder]), "file is", "files are")
        what = f"the folder's name {why}; {are} left out"
        problems.add("folders without a number", f"folder {folder}/", what)
    if loose:
        are = counted(len(loose), "file is", "files are")
        problems.add("", listed(loose, 1), f"{are} in no folder of a label")


def _no_folders(example: str) -> UsageError:
    return UsageError(
        "no-labels",
        "there is no folder of labelled images",
        hint=f"give the folder that holds one folder for each label, such as {example}",
    )
