"""What a reader of published heads finds: layers, meaning, and which backbones they may be for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from vta_cli.records import Layer, Preprocess, Promise


@dataclass(frozen=True)
class Choice:
    """A backbone that a head was published for, or may have been.

    Attributes
    ----------
    backbone : str
        Name or alias that vta knows.
    why : str
        What speaks for it, in a few words.
    preprocess : Preprocess or None
        For a backbone whose preprocessing vta learns only when it loads the network.
    """

    backbone: str
    why: str
    preprocess: Preprocess | None = None


@dataclass(frozen=True)
class Published:
    """A head of another tool, read and understood.

    Attributes
    ----------
    kind : str
        Its name in `published.KINDS`.
    title : str
        Who published what, for people.
    layers : tuple of Layer
        As published.
    output : {"plain", "tanh", "softmax"}
        What is made of the last layer.
    promise : Promise
        What the score means.
    dim : int
        Columns that it reads.
    normalise : bool
        Whether it wants vectors of unit length; otherwise as the backbone gives them.
    choices : tuple of Choice
        One where the file leaves no doubt; several where it does, the likeliest first.
    licence, source : str
    notes : tuple of str
        What a user has to know before trusting the scores.
    network : mapping of str to ndarray, or None
        Tensors of the network below the head, where the file holds that too; `choices` is empty
        then.
    view : {"whole", "five-crop"}
        What its authors show it of a picture.
    """

    kind: str
    title: str
    layers: tuple[Layer, ...]
    output: Literal["plain", "tanh", "softmax"]
    promise: Promise
    dim: int
    normalise: bool
    choices: tuple[Choice, ...]
    licence: str
    source: str
    notes: tuple[str, ...] = ()
    network: Mapping[str, NDArray[Any]] | None = None
    view: Literal["whole", "five-crop"] = "whole"

    @property
    def n_parameters(self) -> int:
        """Numbers in the published file."""
        below = sum(array.size for array in (self.network or {}).values())
        return below + sum(
            layer.weight.size + layer.bias.size
            for layer in self.layers
            if layer.weight is not None and layer.bias is not None
        )
