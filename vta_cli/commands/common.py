"""What commands share: option types, the opened store, the progress of this terminal."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vta_cli.config import STORE_FOLDER, upwards
from vta_cli.errors import UsageError

if TYPE_CHECKING:
    from vta_cli.pipelines.progress import Progress
    from vta_cli.store.store import Store

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="VTA_STORE",
        help="The store's folder. Default: the nearest .vta upwards from here.",
    ),
]
ViewsOption = Annotated[
    str,
    typer.Option(
        "--views",
        help="What is looked at of an image: whole, or five-crop (four corners and the centre of "
        "large ones); auto: as the store is pinned, else whole.",
    ),
]
MAX_SEED = 2**32 - 1
"""What all that draws at random can take; none takes negative seeds."""
UNCUT = 10_000
"""Columns that no listing needs."""

QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No progress on stderr; what came out, what was left out and warnings are still told.",
    ),
]
SourceArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help="Folder, glob, image, .txt/.csv list, or - for paths on stdin. "
        "Left out: every image that the store knows.",
    ),
]
LinksOption = Annotated[
    str,
    typer.Option(
        "--symlinks",
        help="Symbolic links in folders: files (take links to files), follow (also enter linked "
        "folders), skip.",
    ),
]
HiddenOption = Annotated[
    bool, typer.Option("--hidden", help="Also look into files and folders whose name has a dot.")
]
RouteOption = Annotated[
    list[str] | None,
    typer.Option(
        "--route",
        metavar="CLASSIFIER=LABEL:MODEL,...",
        help="A classifier chooses which head's score counts for an image; *:MODEL takes the "
        "labels that are not named.",
    ),
]
ScoreClassOption = Annotated[
    list[str] | None,
    typer.Option(
        "--score-class",
        metavar="NAME|!NAME",
        help="Of a head of classes or tags: score the probability of this one instead, of several "
        "the largest; !NAME: of all but this one.",
    ),
]
PoolOption = Annotated[
    str,
    typer.Option(
        help="How the scores of an image's five crops become one: mean, median, max or min."
    ),
]
ShownOption = Annotated[
    str,
    typer.Option(
        "--views",
        help="Show the head whole or five-crop vectors; auto: what it was made for, or five crops "
        "where a head of whole pictures finds nothing else.",
    ),
]
ColumnOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a scores file: the column that counts, if not `score`."),
]


def store_path(explicit: Path | None, *, create: bool) -> Path:
    """Return the folder of the store: as asked, else the nearest `.vta`, else a new one here.

    Raises
    ------
    UsageError
        If there is none and the command cannot make one.
    """
    if explicit is not None:
        return explicit
    found = upwards(STORE_FOLDER)
    if found is not None:
        return found
    if create:
        return Path.cwd() / STORE_FOLDER
    raise UsageError(
        "no-store",
        f"no store: there is no {STORE_FOLDER} folder here or above",
        hint="run `vta embed FOLDER` first, or name a store with --store",
    )


@contextmanager
def open_store(
    explicit: Path | None, *, create: bool = False, read_only: bool | None = False
) -> Iterator["Store"]:
    """Open the store of this run and close it afterwards.

    With `read_only` None for a command that can do without writing: only where it may not.
    """
    from vta_cli.store.store import Store

    path = store_path(explicit, create=create)
    if create and not path.parent.is_dir():
        raise UsageError(
            "no-such-folder",
            f"cannot make a store at {path}: {path.parent} does not exist",
            hint=f"make it first: mkdir -p {path.parent}",
        )
    if read_only is None:
        read_only = not os.access(path, os.W_OK)
    store = Store.open(path, create=create, read_only=read_only)
    try:
        yield store
    finally:
        _tell_problems(store)
        store.close()


def _tell_problems(store: "Store") -> None:
    """Say what was wrong with the store's files and was worked around."""
    from vta_cli.console.errors import printable

    for problem in store.notes():
        typer.echo(f"note: {printable(problem)}", err=True)


def progress(quiet: bool) -> "Progress":
    """Return the progress of this terminal, or the one that tells warnings alone."""
    from vta_cli.console.progress import ConsoleProgress

    shown: Progress = ConsoleProgress(quiet=quiet)
    return shown


def choice(value: str, allowed: tuple[str, ...], option: str) -> str:
    """Check an option with a closed set of values.

    Raises
    ------
    UsageError
        Naming the nearest allowed value.
    """
    if value not in allowed:
        from vta_cli.config import nearest

        raise UsageError(
            "bad-choice", f"{option} cannot be {value!r}", hint=nearest(value, allowed)
        )
    return value


def one_way(
    model: str | Sequence[str] | None, route: Sequence[str], score_class: Sequence[str]
) -> None:
    """Refuse a route beside what names a head itself.

    Raises
    ------
    UsageError
        ``two-models``.
    """
    if route and (model or score_class):
        raise UsageError(
            "two-models",
            "--route names the heads itself: --model and --score-class have no part in it",
            hint="leave them out",
        )


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> None:
    """Print a listing on stdout; names are never cut, since they are there to be copied."""
    from vta_cli.console.look import Look
    from vta_cli.console.tables import render_table

    look = replace(Look.of(sys.stdout), width=UNCUT) if align[-1] != "w" else Look.of(sys.stdout)
    typer.echo(render_table(header, rows, align, look))
