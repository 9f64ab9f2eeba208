"""Sources: from what the user names to a stream of refs. Opens no image.

A source is a folder, a glob, a file, ``-`` (paths on standard input) or a ``.txt``/``.csv`` list.
`KINDS` is the registry: to add a kind, write its opener and give it a line there.
"""

import difflib
import heapq
import importlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from vta_cli.errors import UsageError
from vta_cli.images.formats import SNIFF_BYTES, is_side_file, sniff
from vta_cli.images.globs import is_glob
from vta_cli.images.refs import Found, ScanRules, Symlinks, absolute, path_order, ref_of
from vta_cli.records import ImageRef, Skip

__all__ = ["KINDS", "SNIFF_BYTES", "Kind", "is_side_file", "scan", "sniff"]

Opener = Callable[[str, ScanRules], Iterator[Found]]
"""Checks a spec at once (`UsageError`), then yields what it holds in the order of the paths."""


class Kind(NamedTuple):
    """One kind of source: its name, a test on the spec, and its opener as ``module:attr``."""

    name: str
    claims: Callable[[str], bool]
    opener: str


_UNKNOWN = re.compile(
    r"[a-z][a-z0-9+.-]*://|.*\.(tar|tgz|tar\.gz|zip|7z|rar|parquet)\Z", re.IGNORECASE | re.DOTALL
)


def _has_suffix(spec: str, suffix: str) -> bool:
    return spec.lower().endswith(suffix)


KINDS: tuple[Kind, ...] = (
    # The first kind whose test holds opens the spec. What exists is taken as what it is before
    # anything is read into its name: a file may be called "[1].jpg", a folder "list.txt".
    Kind("stdin", lambda spec: spec == "-", "vta_cli.images.lists:open_stdin"),
    Kind("folder", lambda spec: Path(absolute(spec)).is_dir(), "vta_cli.images.walk:open_folder"),
    Kind("unknown", lambda s: _UNKNOWN.match(s) is not None, "vta_cli.images.sources:open_unknown"),
    Kind(
        "text",
        lambda spec: _has_suffix(spec, ".txt") and Path(absolute(spec)).exists(),
        "vta_cli.images.lists:open_text",
    ),
    Kind(
        "csv",
        lambda spec: _has_suffix(spec, ".csv") and Path(absolute(spec)).exists(),
        "vta_cli.images.lists:open_csv",
    ),
    Kind("file", lambda s: os.path.lexists(absolute(s)), "vta_cli.images.sources:open_file"),
    Kind("glob", is_glob, "vta_cli.images.globs:open_glob"),
    Kind("missing", lambda _: True, "vta_cli.images.sources:open_missing"),
)
"""The registry of kinds, tried in this order; the last claims everything."""


def scan(
    specs: Sequence[str],
    *,
    symlinks: Symlinks = "files",
    hidden: bool = False,
    stdin: BinaryIO | None = None,
    exclude: Sequence[Path] = (),
) -> Iterator[ImageRef | Skip]:
    """Stream what the specs hold, sorted by the bytes of the path, each path once.

    Parameters
    ----------
    specs : sequence of str
        Folders (walked), globs, files, ``-``, ``.txt`` and ``.csv`` lists. `~` is expanded.
    symlinks : {"files", "follow", "skip"}
        Links met in a folder: to files only, also to folders (each real folder once), or none.
        A path that is named itself (a spec, an entry of a list) is always followed.
    hidden : bool
        Take names that begin with a dot.
    stdin : BinaryIO, optional
        Where ``-`` reads; the process's standard input by default.
    exclude : sequence of Path
        Folders or files to leave out, for example the output folder of the running command.

    Returns
    -------
    iterator of ImageRef or Skip
        Every regular file, whatever its suffix (`is_side_file` and `sniff` tell what to pass
        over), and a `Skip` for each thing that was named or met and is no readable file.

    Raises
    ------
    UsageError
        At the call, not at the first item: ``no-such-source``, ``unknown-source-kind``,
        ``source-is-store``, ``bad-list``, ``unreadable-list``.

    Notes
    -----
    The order is that of `refs.path_order`; several specs are merged into it, so a path that two
    specs hold is met twice in a row and yielded once, at no cost in memory. Which of the two
    `rel` it carries is decided by the order of the specs.
    """
    roots = [absolute(os.fspath(path)) for path in exclude]
    rules = ScanRules(
        symlinks=symlinks,
        hidden=hidden,
        exclude=frozenset(roots) | {os.path.realpath(root) for root in roots},
        stdin=stdin,
    )
    kinds = {spec: _kind_of(spec) for spec in specs}
    streams = [_open(kind, spec, rules) for spec, kind in kinds.items()]
    if [kind.name for kind in kinds.values()] == ["folder"]:
        return streams[0]  # a walk meets no path twice; a list may name one twice
    return _once(heapq.merge(*streams, key=path_order))


def open_file(spec: str, rules: ScanRules) -> Iterator[Found]:
    """Open one file as a source."""
    path = absolute(spec)
    return iter(() if rules.excludes(path) else (ref_of(path, Path(path).name),))


def open_unknown(spec: str, rules: ScanRules) -> Iterator[Found]:  # noqa: ARG001 (a kind's signature)
    """Refuse a kind of source that this version does not read."""
    raise UsageError(
        "unknown-source-kind",
        f"{spec}: archives, tables with image bytes and addresses are not read as sources",
        hint="unpack or download the images, and name their folder",
    )


def open_missing(spec: str, rules: ScanRules) -> Iterator[Found]:  # noqa: ARG001 (a kind's signature)
    """Refuse a spec that names nothing, and say what comes near it."""
    path = Path(absolute(spec))
    parent = path.parent
    try:
        near = difflib.get_close_matches(path.name, os.listdir(parent), n=1, cutoff=0.6)  # noqa: PTH208
    except OSError:
        near = []
    if near:
        hint = f"did you mean {Path(spec).parent / near[0]}?"
    elif not parent.is_dir():
        hint = f"the folder {parent} does not exist either"
    else:
        hint = "name a folder, a glob in quotes, a file, a .txt or .csv list, or - for stdin"
    raise UsageError("no-such-source", f"no such folder or file: {spec}", hint=hint)


def _kind_of(spec: str) -> Kind:
    return next(kind for kind in KINDS if kind.claims(spec))


def _open(kind: Kind, spec: str, rules: ScanRules) -> Iterator[Found]:
    module, _, attribute = kind.opener.partition(":")
    opener = cast("Opener", getattr(importlib.import_module(module), attribute))
    return opener(spec, rules)


def _once(stream: Iterator[Found]) -> Iterator[Found]:
    last = None
    for found in stream:
        if found.path != last:
            last = found.path
            yield found
