"""Feed-forward layers applied with numpy: how published networks on embeddings are run.

`forward` is the plain way, `Network` the fast one: rows come in pieces of one fixed shape between
margins (`products`), so that a row gets the same bits whatever its neighbours are.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, inside
from vta_cli.heads.dots import Singles
from vta_cli.heads.parts import take
from vta_cli.heads.products import Templates
from vta_cli.records import Layer

MAX_LAYERS = 64
MAX_WIDTH = 1_000_000
OPS = ("affine", "relu", "leaky_relu", "mark", "add")


def forward(layers: Sequence[Layer], rows: Floats) -> Floats:
    """Run the layers.

    Parameters
    ----------
    layers : sequence of Layer
        Checked by `check_layers`.
    rows : ndarray of shape (n, n_in), float64

    Returns
    -------
    ndarray of shape (n, n_out), float64
        Computed in float64 whatever the type of the weights.
    """
    x: NDArray[Any] = rows
    marked: NDArray[Any] = rows
    for layer in layers:
        if layer.weight is not None and layer.bias is not None:
            x = x @ layer.weight.T.astype(np.float64, copy=False)  # (n, n_out)
            x += layer.bias
        elif layer.op == "relu":
            x = np.maximum(x, 0)
        elif layer.op == "leaky_relu":
            x = np.where(x >= 0, x, x * x.dtype.type(layer.slope))
        elif layer.op == "mark":
            marked = x
        else:
            x = x + marked
    return np.asarray(x, dtype=np.float64)


class Network:
    """Layers that rows are run through in float32, as the networks were trained.

    Parameters
    ----------
    layers : sequence of Layer
        Checked by `check_layers`.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._products: list[tuple[Templates, Singles, Literal["C", "F"]]] = []
        for layer in layers:
            if layer.weight is not None and layer.bias is not None:
                # of the rows that came, the numbers of each lie together; behind a product, apart
                across = bool(self._products)
                templates = Templates(layer.weight, across=across)
                bias = layer.bias.astype(np.float32)[:, None]
                self._products.append((templates, bias, "F" if across else "C"))

    def run(self, padded: Singles) -> Floats:
        """Return what the layers give, shape (PIECE_ROWS, n_out), float64.

        Parameters
        ----------
        padded : ndarray of shape (PIECE_ROWS + 2 MARGIN_ROWS, n_in), float32
            The piece between its margins; left as it is.
        """
        x = marked = padded.T  # (width, n)
        own = False  # whether x may be overwritten
        products = iter(self._products)
        for layer in self._layers:
            if layer.op == "affine":
                templates, bias, order = next(products)
                x, own = templates.times(np.asarray(x.T, order=order)), True
                x += bias
            elif layer.op == "relu":
                x, own = np.maximum(x, np.float32(0), out=x if own else None), True
            elif layer.op == "leaky_relu":  # a slope below 1 makes what is below 0 larger
                x, own = np.maximum(x, x * np.float32(layer.slope)), True
            elif layer.op == "mark":
                marked, own = x, False
            else:
                x, own = x + marked, True
        return inside(x.T).astype(np.float64)


def check_layers(layers: Sequence[Layer], width: int) -> int:
    """Return the width of the output.

    Parameters
    ----------
    layers : sequence of Layer
    width : int
        Columns of the input.

    Raises
    ------
    ValueError
        If a layer does not fit the one before it, or is not what its name says.
    """
    if not 0 < len(layers) <= MAX_LAYERS:
        raise ValueError(f"{len(layers)} layers")
    marked = None
    for at, layer in enumerate(layers):
        if layer.op not in OPS:
            raise ValueError(f"layer {at} is a {layer.op!r}, which is unknown")
        if (layer.op == "affine") != (layer.weight is not None and layer.bias is not None):
            raise ValueError(f"layer {at}, {layer.op}, has the wrong arrays")
        if layer.weight is not None and layer.bias is not None:
            n_out = len(layer.bias)
            if layer.weight.shape != (n_out, width) or not 0 < n_out <= MAX_WIDTH:
                raise ValueError(
                    f"layer {at} maps {layer.weight.shape[-1]} columns to {n_out}, "
                    f"but there are {width}"
                )
            if layer.weight.dtype not in (np.float32, np.float64):
                raise ValueError(f"layer {at} holds {layer.weight.dtype}")
            if layer.weight.dtype != layer.bias.dtype:
                raise ValueError(f"layer {at} mixes {layer.weight.dtype} and {layer.bias.dtype}")
            width = n_out
        elif layer.op == "leaky_relu" and not 0 <= layer.slope < 1:
            raise ValueError(f"layer {at} has the slope {layer.slope}")
        elif layer.op == "mark":
            marked = width
        elif layer.op == "add" and marked != width:
            raise ValueError(f"layer {at} adds rows of another width")
    return width


def collapse(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Multiply layers out if all are affine: together they are one affine map.

    Computed in float64, so the result is closer to the exact product than the layers run in
    float32 would be. Networks with anything between the layers come back as they are.
    """
    weight: Floats | None = None
    bias: Floats = np.zeros(0)
    for layer in layers:
        if layer.weight is None or layer.bias is None:
            return tuple(layers)
        if weight is None:
            weight, bias = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
        else:
            step = layer.weight.astype(np.float64)
            weight, bias = step @ weight, step @ bias + layer.bias
    return (Layer("affine", weight, bias),)


def to_saved(layers: Sequence[Layer]) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return the layers as JSON values and named arrays."""
    listed: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for at, layer in enumerate(layers):
        listed.append({"op": layer.op})
        if layer.op == "leaky_relu":
            listed[-1]["slope"] = layer.slope
        if layer.weight is not None and layer.bias is not None:
            arrays[f"layer.{at}.weight"] = layer.weight
            arrays[f"layer.{at}.bias"] = layer.bias
    return listed, arrays


def from_saved(listed: Any, arrays: Mapping[str, NDArray[Any]], width: int) -> tuple[Layer, ...]:
    """Rebuild what `to_saved` gave.

    Raises
    ------
    ValueError, TypeError
        If it cannot be right.
    """
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_LAYERS:
        raise ValueError("the list of layers is empty or too long")
    layers = []
    for at, item in enumerate(listed):
        if not isinstance(item, dict) or item.get("op") not in OPS:
            raise ValueError(f"layer {at} is unknown")
        slope = item.get("slope", 0.0)
        if not isinstance(slope, int | float) or isinstance(slope, bool):
            raise TypeError(f"layer {at} has no number as its slope")
        if item["op"] != "affine":
            layers.append(Layer(item["op"], slope=float(slope)))
            continue
        name = f"layer.{at}.weight"
        kind = arrays[name].dtype.type if name in arrays else np.float32
        layers.append(
            Layer(
                "affine",
                take(arrays, name, (None, None), kind),
                take(arrays, f"layer.{at}.bias", (None,), kind),
            )
        )
    check_layers(layers, width)
    return tuple(layers)
