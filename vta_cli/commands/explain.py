"""`vta explain`: say why an image got its score."""

from typing import Annotated

import typer

from vta_cli.commands.common import StoreOption, open_store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def explain(
    image: Annotated[str, typer.Argument(help="The image; it must be in the store.")],
    store: StoreOption = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A saved head. Default: the newest.")
    ] = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, help="Labelled neighbours to show a side.")
    ] = 3,
) -> None:
    """Say why an image got its score: each member's opinion, and the nearest labelled images.

    \b
      vta explain photos/0017.jpg
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.console.errors import printable
    from vta_cli.pipelines.nearest import LABELLED
    from vta_cli.pipelines.nearest import explain as run
    from vta_cli.pipelines.score import load_model

    with open_store(store, read_only=True) as opened:
        head = load_model(opened, model)
        why = run(opened, image, head, number, named=store)
    typer.echo(f"score     {why.score:.3f}  by {head.name}")
    width = max([8, *map(len, why.members)])
    for name, value in why.members.items():
        typer.echo(f"  {printable(name):<{width}}  {value:.3f}")
    if why.said:
        typer.echo(f"labelled  {printable(why.said)}: {head.name} learnt from this image")
    for title, side in why.near.items():
        typer.echo(f"nearest {title}")
        for item in side:
            beside = f"  {printable(item.said)}" if title == LABELLED else ""
            typer.echo(f"  {item.similarity:.3f}{beside}  {printable(item.path)}")
        if not side:
            typer.echo("  none among this head's labels")
    if not why.near:
        typer.echo(f"labels    not kept with {head.name}: nothing to compare with")
