"""`vta train`: learn a taste from labels."""

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from vta_cli.commands.common import (
    HiddenOption,
    LinksOption,
    QuietOption,
    StoreOption,
    choice,
    open_store,
    progress,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def train(
    pos: Annotated[
        list[str] | None,
        typer.Option("--pos", help="Folder (or glob, image, list) of liked images; repeatable."),
    ] = None,
    neg: Annotated[
        list[str] | None,
        typer.Option("--neg", help="Folder (or glob, image, list) of disliked images; repeatable."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A .csv or .jsonl with a column path and a column label instead."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="With --labels: the value that means liked, e.g. cat.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="With --labels: the column of judgements, by its name.")
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(help="With --labels: the column of paths, by its name.")
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the head.")] = "taste",
    head: Annotated[str, typer.Option(help="ensemble, logistic, knn or boosting.")] = "ensemble",
    store: StoreOption = None,
    preset: Annotated[
        str, typer.Option(help="As in `vta embed`; auto: what the store is pinned to.")
    ] = "auto",
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Learn on this backbone; may be repeated."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(envvar="VTA_WEIGHTS", help="As in `vta embed`.")
    ] = None,
    device: Annotated[str, typer.Option(help="As in `vta embed`.")] = "auto",
    precision: Annotated[str, typer.Option(help="As in `vta embed`.")] = "auto",
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    on_conflict: Annotated[
        str, typer.Option(help="Images labelled both ways: error, or drop them.")
    ] = "error",
    no_embed: Annotated[
        bool, typer.Option("--no-embed", help="Leave out labelled images that lack vectors.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Save the head here instead of in the store.")
    ] = None,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Learn a taste from liked and disliked images, and say how good it is.

    Labelled images that the store lacks are embedded first. All figures are out of fold:
    near-copies share a fold, and nothing is reported from data that fitted it. About 50 + 50 labels
    are a decent start; from 2 + 2 something sensible comes out.

    \b
      vta train --pos liked/ --neg disliked/
      vta train --labels labels.csv --name portraits
      vta train --labels pets.csv --positive cat --head logistic
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.console.errors import printable
    from vta_cli.console.train_report import render
    from vta_cli.errors import UsageError
    from vta_cli.pipelines.lanes import Engine, Lane, choose
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
    from vta_cli.pipelines.train import Plan, labels_from_file, labels_from_folders
    from vta_cli.pipelines.train import train as run

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    choice(on_conflict, ("error", "drop"), "--on-conflict")
    if (labels is None) == (not pos and not neg):
        raise UsageError(
            "no-labels",
            "labels are needed, of one kind",
            hint="give --pos LIKED --neg DISLIKED, or --labels FILE",
        )
    if labels is None and not (pos and neg):
        side = "--neg" if pos else "--pos"
        raise UsageError(
            "one-class-empty",
            f"{side} is missing: a taste needs liked and disliked images",
            hint=f"add {side} FOLDER",
        )
    sides = [Source(side or [], links, hidden) for side in (pos, neg)]
    for given in sides:
        given.check()
    plan = Plan(
        name, head, folds, seed, not no_embed,
        cast("Literal['error', 'drop']", on_conflict), out,
    )  # fmt: skip
    watch = progress(quiet)
    engine = Engine(device, precision, weights)
    with open_store(store, create=not no_embed) as opened:
        judged = (
            labels_from_file(labels, positive, label_column, path_column)
            if labels is not None
            else labels_from_folders(opened, *sides)
        )
        chosen = choose(opened, preset, backbone or [], engine)
        if chosen.why:
            watch.note(chosen.why)
        lanes = [Lane(opened, spec, engine, watch) for spec in chosen.specs]
        trained = run(opened, judged, lanes, plan, watch)
        if opened.preset is None and not no_embed:
            opened.pin(chosen.pin)
    typer.echo(render(trained.report))
    for note in trained.notes:
        if note not in trained.report.notes:
            typer.echo(f"note: {printable(note)}", err=True)
    typer.echo(f"saved {printable(str(trained.path))}", err=True)
