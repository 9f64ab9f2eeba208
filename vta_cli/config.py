"""Settings: flag > environment `VTA_*` > `--config` file > project file > default.

The first two and the last are the parser's; this module finds and checks the files. A settings file
is TOML with one table per command, and `store_path` above them for all, e.g.::

    store_path = "/data/faces/.vta"

    [embed]
    preset = "vta1"

Unknown tables are refused here, unknown keys when the command is called (`check_keys`), each with
the nearest name that exists.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError

PROJECT_FILE = "vta.toml"
STORE_FOLDER = ".vta"


def upwards(name: str, start: Path | None = None) -> Path | None:
    """Return the nearest existing `name` in `start` (default: working directory) or above it."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / name).exists():
            return folder / name
    return None


def settings_file(explicit: Path | None) -> Path | None:
    """Return the settings file in force, if any.

    Raises
    ------
    UsageError
        If the file that was asked for does not exist.
    """
    if explicit is None:
        return upwards(PROJECT_FILE)
    if not explicit.is_file():
        raise UsageError(
            "no-such-config", f"no settings file at {explicit}", hint="check the path of --config"
        )
    return explicit


def load_settings(explicit: Path | None, commands: Sequence[str]) -> dict[str, Any]:
    """Read the settings file in force into the parser's map of defaults.

    Raises
    ------
    UsageError
        If the file is not TOML or has a table that is no command.
    """
    path = settings_file(explicit)
    if path is None:
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "bad-config", f"{path} is not a settings file: {error}", hint="see docs/config.md"
        ) from None
    store_path = data.pop("store_path", None)
    for table, values in data.items():
        if table not in commands or not isinstance(values, dict):
            raise UsageError(
                "unknown-setting",
                f"{path}: `{table}` is neither a command nor store_path",
                hint=nearest(table, commands),
            )
    settings = {
        table: {key.replace("-", "_"): value for key, value in values.items()}
        for table, values in data.items()
    }
    if store_path is not None:
        place = str((path.parent / str(store_path)).resolve())
        settings = {name: {"store": place} | settings.get(name, {}) for name in commands}
    return settings


def check_keys(command: str, settings: Mapping[str, Any] | None, known: Iterable[str]) -> None:
    """Refuse settings of `command` that it does not have.

    Raises
    ------
    UsageError
        Naming the unknown key and the nearest known one.
    """
    names = sorted(known)
    for key in settings or {}:
        if key not in names:
            raise UsageError(
                "unknown-setting",
                f"settings file: [{command}] has no `{key}`",
                hint=nearest(key, names),
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them."""
    choices = list(known)
    close = difflib.get_close_matches(name.lower(), choices, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known: " + ", ".join(choices)
