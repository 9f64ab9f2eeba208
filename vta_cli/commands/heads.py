"""`vta heads`: list and show the saved heads of a store."""

import json
from typing import Annotated

import typer

from vta_cli.commands.common import StoreOption, open_store, show_table

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The saved heads of a store.")


@app.command("list")
def list_heads(store: StoreOption = None) -> None:
    """List the saved heads, newest first."""
    from vta_cli.errors import HeadError
    from vta_cli.heads.taste import Taste
    from vta_cli.pipelines.score import heads_of

    with open_store(store, read_only=True) as opened:
        rows = []
        for path in heads_of(opened):
            try:
                meta = Taste.load(path).meta
            except HeadError as error:
                rows.append([path.stem, "unreadable", "", "", error.message])
                continue
            counts = f"{meta.get('n_positive', '?')} + {meta.get('n_negative', '?')}"
            auc = meta.get("auc")
            figure = f"{auc:.3f}" if isinstance(auc, float) else ""
            backbones = ", ".join(str(name) for name in meta.get("backbones", []))
            rows.append([path.stem, str(meta.get("created", ""))[:19], counts, figure, backbones])
        if not rows:
            typer.echo("no head yet: vta train --pos LIKED --neg DISLIKED", err=True)
            return
        show_table(["head", "trained", "labels", "AUC", "backbones"], rows, "lllrl")


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Name or file; default: the newest.")] = None,
    store: StoreOption = None,
) -> None:
    """Show all that a head says of itself, as JSON."""
    from vta_cli.heads.taste import Taste
    from vta_cli.pipelines.score import find_head

    with open_store(store, read_only=True) as opened:
        path = find_head(opened, name)
        taste = Taste.load(path)
        known = {"file": str(path), **taste.meta, "dims": list(taste.dims)}
        known["recipes"] = list(taste.recipes)
        typer.echo(json.dumps(known, indent=2, sort_keys=True))
