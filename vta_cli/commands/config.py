"""`vta config`: the settings in force, and where they come from."""

import importlib
import json
import os
from typing import Any

import typer

from vta_cli.commands.table import COMMANDS
from vta_cli.config import PROJECT_FILE, STORE_FOLDER, settings_file, upwards

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EVERYWHERE = frozenset(("VTA_STORE", "VTA_WEIGHTS", "VTA_OFFLINE", "VTA_CONFIG", "VTA_DEBUG"))
"""Variables that are no single command's."""


@app.command()
def config(ctx: typer.Context) -> None:
    """Show the settings in force, and where they come from.

    A flag beats the environment (VTA_STORE, VTA_EMBED_PRESET, ...), which beats the file of
    --config, which beats vta.toml here or above, which beats the defaults.

    \b
    A settings file has one table per command:
      store_path = "/data/faces/.vta"
      [embed]
      preset = "vta1"
    """  # noqa: D301 - the \b keeps the parser from re-flowing the example
    from vta_cli.config import own_settings

    root = ctx.find_root()
    explicit = root.params.get("config")
    path = settings_file(explicit)
    typer.echo(f"settings file  {path or f'none ({PROJECT_FILE} here or above, or --config)'}")
    settings = root.default_map or {}
    shared = settings.get("config", {}).get("store")  # `store_path`: this command has no --store
    place = os.environ.get("VTA_STORE") or shared or upwards(STORE_FOLDER)
    typer.echo(f"store          {place or 'none here or above'}")
    for name in sorted(os.environ):
        if name.startswith("VTA_"):
            lost = "" if _is_known(name) else "  (no command has such an option)"
            typer.echo(f"environment    {name}={os.environ[name]}{lost}")
    for command, values in settings.items():
        if not values:
            continue
        own_settings(command, values, _parser(command))
        for key, value in values.items():
            if key == "store" and value == shared:
                continue
            typer.echo(f"[{command}]  {key} = {json.dumps(value)}")


def _parser(command: str) -> Any:
    return typer.main.get_command(importlib.import_module(COMMANDS[command][0]).app)


def _is_known(variable: str) -> bool:
    """Tell whether a variable is one that some command reads."""
    if variable in EVERYWHERE:
        return True
    command = next((c for c in COMMANDS if variable.startswith(f"VTA_{c}_".upper())), None)
    return command is not None and variable in _variables(_parser(command), f"VTA_{command}")


def _variables(parser: Any, prefix: str) -> set[str]:
    from vta_cli.config import option_words

    names = {word for param in parser.params for word in (param.name, *option_words(param))}
    found = {f"{prefix}_{name}".upper() for name in names}
    for name, child in getattr(parser, "commands", {}).items():
        found |= _variables(child, f"{prefix}_{name}")
    return found
