"""The typer app: an ordered table of commands, global options, and the one error handler.

Nothing but the parser is imported here. A command's module is imported when the command is called,
so `vta --help` costs what the parser costs.
"""

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vta_cli.commands.table import COMMANDS
from vta_cli.errors import UsageError, VtaError

INTERRUPTED = 130
CLOSED_PIPE = 141


def _print_error(error: VtaError) -> None:
    from vta_cli.console.errors import render  # noqa: PLC0415 - only a failing run pays for it

    sys.stderr.write(render(error, stream=sys.stderr) + "\n")


def _hush(command: Any, prefix: str) -> None:
    """Name in the help only those environment variables that are the usual way.

    The parser makes the others of its own name for an option; where that is not how the option is
    spelled, the spelled one is what the user can know.
    """
    from vta_cli.config import option_words  # noqa: PLC0415 - `vta --help` needs none of it

    for param in command.params:
        if param.envvar is None:
            param.show_envvar = False
            word = option_words(param)[0]
            if word != param.name:
                param.envvar = f"{prefix}_{word.upper()}"
    for name, child in getattr(command, "commands", {}).items():
        _hush(child, f"{prefix}_{name.upper()}")


class LazyGroup(TyperGroup):
    """A group whose commands are a table of strings, each imported when it is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands: dict[str, Any] = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command's module and build its parser."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if self.commands[cmd_name] is None:
            module = importlib.import_module(COMMANDS[cmd_name][0])
            command = typer.main.get_command(module.app)
            command.name = cmd_name
            _hush(command, f"VTA_{cmd_name.upper()}")
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def get_params(self, ctx: Any) -> Any:
        """Return the global options, without a line on an environment variable for each."""
        params = super().get_params(ctx)
        for param in params:
            param.show_envvar = False  # type: ignore[attr-defined]  # an attribute of options
        return params

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the global options; `--help` and `--version` are printed here already."""
        try:
            return super().make_context(*args, **kwargs)
        except BrokenPipeError:
            raise  # the parser ends quietly if the reader went away
        except OSError as error:
            raise typer.Exit(_foreign(error, None)) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn foreseen errors into one line and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here a full disk is an error; at exit it would be a traceback
            return result
        except VtaError as error:
            if ctx.params.get("debug"):
                raise
            _print_error(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what was committed stays\n")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _abandon_stdout()  # the reader of our output went away (`| head`)
            raise typer.Exit(CLOSED_PIPE) from None
        except Exception as error:
            if ctx.params.get("debug") or isinstance(error, typer.Exit):
                raise
            raise typer.Exit(_foreign(error, ctx)) from None


def _abandon_stdout() -> None:
    """Point a stdout that cannot be written at nothing: Python would complain again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _foreign(error: Exception, ctx: Any) -> int:
    """Report what is not a VtaError: the parser's complaints, a full disk, and real surprises."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:  # the parser's own usage errors
        context = getattr(error, "ctx", None) or ctx
        path = context.command_path
        if context is ctx and ctx.invoked_subcommand:  # refused before the command had a context
            path += f" {ctx.invoked_subcommand}"
        hint = f"see: {path} --help"
        _print_error(UsageError("usage", format_message(), hint=hint))
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError):
        _abandon_stdout()
        what = error.strerror or str(error)
        name = error.filename
        what += f": {os.fsdecode(name)}" if name else ", most likely in writing the output"
        hint = "check the path, its permissions and the free space, then run the command again"
        _print_error(VtaError("io-error", what, hint=hint))
        return 1
    if isinstance(error, MemoryError):
        hint = "use a smaller --batch-size, or close other programs"
        _print_error(VtaError("out-of-memory", "the machine has no memory left", hint=hint))
        return 1
    if type(error).__name__ == "Abort":
        return 1
    hint = "this is a fault of vta: run again with `vta --debug ...` and report what it prints"
    _print_error(VtaError("bug", f"{type(error).__name__}: {error}", hint=hint))
    return 1


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "VTA"},
)


def _version(wanted: bool) -> None:
    if wanted:
        from vta_cli import __version__  # noqa: PLC0415

        typer.echo(f"vta {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file (TOML); see `vta config`.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of one-line errors.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Learn one person's taste from a few hundred labels; apply it to millions of images.

    \b
    A day's work:
      vta embed images/                            vectors, once per image
      vta train --pos liked/ --neg disliked/       seconds
      vta score images/ > scores.csv               no pixel is read again
      vta filter images/ --band 0.6 0.9 --copy-to out/
      vta dedupe images/

    Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 misuse,
    3 done but something was skipped and --strict was given, 130 interrupted (work is kept).
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    del debug, version
    from vta_cli.config import load_settings, own_settings  # noqa: PLC0415

    ctx.default_map = load_settings(config, tuple(COMMANDS))
    called = ctx.invoked_subcommand or ""
    if ctx.default_map.get(called):
        command = ctx.command.get_command(ctx, called)  # type: ignore[attr-defined]  # LazyGroup's
        ctx.default_map[called] = own_settings(called, ctx.default_map[called], command)


def _stand_in_streams() -> None:
    """Replace standard streams that the caller closed; Python makes them None.

    What goes to a closed stderr is lost, as the caller wished. Writing data to a closed stdout
    fails as it does for any program (`EBADF`), instead of the data being lost silently.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
    if sys.stdout is None:
        closed = os.open(os.devnull, os.O_RDONLY)
        sys.stdout = os.fdopen(closed, "w", encoding="utf-8")
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for good


def calm_collector() -> None:
    """Let the collector of cyclic garbage look less often.

    A scan makes some objects a file and hardly any cycles; looking for them every 700 objects costs
    a rescan an eighth of its time.
    """
    gc.set_threshold(50_000, 20, 20)


def _without_plugins() -> None:
    """Keep pydantic, by which typer reads options, from looking for plugins in every package.

    vta has none, and the search is a tenth of the time of `vta score` on some images.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main() -> None:
    """Entry point of the `vta` command."""
    calm_collector()
    _without_plugins()
    _stand_in_streams()
    app(prog_name="vta")
