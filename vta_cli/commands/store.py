"""`vta store`: look after the store."""

from typing import Annotated

import typer

from vta_cli.commands.common import QuietOption, StoreOption, open_store, progress

app = typer.Typer(help="Look after the store: what it holds, whether it is whole, and its size.")


@app.command()
def info(store: StoreOption = None) -> None:
    """Say what the store holds: images, spaces, vectors, bytes."""
    from vta_cli.console.tables import table
    from vta_cli.store.info import info as run

    with open_store(store, read_only=True) as opened:
        report = run(opened)
        typer.echo(f"store   {opened.path}")
        typer.echo(f"id      {opened.id}")
        typer.echo(f"preset  {opened.preset or 'not pinned yet'}")
        typer.echo(f"files   {report.n_files:,} known, {report.n_unreadable:,} unreadable")
        rows = [
            [
                space.backbone,
                f"{space.n_rows:,}",
                str(space.dim),
                str(space.n_shards),
                f"{space.n_bytes / 1e6:,.1f}",
                f"{space.n_skips:,}",
            ]
            for space in report.spaces
        ]
        header = ["backbone", "vectors", "dim", "shards", "MB", "skips"]
        typer.echo(table(header, rows, right=(1, 2, 3, 4, 5)))


@app.command()
def check(
    store: StoreOption = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Take bad shards aside into quarantine/ and remove leftovers of killed runs; the "
            "next `vta embed` fills the gaps.",
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Verify every checksum; exit with 1 if something is wrong."""
    from vta_cli.store.check import check as run

    watch = progress(quiet)
    with open_store(store, read_only=not repair) as opened:
        with watch.stage("check", unit="shards") as stage:
            report = run(opened, repair=repair, progress=stage.advance)
        for problem in report.problems:
            typer.echo(problem)
        typer.echo(
            f"{report.n_shards:,} shards with {report.n_rows:,} rows checked: "
            f"{report.n_bad:,} bad, {report.n_orphans:,} orphans, {report.n_temps:,} leftovers",
            err=True,
        )
        if report.n_bad and not repair:
            typer.echo(
                "run `vta store check --repair`, then `vta embed` again for what is missing",
                err=True,
            )
            raise typer.Exit(1)
        if not report.n_bad:
            typer.echo("clean", err=True)


@app.command()
def compact(
    store: StoreOption = None,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds for which replaced shards stay, for running readers."),
    ] = 3600.0,
    quiet: QuietOption = False,
) -> None:
    """Merge small shards into large ones; safe beside running commands."""
    from vta_cli.store.compact import compact as run

    watch = progress(quiet)
    with open_store(store) as opened:
        with watch.stage("compact", unit="shards") as stage:
            report = run(opened, grace_s=grace, progress=stage.advance)
        typer.echo(
            f"{report.n_merged:,} shards merged into {report.n_written:,}, "
            f"{report.n_removed:,} replaced ones removed, {report.n_waiting:,} wait for the grace "
            f"period",
            err=True,
        )


@app.command()
def gc(
    store: StoreOption = None,
    run: Annotated[
        bool, typer.Option("--run", help="Really drop them; without it the command only counts.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds for which replaced shards stay, for running readers."),
    ] = 3600.0,
) -> None:
    """Drop the vectors of images that no longer exist at any known path.

    Looks at every known path on disk first. Dropped vectors can be had again only by embedding.
    """
    from vta_cli.pipelines.collect import collect

    with open_store(store, read_only=not run) as opened:
        report = collect(opened, dry_run=not run, grace_s=grace)
        would = "" if run else "would be "
        typer.echo(
            f"{report.n_paths_gone:,} known paths are gone; {report.n_rows:,} vectors "
            f"({report.n_bytes / 1e6:,.1f} MB) {would}dropped",
            err=True,
        )
        if not run and report.n_rows:
            typer.echo("say --run to drop them", err=True)
