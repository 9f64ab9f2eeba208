"""`vta backbones`: list what can turn pixels into vectors."""

from typing import Annotated

import typer

from vta_cli.commands.common import show_table

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backbones(
    name: Annotated[
        str | None, typer.Argument(help="Only names that contain this text, or one full name.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(envvar="VTA_WEIGHTS", help="Weight file or folder to look in.")
    ] = None,
    presets: Annotated[bool, typer.Option("--presets", help="List the presets instead.")] = False,
) -> None:
    """List the backbones: dimensions, input size, licence, and whether the weights are at hand.

    Besides these, any open_clip:NAME/TAG, timm:NAME and onnx:FILE can be used. Nothing is
    downloaded by listing.

    \b
      vta backbones
      vta backbones dino
      vta backbones --presets
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.backbones.presets import presets as known_presets
    from vta_cli.backbones.registry import at_hand, expand, resolve, specs

    if presets:
        rows = []
        for preset in known_presets():
            members = expand([], preset)
            dim = sum(spec.dim or 0 for spec in members)
            rows.append([preset, str(dim), ", ".join(spec.name for spec in members)])
        show_table(["preset", "dim", "backbones, in column order"], rows, "lrw")
        return
    found = [
        spec
        for spec in specs()
        if name is None
        or name.lower() in spec.name.lower()
        or any(name.lower() in alias.lower() for alias in spec.aliases)
    ]
    if not found and name is not None:
        found = [resolve(name)]
    rows = []
    for spec in found:
        shape = spec.preprocess
        pixels = "" if shape is None else str(shape.crop_px or shape.resize_px)
        rows.append(
            [
                spec.name,
                ", ".join(spec.aliases),
                "" if spec.dim is None else str(spec.dim),
                pixels,
                spec.licence,
                at_hand(spec, weights)[1],
            ]
        )
    header = ["backbone", "also called", "dim", "px", "licence", "weights"]
    show_table(header, rows, "llrrll")
