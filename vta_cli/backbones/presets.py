"""The data files of the room: named backbones and presets, as TOML in `configs/`.

Adding a network to a family that exists, or a preset, means adding to these files; no code changes.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vta_cli.backbones.onnx_config import read_config
from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import UsageError
from vta_cli.records import Preprocess

EXTRAS = {"open_clip": "nets", "timm": "nets", "onnx": "onnx"}
"""pip extra that each family needs."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named list of backbones, in the order of concatenation."""

    name: str
    description: str
    backbones: tuple[str, ...]


def configs_folder() -> Path:
    """Return the folder `configs`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


@cache
def presets() -> dict[str, Preset]:
    """Return the shipped presets by name."""
    found = (read_preset(path) for path in sorted((configs_folder() / "presets").glob("*.toml")))
    return {preset.name: preset for preset in found}


def read_preset(path: Path) -> Preset:
    """Read one preset file; its stem is the preset's name.

    Raises
    ------
    UsageError
        ``bad-preset`` if the file is no TOML or lacks a list `backbones` of names.
    """
    data = _read_toml(path, "bad-preset")
    names = data.get("backbones")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UsageError(
            "bad-preset",
            f"the preset file {path} lacks a list of backbones",
            hint='write e.g. backbones = ["open_clip:ViT-B-32-quickgelu/openai"]',
        )
    return Preset(path.stem, str(data.get("description", "")), tuple(names))


@cache
def named_specs(family: str) -> tuple[BackboneSpec, ...]:
    """Return the named backbones of a family, in the order of its file."""
    data = _read_toml(configs_folder() / "backbones" / f"{family}.toml", "bad-config")
    defaults = data.get("defaults", {})
    return tuple(_spec(family, defaults | row) for row in data["backbone"])


def _spec(family: str, row: dict[str, Any]) -> BackboneSpec:
    repo = row.get("repo", "")
    file = row.get("file", "")
    config = row.get("config", "")
    hub = row.get("hub") or (f"Hugging Face hub, {repo}" if repo else file)
    if config:
        preprocess = read_config(configs_folder() / config).preprocess
    else:
        preprocess = Preprocess(row["mode"], row["resize_px"], row["crop_px"], row["interpolation"])
    return BackboneSpec(
        name=row["name"],
        family=family,
        dim=row["dim"],
        preprocess=preprocess,
        mean=tuple(row.get("mean", ())),
        std=tuple(row.get("std", ())),
        pool=row.get("pool", "default"),
        licence=row["licence"],
        hub=hub,
        aliases=tuple(row.get("aliases", ())),
        extra=EXTRAS[family],
        notes=row.get("notes", ""),
        repo=repo,
        files=tuple(row.get("files", [file] if file else [])),
        config=str(configs_folder() / config) if config else "",
    )


def _read_toml(path: Path, slug: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            slug, f"cannot read {path}: {error}", hint="mend the file or name another"
        ) from error
