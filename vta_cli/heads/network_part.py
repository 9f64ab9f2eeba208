"""The network applied as a member of a head for yes and no; numpy alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import Floats, Rows
from vta_cli.heads.layers import Network
from vta_cli.heads.network import LAST, NAMES, arrays_of, layers_of
from vta_cli.heads.parts import take
from vta_cli.heads.protocol import Arrays
from vta_cli.records import Layer


@dataclass(frozen=True)
class NetworkPart:
    """Raw score: the one output of the layers."""

    kind: ClassVar[str] = "network"
    layers: tuple[Layer, ...]

    @cached_property
    def _network(self) -> Network:
        return Network(self.layers)

    def raw(self, rows: Rows) -> Floats:
        """Return one raw score a row, shape (n,)."""
        return self._network.run(rows.padded_unit)[:, 0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be saved."""
        return dict(arrays_of(self.layers))

    @classmethod
    def restore(cls, arrays: Arrays, dim: int) -> Self:
        """Rebuild from saved arrays; raise `ValueError` where they cannot be right."""
        names = NAMES if f"{NAMES[0]}.weight" in arrays else LAST
        found = {}
        width: int | None = dim
        for name in names:
            weight = take(arrays, f"{name}.weight", (None, width), np.float32)
            found[f"{name}.weight"] = weight
            found[f"{name}.bias"] = take(arrays, f"{name}.bias", (len(weight),), np.float32)
            width = len(weight)
        if width != 1 or (names == NAMES and len(found["up.0.bias"]) != len(
            found["up.1.long.4.bias"]
        )):  # fmt: skip
            raise ValueError("the layers do not fit each other")
        return cls(layers_of(found, np.zeros(dim), 1.0))
