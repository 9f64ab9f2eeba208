"""A head of feed-forward layers whose score may be a rating, classes or a distribution.

Published networks on embeddings become such heads. Saved and applied with numpy and safetensors
alone, through the same calls as `taste.Taste`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError
from vta_cli.heads.blocks import Block, Floats, check_blocks, pieces
from vta_cli.heads.calibration import sigmoid
from vta_cli.heads.layers import Network, check_layers, from_saved, to_saved
from vta_cli.heads.linear import Weights, linear_raws
from vta_cli.heads.persist import about, unreadable, write
from vta_cli.heads.threads import one_thread
from vta_cli.records import Layer, Promise

TYPE = "layers"
"""What the ``type`` of such a head's document says."""

Output = Literal["plain", "tanh", "softmax", "cumulative", "sigmoid"]
"""What is made of the last layer: nothing; ``(tanh(z) + 1) / 2`` of the way from one end of the
scale to the other; shares that sum to 1; the same from the log-odds of lying at or below each step
but the last; probabilities of their own."""
OUTPUTS: dict[str, tuple[str, ...]] = {
    "classes": ("softmax",),
    "tags": ("sigmoid",),
    "duel": ("sigmoid",),
    "distribution": ("softmax", "cumulative"),
    "rating": ("plain", "tanh"),
    "probability": ("plain", "tanh"),
}
"""Outputs that can keep each promise."""

FEW_OUTPUTS = 8
"""Outputs of one affine layer up to which a dot product each is faster than a matrix product of
rows that have to be scaled first."""
MAX_NAME = 200


class LayeredHead:
    """Layers on one or more blocks of vectors, and the meaning of what they give.

    Attributes
    ----------
    recipes : tuple of dict
        JSON of the spaces that the head reads, in block order.
    meta : dict
        What the head says of itself, JSON values.
    dims : tuple of int
        Width of each block.
    normalise : bool
        Whether the rows of each block are scaled to unit length first.
    promise : Promise
        What the score means.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        output: Output,
        promise: Promise,
        dims: Sequence[int],
        *,
        normalise: bool,
        recipes: Sequence[dict[str, Any]] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.dims = tuple(int(dim) for dim in dims)
        try:
            _check_output(check_layers(layers, sum(self.dims)), output, promise)
        except ValueError as error:
            raise HeadError(
                "bad-layers",
                f"these layers make no head: {error}",
                hint="the file may be cut short, or of a kind that vta does not know",
            ) from error
        self._layers = tuple(layers)
        self._output = output
        # floats throughout, so that a loaded head has the bytes of the saved one
        self.promise = replace(
            promise,
            low=float(promise.low),
            high=float(promise.high),
            values=tuple(float(value) for value in promise.values),
        )
        self.normalise = normalise
        self.recipes = tuple(recipes)
        self.meta: dict[str, Any] = dict(meta or {})

    def with_meta(self, *, recipes: Sequence[dict[str, Any]] | None = None, **meta: Any) -> Self:
        """Return the same head with other recipes or more metadata."""
        return type(self)(
            self._layers,
            self._output,
            self.promise,
            self.dims,
            normalise=self.normalise,
            recipes=self.recipes if recipes is None else recipes,
            meta=self.meta | meta,
        )

    def with_chosen(self, chosen: Sequence[int]) -> Self:
        """Return the same head with a score that speaks of other classes or tags.

        Raises
        ------
        HeadError
            ``bad-layers`` if the head has no such classes.
        """
        return type(self)(
            self._layers,
            self._output,
            replace(self.promise, chosen=tuple(chosen)),
            self.dims,
            normalise=self.normalise,
            recipes=self.recipes,
            meta=self.meta,
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers."""
        return self._layers

    @property
    def output(self) -> Output:
        """What is made of the last layer."""
        return self._output

    @property
    def n_parameters(self) -> int:
        """Numbers that the layers hold."""
        return sum(
            layer.weight.size + layer.bias.size
            for layer in self._layers
            if layer.weight is not None and layer.bias is not None
        )

    def score(self, blocks: Sequence[Block]) -> Floats:
        """Return the score of each row; see `answer`."""
        return self.answer(blocks)[0]

    def answer(self, blocks: Sequence[Block]) -> tuple[Floats, dict[str, Floats]]:
        """Return the score of each row, and what always stands beside it.

        Parameters
        ----------
        blocks : sequence of ndarray of shape (n, dim_i)
            Raw vectors, one block a space in the order of `recipes`; any number of rows.

        Returns
        -------
        score : ndarray of shape (n,), float64
            What `promise` says; NaN for rows that hold values which are not finite.
        beside : dict of str to ndarray of shape (n,), float64
            The probability of each class or tag by its name; ``sd`` of a distribution.

        Raises
        ------
        HeadError
            ``wrong-vectors`` if the blocks do not have the head's widths.
        """
        out = self._outputs(blocks)
        promise = self.promise
        if promise.kind in ("classes", "tags"):
            score = np.max(out[:, list(promise.chosen)], axis=1, initial=-np.inf)
            return score, {name: out[:, at] for at, name in enumerate(promise.names)}
        if promise.kind == "distribution":
            values = np.array(promise.values)
            mean = np.sum(out * values, axis=1)
            variance = np.sum(out * np.square(values - mean[:, None]), axis=1)
            return mean, {"sd": np.sqrt(variance)}
        return out[:, 0], {}

    def members(self, blocks: Sequence[Block]) -> dict[str, Floats]:
        """Return the share of each bin of a distribution, ``bin.1`` and so on; else nothing."""
        if self.promise.kind != "distribution":
            return {}
        out = self._outputs(blocks)
        return {f"bin.{at}": out[:, at - 1] for at in range(1, out.shape[1] + 1)}

    def _outputs(self, blocks: Sequence[Block]) -> Floats:
        """Return what the network gives, shape (n, n_out)."""
        n = check_blocks(blocks, self.dims)
        z = np.empty((n, check_layers(self._layers, sum(self.dims))))
        with np.errstate(invalid="ignore", over="ignore"), one_thread():
            if self._linear:
                raws = linear_raws(blocks, self._linear, normalise=self.normalise)
                np.stack(raws, axis=1, out=z)
            else:
                for where, rows in pieces(blocks, normalise=self.normalise):
                    n_real = where.stop - where.start
                    z[where] = self._network.run(rows.padded_unit)[:n_real]
                    z[where][rows.odd[:n_real]] = np.nan
            out = finish(z, self._output, self.promise)
            out[np.isnan(z).any(axis=1)] = np.nan
        return out

    @cached_property
    def _network(self) -> Network:
        return Network(self._layers)

    @cached_property
    def _linear(self) -> list[Weights]:
        """Weights and intercept of each output, if there is one affine layer with few outputs."""
        first = self._layers[0]
        if len(self._layers) > 1 or first.weight is None or first.bias is None:
            return []
        rows = first.weight.astype(np.float32)
        found = list(zip(rows, first.bias.astype(float).tolist(), strict=True))
        return found if len(found) <= FEW_OUTPUTS else []

    def save(self, path: Path) -> None:
        """Write the head to one file, atomically; the same head gives the same bytes.

        Raises
        ------
        HeadError
            If the file cannot be written or `meta` is not JSON.
        """
        listed, arrays = to_saved(self._layers)
        document = {
            "type": TYPE,
            "dims": list(self.dims),
            "normalise": self.normalise,
            "layers": listed,
            "output": self._output,
            "promise": asdict(self.promise),
            "recipes": list(self.recipes),
            "meta": self.meta,
        }
        write(path, document, arrays)

    @classmethod
    def restore(cls, path: Path, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Rebuild a head from what `persist.read` gave; `path` is named in errors."""
        try:
            return cls._restore(document, arrays)
        except (ValueError, TypeError, KeyError, HeadError) as error:
            raise unreadable(path, str(error)) from error

    @classmethod
    def _restore(cls, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        told = about(document)
        layers = from_saved(document["layers"], arrays, sum(told["dims"]))
        return cls(layers, document["output"], _promise(document["promise"]), **told)


def finish(z: Floats, output: Output, promise: Promise) -> Floats:
    """Make of the last layer what the head promises, shape (n, n_out)."""
    if output == "tanh":
        share = sigmoid(2.0 * z)  # (tanh(z) + 1) / 2, without its cancellation near 0
        return np.asarray(promise.low + (promise.high - promise.low) * share)
    if output == "sigmoid":
        return sigmoid(z)
    if output == "cumulative":
        return from_cumulative(z)
    if output == "softmax":
        shares = np.exp(z - z.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return np.asarray(shares)
    return z


def from_cumulative(z: Floats) -> Floats:
    """Return the share of each step from the log-odds of lying at or below it, shape (n, k + 1).

    Parameters
    ----------
    z : ndarray of shape (n, k), float64
        Of all steps but the last, increasing; where they are not, the step between has no share.
    """
    below = np.maximum.accumulate(sigmoid(z), axis=1)
    ends = np.zeros((len(z), 1))
    return np.diff(below, axis=1, prepend=ends, append=ends + 1.0)


def _check_output(width: int, output: str, promise: Promise) -> None:
    """Raise `ValueError` if the last layer cannot give what is promised."""
    if output not in get_args(Output):
        raise ValueError(f"the output {output!r} is unknown")
    match promise.kind:
        case "classes" | "tags":
            wanted = len(promise.names)
            chosen = promise.chosen
            if wanted < 2 - (promise.kind == "tags") or len(set(promise.names)) < wanted:
                raise ValueError("classes need names, each of its own")
            if not chosen or not all(0 <= at < wanted for at in chosen):
                raise ValueError("the chosen classes are not among the classes")
        case "distribution":
            wanted = len(promise.values) - (output == "cumulative")
        case "rating" | "probability" | "duel":
            wanted = 1
        case _:
            raise ValueError(f"a head cannot promise {promise.kind!r}")
    if width != wanted:
        raise ValueError(f"the last layer gives {width} columns, the promise needs {wanted}")
    if output not in OUTPUTS[promise.kind]:
        raise ValueError(f"the output {output!r} gives no {promise.kind}")
    if not promise.low < promise.high:
        raise ValueError("the scale is empty")


def _promise(data: Any) -> Promise:
    """Read a promise; `ValueError` or `TypeError` if it is none."""
    if not isinstance(data, dict):
        raise TypeError("the promise is no object")
    numbers = [data["low"], data["high"], *data["values"], *data["chosen"]]
    names = list(data["names"])
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers):
        raise ValueError("the promise holds something that is no number")
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in names):
        raise ValueError("the promise holds a class without a name")
    if not isinstance(data["bounded"], bool):
        raise TypeError("the promise does not say whether its scale has ends")
    return Promise(
        kind=data["kind"],
        low=float(data["low"]),
        high=float(data["high"]),
        bounded=data["bounded"],
        names=tuple(names),
        chosen=tuple(int(at) for at in data["chosen"]),
        values=tuple(float(value) for value in data["values"]),
    )
