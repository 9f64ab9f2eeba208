"""Networks of the open_clip family that come as a folder: `open_clip_config.json` and weights.

This is the layout in which open_clip itself publishes to the Hugging Face hub. Light: planning
reads the JSON without torch.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from blake3 import blake3

from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import BackboneError
from vta_cli.records import Preprocess

FILE = "open_clip_config.json"

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""open_clip's defaults (`open_clip.constants`, OpenAI's CLIP)."""

INTERPOLATIONS = ("bicubic", "bilinear")


def config_beside(spec: BackboneSpec, weights_path: str) -> Path | None:
    """Return the folder's config file if the spec names no network of the library and one is there.

    A name with a tag (``NAME/TAG``) always means the library's network of that name.
    """
    if spec.preprocess is not None or "/" in spec.label:
        return None
    file = Path(weights_path).with_name(FILE)
    return file if file.is_file() else None


def complete_from_config(spec: BackboneSpec, file: Path) -> BackboneSpec:
    """Fill a spec from `open_clip_config.json`: dim, preprocessing, digest of the architecture.

    Raises
    ------
    BackboneError
        ``bad-network-config`` if the file lacks what is needed, or asks for a preprocessing that
        vta does not have.
    """
    model, looks = read_config(file)
    try:
        dim = int(model["embed_dim"])
        size = looks.get("size") or model["vision_cfg"]["image_size"]
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(file, f"{error} is missing or no number") from error
    spec = complete_preprocess(spec, looks, size)
    text = json.dumps(model, sort_keys=True, separators=(",", ":"))
    digest = blake3(text.encode()).hexdigest()
    return replace(spec, dim=dim, pool="projected", architecture=digest)


def read_config(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (`model_cfg`, `preprocess_cfg`) of the file.

    Raises
    ------
    BackboneError
        ``bad-network-config`` if it is no JSON of that shape.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(file, str(error)) from error
    if not isinstance(data, dict) or not isinstance(data.get("model_cfg"), dict):
        raise _bad(file, "model_cfg is missing")
    looks = data.get("preprocess_cfg", {})
    return data["model_cfg"], looks if isinstance(looks, dict) else {}


def complete_preprocess(spec: BackboneSpec, looks: dict[str, Any], size: Any) -> BackboneSpec:
    """Fill a spec's preprocessing from open_clip's own words for it.

    Raises
    ------
    BackboneError
        ``unsupported-preprocess`` for oblong inputs and padded resizing.
    """
    sides = set(size) if isinstance(size, list | tuple) else {size}
    mode = looks.get("resize_mode") or "shortest"
    name = looks.get("interpolation") or "bicubic"
    if len(sides) != 1 or mode not in ("shortest", "squash") or name not in INTERPOLATIONS:
        raise BackboneError(
            "unsupported-preprocess",
            f"{spec.name} wants {mode!r} resizing with {name!r} to {size}, which vta does not do",
            hint="use a network with square inputs and 'shortest' or 'squash' resizing",
        )
    px = int(sides.pop())
    return replace(
        spec,
        preprocess=Preprocess(
            cast("Literal['shortest', 'squash']", mode),
            px,
            px,
            cast("Literal['bicubic', 'bilinear']", name),
        ),
        mean=tuple(looks.get("mean") or CLIP_MEAN),
        std=tuple(looks.get("std") or CLIP_STD),
    )


def _bad(file: Path, detail: str) -> BackboneError:
    return BackboneError(
        "bad-network-config",
        f"{file}: {detail}",
        hint="it must be the open_clip_config.json that open_clip publishes with its weights",
    )
