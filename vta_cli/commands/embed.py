"""`vta embed`: turn images into cached vectors."""

import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vta_cli.commands.common import (
    HiddenOption,
    LinksOption,
    QuietOption,
    StoreOption,
    ViewsOption,
    choice,
    open_store,
    progress,
)
from vta_cli.commands.engine import ENGINE, EngineOptions, with_engine_options
from vta_cli.words import counted

if TYPE_CHECKING:
    from vta_cli.pipelines.embed import EmbedReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)

STRICT_EXIT = 3
INTERRUPTED_EXIT = 130


@app.command()
@with_engine_options
def embed(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Folder, glob, image, .txt/.csv list, or - for paths on stdin.",
        ),
    ],
    store: StoreOption = None,
    preset: Annotated[
        str,
        typer.Option(
            help="classic, clip, vta1, vta2, vta4, vta7; auto: what the store is pinned to, "
            "for a new store CLIP if its weights are at hand, else classic."
        ),
    ] = "auto",
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone", "-b", help="A backbone by name (`vta backbones`); may be repeated."
        ),
    ] = None,
    views: ViewsOption = "auto",
    engine: EngineOptions = ENGINE,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1024,
            help="Processes that read and decode; 0: threads. Default: what is faster here.",
        ),
    ] = None,
    retry_skipped: Annotated[
        bool, typer.Option("--retry-skipped", help="Look again at files that were unreadable.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if any file was skipped.")
    ] = False,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn images into vectors, once per image and backbone.

    Files that are in the store already are not opened again; a copied or renamed file is not
    embedded twice; an edited one is embedded again. Stop with Ctrl-C at any time: what is done is
    kept, and the same command goes on from there.

    \b
      vta embed photos/
      vta embed photos/ --preset vta2
      vta embed photos/ --views five-crop
      vta embed 'shots/**/*.jpg' --backbone open_clip:ViT-B-32-quickgelu/openai
      find . -name '*.png' | vta embed -
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.pipelines.embed import embed as run
    from vta_cli.pipelines.lanes import Lane, choose
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks, require_images
    from vta_cli.pipelines.views import check_view

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    how = engine.engine()
    found = Source(source, links, hidden, sys.stdin.buffer)
    check_view(views)
    found.check()
    watch = progress(quiet)
    with open_store(store, create=True) as opened:
        chosen = choose(opened, preset, backbone or [], how, views)
        if chosen.why:
            watch.note(chosen.why)
        lanes = [Lane(opened, spec, how, watch, chosen.view) for spec in chosen.specs]
        report = run(opened, found, lanes, watch, workers=workers, retry_skipped=retry_skipped)
        if report.n_images:
            opened.pin(chosen.pin)
        summary(report)
        if report.interrupted:
            typer.echo("interrupted: all of the above is kept; run the same to go on", err=True)
            raise typer.Exit(INTERRUPTED_EXIT)
        require_images(report.n_images, found, report.skips)
    if strict and report.skips:
        raise typer.Exit(STRICT_EXIT)


def summary(report: "EmbedReport") -> None:
    """Print what an embedding run did, on stderr."""
    from vta_cli.console.errors import printable

    equal = " or equal another" if report.n_opened else ""
    typer.echo(
        f"{counted(report.n_images, 'image')}: {counted(report.n_known, 'was', 'were')} in the "
        f"store{equal}; {counted(report.n_opened, 'file')} opened; {report.seconds:.1f} s",
        err=True,
    )
    for name, n_rows in report.embedded.items():
        if n_rows:
            typer.echo(f"  {name}: {counted(n_rows, 'vector')} added", err=True)
    total = sum(report.stages.values())
    if report.n_opened and total:
        parts = ", ".join(f"{k} {v / total:.0%}" for k, v in report.stages.items() if v)
        typer.echo(f"  time went to: {parts}", err=True)
    if report.skips:
        typer.echo(f"{counted(report.skips.total(), 'file')} skipped:", err=True)
        for reason, count in report.skips.most_common():
            example = report.examples[reason]
            text = printable(f"{example.path}: {example.detail}".rstrip(": "))
            typer.echo(f"  {count:,} {reason}, e.g. {text}", err=True)
    if report.n_side_files:
        passed = printable(report.examples["side-file"].path)
        typer.echo(
            f"{counted(report.n_side_files, 'side file')} passed over (by name and content no "
            f"images), e.g. {passed}",
            err=True,
        )
