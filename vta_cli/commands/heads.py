"""`vta heads`: list, show, import and export the saved heads of a store."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vta_cli.commands.common import StoreOption, open_store, show_table

if TYPE_CHECKING:
    from vta_cli.heads.saved import Head

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The saved heads of a store: list, show, import published ones, export.",
)


@app.command("list")
def list_heads(store: StoreOption = None) -> None:
    """List the saved heads, newest first."""
    from vta_cli.errors import HeadError
    from vta_cli.heads.saved import load_head
    from vta_cli.pipelines.score import heads_of

    with open_store(store, read_only=True) as opened:
        rows = []
        for path in heads_of(opened):
            try:
                rows.append([path.stem, *_row(load_head(path))])
            except HeadError as error:
                rows.append([path.stem, "unreadable", "", "", "", error.message])
        if not rows:
            typer.echo("no head yet: vta train --pos LIKED --neg DISLIKED", err=True)
            return
        header = ["head", "made", "labels", "AUC", "gives", "backbones"]
        show_table(header, rows, "lllrll")


def _row(head: "Head") -> list[str]:
    meta = head.meta
    published = meta.get("published")
    if isinstance(published, dict):
        counts = str(published.get("kind", "imported"))
    elif "n_labels" in meta:
        counts = f"{meta['n_labels']} {meta.get('kind', '')}".rstrip()
    else:
        counts = f"{meta.get('n_positive', '?')} + {meta.get('n_negative', '?')}"
    auc = meta.get("auc")
    backbones = ", ".join(str(recipe.get("backbone")) for recipe in head.recipes)
    return [
        str(meta.get("created", ""))[:19],
        counts,
        f"{auc:.3f}" if isinstance(auc, float) else "",
        head.promise.kind,
        backbones,
    ]


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Name or file; default: the newest.")] = None,
    store: StoreOption = None,
) -> None:
    """Show all that a head says of itself, as JSON; of its labels how many there are of each."""
    from collections import Counter
    from dataclasses import asdict

    from vta_cli.heads.saved import load_head
    from vta_cli.pipelines.remembered import LABELS, judgements
    from vta_cli.pipelines.score import find_head

    with open_store(store, read_only=True) as opened:
        path = find_head(opened, name)
        head = load_head(path)
        known = {"file": str(path), **head.meta, "dims": list(head.dims)}
        known.pop("oof", None)  # a number for each label: `vta report` draws them
        if LABELS in known:
            known[LABELS] = Counter(judgements(head.meta).values())
        known["recipes"] = list(head.recipes)
        known["normalise"] = head.normalise
        known["gives"] = asdict(head.promise)
        typer.echo(json.dumps(known, indent=2, sort_keys=True))


@app.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="A published head, or a folder that `vta heads export` has made."),
    ],
    store: StoreOption = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="laion-v1, laion-v2, ap-v2.5, city or nima-idealo. Default: told by the tensors."
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            help="The backbone that the head is for, where the file leaves it open.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Save it under this name. Default: the file's.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names of the classes, in the head's order: A,B,...")
    ] = None,
    score_class: Annotated[
        list[str] | None,
        typer.Option(
            help="Class whose probability is the score; of several the largest. Default: the first."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Tie the head to this space of the store, by folder name.")
    ] = None,
    views: Annotated[
        str,
        typer.Option(
            help="What the head is shown of a picture: whole or five-crop; auto: as its authors "
            "do, which for CityClassifiers' class heads is five-crop."
        ),
    ] = "auto",
    network_to: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a network that comes with the head. Default: beside the file."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a head of the same name.")
    ] = False,
) -> None:
    """Import a head that others have published; nothing in the file is ever run.

    Says which backbone, resolution and normalisation the head wants, and asks where the file leaves
    a doubt. See docs/published-heads.md.

    \b
      vta heads import sac+logos+ava1-l14-linearMSE.pth --name laion
      vta heads import sa_0_4_vit_b_32_linear.pth --backbone CLIP_ViTB_32
      vta heads import CCAnime-Compression-v1.5.safetensors -b CLIP_ViTL_14@336 --score-class Pass
      vta heads import weights_mobilenet_aesthetic_0.07.hdf5 --name nima
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.console.errors import printable
    from vta_cli.pipelines.exchange import Wish, describe, import_head, read_head
    from vta_cli.pipelines.views import choose_view

    wish = Wish(
        kind=kind,
        backbone=backbone,
        name=name,
        labels=[part.strip() for part in labels.split(",")] if labels else (),
        score_classes=score_class or (),
        space=space,
        replace=replace,
        views=None if views == "auto" else choose_view(views, None),
        network_to=network_to,
    )
    found = read_head(file, wish)  # before the store: what cannot be read makes none
    with open_store(store, create=True) as opened:
        done = import_head(opened, found, wish)
    published = done.head.meta.get("published")
    if isinstance(published, dict):
        typer.echo(printable(f"{published.get('title')} of {published.get('source')}"), err=True)
        typer.echo(printable(f"licence {published.get('licence')}"), err=True)
    for line in describe(done.head):
        typer.echo(printable(line), err=True)
    for note in done.notes:
        typer.echo(printable(f"note: {note}"), err=True)
    wanted = " ".join(f"--backbone {recipe['backbone']}" for recipe in done.head.recipes)
    if any(recipe.get("view") == "five-crop" for recipe in done.head.recipes):
        wanted += " --views five-crop"
    typer.echo(printable(f"next: vta embed SOURCE {wanted}"), err=True)
    typer.echo(printable(str(done.path)))


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Name or file of the head.")],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    store: StoreOption = None,
    licence: Annotated[
        str | None,
        typer.Option(help="What the card says of the licence. Default: a gap for you to fill."),
    ] = None,
) -> None:
    """Write a head as a folder fit for publishing: the head, a card, plain JSON.

    Which images were liked is left out: the head keeps no list of its labels there.

    \b
      vta heads export taste taste-v1/
      vta heads import taste-v1/ --store elsewhere/.vta
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.console.errors import printable
    from vta_cli.pipelines.publish import export_head

    with open_store(store, read_only=True) as opened:
        made = export_head(opened, name, out, licence)
    typer.echo(printable(f"{made}: head.safetensors, head.json, README.md"))
