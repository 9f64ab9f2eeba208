"""The small TOML file that says how an ONNX network is fed and which tensor is its embedding.

Light: planning reads it without onnxruntime. `configs/onnx/squeezenet-1.1.toml` is the worked
example with a comment per key.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import BackboneError
from vta_cli.records import Preprocess, Recipe

Pool = Literal["mean", "token", "flatten", "none"]

TEMPLATE = """\
tensor = "NAME"           # inner or output tensor to take
pool = "mean"             # over the positions; or "token", "flatten", "none"
mode = "shortest"         # then centre crop; or "squash"
resize_px = 256
crop_px = 224
dtype = "float32"         # of the input: or "float16", "uint8"
layout = "nchw"           # or "nhwc"
channel_order = "rgb"     # or "bgr"
scale = 255.0             # the network sees (pixel / scale - mean) / std
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""
"""What a user pastes and corrects."""


@dataclass(frozen=True)
class OnnxConfig:
    """How one ONNX network is used.

    The network sees ``(pixel / scale - mean) / std``, pixels in 0..255, channels in
    `channel_order`, at ``crop_px`` x ``crop_px``.

    Attributes
    ----------
    tensor : str
        Inner or output tensor to take.
    pool : {"mean", "token", "flatten", "none"}
        How the tensor becomes a vector: mean over the positions, the first token, all values, or
        a vector already.
    dim : int
        Columns of the vector, 0 if not told.
    """

    tensor: str
    crop_px: int
    scale: float
    mean: list[float]
    std: list[float]
    pool: Pool = "mean"
    mode: Literal["shortest", "squash"] = "shortest"
    resize_px: int = 0
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest", "box"] = "bicubic"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    layout: Literal["nchw", "nhwc"] = "nchw"
    channel_order: Literal["rgb", "bgr"] = "rgb"
    dim: int = 0
    licence: str = ""

    @property
    def preprocess(self) -> Preprocess:
        """Resize, crop and filter of the pictures."""
        return Preprocess(
            self.mode, self.resize_px or self.crop_px, self.crop_px, self.interpolation
        )

    def recipe(self, name: str, digest: str, dim: int) -> Recipe:
        """Return the recipe of a network so used; its arithmetic is the file's own."""
        return Recipe(
            backbone=name,
            weights=digest,
            dim=dim,
            preprocess=self.preprocess,
            precision="fp16" if self.dtype == "float16" else "fp32",
            extra={
                "tensor": self.tensor,
                "pool": self.pool,
                "dtype": self.dtype,
                "layout": self.layout,
                "channel_order": self.channel_order,
                "scale": float(self.scale),
                "mean": [float(x) for x in self.mean],
                "std": [float(x) for x in self.std],
            },
        )


def config_of(spec: BackboneSpec, weights_path: str) -> OnnxConfig:
    """Read the TOML beside the network's file, or else the one that the backbone ships with.

    Raises
    ------
    BackboneError
        ``onnx-config-missing`` with a template to paste; ``bad-onnx-config`` naming the key.
    """
    beside = Path(weights_path).with_suffix(".toml")
    path = beside if beside.is_file() or not spec.config else Path(spec.config)
    if not path.is_file():
        raise BackboneError(
            "onnx-config-missing",
            f"{weights_path} needs a file {beside.name} beside it that says how it is fed",
            hint=f"write {beside} after this template:\n\n{TEMPLATE}",
        )
    return read_config(path)


def read_config(path: Path) -> OnnxConfig:
    """Read and check one TOML file.

    Raises
    ------
    BackboneError
        ``bad-onnx-config`` naming the key that is unknown, missing or of a wrong value.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(path, str(error)) from error
    known = {field.name for field in fields(OnnxConfig)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise _bad(path, f"unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    missing = [name for name in ("tensor", "crop_px", "scale", "mean", "std") if name not in data]
    if missing:
        raise _bad(path, f"the key {missing[0]!r} is missing")
    _check(path, data)
    return OnnxConfig(**data)


def _check(path: Path, data: dict[str, Any]) -> None:
    for field in fields(OnnxConfig):
        if field.name not in data:
            continue
        value = data[field.name]
        choices = get_args(field.type)
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise _bad(path, f"{field.name} is {value!r}; it must be one of {', '.join(choices)}")
        if field.type is str and not isinstance(value, str):
            raise _bad(path, f"{field.name} must be a string")
        if field.type is int and (type(value) is not int or not 0 <= value <= 1 << 16):
            raise _bad(path, f"{field.name} is {value!r}; it must be a whole number from 0 up")
    for name in ("mean", "std"):
        row = data[name]
        numbers = isinstance(row, list) and all(type(x) in (int, float) for x in row)
        if not numbers or len(row) != 3:
            raise _bad(path, f"{name} must be a list of three numbers")
    if type(data["scale"]) not in (int, float) or data["scale"] <= 0 or min(data["std"]) <= 0:
        raise _bad(path, "scale and std must be numbers above 0")
    if data["crop_px"] < 1 or 0 < data.get("resize_px", 0) < data["crop_px"]:
        raise _bad(path, "crop_px must be at least 1 and at most resize_px")


def _bad(path: Path, detail: str) -> BackboneError:
    return BackboneError(
        "bad-onnx-config",
        f"{path}: {detail}",
        hint="configs/onnx/squeezenet-1.1.toml is an example with a comment per key",
    )
