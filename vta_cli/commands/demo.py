"""`vta demo`: the whole job from end to end, as a user would run it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vta_cli.commands.common import MAX_SEED
from vta_cli.words import counted

if TYPE_CHECKING:
    from vta_cli.pipelines.demo import DemoSet

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BAND = ("0.6", "1.0")
TOP = "24"


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder that everything goes to.")] = Path("demo"),
    images: Annotated[
        Path | None, typer.Option(help="Your own images instead of made ones (with --pos, --neg).")
    ] = None,
    pos: Annotated[Path | None, typer.Option(help="Your liked images.")] = None,
    neg: Annotated[Path | None, typer.Option(help="Your disliked images.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the made pictures.")] = 0,
) -> None:
    """Run the whole job on made pictures whose taste is known, or on your own.

    Each command is printed before its output, so that it can be repeated by hand. Needs no network
    and no weights. Running it again goes on from what is there.

    \b
      vta demo
      vta demo --images photos/ --pos liked/ --neg disliked/
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.commands.rows import read_blocks
    from vta_cli.errors import UsageError
    from vta_cli.images.drawn import describe_taste
    from vta_cli.pipelines.demo import agreement, prepare
    from vta_cli.pipelines.select import Scored
    from vta_cli.pipelines.sheet import write_sheet

    own = (images, pos, neg)
    if any(own) and not all(own):
        raise UsageError(
            "incomplete-demo",
            "--images, --pos and --neg belong together",
            hint="make demo IMAGES=DIR POS=DIR NEG=DIR",
        )
    made: DemoSet | None = None
    if images is None or pos is None or neg is None:
        _say(f"making pictures in {out}/ (their hidden taste: {describe_taste()})")
        made = prepare(out, seed)
        images, pos, neg = made.images, made.liked, made.disliked
    else:
        out.mkdir(parents=True, exist_ok=True)
    images, pos, neg = (Path(os.path.relpath(path, out)) for path in (images, pos, neg))
    typer.echo(f"\n$ cd {shlex.quote(str(out))}; export VTA_STORE=.vta")
    _run(out, "embed", images, pos, neg)
    _run(out, "train", "--pos", pos, "--neg", neg)
    _run(out, "score", images, "--output", "scores.csv")
    _run(out, "sort", "scores.csv", "--top", "5")
    _run(out, "filter", images, "--band", *BAND, "--copy-to", "out/band")
    _run(out, "sort", "scores.csv", "--top", TOP, "--to", "out/best", "--link")
    _run(out, "dedupe", images)
    scored = [
        Scored(ref, float(value))
        for refs, values in read_blocks(str(out / "scores.csv"))
        for ref, value in zip(refs, values, strict=True)
        if value == value  # noqa: PLR0124 - NaN marks rows without a score
    ]
    sheet = write_sheet(scored, out / "out" / "sheet.html", title="vta demo")
    if made is not None:
        result = agreement(out / "scores.csv", made.truth)
        _say(
            "agreement with the hidden taste, on "
            f"{counted(result.n, 'picture that was', 'pictures that were')} never labelled: "
            f"AUC {result.auc:.3f}, accuracy {result.accuracy:.1%} (moods leave an AUC of "
            f"{result.ceiling:.3f} to whoever knows the taste itself)"
        )
    _say(f"look at {sheet}, and at {out / 'out'}/best and {out / 'out'}/band")


def _say(text: str) -> None:
    typer.echo(f"\n# {text}")


def _run(folder: Path, *args: object) -> None:
    """Print a command, then run it in the demo's folder as a user would."""
    words = [str(arg) for arg in args]
    typer.echo(f"\n$ vta {shlex.join(words)}")
    sys.stdout.flush()
    # its own store, even if there is another one above the demo's folder
    env = {**os.environ, "VTA_STORE": ".vta"}
    command = [sys.executable, "-m", "vta_cli", *words]
    done = subprocess.run(command, cwd=folder, env=env, check=False)
    if done.returncode:
        typer.echo(f"the command ended with exit code {done.returncode}", err=True)
        raise typer.Exit(done.returncode)
