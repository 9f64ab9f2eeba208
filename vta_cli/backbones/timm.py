"""Networks of timm: DINO, ConvNeXt, BEiT, DeiT, EfficientNet and any other. Imports torch and timm.

Vectors are the pooled features before the classifier (`num_classes=0`). Weights are read strictly:
every parameter of the network has to be in the file.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import timm
import torch
from torch import nn

from vta_cli.backbones.checkpoints import mismatch, shapes, unknown_network
from vta_cli.backbones.device import resolve_device, resolve_precision
from vta_cli.backbones.fetch import obtain
from vta_cli.backbones.netrun import TorchBackbone, in_inference_mode
from vta_cli.backbones.protocol import BackboneSpec, net_recipe
from vta_cli.errors import BackboneError
from vta_cli.records import Preprocess


def load(
    spec: BackboneSpec,
    *,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool | None = None,
    batch_size: int | None = None,
    compiled: bool = False,
) -> TorchBackbone:
    """Load a timm network; see `registry.load`."""
    place = resolve_device(device)
    kind = resolve_precision(precision, place)
    spec = from_library(spec)
    found = obtain(spec, weights, offline)
    net = _with_weights(spec, found.path)
    if spec.dim is None and spec.preprocess is not None:
        spec = replace(spec, dim=_dim(net, spec.preprocess.crop_px))
    return TorchBackbone(
        net, net_recipe(spec, found.digest, kind), place, batch_size, compiled=compiled
    )


def from_library(spec: BackboneSpec) -> BackboneSpec:
    """Complete a free spec from timm's own tables; other specs come back as they are.

    Raises
    ------
    UsageError
        ``unknown-backbone``.
    BackboneError
        ``unsupported-preprocess`` for oblong inputs and padded resizing.
    """
    if spec.preprocess is not None:
        return spec
    data = _library_config(spec.label)
    if data is None:
        known = [*timm.list_models(), *timm.list_pretrained()]
        raise unknown_network(spec.name, known, "timm:")
    repo = data.get("hf_hub_id") or ""
    file = (data.get("url") or "").rpartition("/")[2]
    return replace(
        spec,
        preprocess=_preprocess(spec.name, data),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        licence=data.get("license") or spec.licence,
        repo=repo,
        files=(file,) if file else (),
        hub=f"Hugging Face hub, {repo}" if repo else data.get("url") or "",
    )


def _preprocess(name: str, data: Mapping[str, Any]) -> Preprocess:
    """Translate timm's data config: the shortest side becomes floor(px / crop_pct), then the crop.

    `timm.data.transforms_imagenet_eval` is the source. Where it squashes to more than it crops,
    vta squashes to the crop's size, so that the whole picture is seen.
    """
    _, height, width = data["input_size"]
    mode = data.get("crop_mode") or "center"
    filter_name = data.get("interpolation") or "bicubic"
    supported = mode in ("center", "squash") and filter_name in ("bicubic", "bilinear")
    if height != width or not supported:
        raise BackboneError(
            "unsupported-preprocess",
            f"{name} wants {mode!r} cropping to {height} x {width}, which vta does not do",
            hint="use a network with square inputs and 'center' or 'squash' cropping",
        )
    squash = mode == "squash"
    return Preprocess(
        "squash" if squash else "shortest",
        width if squash else math.floor(width / (data.get("crop_pct") or 1.0)),
        width,
        cast("Literal['bicubic', 'bilinear']", filter_name),
    )


def _with_weights(spec: BackboneSpec, path: str) -> nn.Module:
    """Build the network, load the weights strictly, and take the classifier off.

    The network is first built with as many classes as the file has: only then does timm insist on
    every key, and a wrong file cannot pass as a network of random numbers.
    """
    tensors = shapes(spec.name, path)
    arch = spec.label
    if _library_config(arch) is None:  # a tag of ours, such as resnet50.dino
        arch = arch.partition(".")[0]
    choices: dict[str, Any] = {} if spec.pool == "default" else {"global_pool": spec.pool}
    first_error: Exception | None = None
    for n_classes in _numbers_of_classes(arch, tensors):
        overlay = {"file": path, "num_classes": n_classes, "label_offset": 0}
        try:
            net = timm.create_model(
                arch,
                pretrained=True,
                num_classes=n_classes,
                pretrained_cfg_overlay=overlay,
                **choices,
            )
            cast("Any", net).reset_classifier(0)
        except Exception as error:  # noqa: BLE001 - two libraries fail in ways of their own
            first_error = first_error or error
            continue
        return net
    raise mismatch(spec.name, path, first_error or ValueError("unknown layout")) from first_error


def _numbers_of_classes(arch: str, tensors: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return how many classes the file's classifier may have; 0 stands for no classifier.

    Files with the publisher's own key names only show it once timm has renamed the keys, hence the
    second guess: the number that timm's table has.
    """
    config = _library_config(arch) or {}
    names = config.get("classifier") or ()
    names = (names,) if isinstance(names, str) else names
    for name in names:
        shape = tensors.get(f"{name}.weight")
        if shape:
            return (shape[0],)
    return (0, int(config["num_classes"])) if config.get("num_classes") else (0,)


def _library_config(label: str) -> dict[str, Any] | None:
    """Return timm's own settings for ARCHITECTURE or ARCHITECTURE.TAG; None if it has none."""
    try:
        config: Any = timm.get_pretrained_cfg(label)
    except RuntimeError:  # the architecture is known, the tag is not
        return None
    return dict(config.to_dict()) if config and timm.is_model(label.partition(".")[0]) else None


def _dim(net: nn.Module, px: int) -> int:
    """Ask the network itself: attributes of the many architectures disagree on what they mean."""
    with torch.inference_mode():
        return int(in_inference_mode(net)(torch.zeros(1, 3, px, px)).shape[-1])
