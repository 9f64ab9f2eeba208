"""`vta label`: the labelling page."""

import shlex
from pathlib import Path
from typing import Annotated, cast

import typer

from vta_cli.commands.common import (
    MAX_SEED,
    HiddenOption,
    LinksOption,
    QuietOption,
    StoreOption,
    choice,
    open_store,
)
from vta_cli.commands.engine import ENGINE, EngineOptions, with_engine_options
from vta_cli.words import counted

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MODES = ("single", "grid", "tournament", "pairs", "review")


@app.command()
@with_engine_options
def label(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Folder, glob, image or list of the images to label. "
            "Left out: every image that the store knows.",
        ),
    ] = None,
    pos: Annotated[
        list[str] | None, typer.Option("--pos", help="Folder of images that are liked already.")
    ] = None,
    neg: Annotated[
        list[str] | None, typer.Option("--neg", help="Folder of images that are disliked already.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A .csv or .jsonl of labels that there are already.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where judgements are written. Default: labels/NAME.jsonl in the store."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", "-n", help="Name of the journal and of the head.")
    ] = "label",
    mode: Annotated[
        str, typer.Option(help="What the page begins with: " + ", ".join(MODES) + ".")
    ] = "single",
    every: Annotated[
        int, typer.Option(min=0, help="Learn after so many labels; 0: only when asked to (key t).")
    ] = 10,
    rater: Annotated[
        str, typer.Option(help="Who judges, for the journal. Default: the user's name.")
    ] = "",
    move: Annotated[
        bool,
        typer.Option(
            "--move", help="Move each judged image into the --pos or --neg folder (undo: key u)."
        ),
    ] = False,
    export_folders: Annotated[
        Path | None,
        typer.Option(help="At the end, copy labelled images into FOLDER/liked and disliked."),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="With --export-folders: symbolic links, not copies.")
    ] = False,
    store: StoreOption = None,
    preset: Annotated[
        str, typer.Option(help="As in `vta embed`; auto: what the store is pinned to.")
    ] = "auto",
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Learn on this backbone; may be repeated."),
    ] = None,
    engine: EngineOptions = ENGINE,
    no_embed: Annotated[
        bool, typer.Option("--no-embed", help="Do not embed images that lack vectors.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the draws.")] = 0,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Label images on a page in the browser, which learns while you work.

    Each judgement is on the disk before the page shows the next image. Your files stay where they
    are unless --move is given. Images without vectors are embedded behind the page. The journal is
    a label file: train a full head on it with `vta train --labels`.

    \b
      vta label photos/
      vta label photos/ --pos liked/ --neg disliked/
      vta label photos/ --mode tournament
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from dataclasses import replace

    from vta_cli.console.errors import printable
    from vta_cli.errors import UsageError
    from vta_cli.pipelines.label import Plan
    from vta_cli.pipelines.label_load import Inputs
    from vta_cli.pipelines.label_serve import export, open_page
    from vta_cli.pipelines.score import HEAD_NAME
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    choice(mode, MODES, "--mode")
    if not HEAD_NAME.fullmatch(name):
        raise UsageError("bad-name", f"{name!r} cannot name a head", hint="use letters and digits")
    if link and export_folders is None:
        raise UsageError("no-target", "--link goes with --export-folders", hint="add it")
    folders = _move_folders(pos, neg) if move else None
    made = list(folders) if folders is not None else []
    images = Source(source or [], links, hidden, exclude=made)
    images.check()
    # A folder that --move has yet to make holds no labels so far.
    sides = [
        (Source([spec], links, hidden), value)
        for side, value in ((pos, 1), (neg, 0))
        for spec in side or []
        if not (move and not Path(spec).exists())
    ]
    if not move:
        for side, _ in sides:
            side.check()
    inputs = Inputs(
        images, sides, preset=preset, backbones=backbone or [], engine=engine.engine(),
        embed_missing=not no_embed,
    )  # fmt: skip
    if labels is not None:
        from vta_cli.pipelines.train import labels_from_file  # takes long to import

        inputs = replace(inputs, labels=labels_from_file(labels, None).labels)

    def warn(text: str) -> None:
        typer.echo(f"warning: {printable(text)}", err=True)

    def ready(address: str) -> None:
        typer.echo(f"labelling page: {address}")
        if not quiet:
            typer.echo("Ctrl-C ends it; every judgement is already saved", err=True)
        if open_browser:
            typer.launch(address)

    with open_store(store, create=not no_embed) as opened:
        file = journal or opened.labels_dir / f"{name}.jsonl"
        plan = Plan(file, name, rater, every, seed, folders)
        end = open_page(opened, inputs, plan, port=port, mode=mode, ready=ready, warn=warn)
        typer.echo(
            f"{end.n_positive} liked, {end.n_negative} disliked in {printable(str(file))}", err=True
        )
        if end.n_positive and end.n_negative and not quiet:
            train = f"vta train --labels {shlex.quote(printable(str(file)))}"
            typer.echo(f"a full head from these: {train}", err=True)
        if export_folders is not None:
            done = export(opened, file, export_folders, link=link)
            how = "linked" if link else "copied"
            typer.echo(f"{counted(done, 'file')} {how} to {export_folders}")


def _move_folders(pos: list[str] | None, neg: list[str] | None) -> tuple[Path, Path]:
    """Return the two folders into which judged images are moved."""
    from vta_cli.errors import UsageError

    if not pos or not neg or len(pos) != 1 or len(neg) != 1:
        raise UsageError(
            "no-target", "--move needs one --pos and one --neg folder", hint="name both"
        )
    found = Path(pos[0]).absolute(), Path(neg[0]).absolute()
    if found[0] == found[1] or any(path.exists() and not path.is_dir() for path in found):
        raise UsageError("no-target", "--pos and --neg must be two different folders")
    return found
