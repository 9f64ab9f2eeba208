"""Any image network that comes as one ONNX file, run by onnxruntime. Imports onnx and onnxruntime.

The tensor that the TOML beside the file names becomes the only output, in memory; nothing is
written to disk. Files that fix their batch to one picture are opened up where the graph allows it,
which is checked by running two pictures, and else run picture by picture.
"""

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from vta_cli.backbones.batches import checked, in_pieces, is_out_of_memory, stack
from vta_cli.backbones.fetch import obtain
from vta_cli.backbones.onnx_config import OnnxConfig, config_of
from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.backbones.weights import side_files
from vta_cli.errors import BackboneError, UsageError
from vta_cli.records import Pixels, Recipe, Vectors

BATCH = 16
"""Throughput on CPUs is flat from 8 to 16 pictures on."""

Run = Callable[[NDArray[np.uint8]], Vectors]
"""From (n, px, px, 3) uint8 to (n, dim) float32."""

INPUT_TYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "uint8": onnx.TensorProto.UINT8,
}


class OnnxBackbone:
    """A `Backbone` around an onnxruntime session."""

    resize = None
    threads = False  # the session itself spreads over the cores

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        batch_size: int,
    ) -> None:
        self.recipe = recipe
        self.batch_size = batch_size
        self._run: Run | None = run

    def embed(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed preprocessed pictures; see `Backbone.embed`.

        Raises
        ------
        BackboneError
            ``out-of-memory``, or ``not-finite`` if the network answers with NaN or infinity.
        ValueError
            If a picture is not of the recipe's size, or the backbone is closed.
        """
        if self._run is None:
            msg = f"{self.recipe.backbone} is closed"
            raise ValueError(msg)
        if len(batch) == 0:
            return np.empty((0, self.recipe.dim), np.float32)
        vectors, self.batch_size = in_pieces(
            self._run,
            stack(batch, self.recipe.preprocess.crop_px),
            self.batch_size,
            name=self.recipe.backbone,
        )
        return checked(vectors, self.recipe)

    def close(self) -> None:
        """Let go of the session."""
        self._run = None


def load(
    spec: BackboneSpec,
    *,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool | None = None,
    batch_size: int | None = None,
) -> OnnxBackbone:
    """Load an ONNX network; see `registry.load`.

    The arithmetic is the file's own, so `precision` does not apply.
    """
    del precision
    providers = _providers(device)
    found = obtain(spec, weights, offline)
    config = config_of(spec, found.path)
    run, opened = _open(found.path, config, providers)
    dim = run(np.zeros((1, config.crop_px, config.crop_px, 3), np.uint8)).shape[1]
    if config.dim not in (0, dim):
        raise _bad(found.path, f"{config.tensor} gives {dim} columns, not {config.dim}")
    recipe = config.recipe(spec.name, found.digest, dim)
    return OnnxBackbone(run, recipe, (batch_size or BATCH) if opened else 1)


def _providers(device: str) -> list[str]:
    """Return onnxruntime's names for where to run, the first choice first.

    Raises
    ------
    UsageError
        ``no-such-device`` if this build of onnxruntime lacks it.
    """
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    kind = device.partition(":")[0]
    if kind not in ("auto", "cpu") and not (kind == "cuda" and cuda):
        raise UsageError(
            "no-such-device",
            f"onnxruntime cannot use the device {device!r} here",
            hint="use --device cpu",
        )
    return ["CPUExecutionProvider"] if kind == "cpu" or not cuda else [
        "CUDAExecutionProvider", "CPUExecutionProvider",
    ]  # fmt: skip


def _open(path: str, config: OnnxConfig, providers: list[str]) -> tuple[Run, bool]:
    """Return the function from pictures to vectors, and whether it takes several at once."""
    model = _read(path)
    source = _only_input(path, model, config)
    _take_tensor(path, model, config.tensor)
    first = source.type.tensor_type.shape.dim[0]
    fixed = first.dim_value if first.HasField("dim_value") else 0
    first.dim_param = "batch"
    try:
        run = _runner(path, model, config, providers)
        if _rows_are_alone(run, config):
            return run, True
    except BackboneError:
        # shapes inside the graph may insist on the one picture; a real fault shows up again below
        pass
    first.dim_value = fixed or 1
    if fixed > 1:
        raise _bad(path, f"the network takes {fixed} pictures at a time and no other number")
    return _runner(path, model, config, providers), False


def _read(path: str) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except Exception as error:
        raise BackboneError(
            "weights-unreadable",
            f"{path} cannot be read as an ONNX file: {type(error).__name__}: {error}",
            hint="check the file",
        ) from error
    beside = {file.name for file in side_files(Path(path))}
    if not set(_external_files(path)) <= beside:
        raise BackboneError(
            "weights-unreadable",
            f"{path} keeps its data in files that are not {Path(path).name}.data beside it",
            hint="save the network as one file",
        )
    if not model.graph.node:
        raise BackboneError(
            "weights-unreadable", f"{path} holds no network", hint="check that it is an ONNX file"
        )
    return model


def _external_files(path: str) -> list[str]:
    """Return the files that hold tensors of the network, other than its own."""
    bare = onnx.load(path, load_external_data=False)
    entries = (entry for tensor in bare.graph.initializer for entry in tensor.external_data)
    return [str(entry.value) for entry in entries if entry.key == "location"]


def _only_input(path: str, model: onnx.ModelProto, config: OnnxConfig) -> onnx.ValueInfoProto:
    """Return the picture input; old files list their weights among the inputs too."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise _bad(path, f"the network has {len(inputs)} inputs; it must have one")
    kind = inputs[0].type.tensor_type
    if kind.elem_type != INPUT_TYPES[config.dtype]:
        actual = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise _bad(path, f"the input is of type {actual}, not {config.dtype}")
    if len(kind.shape.dim) != 4:
        raise _bad(path, f"the input has {len(kind.shape.dim)} axes; pictures need four")
    picture: onnx.ValueInfoProto = inputs[0]
    return picture


def _take_tensor(path: str, model: onnx.ModelProto, tensor: str) -> None:
    """Make `tensor` the only output; what does not lead to it is then not computed."""
    names = [name for node in model.graph.node for name in node.output if name]
    if tensor not in names:
        near = difflib.get_close_matches(tensor, names, n=3, cutoff=0.3) or names[-3:]
        raise _bad(path, f"there is no tensor {tensor!r}; near it: {', '.join(near)}")
    del model.graph.output[:]
    del model.graph.value_info[:]  # shapes for the batch that the file fixed
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))


def _runner(path: str, model: onnx.ModelProto, config: OnnxConfig, providers: list[str]) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _n_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # faults come as exceptions, not as lines on stderr
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=providers
        )
    except Exception as error:
        raise _unfit(path, error) from error
    name = next(iter(session.get_inputs())).name
    mean = np.asarray(config.mean, np.float32)
    std = np.asarray(config.std, np.float32)

    def run(pictures: NDArray[np.uint8]) -> Vectors:
        x = pictures[..., ::-1] if config.channel_order == "bgr" else pictures  # (n, h, w, 3)
        if config.dtype != "uint8":
            x = ((x / np.float32(config.scale) - mean) / std).astype(config.dtype)
        if config.layout == "nchw":
            x = x.transpose(0, 3, 1, 2)  # (n, 3, h, w)
        try:
            (y,) = session.run([config.tensor], {name: np.ascontiguousarray(x)})
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise _unfit(path, error) from error
        return _pooled(path, np.asarray(y, np.float32), len(pictures), config)

    return run


def _pooled(path: str, y: NDArray[np.float32], n: int, config: OnnxConfig) -> Vectors:
    """Reduce the taken tensor to (n, dim)."""
    positions = (2, 3) if config.layout == "nchw" else (1, 2)
    if y.shape[0] != n:
        raise _bad(path, f"{config.tensor} has {y.shape[0]} rows for {n} pictures")
    if config.pool == "flatten" or y.size == n * max(y.shape[1:], default=1):
        return y.reshape(n, -1)
    if config.pool == "mean" and y.ndim in (3, 4):  # (n, tokens, dim) or feature maps
        means: Vectors = y.mean(axis=positions if y.ndim == 4 else 1)
        return means
    if config.pool == "token" and y.ndim == 3:
        return y[:, 0]
    raise _bad(path, f"{config.tensor} of shape {y.shape} does not go with pool {config.pool!r}")


def _rows_are_alone(run: Run, config: OnnxConfig) -> bool:
    """Check on two pictures of noise that a row does not depend on its batch-mates.

    Opening the batch of a graph that reshapes with fixed numbers may mix the pictures.
    """
    shape = (2, config.crop_px, config.crop_px, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    together = run(pictures)
    alone = np.concatenate([run(pictures[:1]), run(pictures[1:])])
    scale = float(np.abs(alone).max()) or 1.0
    tolerance = 1e-2 if config.dtype == "float16" else 1e-4
    return together.shape == alone.shape and bool(
        np.allclose(together, alone, rtol=0, atol=tolerance * scale)
    )


def _n_threads() -> int:
    """Return how many threads to use: `OMP_NUM_THREADS`, as torch does, or the cores we may use."""
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdigit() and int(wish):
        return int(wish)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def _bad(path: str, detail: str) -> BackboneError:
    return BackboneError(
        "bad-onnx-config",
        f"{path}: {detail}",
        hint=f"correct {Path(path).with_suffix('.toml').name} beside it",
    )


def _unfit(path: str, error: Exception) -> BackboneError:
    text = " ".join(str(error).split())
    return BackboneError(
        "onnx-failed",
        f"onnxruntime cannot run {path}: {text[:200]}",
        hint="check crop_px, layout and dtype in the TOML beside it",
    )
