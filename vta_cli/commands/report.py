"""`vta report`: one HTML file about scored images and the head behind them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vta_cli.commands.asked import Asked, asks
from vta_cli.commands.common import open_store, progress
from vta_cli.words import counted

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@asks
def report(
    asked: Asked,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, help="Pictures of a section.")
    ] = 24,
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
    model = asked.model
    of_file = any(is_scores_file(spec, asked.column or "score") for spec in asked.source or ())
    watch = progress(asked.quiet)
    with open_store(asked.store, read_only=True) as opened:
        picking = Picking(replace(asked, model=None) if of_file else asked, opened, watch)
        of_file = picking.of_scores
        scored = list(pick(picking.blocks(make_rule()), make_rule()))
        if not scored:
            raise UsageError(
                "no-scores", "no image has a score", hint="`vta score` says why of each"
            )
        head = None
        if not asked.route and (model is not None or not of_file):
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
