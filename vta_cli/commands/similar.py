"""`vta similar`: find the images nearest to one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vta_cli.commands.common import SourceArgument, StoreOption, open_store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def similar(
    image: Annotated[str, typer.Argument(help="The image to look for; it must be in the store.")],
    source: SourceArgument = None,
    store: StoreOption = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many to show.")] = 10,
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Compare in these spaces. Default: the store's own."),
    ] = None,
    output_format: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or parquet.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rows here.")
    ] = None,
) -> None:
    """Find the images that look most like one: rows path,similarity, nearest first.

    The image itself and files with equal bytes are left out; `vta dedupe` finds these.

    \b
      vta similar best.jpg
      vta similar best.jpg photos/ -n 50 --format jsonl
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.rows import open_output
    from vta_cli.console.rows import Column
    from vta_cli.pipelines.nearest import similar as run
    from vta_cli.pipelines.sources import Source
    from vta_cli.pipelines.spaces import spaces_for

    with open_store(store, read_only=True) as opened, open_output(output_format, output) as out:
        found = Source(source or [], stdin=sys.stdin.buffer, store=store)
        near = run(opened, image, found, spaces_for(opened, backbone or []), number)
        rows = [(path, item.similarity) for item in near for path in item.paths][:number]
        out.write(
            lambda: [Column("path", "str"), Column("similarity", "float")],
            {"path": [path for path, _ in rows], "similarity": [value for _, value in rows]},
        )
