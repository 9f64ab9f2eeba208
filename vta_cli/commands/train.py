"""`vta train`: learn a taste from labels."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from vta_cli.commands.common import (
    MAX_SEED,
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

if TYPE_CHECKING:
    from vta_cli.labels.records import Kind, LabelSet
    from vta_cli.pipelines.head_config import HeadConfig
    from vta_cli.pipelines.labelled import Plan
    from vta_cli.pipelines.lanes import Lane
    from vta_cli.pipelines.progress import Progress
    from vta_cli.pipelines.train import Trained
    from vta_cli.pipelines.train_kinds import TrainedKind
    from vta_cli.store.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@with_engine_options
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
        typer.Option(
            help="A .csv or .jsonl with a column path, and one of labels, scores or tags, which "
            "decides the kind; or the journal of `vta label`."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="With --labels: binary, classes, ordinal, scores or tags, whatever they look "
            "like; with --tiers: scores, if their numbers are distances."
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Folder of folders, one for each class: 0_name, 1_name...")
    ] = None,
    tiers: Annotated[
        Path | None, typer.Option(help="Folder of folders called by numbers, the best the highest.")
    ] = None,
    histograms: Annotated[
        Path | None,
        typer.Option(
            help="File of votes: NIMA's JSON, AVA.txt, TID2013, SAC, Kuler's .mat, or counts as "
            ".csv."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="With --histograms: the folder of its images.")
    ] = None,
    first_bin: Annotated[
        float | None,
        typer.Option(
            min=-1_000_000,
            max=1_000_000,
            help="With --histograms as JSON, or of unnumbered columns: the score of the first bin. "
            "Default: 1; 0 for what was made of TID2013.",
        ),
    ] = None,
    themes: Annotated[
        Path | None,
        typer.Option(help="With --histograms of Kuler: themeData.mat, the colours of its themes."),
    ] = None,
    swatches: Annotated[
        Path | None,
        typer.Option(
            help="With --themes: the folder for a picture of each rated theme; no file there is "
            "overwritten."
        ),
    ] = None,
    stars: Annotated[
        str | None,
        typer.Option(
            help="With --themes: how 1..5 stars become scores: high-sd (1 3 5 7 9, the default) "
            "or low-sd (3 4 5 6 7)."
        ),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="A .csv or .jsonl with columns left, right and winner.")
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
    rater: Annotated[
        str | None,
        typer.Option(
            help="Learn from this rater's labels alone (column rater; SAC's sid; Kuler's user)."
        ),
    ] = None,
    by_rater: Annotated[
        bool,
        typer.Option("--by-rater", help="With --histograms of SAC or Kuler: single ratings."),
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the head. Default: taste.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="For yes and no: ensemble (default), logistic, kernel, knn, boosting, mlp; "
            "scores: ridge (default), mlp; tiers: ordinal (default), ridge, mlp; classes: softmax "
            "(default), mlp; votes: distribution (default), ridge, mlp. mlp is a residual network "
            "and needs the extra nets; stopped or killed, the same command goes on."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="Settings of a head: a file, or the name of a shipped one, e.g. "
            "cc-compression or nima-aesthetic. Other options win over it."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Setting of the head mlp, e.g. lr=3e-4, hidden=1024, epochs=50; may be repeated.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="HEAD",
            help="Go on from a saved mlp head (name or file), or from an imported one of the same "
            "layers.",
        ),
    ] = None,
    class_weight: Annotated[
        list[str] | None,
        typer.Option(help="Loss weight of a class, NAME=WEIGHT; may be repeated. Others weigh 1."),
    ] = None,
    score_class: Annotated[
        list[str] | None,
        typer.Option(
            help="Class or tag whose probability is the score; of several the largest. Default: "
            "the first class, any tag."
        ),
    ] = None,
    store: StoreOption = None,
    preset: Annotated[
        str, typer.Option(help="As in `vta embed`; auto: what the store is pinned to.")
    ] = "auto",
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Learn on this backbone; may be repeated."),
    ] = None,
    views: ViewsOption = "auto",
    engine: EngineOptions = ENGINE,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of everything random.")] = 0,
    on_conflict: Annotated[
        str,
        typer.Option(help="Images labelled both ways: error, drop them, or majority of weights."),
    ] = "error",
    no_embed: Annotated[
        bool, typer.Option("--no-embed", help="Leave out labelled images that lack vectors.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Save the head here instead of in the store.")
    ] = None,
    audit: Annotated[
        int, typer.Option(min=0, help="List so many labels most likely wrong, with their paths.")
    ] = 0,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Learn a taste from labels, and say how good it is.

    Labels are liked and disliked images, classes, tiers, scores, tags, votes or pairs; each kind
    has its head and its figures. Labelled images that the store lacks are embedded first. Figures
    are out of fold, and near-copies share a fold; what the labels that fitted the head would say
    stands beside them as "own". About 50 + 50 labels are a decent start; from 2 + 2 something
    sensible comes out.

    \b
      vta train --pos liked/ --neg disliked/
      vta train --labels labels.csv --name portraits
      vta train --labels pets.csv --positive cat --head logistic
      vta train --tiers rated/ --name stars --audit 20
      vta train --histograms AVA.txt --images ava/ --name ava
      vta train --classes data/ --config cc-compression --set steps=4000
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.console.errors import printable
    from vta_cli.pipelines.labelled import ByGradients, Plan
    from vta_cli.pipelines.lanes import Lane, choose
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
    from vta_cli.pipelines.train_labels import KINDS, STARS, Given, read_given
    from vta_cli.pipelines.views import check_view

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    choice(on_conflict, ("error", "drop", "majority"), "--on-conflict")
    if kind is not None:
        choice(kind, KINDS, "--kind")
    if stars is not None:
        choice(stars, tuple(STARS), "--stars")

    def source(given: Sequence[str | Path] | None) -> Source | None:
        return Source([str(one) for one in given], links, hidden) if given else None

    from vta_cli.pipelines.head_config import HeadConfig, read_head_config

    file = read_head_config(config) if config else HeadConfig()
    settings, unused = _settings(file, head, setting or ())
    given = Given(
        pos=source(pos),
        neg=source(neg),
        labels=labels,
        kind=cast("Kind | None", kind),
        positive=positive,
        label_column=label_column,
        path_column=path_column,
        classes=source([classes] if classes else None),
        tiers=source([tiers] if tiers else None),
        histograms=histograms,
        images=source([images] if images else None),
        first_bin=first_bin,
        themes=themes,
        swatches=swatches,
        stars=stars,
        pairs=pairs,
        rater=rater,
        by_rater=by_rater,
        class_names=file.class_names,
    )
    check_view(views)
    given.check()
    plan = Plan(
        name or file.name or "taste", head or file.head, folds, seed, not no_embed,
        cast("Literal['error', 'drop', 'majority']", on_conflict), out,
        dict(file.class_weights) | dict(_weight(text) for text in class_weight or ()),
        score_class or file.score_class, ByGradients(settings, resume, engine.device),
    )  # fmt: skip
    watch = progress(quiet)
    if unused:
        watch.note(unused)
    how = engine.engine()
    with open_store(store, create=not no_embed) as opened:
        found = read_given(opened, given)
        for problem in found.problems:  # at once: what follows may fail for want of these labels
            typer.echo(f"note: {printable(problem)}", err=True)
        chosen = choose(opened, preset, backbone or [], how, views)
        if chosen.why:
            watch.note(chosen.why)
        lanes = [Lane(opened, spec, how, watch, chosen.view) for spec in chosen.specs]
        trained: Trained | TrainedKind
        if found.kind == "binary":
            trained, page = _binary(opened, found, lanes, plan, watch)
        else:
            trained, page = _other(opened, found, lanes, plan, watch)
        if opened.preset is None and not no_embed:
            opened.pin(chosen.pin)
    typer.echo(page)
    if trained.raters:
        from vta_cli.console.kind_report import render_raters

        typer.echo("\n" + render_raters(trained.raters))
    if trained.curve is not None:
        from vta_cli.console.curve import render_curve

        typer.echo("\n" + render_curve(trained.curve, stream=sys.stdout))
    if audit:
        from vta_cli.console.kind_report import render_suspects

        typer.echo("\n" + render_suspects(trained.suspects[:audit], trained.paths))
    for note in trained.notes:
        if note not in trained.report.notes and note not in found.problems:
            typer.echo(f"note: {printable(note)}", err=True)
    typer.echo(f"saved {printable(str(trained.path))}", err=True)


def _binary(
    store: "Store", labels: "LabelSet", lanes: "list[Lane]", plan: "Plan", watch: "Progress"
) -> "tuple[Trained, str]":
    """Learn liked and disliked; return the head and its report."""
    from vta_cli.console.train_report import render
    from vta_cli.pipelines.train import train as run

    trained = run(store, labels, lanes, plan, watch)
    return trained, render(trained.report)


def _other(
    store: "Store", labels: "LabelSet", lanes: "list[Lane]", plan: "Plan", watch: "Progress"
) -> "tuple[TrainedKind, str]":
    """Learn any other kind of judgement; return the head and its report."""
    from vta_cli.console.kind_report import render_kind
    from vta_cli.pipelines.train_kinds import train_labels

    trained = train_labels(store, labels, lanes, plan, watch)
    return trained, render_kind(trained.report, trained.spread, trained.spread_width)


def _settings(
    file: "HeadConfig", head: str | None, given: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """Put --set on top of the file's settings; those of another head are left out, and said."""
    unused = bool(file.settings) and head is not None and head != file.head
    settings = {} if unused else dict(file.settings)
    settings |= dict(_setting(text) for text in given)
    note = f"the settings of {file.head} in --config are not for {head}: left out"
    return settings, note if unused else ""


def _setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is TOML, or a plain word."""
    import tomllib

    from vta_cli.errors import UsageError

    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError("bad-option", f"--set cannot be {text!r}", hint="say KEY=VALUE: lr=3e-4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _weight(text: str) -> tuple[str, float]:
    """Read NAME=WEIGHT; the name may hold a =."""
    from vta_cli.errors import UsageError

    name, _, weight = text.rpartition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise UsageError(
            "bad-option",
            f"--class-weight cannot be {text!r}",
            hint="say NAME=WEIGHT, e.g. JPEG=0.85",
        ) from None
