"""What the torch families share about weight files and names that do not fit.

A weight file is data: nothing that it holds may run. safetensors cannot run anything, torch files
are read with `weights_only`, and TorchScript archives, which are programs, are refused.
"""

import difflib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from vta_cli.errors import BackboneError, UsageError


def refuse_programs(path: str) -> None:
    """Refuse TorchScript archives, such as OpenAI's original CLIP files.

    Raises
    ------
    BackboneError
        ``weights-are-a-program``.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(Path(name).name == "constants.pkl" for name in names):
        raise BackboneError(
            "weights-are-a-program",
            f"{path} is a TorchScript archive, and reading it would run the program inside",
            hint="give the same weights as .safetensors (docs/backbones.md says where they are), "
            "or convert the file if you trust it",
        )


def shapes(name: str, path: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors in a weight file, without running anything that it holds.

    Raises
    ------
    BackboneError
        ``weights-are-a-program`` or ``weights-unreadable``.
    """
    refuse_programs(path)
    try:
        if path.endswith(".safetensors"):
            with safe_open(path, framework="numpy") as file:
                names = list(file.keys())
                return {key: tuple(file.get_slice(key).get_shape()) for key in names}
        state = _unwrapped(_load(path))
        return {
            key.removeprefix("module."): tuple(value.shape)
            for key, value in state.items()
            if isinstance(value, torch.Tensor)
        }
    except Exception as error:
        text = " ".join(str(error).split())
        raise BackboneError(
            "weights-unreadable",
            f"the weights {path} cannot be read for {name}: {type(error).__name__}: {text[:200]}",
            hint="give a safetensors file, or a torch file that holds tensors alone",
        ) from error


def _load(path: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # files of torch before 1.6 cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(state: Any) -> dict[str, Any]:
    """Return the tensors by name; trainers like to put them one level deeper."""
    for key in ("state_dict_ema", "model_ema", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            return dict(state[key])
    return dict(state)


def mismatch(name: str, path: str, error: BaseException) -> BackboneError:
    """Return the error for a readable weight file that does not fit the network."""
    text = " ".join(str(error).split())
    return BackboneError(
        "weights-mismatch",
        f"the weights {path} do not fit {name}: {type(error).__name__}: {text[:200]}",
        hint="name the file that belongs to this backbone: --weights 'NAME=FILE'",
    )


def unknown_network(name: str, known: Iterable[str], prefix: str) -> UsageError:
    """Return the error for a name that the library does not know, with the nearest it knows."""
    wanted = name.removeprefix(prefix)
    near = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.4)
    guess = f"did you mean {' or '.join(prefix + one for one in near)}?" if near else ""
    return UsageError(
        "unknown-backbone",
        f"there is no network {name}",
        hint=guess or "`vta backbones` lists the named ones",
    )
