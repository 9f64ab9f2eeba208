"""What commands that arrange files share: the wish, the dry run, the run, and the way back."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import typer

from vta_cli.arrange.execute import GONE, execute
from vta_cli.arrange.plan import Action, Item, check_output, plan
from vta_cli.arrange.undo import journals
from vta_cli.arrange.undo import undo as undo_run
from vta_cli.console.errors import printable
from vta_cli.errors import ArrangeError, UsageError
from vta_cli.words import counted

if TYPE_CHECKING:
    from vta_cli.pipelines.progress import Progress

SHOWN_FAILURES = 5


@dataclass(frozen=True)
class Arrangement:
    """Where files should go, and how."""

    out: Path
    action: Action
    flat: bool
    dry_run: bool

    @classmethod
    def from_options(
        cls,
        *,
        copy_to: Path | None,
        link_to: Path | None,
        hardlink_to: Path | None,
        move_to: Path | None,
        flat: bool,
        dry_run: bool,
    ) -> Self | None:
        """Read the options of a command; None if no folder was named.

        Raises
        ------
        UsageError
            If more than one folder was named, or --flat or --dry-run go without one.
        """
        wanted = [
            (folder, action)
            for folder, action in (
                (copy_to, Action.COPY),
                (link_to, Action.SYMLINK),
                (hardlink_to, Action.HARDLINK),
                (move_to, Action.MOVE),
            )
            if folder is not None
        ]
        if len(wanted) > 1:
            raise UsageError(
                "two-actions",
                "--copy-to, --link-to, --hardlink-to and --move-to exclude one another",
                hint="pick one",
            )
        if not wanted:
            if flat or dry_run:
                raise UsageError(
                    "no-target",
                    "--flat and --dry-run need a folder to arrange files in",
                    hint="add --copy-to, --link-to, --hardlink-to or --move-to FOLDER",
                )
            return None
        folder, action = wanted[0]
        return cls(folder.absolute(), action, flat, dry_run)

    def check(self, sources: Sequence[Path], store: Path) -> None:
        """Refuse an output that lies in a source or in the store, or that is no folder.

        Raises
        ------
        UsageError
            See `check_output`; ``output-inside-store``.
        """
        if Path(os.path.realpath(self.out)).is_relative_to(os.path.realpath(store)):
            raise UsageError(
                "output-inside-store",
                f"the output folder {self.out} lies inside the store {store}",
                hint="choose an output folder of your own: the store's files are vta's",
            )
        check_output(self.out, sources)


def print_paths(paths: Iterable[str], *, null: bool) -> int:
    """Write paths to stdout as the bytes that the system knows them by; return their number."""
    end = b"\0" if null else b"\n"
    out = sys.stdout.buffer
    count = 0
    for path in paths:
        out.write(os.fsencode(path) + end)
        count += 1
    out.flush()
    return count


def arrange(
    items: Sequence[Item],
    wish: Arrangement,
    journal_dir: Path,
    sources: Sequence[Path],
    argv: Sequence[str],
    watch: "Progress",
) -> None:
    """Carry out a wish, or print it; failures are listed and end in exit code 1.

    Raises
    ------
    ArrangeError
        If some files could not be arranged.
    """
    steps = plan(items, wish.out, wish.action, flat=wish.flat, sources=sources)
    where = printable(str(wish.out))
    if wish.dry_run:
        for step in steps:
            sys.stdout.buffer.write(
                f"{wish.action.value}\t".encode()
                + os.fsencode(step.source)
                + b"\t"
                + os.fsencode(step.destination)
                + b"\n"
            )
        sys.stdout.buffer.flush()
        typer.echo(f"dry run: {counted(len(steps), 'file')} would be arranged in {where}", err=True)
        return
    if not len(steps):
        if steps.already:  # nothing to do is nothing to take back: no journal is begun
            there = counted(len(steps.already), "file is", "files are")
            typer.echo(f"nothing to do: {there} in {where} already", err=True)
        return
    outcome = execute(steps, journal_dir, command=shlex.join(["vta", *argv]), progress=watch)
    again = f", {counted(outcome.already, 'was', 'were')} there already" if outcome.already else ""
    typer.echo(
        f"{counted(outcome.done, 'file')}: {wish.action.value} to {where}{again}; "
        "`vta undo` takes it back",
        err=True,
    )
    if outcome.failed:
        for step, reason in outcome.failed[:SHOWN_FAILURES]:
            typer.echo(f"  failed: {printable(step.source)}: {reason}", err=True)
        raise ArrangeError(
            "some-failed",
            f"{len(outcome.failed):,} of {counted(len(steps), 'file')} could not be arranged",
            hint=_next_step({reason for _, reason in outcome.failed}),
        )


def _next_step(reasons: set[str]) -> str:
    """Return what to do about files that could not be arranged."""
    if reasons == {GONE}:
        return (
            "they went away since: name the folder where they lie now; "
            "`vta store gc --run` makes the store forget what is gone"
        )
    return "run the same command again: what is there already is left alone"


def print_journals(journal_dir: Path) -> None:
    """List the runs that can be taken back, newest first."""
    found = journals(journal_dir)
    for info in found:
        state = "undone" if info.undone else counted(info.n_steps, "file")
        typer.echo(f"{info.id}  {info.when}  {state}  {printable(info.command)}")
    if not found:
        typer.echo("no run has arranged files yet", err=True)


def take_back(journal_dir: Path, run: str | None, *, dry_run: bool) -> None:
    """Undo a run, the newest that is not undone by default.

    Raises
    ------
    UsageError
        If there is no such run.
    """
    found = journals(journal_dir)
    open_runs = [info for info in found if not info.undone]
    if run is None and not open_runs:
        raise UsageError("nothing-to-undo", "no run is left to undo", hint="see `vta undo --list`")
    chosen = open_runs[0] if run is None else next((i for i in found if i.id == run), None)
    if chosen is None:
        raise UsageError("no-such-run", f"no run {run!r}", hint="see `vta undo --list`")
    report = undo_run(chosen.path, dry_run=dry_run)
    would = "would be " if dry_run else ""
    typer.echo(f"{chosen.id}: {printable(chosen.command)}", err=True)
    typer.echo(
        f"{counted(report.removed, 'copy or link', 'copies and links')} {would}removed, "
        f"{counted(report.restored, 'file')} {would}moved back",
        err=True,
    )
    for path, reason in report.left:
        typer.echo(f"  left: {printable(path)}: {reason}", err=True)
