"""`vta undo`: take back what filter, sort or dedupe did to files."""

from typing import Annotated

import typer

from vta_cli.commands.common import StoreOption, open_store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def undo(
    run: Annotated[
        str | None, typer.Argument(help="The run to take back; default: the newest one.")
    ] = None,
    store: StoreOption = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs, newest first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Take back a run of filter, sort or dedupe: remove its copies and links, move files home.

    A copy stays if it or its source was edited since, and so does a file whose old place is taken.

    \b
      vta undo --list
      vta undo --dry-run
      vta undo
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    with open_store(store) as opened:
        from vta_cli.commands.arranging import print_journals, take_back

        if list_runs:
            print_journals(opened.journal_dir)
        else:
            take_back(opened.journal_dir, run, dry_run=dry_run)
