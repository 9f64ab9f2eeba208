"""What recipe a backbone will have, told before anything of it is loaded.

A second run over unchanged pictures rests on this: it learns that nothing is missing without torch.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

from vta_cli.backbones import onnx_config, open_clip_config
from vta_cli.backbones.protocol import BackboneSpec, Weights, is_exact, net_recipe
from vta_cli.records import Recipe

CLASSIC_RECIPE = "vta_cli.backbones.classic_recipe:recipe"
"""Function that tells the whole recipe of the classic backbone without loading it."""


def expected_recipe(
    spec: BackboneSpec,
    weights: Weights | None,
    precision: str,
    known: Sequence[Recipe] = (),
    *,
    device: str = "auto",
) -> Recipe | None:
    """Tell the recipe that loading would give, without loading.

    Parameters
    ----------
    spec : BackboneSpec
    weights : Weights or None
        What `locate_weights` found.
    precision : {"auto", "fp32", "bf16", "fp16"}
    known : sequence of Recipe
        Recipes of the store's spaces. They settle what the name alone cannot: the dim of a free
        name, what ``auto`` came to on a machine with an accelerator, and, while the weights are
        not at hand, which weights are meant (if the store knows of one kind only).
    device : {"auto", "cpu", "cuda", "mps"}

    Returns
    -------
    Recipe or None
        None where only loading can tell.
    """
    if spec.family == "classic":
        return classic_recipe()
    if spec.family != "onnx":
        known = [recipe for recipe in known if is_exact(recipe) == spec.exact]
    if weights is None:
        return _only_known(spec, precision, known, device)
    akin = [
        recipe
        for recipe in known
        if (recipe.backbone, recipe.weights, recipe.view) == (spec.name, weights.digest, "whole")
    ]
    if spec.family == "onnx":
        return _expected_onnx(spec, weights, akin)
    if spec.family == "open_clip":
        config = open_clip_config.config_beside(spec, weights.path)
        spec = open_clip_config.complete_from_config(spec, config) if config else spec
    for kind in _likely_precisions(precision, device):
        same = [recipe for recipe in akin if recipe.precision == kind]
        if spec.dim is not None and spec.preprocess is not None:
            recipe = net_recipe(spec, weights.digest, kind)
            if recipe in same or not accelerator(device) or precision != "auto":
                return recipe
        elif same:
            return same[0]
    return None


def classic_recipe() -> Recipe:
    """Return the recipe of the built-in backbone."""
    return cast("Recipe", attribute(CLASSIC_RECIPE)())


def attribute(place: str) -> Any:
    """Import what a string "module:name" points to."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _only_known(
    spec: BackboneSpec, precision: str, known: Sequence[Recipe], device: str
) -> Recipe | None:
    """Return the store's recipe of a backbone whose weights are not here, if there is but one.

    So a store goes on answering without the file that filled it, as long as nothing is missing.
    """
    named = [r for r in known if (r.backbone, r.view) == (spec.name, "whole")]
    if len({recipe.weights for recipe in named}) != 1:
        return None
    kinds = _likely_precisions(precision, device)
    own = spec.family == "onnx"  # arithmetic is the file's own there
    fitting = [recipe for recipe in named if own or recipe.precision in kinds]
    return fitting[0] if len(fitting) == 1 else None


def _expected_onnx(spec: BackboneSpec, weights: Weights, akin: list[Recipe]) -> Recipe | None:
    config = onnx_config.config_of(spec, weights.path)
    if config.dim:
        return config.recipe(spec.name, weights.digest, config.dim)
    same = [r for r in akin if r == config.recipe(spec.name, weights.digest, r.dim)]
    return same[0] if same else None


def _likely_precisions(precision: str, device: str) -> tuple[Literal["fp32", "bf16", "fp16"], ...]:
    if precision != "auto":
        return (cast("Literal['fp32', 'bf16', 'fp16']", precision),)
    return ("bf16", "fp16", "fp32") if accelerator(device) else ("fp32",)


def accelerator(device: str) -> bool:
    """Guess, without torch, whether ``auto`` may mean a precision other than fp32 here.

    Kernel drivers show as device files (NVIDIA, WSL, ROCm); Apple's mps computes in fp32 anyway.
    """
    if device.partition(":")[0] not in ("auto", "cuda") or sys.platform == "darwin":
        return False
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    drivers = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
    return sys.platform == "win32" or any(Path(driver).exists() for driver in drivers)
