"""`vta dedupe`: find copies and near-copies."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vta_cli.commands.common import (
    HiddenOption,
    LinksOption,
    PoolOption,
    QuietOption,
    ShownOption,
    SourceArgument,
    StoreOption,
    choice,
    open_store,
    progress,
)
from vta_cli.words import counted

if TYPE_CHECKING:
    from vta_cli.arrange.plan import Item
    from vta_cli.commands.rows import Output
    from vta_cli.heads.pooling import Pool
    from vta_cli.images.tiling import View
    from vta_cli.pipelines.dedupe import DedupeReport
    from vta_cli.pipelines.score import Model
    from vta_cli.pipelines.sources import Source
    from vta_cli.store.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ROWS_AT_ONCE = 65536


@app.command()
def dedupe(
    source: SourceArgument = None,
    store: StoreOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIBRARY",
            help="Only what is new is compared: the images of SOURCE with those of LIBRARY "
            "(folder, glob, image or list; may be repeated) and with each other, never LIBRARY "
            "with itself. A copy of an image of LIBRARY belongs to that, which stays untouched.",
        ),
    ] = None,
    against_store: Annotated[
        bool,
        typer.Option(
            "--against-store",
            help="As --against, with every other image that the store knows and that is still "
            "there.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            "-t",
            help="Least mean cosine of a copy to its keeper, 0 to 1; default: what suits the "
            "backbone (0.92 for classic, 0.96 for networks).",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Which one of a group stays: best (score), largest (pixels), oldest (file time), "
            "first (path). Default: best if the store has a head, else largest. With --against: "
            "among the new ones."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The head of --keep best. Default: newest.")
    ] = None,
    pool: PoolOption = "mean",
    views: ShownOption = "auto",
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="Compare in these spaces. Default: the store's own."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Look less far around each image, to be faster: 0 to 1, half the distance of two "
            "images whose vectors have length 1. 0.1 halves the time at threshold 0.96. May lose "
            "pairs; the share found is measured and told. Default: lose none (0.14 at 0.96)."
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Compare all with all, also what an earlier run over the same SOURCE compared.",
        ),
    ] = False,
    which: Annotated[
        str | None,
        typer.Option(
            help="What is arranged: duplicates (all but the keepers) or keepers (with every image "
            "that has no copy); never an image of --against. Default: duplicates for --move-to, "
            "else keepers."
        ),
    ] = None,
    copy_to: Annotated[Path | None, typer.Option(help="Copy into this folder.")] = None,
    link_to: Annotated[Path | None, typer.Option(help="Symbolic links in this folder.")] = None,
    hardlink_to: Annotated[Path | None, typer.Option(help="Hard links in this folder.")] = None,
    move_to: Annotated[Path | None, typer.Option(help="Move into this folder.")] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="All files in one folder, instead of keeping the tree.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    output_format: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or parquet.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rows here.")
    ] = None,
    symlinks: LinksOption = "files",
    hidden: HiddenOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find copies and near-copies, from cached vectors alone.

    Writes rows group,path,similarity,keep. Each member of a group is close to the group's keeper,
    not merely to some other member. A second run over the same SOURCE compares only what is new.
    Nothing is deleted: --move-to takes the duplicates aside, and `vta undo` brings them back.

    \b
      vta dedupe photos/ > duplicates.csv
      vta dedupe photos/ --keep largest --move-to aside/ --dry-run
      vta dedupe photos/ --copy-to unique/
      vta dedupe incoming/ --against photos/ --move-to aside/
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.arrange.plan import Action
    from vta_cli.commands.arranging import Arrangement, arrange
    from vta_cli.commands.rows import open_output, rows_wanted
    from vta_cli.errors import UsageError
    from vta_cli.heads.pooling import check_pool
    from vta_cli.pipelines.dedupe import KEEPS, Keep
    from vta_cli.pipelines.dedupe import dedupe as run
    from vta_cli.pipelines.dedupe_against import dedupe_against
    from vta_cli.pipelines.score import heads_of
    from vta_cli.pipelines.sources import SYMLINKS, Source, Symlinks
    from vta_cli.pipelines.spaces import default_threshold, read_in, spaces_for
    from vta_cli.pipelines.views import shown_view

    links = cast("Symlinks", choice(symlinks, SYMLINKS, "--symlinks"))
    if threshold is not None and not 0.0 < threshold <= 1.0:
        raise UsageError(
            "threshold-outside-range",
            f"--threshold {threshold:g} is no cosine between 0 and 1",
            hint="try 0.96; larger finds closer copies only",
        )
    if margin is not None and not 0.0 <= margin <= 1.0:
        raise UsageError(
            "bad-margin",
            f"--margin {margin:g} is not between 0 and 1, as half the distance of two images is",
            hint="try 0.1, or leave it out to lose no pair",
        )
    if which is not None:
        choice(which, ("duplicates", "keepers"), "--which")
    found = Source(source or [], links, hidden, sys.stdin.buffer, store=store)
    wish = Arrangement.from_options(
        copy_to=copy_to, link_to=link_to, hardlink_to=hardlink_to, move_to=move_to,
        flat=flat, dry_run=dry_run,
    )  # fmt: skip
    if wish is None and which is not None:
        raise UsageError("no-target", "--which needs a folder", hint="add --move-to FOLDER")
    if fresh and (against or against_store):
        raise UsageError(
            "fresh-against",
            "--against compares no library with itself, so there is nothing to do afresh",
            hint="leave out --fresh",
        )
    found.check()
    how, shown = check_pool(pool), shown_view(views)
    library = _library(found, against or [], in_store=against_store)
    watch = progress(quiet)
    wanted = rows_wanted(output_format, output, watch, files=wish is not None)
    # opened first, so that a name that cannot be written is refused before the work
    with (
        open_store(store, read_only=None) as opened,
        open_output(output_format, output) if wanted else nullcontext() as out,
    ):
        if wish is not None:
            wish.check(found.folders(), opened.path)
        spaces = spaces_for(opened, backbone or [])
        found = read_in(found, opened, spaces)
        limit = threshold if threshold is not None else default_threshold(spaces)
        rule = keep or ("best" if model or heads_of(opened) else "largest")
        choice(rule, KEEPS, "--keep")
        head = None
        if rule == "best":
            head = _head(opened, model, how, shown, asked=keep is not None)
            rule = "best" if head is not None else "largest"
            for note in head.notes if head is not None else ():
                watch.note(note)
        for option, given in (("--pool", pool != "mean"), ("--views", shown is not None)):
            if rule != "best" and given:
                watch.note(f"{option} has no part in --keep {rule}: no head is asked")
        way = cast("Keep", rule)
        if library is None:
            report = run(
                opened, found, spaces, watch,
                threshold=limit, keep=way, model=head, margin=margin, fresh=fresh,
            )  # fmt: skip
        else:
            report = dedupe_against(
                opened, found, library, spaces, watch,
                threshold=limit, keep=way, model=head, margin=margin,
            )  # fmt: skip
        if out is not None:
            _write_rows(report, out)
        if wish is not None:
            moves = wish.action is Action.MOVE
            items = _wanted(report, which or ("duplicates" if moves else "keepers"))
            arrange(items, wish, opened.journal_dir, found.folders(), sys.argv[1:], watch)
    _tell(report, limit, margin, rule)


def _library(found: "Source", against: list[str], *, in_store: bool) -> "Source | None":
    """Return what the source is compared with; None for itself."""
    from dataclasses import replace

    from vta_cli.errors import UsageError

    if not against and not in_store:
        return None
    if against and in_store:
        raise UsageError(
            "two-libraries",
            "--against-store means every image of the store, --against some of them",
            hint="give one of the two",
        )
    if not found.specs:
        raise UsageError(
            "no-source",
            "without a SOURCE every image that the store knows would be new",
            hint="name what is new: vta dedupe incoming/ --against photos/",
        )
    if "-" in found.specs and "-" in against:
        raise UsageError(
            "stdin-twice",
            "stdin cannot be both SOURCE and --against",
            hint="write one of the two lists to a .txt file",
        )
    library = replace(found, specs=against)
    library.check()
    return library


def _write_rows(report: "DedupeReport", out: "Output") -> None:
    """Write rows group,path,similarity,keep."""
    from vta_cli.console.rows import Column

    columns = [
        Column("group", "int"),
        Column("path", "str"),
        Column("similarity", "float"),
        Column("keep", "bool"),
    ]
    for start in range(0, max(len(report.members), 1), ROWS_AT_ONCE):
        part = report.members[start : start + ROWS_AT_ONCE]
        out.write(
            lambda: columns,
            {
                "group": [m.group for m in part],
                "path": [m.ref.path for m in part],
                "similarity": [m.similarity for m in part],
                "keep": [m.keep for m in part],
            },
        )


def _wanted(report: "DedupeReport", which: str) -> "list[Item]":
    """Return the files to arrange: duplicates, or keepers with all that have no copy."""
    from vta_cli.arrange.plan import Item

    duplicates = [m.ref for m in report.members if not m.keep]
    refs = duplicates
    if which == "keepers":
        paths = {ref.path for ref in duplicates}
        refs = [ref for ref in report.refs if ref.path not in paths]
    return [Item(source=ref.path, rel=ref.rel) for ref in refs]


def _tell(report: "DedupeReport", limit: float, margin: float | None, rule: str) -> None:
    """Say on stderr what was found, and what was left out."""
    near = counted(report.n_near, "near copy", "near copies")
    copies = f"{report.n_equal:,} exact and {near} besides the keepers"
    what = counted(report.n_images, "image")
    if report.n_library:
        what = f"{counted(report.n_images, 'new image')} against {report.n_library:,}"
        copies += f", {report.n_in_library:,} of them of the library"
    typer.echo(
        f"{what}, {counted(report.n_groups, 'group')} at cosine {limit:g}: {copies} (kept: {rule})",
        err=True,
    )
    if report.n_remembered:
        were = counted(report.n_remembered, "of them was", "of them were")
        typer.echo(f"  {were} compared by an earlier run (--fresh: again)", err=True)
    for sample, where in ((report.recall_library, " with the library"), (report.recall, "")):
        if sample is not None:
            images = counted(sample.n_rows, "random image has", "random images have")
            typer.echo(
                f"  margin {margin:g}: found {sample.n_found:,} of "
                f"{counted(sample.n_pairs, 'pair')} that {images}{where} "
                f"(recall {sample.value:.4f})",
                err=True,
            )
    for reason, count in report.reasons.most_common():
        typer.echo(f"  left out: {count:,} {reason}", err=True)
    for reason, count in report.library_reasons.most_common():
        typer.echo(f"  left out of the library: {count:,} {reason}", err=True)


def _head(
    store: "Store", name: str | None, pool: "Pool", views: "View | None", *, asked: bool
) -> "Model | None":
    """Load the head of --keep best; unasked, a head that does not fit the store is no error."""
    from vta_cli.errors import VtaError
    from vta_cli.pipelines.score import load_model

    try:
        return load_model(store, name, pool=pool, views=views)
    except VtaError:
        if asked or name is not None:
            raise
        return None
