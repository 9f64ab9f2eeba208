"""The image towers of open_clip: CLIP, SigLIP, MetaCLIP and kin. Imports torch and open_clip.

Vectors are the projected image embeddings as `encode_image(normalize=False)` gives them. The text
tower is dropped as soon as the weights are in.

Weights are read from safetensors, or from torch files with `weights_only`: a file never runs code.
OpenAI's original `.pt` archives are TorchScript programs and are therefore refused; the same
weights exist as safetensors in the repositories that the specs name.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import open_clip
from torch import nn

from vta_cli.backbones.checkpoints import mismatch, shapes, unknown_network
from vta_cli.backbones.device import resolve_device, resolve_precision
from vta_cli.backbones.fetch import obtain
from vta_cli.backbones.netrun import TorchBackbone
from vta_cli.backbones.open_clip_config import (
    complete_from_config,
    complete_preprocess,
    config_beside,
)
from vta_cli.backbones.protocol import BackboneSpec, net_recipe
from vta_cli.errors import UsageError


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
    """Load an image tower; see `registry.load`."""
    place = resolve_device(device)
    kind = resolve_precision(precision, place)
    spec = from_library(spec)
    found = obtain(spec, weights, offline)
    config = config_beside(spec, found.path)
    if config is not None:
        spec = complete_from_config(spec, config)
    elif spec.preprocess is None:
        raise unknown_network(spec.name, open_clip.list_models(), "open_clip:")
    tower = _image_tower(spec, found.path, config)
    return TorchBackbone(
        tower, net_recipe(spec, found.digest, kind), place, batch_size, compiled=compiled
    )


def from_library(spec: BackboneSpec) -> BackboneSpec:
    """Complete a free spec from open_clip's own tables; other specs come back as they are.

    A name that open_clip does not know comes back incomplete if it has no tag: a config file
    beside the weights may describe it.

    Raises
    ------
    UsageError
        ``unknown-backbone`` for unknown names with a tag and unknown tags; ``quickgelu-mismatch``
        if the name would build another activation than the tag was trained with.
    """
    if spec.preprocess is not None or spec.path:
        return spec
    name, _, tag = spec.label.partition("/")
    model = open_clip.get_model_config(name)
    if model is None:
        if tag:
            raise unknown_network(spec.name, open_clip.list_models(), "open_clip:")
        return spec
    looks: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    if tag and not looks:
        tags = [f"{name}/{known}" for known in open_clip.list_pretrained_tags_by_model(name)]
        raise unknown_network(spec.name, tags, "open_clip:")
    if looks.get("quick_gelu", False) and not model.get("quick_gelu", False):
        raise UsageError(
            "quickgelu-mismatch",
            f"{spec.name} would build these weights with the wrong activation",
            hint=f"use open_clip:{name}-quickgelu/{tag}",
        )
    spec = complete_preprocess(spec, looks, model["vision_cfg"]["image_size"])
    repo, _, file = looks.get("hf_hub", "").rpartition("/")
    files = (file, looks.get("url", "").rpartition("/")[2])
    return replace(
        spec,
        dim=int(model["embed_dim"]),
        pool="projected",
        repo=repo,
        files=tuple(name for name in files if name and not _is_openai_archive(name, tag)),
        hub=f"Hugging Face hub, {repo}" if repo else looks.get("url", ""),
    )


def _is_openai_archive(name: str, tag: str) -> bool:
    return tag == "openai" and name.endswith(".pt")


def _image_tower(spec: BackboneSpec, path: str, config: Path | None) -> nn.Module:
    """Build the whole network, load the weights strictly, keep the image tower."""
    shapes(spec.name, path)  # a junk file is told before the network is built
    name = spec.label.partition("/")[0] if config is None else f"local-dir:{config.parent}"
    try:
        with _without_warnings():
            net = open_clip.create_model(name, load_weights=False, pretrained_text=False)
        open_clip.load_checkpoint(net, path, strict=True, weights_only=True)
    except Exception as error:
        raise mismatch(spec.name, path, error) from error
    return cast("nn.Module", net.visual)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep open_clip from telling the root logger that the network is still random."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
