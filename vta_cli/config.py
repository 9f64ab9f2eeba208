"""Settings: flag > environment `VTA_*` > `--config` file > project file > default.

The first two and the last are the parser's; this module finds and checks the files. A settings file
is TOML with one table per command, and `store_path` above them for all, e.g.::

    store_path = "/data/faces/.vta"

    [embed]
    preset = "vta1"

Unknown tables are refused here, unknown keys when the command is called (`own_settings`), each with
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
    folder = path.parent.resolve()
    settings = {table: _placed(folder, values) for table, values in data.items()}
    if store_path is not None:
        place = str(Path(_from(folder, str(store_path))).resolve())
        settings = {name: {"store": place} | settings.get(name, {}) for name in commands}
    return settings


def _placed(folder: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table, and those in it, with the parser's spelling of keys and whole paths."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if isinstance(value, dict):
            found[name] = _placed(folder, value)
        elif name == "store":
            found[name] = _from(folder, str(value))
        elif name == "weights":
            found[name] = _weights_from(folder, str(value))
        else:
            found[name] = value
    return found


def _from(folder: Path, path: str) -> str:
    """Let a relative path count from the file that it stands in."""
    return str(folder / Path(path).expanduser())


def _weights_from(folder: Path, text: str) -> str:
    """Do the same to each path of ``PATH`` or ``NAME=PATH,NAME=PATH``."""
    if Path(whole := _from(folder, text)).exists():
        return whole
    places = []
    for part in text.split(","):
        name, equals, path = part.partition("=")
        places.append(f"{name}={_from(folder, path)}" if equals else _from(folder, part))
    return ",".join(places)


def option_words(param: Any) -> list[str]:
    """Return how an option of the parser is spelled in a settings file: ``--top`` is ``top``."""
    if param.param_type_name != "option":
        return [str(param.name)]
    spelled = [opt[2:].replace("-", "_") for opt in param.opts if opt.startswith("--")]
    return spelled or [str(param.name)]


def own_settings(command: str, settings: Mapping[str, Any], parser: Any) -> dict[str, Any]:
    """Return the settings of a command under the names that its parser has for its options.

    Raises
    ------
    UsageError
        Naming a key that the command does not have, and the nearest one that it has.
    """
    names = {word: str(param.name) for param in parser.params for word in option_words(param)}
    below = getattr(parser, "commands", {})
    names |= {name: name for name in below}
    # `store_path` reaches every command as `store`, those without one included
    names.setdefault("store", "store")
    found = {}
    for key, value in settings.items():
        if key not in names:
            raise UsageError(
                "unknown-setting",
                f"settings file: [{command}] has no `{key}`",
                hint=nearest(key, sorted(names)),
            )
        found[names[key]] = value
    shared = {"store": found["store"]} if "store" in found else {}
    for name, child in below.items():
        if not isinstance(found.get(name, {}), dict):
            raise UsageError(
                "unknown-setting",
                f"settings file: `{name}` of [{command}] is a command, not a value",
                hint=f"write its settings below a line [{command}.{name}]",
            )
        found[name] = own_settings(f"{command}.{name}", shared | found.get(name, {}), child)
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or all of them."""
    choices = list(known)
    close = difflib.get_close_matches(name.lower(), choices, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known: " + ", ".join(choices)
