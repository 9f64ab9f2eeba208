"""MobileNet V1 from Keras weights to an ONNX file with its TOML, for the `onnx` family.

Howard et al., "MobileNets", 2017, width 1. Padding is that of Keras 2.1: one pixel on all
four sides of every 3 x 3 convolution. Later versions pad strided convolutions at the right and at
the bottom only, which gives weights of that time other results. Imports onnx.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vta_cli.errors import BackboneError

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels after conv1 and after each of the thirteen pointwise convolutions."""
STRIDED = (2, 4, 6, 12)
"""Depthwise convolutions that halve the picture."""
EPSILON = 1e-3
"""Keras' default of `BatchNormalization`, which MobileNet keeps."""
PX = 224

TOML = """\
# MobileNet V1 out of a NIMA file of idealo, with the padding of the Keras that trained it.
tensor = "maps"
pool = "mean"
dim = 1024
mode = "squash"            # idealo ignores a picture's aspect
crop_px = 224
interpolation = "nearest"  # as `keras.preprocessing.image.load_img` did
scale = 127.5              # x / 127.5 - 1
mean = [1.0, 1.0, 1.0]
std = [1.0, 1.0, 1.0]
licence = "Apache-2.0"
"""

Tensors = Mapping[str, NDArray[Any]]


def write(tensors: Tensors, path: Path) -> Path:
    """Write the network as ``path`` (.onnx) and how it is fed as the ``.toml`` beside it.

    The same weights give the same bytes. Files that are there with these very bytes stay.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        ``LAYER/WEIGHT`` of Keras: ``conv1/kernel``, ``conv_dw_1/depthwise_kernel``,
        ``conv_dw_1_bn/gamma`` and so on.
    path : Path

    Raises
    ------
    BackboneError
        ``weights-mismatch`` if an array is missing or of the wrong shape; ``file-exists`` if
        another file is in the way.
    """
    data = _model(tensors).SerializeToString(deterministic=True)
    for file, content in ((path, data), (path.with_suffix(".toml"), TOML.encode())):
        if file.exists() and file.read_bytes() != content:
            raise BackboneError(
                "file-exists",
                f"{file} exists and is something else",
                hint="move it away, or import under another --name",
            )
    path.with_suffix(".toml").write_text(TOML, encoding="utf-8")
    path.write_bytes(data)
    return path


def _model(tensors: Tensors) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    arrays: list[onnx.TensorProto] = []
    last = "picture"

    def convolve(name: str, kernel: NDArray[Any], bn: str, stride: int, group: int) -> None:
        """Add a convolution with its normalisation folded in, and ReLU6."""
        nonlocal last
        weight, bias = _folded(tensors, kernel, bn)
        arrays.append(numpy_helper.from_array(weight, f"{name}.weight"))
        arrays.append(numpy_helper.from_array(bias, f"{name}.bias"))
        side = weight.shape[-1]
        nodes.append(
            helper.make_node(
                "Conv",
                [last, f"{name}.weight", f"{name}.bias"],
                [name],
                kernel_shape=[side, side],
                strides=[stride, stride],
                pads=[side // 2] * 4,
                group=group,
            )
        )
        last = "maps" if name == "conv_pw_13" else f"{name}.relu"
        nodes.append(helper.make_node("Clip", [name, "zero", "six"], [last]))

    for name, value in (("zero", 0.0), ("six", 6.0)):
        arrays.append(numpy_helper.from_array(np.array(value, np.float32), name))
    first = _take(tensors, "conv1/kernel", (3, 3, 3, WIDTHS[0]))
    convolve("conv1", first.transpose(3, 2, 0, 1), "conv1_bn", 2, 1)
    for at in range(1, len(WIDTHS)):
        n_in, n_out = WIDTHS[at - 1], WIDTHS[at]
        deep = _take(tensors, f"conv_dw_{at}/depthwise_kernel", (3, 3, n_in, 1))
        stride = 2 if at in STRIDED else 1
        convolve(f"conv_dw_{at}", deep.transpose(2, 3, 0, 1), f"conv_dw_{at}_bn", stride, n_in)
        point = _take(tensors, f"conv_pw_{at}/kernel", (1, 1, n_in, n_out))
        convolve(f"conv_pw_{at}", point.transpose(3, 2, 0, 1), f"conv_pw_{at}_bn", 1, 1)
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "nima-mobilenet",
        [helper.make_tensor_value_info("picture", kind, ["batch", 3, PX, PX])],
        [helper.make_tensor_value_info("maps", kind, ["batch", WIDTHS[-1], PX // 32, PX // 32])],
        arrays,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.producer_name = "vta"
    onnx.checker.check_model(model)
    return model


def _folded(
    tensors: Tensors, kernel: NDArray[Any], bn: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weight and bias of a convolution followed by its batch normalisation."""
    gamma, beta, mean, variance = (
        _take(tensors, f"{bn}/{name}", (len(kernel),))
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    factor = gamma / np.sqrt(np.maximum(variance, 0.0) + EPSILON)
    weight = np.ascontiguousarray(kernel * factor[:, None, None, None], dtype=np.float32)
    return weight, (beta - mean * factor).astype(np.float32)


def _take(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    found = tensors.get(name)
    if found is None or found.shape != shape or not np.isfinite(found).all():
        what = "missing" if found is None else f"{found.shape}, not {shape}, or not finite"
        raise BackboneError(
            "weights-mismatch",
            f"these are not the weights of a MobileNet V1 of width 1: {name} is {what}",
            hint="other networks of Keras cannot be imported",
        )
    return found.astype(np.float64)
