"""`vta score`: score images from cached vectors alone."""

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from vta_cli.commands.common import (
    HiddenOption,
    LinksOption,
    PoolOption,
    QuietOption,
    RouteOption,
    ScoreClassOption,
    ShownOption,
    SourceArgument,
    StoreOption,
    choice,
    one_way,
    open_store,
    progress,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)

STRICT_EXIT = 3


@app.command()
def score(
    source: SourceArgument = None,
    store: StoreOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="A saved head, by name or file; may be repeated. Default: newest."
        ),
    ] = None,
    route: RouteOption = None,
    score_class: ScoreClassOption = None,
    members: Annotated[
        bool,
        typer.Option(
            "--members",
            help="Also what a score was made of: members of an ensemble, bins of a distribution, "
            "with --route all heads.",
        ),
    ] = False,
    pool: PoolOption = "mean",
    views: ShownOption = "auto",
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, jsonl, parquet, or aisthetics: JSON lines with image, predictions, "
            "mean_score_prediction and sd_score_prediction, of a distribution. Default: by the "
            "name of --output, else csv.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of stdout.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if any image has no score.")
    ] = False,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score images with a trained head; no pixel is read again.

    Writes rows path,score,reason, each image once, ordered by path. An image without a score has
    an empty one, and a reason: not-embedded, or why it was skipped. Heads of classes and tags have
    a column for each, distributions one for their standard deviation; with --route a column says
    the label.

    \b
      vta score photos/ > scores.csv
      vta score --model taste --model sharp -o scores.parquet
      vta score photos/ --members --format jsonl | head
      vta score --route kind=portrait:faces,landscape:views > scores.csv
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.rows import FORMATS, open_output, write_aisthetics, write_scores
    from vta_cli.console.errors import printable
    from vta_cli.errors import UsageError
    from vta_cli.heads.pooling import check_pool
    from vta_cli.pipelines.aisthetics import FORMAT, check_distribution
    from vta_cli.pipelines.chosen import speak_of
    from vta_cli.pipelines.score import ScoreReport, load_model, require_scores
    from vta_cli.pipelines.score import score as run
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
    from vta_cli.pipelines.spaces import read_in
    from vta_cli.pipelines.views import shown_view

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    found = Source(source or [], links, hidden, sys.stdin.buffer, store=store)
    found.check()
    how, shown = check_pool(pool), shown_view(views)
    one_way(model, route or (), score_class or ())
    votes = output_format == FORMAT
    if votes and (route or len(model or ()) > 1):
        raise UsageError("two-models", f"{FORMAT} rows are of one head", hint="name one --model")
    watch = progress(quiet)
    with open_store(store, read_only=True) as opened:
        report = ScoreReport()
        if route:
            from vta_cli.pipelines.route import load_route, score_routed

            way = load_route(opened, route, pool=how, views=shown)
            notes, name = way.notes, way.classifier.name
            blocks = score_routed(opened, found, way, report, watch, members=members)
        else:
            models = [
                speak_of(load_model(opened, one, pool=how, views=shown), score_class or ())
                for one in model or (None,)
            ]
            notes, name = tuple(note for one in models for note in one.notes), models[0].name
            if not model:
                notes = (*notes, f"scoring with {name}, the newest head of the store")
            if votes:
                check_distribution(models[0].taste.promise, name)
            blocks = run(opened, found, models, report, watch, members=members or votes)
            found = read_in(found, opened, [space for one in models for space in one.spaces])
        for note in notes:
            watch.note(note)
        with open_output(output_format, output, (*FORMATS, FORMAT)) as out:
            (write_aisthetics if votes else write_scores)(out, blocks)
        require_scores(report, found, name=name)
    if report.reasons:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.most_common())
        typer.echo(f"{report.n_scored:,} scored; without a score: {reasons}", err=True)
        if report.reasons["not-embedded"]:
            line = printable(found.embed_line())
            typer.echo(f"run `{line}` for the missing ones", err=True)
    else:
        typer.echo(f"{report.n_scored:,} scored", err=True)
    if strict and report.reasons:
        raise typer.Exit(STRICT_EXIT)
