"""The options of every command that picks among scored images, once for all of them.

Light: nothing but the parser is imported, as for every command's module.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Concatenate, ParamSpec

import typer

from vta_cli.commands.common import (
    ColumnOption,
    HiddenOption,
    LinksOption,
    PoolOption,
    QuietOption,
    RouteOption,
    ScoreClassOption,
    ShownOption,
    StoreOption,
)

Own = ParamSpec("Own")


@dataclass(frozen=True)
class Asked:
    """What such a command was asked: an option each, in the order of its help."""

    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE|SCORES",
            help="Folder, glob, image or list; or a scores file of `vta score` (.csv, .jsonl, "
            ".parquet); - for either on stdin. Left out: every image of the store.",
        ),
    ] = None
    store: StoreOption = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="A saved head. Default: the newest; with a scores file none."
        ),
    ] = None
    route: RouteOption = None
    score_class: ScoreClassOption = None
    pool: PoolOption = "mean"
    views: ShownOption = "auto"
    column: ColumnOption = None
    symlinks: LinksOption = "files"
    hidden: HiddenOption = False
    quiet: QuietOption = False


LAST = ("symlinks", "hidden", "quiet")
"""These stand behind a command's own options."""


def asks(command: Callable[Concatenate[Asked, Own], None]) -> Callable[..., None]:
    """Give a command the options of `Asked` besides its own; it gets them as its first argument."""
    shared = {
        name: option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, option in inspect.signature(Asked).parameters.items()
    }
    own = list(inspect.signature(command).parameters.values())[1:]
    first = [option for name, option in shared.items() if name not in LAST]
    options = [*first, *own, *(shared[name] for name in LAST)]

    @functools.wraps(command)
    def run(*args: Own.args, **given: Own.kwargs) -> None:
        asked = Asked(**{name: given.pop(name) for name in shared})  # type: ignore[arg-type]  # the parser has checked them
        command(asked, *args, **given)

    del run.__wrapped__  # else the parser would look at the options of `command`
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # read by `inspect`
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run
