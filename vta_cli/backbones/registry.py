"""Which backbones there are, and the way from a name to a loaded network.

A table of strings: nothing of a family is imported before `load` asks for it, so listing, planning
and checking what is missing cost no torch. To add a family: one module with a `load`, one line in
`FAMILIES`, and one file in `configs/backbones/` if it has named networks.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from vta_cli.backbones.fetch import obtain, within_reach
from vta_cli.backbones.planning import attribute, classic_recipe, expected_recipe
from vta_cli.backbones.presets import EXTRAS, Preset, named_specs, presets, read_preset
from vta_cli.backbones.protocol import Backbone, BackboneSpec
from vta_cli.backbones.weights import locate as locate_weights
from vta_cli.backbones.weights import whereabouts
from vta_cli.errors import BackboneError, UsageError

__all__ = [
    "at_hand",
    "expand",
    "expected_recipe",
    "load",
    "locate_weights",
    "presets",
    "resolve",
    "specs",
    "within_reach",
]

FAMILIES = {
    "classic": "vta_cli.backbones.classic:load",
    "open_clip": "vta_cli.backbones.open_clip:load",
    "timm": "vta_cli.backbones.timm:load",
    "onnx": "vta_cli.backbones.onnx:load",
}
"""Loader of each family: `load(spec, *, weights, device, precision, offline, batch_size)`, and
`compiled` where it is in `COMPILES`."""

COMPILES = ("open_clip", "timm")
"""Families of torch networks."""

NUMPY = {"classic"}
"""Families that compute with numpy on one core and need no weights: best run in many processes."""

PACKAGES = {
    "open_clip": ("torch", "open_clip"),
    "timm": ("torch", "timm"),
    "onnx": ("onnx", "onnxruntime"),
}
"""Packages that a family imports, for a clear word before the import fails."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "mps")


@cache
def specs() -> tuple[BackboneSpec, ...]:
    """Return all named backbones: classic first, then the families in the order of their files."""
    recipe = classic_recipe()
    classic = BackboneSpec(
        name=recipe.backbone,
        family="classic",
        dim=recipe.dim,
        preprocess=recipe.preprocess,
        licence="Apache-2.0",
        hub="part of vta",
        aliases=("classic",),
        notes="needs no weights",
    )
    return (classic, *(spec for family in EXTRAS for spec in named_specs(family)))


def resolve(name: str) -> BackboneSpec:
    """Find the backbone of that name.

    Parameters
    ----------
    name : str
        The full name, an alias in any letter case, the name without its family, or a free
        ``open_clip:NAME/TAG``, ``open_clip:FOLDER``, ``timm:NAME``, ``onnx:PATH``, or a bare path
        of an ``.onnx`` file or of the ``.toml`` beside it.

    Raises
    ------
    UsageError
        ``unknown-backbone`` with the nearest names; ``quickgelu-mismatch`` for a name that would
        build OpenAI's CLIP with the wrong activation; ``no-such-weights`` for a path without file.
    """
    wanted = name.strip()
    known = {key.lower(): spec for spec in reversed(specs()) for key in _keys(spec)}
    if wanted.lower() in known:
        return known[wanted.lower()]
    family, colon, rest = wanted.partition(":")
    family = family.lower()
    if colon and rest and family in EXTRAS:
        return _free(family, rest)
    if Path(wanted).suffix.lower() in (".onnx", ".toml") and _looks_like_path(wanted):
        return _free("onnx", wanted)
    near = difflib.get_close_matches(wanted.lower(), known, n=3, cutoff=0.5)
    names = list(dict.fromkeys(known[key].name for key in near))
    raise UsageError(
        "unknown-backbone",
        f"there is no backbone {name!r}",
        hint=(f"did you mean {' or '.join(names)}? " if names else "")
        + "`vta backbones` lists them; open_clip:NAME/TAG, timm:NAME and onnx:PATH work too",
    )


def expand(names: Sequence[str], preset: str | None = None) -> list[BackboneSpec]:
    """Return the backbones of a preset followed by those of `names`, each once, in order.

    `preset` is a shipped one (``vta1``, ``vta2``, ``vta4``, ``vta7``, ``clip``, ``classic``) or
    the path of a TOML file with a list `backbones`.

    Raises
    ------
    UsageError
        ``unknown-preset``, ``bad-preset``, or what `resolve` raises.
    """
    wanted = [*(_preset(preset).backbones if preset else ()), *names]
    found = {spec.name: spec for spec in (resolve(name) for name in wanted)}
    return list(found.values())


def load(
    spec: BackboneSpec,
    *,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool | None = None,
    batch_size: int | None = None,
    compiled: bool = False,
) -> Backbone:
    """Load a backbone, ready to embed.

    Parameters
    ----------
    spec : BackboneSpec
    weights : str, optional
        The user's file, folder or ``NAME=PATH,...``; see `locate_weights`.
    device : {"auto", "cpu", "cuda", "mps"}
        ``auto`` takes cuda, then mps, then cpu.
    precision : {"auto", "fp32", "bf16", "fp16"}
        ``auto`` is bf16 on CUDA devices that have it, fp16 on others, fp32 elsewhere.
    offline : bool, optional
        True: never ask the network. Without it, `VTA_OFFLINE` and `HF_HUB_OFFLINE` decide.
    batch_size : int, optional
        Pictures per forward pass; without it the family's own.
    compiled : bool
        Compile the network first, if it is one of torch; the others have nothing to compile.

    Raises
    ------
    UsageError
        For devices and precisions that do not exist here, unknown names, missing files.
    BackboneError
        ``missing-extra``, ``weights-missing``, ``weights-unreachable``, ``weights-unreadable``,
        ``weights-mismatch`` and others that name the backbone and the remedy.
    """
    _check_choice("precision", precision, PRECISIONS)
    _check_choice("device", device.partition(":")[0], DEVICES)
    if batch_size is not None and batch_size < 1:
        raise UsageError(
            "bad-batch-size", f"a batch of {batch_size} pictures is none", hint="use 1 or more"
        )
    if missing := _missing_package(spec):
        raise BackboneError(
            "missing-extra",
            f"{spec.name} needs the package {missing}, which is not installed",
            hint=f"pip install 'vta[{spec.extra}]', or use --backbone classic",
        )
    if spec.preprocess is not None and whereabouts(spec, weights) == "not here":
        obtain(spec, weights, offline)  # fails, if it must, before torch takes its seconds
    loader = attribute(FAMILIES[spec.family])
    return cast(
        "Backbone",
        loader(
            spec,
            weights=weights,
            device=device,
            precision=precision,
            offline=offline,
            batch_size=batch_size,
            **({"compiled": True} if compiled and spec.family in COMPILES else {}),
        ),
    )


def at_hand(spec: BackboneSpec, weights: str | None = None) -> tuple[bool, str]:
    """Tell whether a backbone can run here and now, and the short word for the list.

    The word is ``none needed``, ``file``, ``cache``, ``not here``, or names the missing extra.
    Reads no weights, asks no network.
    """
    if _missing_package(spec):
        return False, f"needs vta[{spec.extra}]"
    word = whereabouts(spec, weights)
    return word != "not here", word


def _free(family: str, rest: str) -> BackboneSpec:
    """Return the spec of a network that is not in the tables."""
    common: dict[str, Any] = {
        "family": family,
        "extra": EXTRAS[family],
        "licence": "see its source",
    }
    path = Path(rest).expanduser()
    if family == "onnx":
        if _looks_like_path(rest):
            return BackboneSpec(name=f"onnx:{path.stem}", path=str(_onnx_file(path)), **common)
        return BackboneSpec(name=f"onnx:{rest}", **common)
    if family == "timm":
        repo = f"timm/{rest}" if "." in rest else ""
        notes = ""
        if "_clip_" in rest:
            notes = "the vector before CLIP's projection; open_clip: gives the projected embedding"
        return BackboneSpec(
            name=f"timm:{rest}", repo=repo, hub=f"Hugging Face hub, {repo}" if repo else "",
            notes=notes, **common,
        )  # fmt: skip
    if path.is_dir():
        folder = path.resolve()
        return BackboneSpec(name=f"open_clip:{folder.name}", path=str(folder), **common)
    arch, _, tag = rest.partition("/")
    tag = tag.lower().replace("-", "_")  # open_clip's own normal form
    if tag == "openai" and not arch.endswith("-quickgelu"):
        right = f"open_clip:{arch}-quickgelu/openai"
        raise UsageError(
            "quickgelu-mismatch",
            f"open_clip:{rest} would build OpenAI's weights with the wrong activation",
            hint=f"use {right}",
        )
    return BackboneSpec(name=f"open_clip:{arch}/{tag}" if tag else f"open_clip:{arch}", **common)


def _onnx_file(path: Path) -> Path:
    file = path.with_suffix(".onnx") if path.suffix.lower() == ".toml" else path
    if not file.is_file():
        raise UsageError(
            "no-such-weights",
            f"there is no ONNX file {file}",
            hint="name the file, e.g. onnx:nets/squeezenet.onnx",
        )
    return file.resolve()


def _looks_like_path(text: str) -> bool:
    return Path(text).suffix.lower() in (".onnx", ".toml") or len(Path(text).parts) > 1


def _keys(spec: BackboneSpec) -> tuple[str, ...]:
    return (spec.name, spec.label, *spec.aliases)


def _preset(name: str) -> Preset:
    shipped = presets()
    if name.lower() in shipped:
        return shipped[name.lower()]
    if name.lower().endswith(".toml") and Path(name).expanduser().is_file():
        return read_preset(Path(name).expanduser())
    near = difflib.get_close_matches(name.lower(), shipped, n=1)
    raise UsageError(
        "unknown-preset",
        f"there is no preset {name!r}",
        hint=(f"did you mean {near[0]}? " if near else "")
        + f"presets are auto, {', '.join(shipped)}, or a TOML file with a list `backbones`",
    )


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(
            f"unknown-{what}", f"there is no {what} {value!r}", hint=f"use {', '.join(choices)}"
        )


def _missing_package(spec: BackboneSpec) -> str:
    packages = PACKAGES.get(spec.family, ())
    return next((name for name in packages if importlib.util.find_spec(name) is None), "")
