"""`vta store`: look after the store."""

from typing import Annotated

import typer

from vta_cli.commands.common import StoreOption, open_store, show_table
from vta_cli.words import counted

GraceOption = Annotated[
    float,
    typer.Option(
        min=0,
        max=1_000_000_000,
        help="Seconds for which replaced shards stay, for running readers.",
    ),
]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Look after the store: what it holds, whether it is whole, and its size.",
)


@app.command()
def info(store: StoreOption = None) -> None:
    """Say what the store holds: images, spaces, vectors, bytes."""
    from vta_cli.console.errors import printable
    from vta_cli.store.info import info as run

    with open_store(store, read_only=True) as opened:
        report = run(opened)
    typer.echo(f"store   {printable(str(report.path))}")
    typer.echo(f"id      {report.id}")
    typer.echo(f"preset  {report.preset or 'not pinned yet'}")
    typer.echo(f"files   {report.catalogue_entries:,} known")
    if report.quarantine_files:
        typer.echo(
            f"damaged {counted(report.quarantine_files, 'file lies', 'files lie')} in quarantine/"
        )
    rows = [
        [
            space.recipe.backbone,
            space.recipe.way,
            f"{space.rows:,}",
            str(space.recipe.dim),
            "/".join(space.dtypes),
            str(space.shards),
            f"{space.bytes / 1e6:,.1f}",
            f"{sum(space.skips.values()):,}",
        ]
        for space in report.spaces
    ]
    header = ["backbone", "computed in", "vectors", "dim", "stored as", "shards", "MB", "skips"]
    if rows:
        show_table(header, rows, "llrrlrrr")


@app.command()
def check(
    store: StoreOption = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Take damaged shards aside into quarantine/, and old leftovers of killed runs; "
            "the next `vta embed` fills the gaps.",
        ),
    ] = False,
) -> None:
    """Verify every checksum; exit with 1 if something is damaged.

    Leftovers of killed runs (data without a marker, temporary files) harm nobody and are only
    counted.
    """
    from vta_cli.console.errors import printable
    from vta_cli.store.check import check as run

    with open_store(store, read_only=not repair) as opened:
        report = run(opened, repair=repair)
    for problem in report.problems:
        typer.echo(printable(f"{problem.space}/{problem.file}: {problem.what}"))
    typer.echo(
        f"whole: {counted(report.shards, 'shard')} with {counted(report.rows, 'row')} "
        f"({report.bytes / 1e6:,.1f} MB); {len(report.problems):,} damaged; leftovers of killed "
        f"runs: {report.orphans + report.temps:,}",
        err=True,
    )
    if report.clean:
        typer.echo("clean", err=True)
    elif repair:
        typer.echo(
            f"{counted(len(report.quarantined), 'file')} taken aside into quarantine/; run "
            f"`vta embed` again for the vectors that are missing now",
            err=True,
        )
    else:
        typer.echo(
            "run `vta store check --repair`, then `vta embed` again for what is missing", err=True
        )
        raise typer.Exit(1)


@app.command()
def compact(store: StoreOption = None, grace: GraceOption = 3600.0) -> None:
    """Merge small shards into large ones; safe beside running commands."""
    from vta_cli.console.errors import printable
    from vta_cli.store.compact import compact as run

    with open_store(store) as opened:
        report = run(opened, grace_s=grace)
    typer.echo(
        f"{counted(report.merged, 'shard')} merged into {report.written:,}; "
        f"{counted(report.removed, 'replaced one')} removed "
        f"({report.removed_bytes / 1e6:,.1f} MB), "
        f"{counted(report.waiting, 'waits', 'wait')} for the grace period",
        err=True,
    )
    for problem in report.problems:
        typer.echo(f"left alone: {printable(problem)}", err=True)


@app.command()
def gc(
    store: StoreOption = None,
    run: Annotated[
        bool, typer.Option("--run", help="Really drop them; without it the command only counts.")
    ] = False,
) -> None:
    """Drop the vectors of images that no longer exist at any known path.

    Looks at every known path on disk first, and where vta has moved or copied its file. Images
    on a disk that seems not to be mounted are kept.
    Dropped vectors can be had again only by embedding; disk space comes back with the first
    `vta store compact` after its grace period.
    """
    from vta_cli.pipelines.collect import collect

    with open_store(store, read_only=not run) as opened:
        report = collect(opened, dry_run=not run)
    would = "" if run else "would be "
    typer.echo(
        f"{counted(report.n_paths_gone, 'known path is', 'known paths are')} gone; "
        f"{counted(report.n_rows, 'vector')} "
        f"({report.n_bytes / 1e6:,.1f} MB) {would}dropped",
        err=True,
    )
    if report.n_away:
        typer.echo(
            f"{counted(report.n_away, 'known path lies', 'known paths lie')} where no disk seems "
            f"to be mounted and {'is' if report.n_away == 1 else 'are'} kept: "
            f"{', '.join(report.away)}; if that disk is gone for good, put any file there",
            err=True,
        )
    if report.own_catalogue and report.n_rows:
        typer.echo(
            "the store is on a network file system, where each machine knows its own images alone: "
            "those that only others have embedded count as gone",
            err=True,
        )
    if not run and report.n_rows:
        typer.echo("say --run to drop them", err=True)
