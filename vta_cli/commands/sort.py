"""`vta sort`: rank images by score."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vta_cli.commands.asked import Asked, asks
from vta_cli.commands.common import choice, open_store, progress
from vta_cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta_cli.commands.rows import Output
    from vta_cli.pipelines.select import Scored

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ROWS_AT_ONCE = 65536


@app.command()
@asks
def sort(
    asked: Asked,
    *,
    top: Annotated[
        str | None, typer.Option(metavar="N|P%", help="Only the best N, or the best P percent.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Make a ranked folder here instead of printing rows.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(help="rank: 0001_0.973_name.jpg; bracket: a folder for each tenth of scores."),
    ] = "rank",
    copy: Annotated[bool, typer.Option("--copy", help="With --to: copy (the default).")] = False,
    link: Annotated[bool, typer.Option("--link", help="With --to: symbolic links.")] = False,
    hardlink: Annotated[bool, typer.Option("--hardlink", help="With --to: hard links.")] = False,
    move: Annotated[bool, typer.Option("--move", help="With --to: move.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    output_format: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or parquet, for the rows.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rows here.")
    ] = None,
) -> None:
    """Rank images by score, best first: rows rank,path,score, or a folder that sorts itself.

    \b
      vta sort photos/ --top 20
      vta sort scores.csv --top 10% --to best/ --link
      vta sort photos/ --to shelves/ --by bracket --copy
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.arranging import Arrangement, arrange
    from vta_cli.commands.picking import Picking
    from vta_cli.commands.rows import open_output, rows_wanted
    from vta_cli.errors import UsageError
    from vta_cli.pipelines.select import bracket_items, make_rule, pick, rank, ranked_items

    choice(by, ("rank", "bracket"), "--by")
    if to is None and (copy or link or hardlink or move or dry_run or by != "rank"):
        raise UsageError(
            "no-target",
            "--by bracket, --copy, --link, --hardlink, --move and --dry-run need a folder",
            hint="say --to FOLDER",
        )
    if sum((copy, link, hardlink, move)) > 1:
        raise UsageError(
            "two-actions",
            "--copy, --link, --hardlink and --move exclude one another",
            hint="pick one",
        )
    rule = make_rule(top=top)
    wish = None
    if to is not None:
        plain = not (link or hardlink or move)
        wish = Arrangement.from_options(
            copy_to=to if plain else None, link_to=to if link else None,
            hardlink_to=to if hardlink else None, move_to=to if move else None,
            flat=False, dry_run=dry_run,
        )  # fmt: skip
    watch = progress(asked.quiet)
    wanted = rows_wanted(output_format, output, watch, files=wish is not None)
    # opened first, so that a name that cannot be written is refused before the work
    with (
        open_store(asked.store, read_only=wish is None) as opened,
        open_output(output_format, output) if wanted else nullcontext() as out,
    ):
        picking = Picking(asked, opened, watch)
        if wish is not None:
            wish.check(picking.folders, opened.path)
        ranked = rank(pick(picking.blocks(rule), rule))
        if out is not None:
            _write_rows(ranked, out)
        if wish is not None:
            low, high = picking.low, picking.high
            if ranked and not picking.bounded:
                low, high = min(low, ranked[-1].score), max(high, ranked[0].score)
            items = ranked_items(ranked) if by == "rank" else bracket_items(ranked, low, high)
            arrange(items, wish, opened.journal_dir, picking.folders, sys.argv[1:], watch)
    of = counted(picking.report.n_scored, "scored image")
    typer.echo(f"{len(ranked):,} of {of} ranked", err=True)


def _write_rows(ranked: "Sequence[Scored]", out: "Output") -> None:
    """Write rows rank,path,score."""
    from vta_cli.console.rows import Column

    columns = [Column("rank", "int"), Column("path", "str"), Column("score", "float")]
    for start in range(0, max(len(ranked), 1), ROWS_AT_ONCE):
        part = ranked[start : start + ROWS_AT_ONCE]
        rows: dict[str, object] = {
            "rank": list(range(start + 1, start + len(part) + 1)),
            "path": [item.ref.path for item in part],
            "score": [item.score for item in part],
        }
        out.write(lambda: columns, rows)
