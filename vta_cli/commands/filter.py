"""`vta filter`: pick images by score."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vta_cli.commands.asked import Asked, asks
from vta_cli.commands.common import open_store, progress
from vta_cli.words import counted

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("filter")
@asks
def filter_images(
    asked: Asked,
    *,
    threshold: Annotated[
        float | None, typer.Option("--threshold", "-t", help="Keep scores of at least this.")
    ] = None,
    below: Annotated[float | None, typer.Option(help="Keep scores of at most this.")] = None,
    band: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Keep scores from LOW to HIGH, both included."),
    ] = None,
    top: Annotated[
        str | None, typer.Option(metavar="N|P%", help="Keep the best N, or the best P percent.")
    ] = None,
    copy_to: Annotated[
        Path | None, typer.Option(help="Copy what is kept into this folder.")
    ] = None,
    link_to: Annotated[
        Path | None, typer.Option(help="Symbolic links to what is kept, in this folder.")
    ] = None,
    hardlink_to: Annotated[
        Path | None, typer.Option(help="Hard links to what is kept, in this folder.")
    ] = None,
    move_to: Annotated[
        Path | None, typer.Option(help="Move what is kept into this folder.")
    ] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="All files in one folder, instead of keeping the tree.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="End paths with NUL instead of a newline.")
    ] = False,
) -> None:
    """Pick images by score: paths on stdout, or files copied, linked or moved.

    Bands are closed intervals. Nothing is ever overwritten, and `vta undo` takes a run back.

    \b
      vta filter photos/ --threshold 0.8
      vta filter photos/ --band 0.6 0.9 --copy-to out/
      vta filter scores.csv --top 5% --link-to best/ --flat
      vta filter photos/ --below 0.1 --move-to rejects/ --dry-run
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.arranging import Arrangement, arrange, print_paths
    from vta_cli.commands.picking import Picking
    from vta_cli.errors import UsageError
    from vta_cli.pipelines.select import make_rule, pick, plain_items

    rule = make_rule(threshold=threshold, below=below, band=band, top=top)
    if rule == make_rule():
        raise UsageError(
            "no-rule",
            "nothing says what to keep",
            hint="give --threshold, --below, --band or --top",
        )
    wish = Arrangement.from_options(
        copy_to=copy_to, link_to=link_to, hardlink_to=hardlink_to, move_to=move_to,
        flat=flat, dry_run=dry_run,
    )  # fmt: skip
    if null and wish is not None:
        raise UsageError(
            "no-paths",
            "-0 ends printed paths, and none are printed where files are arranged",
            hint="leave -0 out",
        )
    watch = progress(asked.quiet)
    with open_store(asked.store, read_only=wish is None) as opened:
        picking = Picking(asked, opened, watch)
        if wish is not None:
            wish.check(picking.folders, opened.path)
        kept = pick(picking.blocks(rule), rule)
        if wish is None:
            n_kept = print_paths((item.ref.path for item in kept), null=null)
        else:
            items = list(plain_items(kept))
            n_kept = len(items)
            arrange(items, wish, opened.journal_dir, picking.folders, sys.argv[1:], watch)
    n_scored = picking.report.n_scored
    share = n_kept / n_scored if n_scored else 0.0
    typer.echo(f"{n_kept:,} of {counted(n_scored, 'scored image')} kept ({share:.1%})", err=True)
    unscored = picking.report.reasons.total()
    if unscored:
        typer.echo(f"{counted(unscored, 'image')} without a score (see `vta score`)", err=True)
