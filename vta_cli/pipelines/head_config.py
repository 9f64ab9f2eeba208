"""Settings of a training in one file: `vta train --config FILE`, or the name of a shipped one."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vta_cli.backbones.presets import configs_folder
from vta_cli.config import nearest
from vta_cli.errors import UsageError

KEYS = ("name", "head", "score_class", "settings", "classes")


@dataclass(frozen=True)
class HeadConfig:
    """What such a file says.

    Attributes
    ----------
    name, head : str or None
        Of the saved head; which head learns.
    score_class : tuple of str
        Classes that the score speaks of.
    settings : mapping of str to value
        Of the head, see `vta_cli.heads.network.Settings`.
    class_names : mapping of int to str
        Names that win over those of numbered folders.
    class_weights : mapping of str to float
        Loss weight of classes by name.
    """

    name: str | None = None
    head: str | None = None
    score_class: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    class_names: Mapping[int, str] = field(default_factory=dict)
    class_weights: Mapping[str, float] = field(default_factory=dict)


def shipped() -> dict[str, Path]:
    """Return the files that come with vta, by name."""
    return {path.stem: path for path in sorted((configs_folder() / "heads").glob("*.toml"))}


def read_head_config(given: str) -> HeadConfig:
    """Read a file, or the shipped one of that name.

    Raises
    ------
    UsageError
        ``no-such-config``, ``bad-config``, ``unknown-setting``.
    """
    path = Path(given)
    if not path.is_file():
        known = shipped()
        if given not in known:
            hint = nearest(given, known)
            raise UsageError("no-such-config", f"no settings of a head at {given}", hint=hint)
        path = known[given]
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            "bad-config", f"{path} cannot be read: {error}", hint="see configs/heads/"
        ) from None
    for key in data:
        if key not in KEYS:
            raise UsageError(
                "unknown-setting", f"{path}: there is no `{key}`", hint=nearest(key, KEYS)
            )
    names, weights = _classes(path, data.get("classes", {}))
    return HeadConfig(
        name=_text(path, data, "name"),
        head=_text(path, data, "head"),
        score_class=_texts(path, data),
        settings=_table(path, data, "settings"),
        class_names=names,
        class_weights=weights,
    )


def _text(path: Path, data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise _bad(path, key, value)
    return value


def _texts(path: Path, data: Mapping[str, Any]) -> tuple[str, ...]:
    value = data.get("score_class", [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _bad(path, "score_class", value)
    return tuple(value)


def _table(path: Path, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise _bad(path, key, value)
    return value


def _classes(path: Path, data: Any) -> tuple[dict[int, str], dict[str, float]]:
    """Read ``[classes.0] name = "Pass", loss = 1.0`` and so on, CityClassifiers' labels."""
    if not isinstance(data, dict):
        raise _bad(path, "classes", data)
    names: dict[int, str] = {}
    weights: dict[str, float] = {}
    for key, one in data.items():
        if not key.isdecimal() or not isinstance(one, dict) or not isinstance(
            one.get("name"), str
        ):  # fmt: skip
            raise _bad(path, f"classes.{key}", one)
        for inner in one:
            if inner not in ("name", "loss"):
                raise UsageError(
                    "unknown-setting",
                    f"{path}: there is no `{inner}` of a class",
                    hint="known: name, loss",
                )
        weight = one.get("loss", 1.0)
        if not isinstance(weight, int | float) or isinstance(weight, bool):
            raise _bad(path, f"classes.{key}.loss", weight)
        if one["name"] in weights:
            raise _bad(path, f"classes.{key}.name (taken twice)", one["name"])
        names[int(key)] = one["name"]
        weights[one["name"]] = float(weight)
    return names, weights


def _bad(path: Path, key: str, value: Any) -> UsageError:
    return UsageError(
        "bad-config", f"{path}: {key} cannot be {value!r}", hint="see those of configs/heads/"
    )
