"""`vta config`: the settings in force, and where they come from."""

import importlib
import json
import os

import typer

from vta_cli.commands.table import COMMANDS
from vta_cli.config import PROJECT_FILE, STORE_FOLDER, settings_file, upwards

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
            typer.echo(f"environment    {name}={os.environ[name]}")
    for command, values in settings.items():
        if not values:
            continue
        parser = typer.main.get_command(importlib.import_module(COMMANDS[command][0]).app)
        own_settings(command, values, parser)
        for key, value in values.items():
            if key == "store" and value == shared:
                continue
            typer.echo(f"[{command}]  {key} = {json.dumps(value)}")
