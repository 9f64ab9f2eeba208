"""`vta report`: one HTML file about scored images and the head behind them."""

from pathlib import Path
from typing import Annotated

import typer

from vta_cli.commands.common import (
    ColumnOption,
    HiddenOption,
    LinksOption,
    PoolOption,
    QuietOption,
    RouteOption,
    ScoreClassOption,
    StoreOption,
    counted,
    open_store,
    progress,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE|SCORES",
            help="Folder, glob, image, list or - ; or a scores file of `vta score`. "
            "Left out: every image of the store.",
        ),
    ] = None,
    store: StoreOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="A saved head. Default: the newest; with a scores file none."
        ),
    ] = None,
    route: RouteOption = None,
    score_class: ScoreClassOption = None,
    pool: PoolOption = "mean",
    column: ColumnOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, help="Pictures of a section.")
    ] = 24,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write one self-contained HTML file: histogram, curves, best and worst, mistakes.

    The curves and the mistakes are those of the head's own labels, out of fold. Pictures are in the
    file as thumbnails; it asks for nothing from anywhere, and links to the originals.

    \b
      vta report photos/ -o report.html
      vta report scores.csv --model taste
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.picking import Picking
    from vta_cli.console.errors import printable
    from vta_cli.errors import UsageError
    from vta_cli.heads.saved import load_head
    from vta_cli.pipelines.report import write_report
    from vta_cli.pipelines.score import find_head
    from vta_cli.pipelines.select import is_scores_file, make_rule, pick

    if output.is_dir():
        raise UsageError("is-a-folder", f"{output} is a folder", hint="name a file to write")
    specs = source or []
    of_file = any(is_scores_file(spec, column or "score") for spec in specs)
    with open_store(store, read_only=True) as opened:
        picking = Picking(
            specs, opened, None if of_file else model, progress(quiet), symlinks, hidden,
            route or (), score_class or (), column, pool,
        )  # fmt: skip
        scored = list(pick(picking.blocks(make_rule()), make_rule()))
        if not scored:
            raise UsageError(
                "no-scores", "no image has a score", hint="`vta score` says why of each"
            )
        head = None
        if not route and (model is not None or not of_file):
            head = load_head(find_head(opened, model))
        name = model or ("scores" if head is None else head.meta.get("name", "scores"))
        scale = (picking.low, picking.high)
        if of_file and head is not None:
            scale = (head.promise.low, head.promise.high)
        page = write_report(
            scored, scale, output, title=f"vta report: {name}",
            store=opened, head=head, n_tiles=number,
        )  # fmt: skip
    typer.echo(printable(str(page)))
    typer.echo(counted(len(scored), "scored image"), err=True)
