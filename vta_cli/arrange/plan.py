"""Plans: which file goes where. Looks at what is on the disk, changes nothing.

No step of a plan overwrites a file, leads out of the output folder, or shares its destination with
another step, on file systems that do not tell letter case either.
"""

import enum
import filecmp
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vta_cli.arrange.names import fit, folded, mark, name_limit, safe_parts
from vta_cli.errors import UsageError


class Action(enum.Enum):
    """What is done to a file."""

    COPY = "copy"
    HARDLINK = "hardlink"
    SYMLINK = "symlink"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Item:
    """A file that is to be arranged.

    Attributes
    ----------
    source : str
        Absolute path.
    rel : str
        Path below the output folder if the tree is kept.
    name : str, optional
        Wanted file name in place of the last part of `rel`, e.g. with the rank in front.
    score : float, optional
        Carried for whoever lists the plan.
    """

    source: str
    rel: str
    name: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One file, where it will be, and how it comes there."""

    source: str
    destination: str
    action: Action


@dataclass(frozen=True)
class Plan:
    """What is to be done: iterates over the steps, `len` counts them, empty is false.

    Attributes
    ----------
    out : Path
        The absolute output folder.
    action : Action
    steps : tuple of Step
        What is to be done, in the order of the items.
    already : tuple of Step
        What an earlier run did: the destination holds the same content. Nothing is done for these;
        they keep a plan from being false.
    """

    out: Path
    action: Action
    steps: tuple[Step, ...]
    already: tuple[Step, ...] = field(default=())

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __bool__(self) -> bool:
        return bool(self.steps or self.already)


def check_output(out: Path, sources: Sequence[Path]) -> None:
    """Check that the output folder and the source folders keep apart, and that it is a folder.

    Raises
    ------
    UsageError
        ``output-inside-source`` if either lies within the other (symbolic links resolved);
        ``output-not-a-folder`` if a file stands in the way.
    """
    real_out = Path(os.path.realpath(out))
    for place in (out, *out.parents):
        if place.is_dir():
            break
        if os.path.lexists(place):
            raise UsageError(
                "output-not-a-folder",
                f"{place} is not a folder",
                hint="name a folder that is there or can be made",
            )
    for source in sources:
        real = Path(os.path.realpath(source))
        if not real.is_dir():
            continue
        if real_out.is_relative_to(real):
            raise UsageError(
                "output-inside-source",
                f"the output folder {out} lies inside the source {source}",
                hint="choose an output folder beside the source: a later run would take its "
                "results for images of the source",
            )
        if real.is_relative_to(real_out):
            raise UsageError(
                "output-inside-source",
                f"the source {source} lies inside the output folder {out}",
                hint="choose another output folder, e.g. a new one within it",
            )


def plan(
    items: Iterable[Item],
    out: Path,
    action: Action,
    *,
    flat: bool = False,
    sources: Sequence[Path] = (),
) -> Plan:
    """Decide where each item goes.

    Parameters
    ----------
    items : iterable of Item
        A source that occurs twice with the same wish is taken once.
    out : Path
        Output folder; made by `execute` if it is not there.
    action : Action
    flat : bool
        Put all files into `out` itself. Otherwise the tree is kept: ``out/rel``.
    sources : sequence of Path
        Folders that the items came from; checked against `out`.

    Returns
    -------
    Plan
        The same items on the same disk give the same plan. A destination that is taken, by
        another item or by a file with another content, gets a digest of the item's source before
        the extension; one that holds the item's content already is listed in ``already``.

    Raises
    ------
    UsageError
        See `check_output`; ``output-escapes`` if a symbolic link within `out` leads out of it.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would change what the user named
    check_output(out, sources)
    listed = list(items)
    wanted = [_wanted(item, flat=flat) for item in listed]
    planner = _Planner(out, action)
    planner.reserve_folders(wanted)
    steps: list[Step] = []
    already: list[Step] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for item, parts in zip(listed, wanted, strict=True):
        wish = (item.source, () if action is Action.MOVE else parts)  # a file moves only once
        if wish in seen:
            continue
        seen.add(wish)
        destination, done = planner.place(item.source, parts)
        (already if done else steps).append(Step(item.source, destination, action))
    return Plan(out, action, tuple(steps), tuple(already))


def _wanted(item: Item, *, flat: bool) -> tuple[str, ...]:
    """Return folder names and file name below the output folder, as wished for."""
    parts = safe_parts(item.rel) or safe_parts(item.source)[-1:] or ["file"]
    if item.name is not None:
        name = "_".join(safe_parts(item.name))
        parts[-1] = name or parts[-1]
    return (parts[-1],) if flat else tuple(parts)


class _Planner:
    """Names given out so far, and what the output folder holds."""

    def __init__(self, out: Path, action: Action) -> None:
        self._out = str(out)
        self._action = action
        self._limit = name_limit(out)
        self._taken: set[str] = set()
        self._folders: set[str] = set()
        self._checked: dict[str, bool] = {}
        self._fitted: dict[tuple[str, ...], str] = {}
        self._real_out = os.path.realpath(out)

    def reserve_folders(self, wanted: Iterable[tuple[str, ...]]) -> None:
        """Keep the names of folders from being given to files."""
        for folders in {parts[:-1] for parts in wanted}:
            fitted = [fit(folder, self._limit) for folder in folders]
            for depth in range(1, len(fitted) + 1):
                self._folders.add(folded("/".join(fitted[:depth])))

    def place(self, source: str, parts: tuple[str, ...]) -> tuple[str, bool]:
        """Return a free destination, and whether the content is there already."""
        folder = self._folder(parts[:-1])
        exists = self._exists(folder)
        for attempt in range(1_000_000):
            suffix = "" if not attempt else f"-{mark(source)}"
            if attempt > 1:  # the digest is taken too
                suffix += f"-{attempt}"
            name = fit(parts[-1], self._limit, suffix)
            below = f"{folder}/{name}" if folder else name
            key = folded(below)
            if key in self._taken or key in self._folders:
                continue
            destination = f"{self._out}/{below}"
            if exists and os.path.lexists(destination):
                if self._holds(source, destination):
                    self._taken.add(key)
                    return destination, True
                continue
            self._taken.add(key)
            return destination, False
        raise UsageError("no-free-name", f"no free name for {source} in {self._out}")

    def _folder(self, parts: tuple[str, ...]) -> str:
        if parts not in self._fitted:
            self._fitted[parts] = "/".join(fit(part, self._limit) for part in parts)
        return self._fitted[parts]

    def _exists(self, folder: str) -> bool:
        """Tell whether a folder below the output is there, and that it really is below."""
        if folder not in self._checked:
            path = f"{self._out}/{folder}" if folder else self._out
            real = os.path.realpath(path)
            if not (real + "/").startswith(self._real_out.rstrip("/") + "/"):
                raise UsageError(
                    "output-escapes",
                    f"{path} is a symbolic link that leads out of the output folder, to {real}",
                    hint="remove the link or choose another output folder",
                )
            self._checked[folder] = os.path.isdir(path)  # noqa: PTH112 - hot path
        return self._checked[folder]

    def _holds(self, source: str, destination: str) -> bool:
        """Tell whether the destination is what this step would make."""
        try:
            there = os.lstat(destination)
            if stat.S_ISLNK(there.st_mode):
                if os.path.abspath(destination) == source:  # noqa: PTH100 - no resolving
                    return True
                target = os.readlink(destination)  # noqa: PTH115 - str in and out
                return self._action is Action.SYMLINK and target == source
            if not stat.S_ISREG(there.st_mode):
                return False
            here = os.stat(source)  # noqa: PTH116 - hot path
            if os.path.samestat(here, there):
                return True
            if self._action is Action.SYMLINK or here.st_size != there.st_size:
                return False
            return filecmp.cmp(source, destination, shallow=False)
        except OSError:  # unreadable: surely not to be taken for the same
            return False
