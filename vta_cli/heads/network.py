"""The residual network of CityClassifiers in any width: its settings, its arrays, its layers.

F columns -> H, a block of three H -> H added to its input, then H -> a -> b -> c -> O outputs
(github.com/city96/CityClassifiers; there H = 1024 for 768 columns, and a, b, c = 128, 64, 32). With
H = 0 nothing is left of it but dropout and one affine layer: the head of NIMA. Numpy alone; torch
is in `network_fit`.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.records import Layer

Arrays = dict[str, NDArray[np.float32]]

NAMES = ("up.0", "up.1.long.0", "up.1.long.2", "up.1.long.4", "down.0", "down.1", "down.4",
         "down.5")  # fmt: skip
"""The affine layers, as CityClassifiers calls them."""
LAST = NAMES[-1:]
"""All that is left without hidden layers."""

ROWS = ("standard", "unit", "raw")
SCHEDULES = ("cosine", "flat")
NUMBER_LOSSES = ("l1", "l2")
MOST_SAMPLES, MOST_EPOCHS, FEWEST_EPOCHS = 200_000, 100, 10
"""By default 100 epochs, fewer where they would be more than so many rows, never below 10."""


@dataclass(frozen=True)
class Settings:
    """How the network is built and trained. Without any, it takes seconds on a CPU.

    Attributes
    ----------
    hidden : int
        Width of the residual block; 0: one affine layer alone.
    down : tuple of int
        Widths of the three layers behind it; none with ``hidden = 0``.
    dropout : float
        Share of values set to 0 while training: behind the second layer of `down`, or of the rows
        if there are no hidden layers.
    rows : {"standard", "unit", "raw"}
        ``unit``: each block of a row of unit length; ``standard``: these centred and scaled alike;
        ``raw``: as the backbone gave them.
    loss : {"", "l1", "l2"}
        Of scores and tiers; empty: l1. Others have one each: cross-entropy, or the earth mover's
        distance of votes.
    lr : float
        Learning rate of AdamW at its highest.
    weight_decay : float
    epochs, steps : int
        How long at most: passes over the rows, or rows seen (what CityClassifiers calls steps). One
        of them at most; see `MOST_SAMPLES`.
    batch : int
        Rows of one update.
    schedule : {"cosine", "flat"}
        The learning rate falls to 0 along a cosine, or stays.
    warmup : int
        Rows seen while the learning rate rises from a tenth.
    patience : int
        Epochs without a better loss on the held-out fold after which the training ends; 0: never.
    """

    hidden: int = 128
    down: tuple[int, ...] = (32, 16, 8)
    dropout: float = 0.1
    rows: str = "standard"
    loss: str = ""
    lr: float = 1e-3
    weight_decay: float = 0.01
    epochs: int = 0
    steps: int = 0
    batch: int = 32
    schedule: str = "cosine"
    warmup: int = 0
    patience: int = 15

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the affine layers."""
        return NAMES if self.hidden else LAST

    def samples(self, n: int) -> int:
        """Return how many rows are seen at most, of `n` again and again."""
        if self.steps:
            return self.steps
        usual = min(max(MOST_SAMPLES // max(n, 1), FEWEST_EPOCHS), MOST_EPOCHS)
        return n * (self.epochs or usual)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that `settings_of` reads."""
        return asdict(self) | {"down": list(self.down)}


def settings_of(given: Mapping[str, Any], start: Settings | None = None) -> Settings:
    """Check settings and put them on top of the defaults.

    Parameters
    ----------
    given : mapping of str to value
        As in a TOML file.
    start : Settings, optional
        Those of a head that goes on learning, whose form cannot change.

    Raises
    ------
    UsageError
        ``unknown-setting``, ``bad-setting``.
    """
    known = {field.name: field.default for field in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise UsageError("unknown-setting", f"the head mlp has no setting {key!r}", hint=hint)
        values[key] = _typed(key, value, known[key])
    if values.get("hidden", 1) == 0 and "down" not in values:
        values["down"] = ()
    made = replace(start or Settings(), **values)
    if start is not None:
        for key in ("hidden", "down", "rows"):
            if getattr(made, key) != getattr(start, key):
                raise UsageError(
                    "bad-setting",
                    f"{key} cannot change while a head goes on learning",
                    hint=f"leave {key} out, or train anew without --resume",
                )
    _check(made)
    return made


def _typed(key: str, value: Any, default: Any) -> Any:
    good = isinstance(value, type(default)) and not isinstance(value, bool)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple):
        listed = isinstance(value, list | tuple)
        good = listed and all(isinstance(x, int) and not isinstance(x, bool) for x in value)
        value = tuple(value) if good else value
    if not good:
        raise UsageError(
            "bad-setting", f"{key} of the head mlp cannot be {value!r}", hint=f"like {default!r}"
        )
    return value


def _check(made: Settings) -> None:
    wide = 0 <= made.hidden <= 16_384 and all(0 < width <= 16_384 for width in made.down)
    rules = {
        "hidden": (wide, "a width up to 16384, or 0 for one affine layer"),
        "down": (len(made.down) == (3 if made.hidden else 0), "three widths; none if hidden = 0"),
        "dropout": (0 <= made.dropout < 1, "0 to less than 1"),
        "rows": (made.rows in ROWS, ", ".join(ROWS)),
        "loss": (made.loss in ("", *NUMBER_LOSSES), ", ".join(NUMBER_LOSSES)),
        "lr": (0 < made.lr < math.inf, "above 0"),
        "weight_decay": (0 <= made.weight_decay < math.inf, "0 or more"),
        "epochs": (made.epochs >= 0, "a whole number; 0: as many as make sense"),
        "steps": (made.steps >= 0 and not (made.steps and made.epochs), "rows seen, or epochs"),
        "batch": (made.batch >= 1, "1 or more"),
        "schedule": (made.schedule in SCHEDULES, ", ".join(SCHEDULES)),
        "warmup": (made.warmup >= 0, "0 or more"),
        "patience": (made.patience >= 0, "0 or more"),
    }
    for key, (good, hint) in rules.items():
        if not good:
            raise UsageError(
                "bad-setting", f"{key} of the head mlp cannot be {getattr(made, key)!r}", hint=hint
            )


def widths_of(settings: Settings, dim: int, n_out: int) -> tuple[int, ...]:
    """Return the columns before, between and behind the affine layers."""
    return (dim, *(settings.hidden,) * 4 * bool(settings.hidden), *settings.down, n_out)


def n_parameters(settings: Settings, dim: int, n_out: int) -> int:
    """Count the numbers that are learnt."""
    widths = widths_of(settings, dim, n_out)
    return sum((a + 1) * b for a, b in pairwise(widths))


def first_arrays(settings: Settings, dim: int, n_out: int, seed: int) -> Arrays:
    """Draw weights and biases, uniform within 1 / sqrt(columns), which is torch's own choice."""
    random = np.random.default_rng(seed)
    widths = widths_of(settings, dim, n_out)
    found: Arrays = {}
    for name, a, b in zip(settings.names, widths, widths[1:], strict=False):
        limit = a**-0.5
        found[f"{name}.weight"] = random.uniform(-limit, limit, (b, a)).astype(np.float32)
        found[f"{name}.bias"] = random.uniform(-limit, limit, b).astype(np.float32)
    return found


def check_arrays(arrays: Mapping[str, NDArray[Any]], settings: Settings, dim: int) -> int:
    """Return the number of outputs; `ValueError` if the arrays are not such a network's."""
    last = arrays.get(f"{LAST[0]}.bias")
    if last is None or set(arrays) != {
        f"{name}.{what}" for name in settings.names for what in ("weight", "bias")
    }:
        raise ValueError("the arrays are not those of the network")
    widths = widths_of(settings, dim, len(last))
    for name, a, b in zip(settings.names, widths, widths[1:], strict=False):
        weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        if weight.shape != (b, a) or bias.shape != (b,) or weight.dtype != np.float32:
            raise ValueError(f"the layer {name} has another form")
        if bias.dtype != np.float32 or not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"the layer {name} holds no usable numbers")
    return len(last)


def layers_of(
    arrays: Mapping[str, NDArray[np.float32]], mean: NDArray[np.float64], scale: float
) -> tuple[Layer, ...]:
    """Return the layers that give for plain rows what the network gives for scaled ones.

    Parameters
    ----------
    mean : ndarray of shape (dim,), float64
    scale : float
        The network was fitted to ``(row - mean) * scale``; both go into its first layer.
    """
    names = NAMES if f"{NAMES[0]}.weight" in arrays else LAST
    steps = [Layer("affine", arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in names]
    weight = arrays[f"{names[0]}.weight"].astype(np.float64) * scale
    bias = arrays[f"{names[0]}.bias"] - weight @ mean
    steps[0] = Layer("affine", weight.astype(np.float32), bias.astype(np.float32))
    if len(steps) == 1:
        return tuple(steps)
    up, long_0, long_2, long_4, down_0, down_1, down_4, down_5 = steps
    tenth, hundredth = Layer("leaky_relu", slope=0.1), Layer("leaky_relu", slope=0.01)
    return (
        *(up, Layer("mark"), long_0, tenth, long_2, tenth, long_4, Layer("add"), Layer("relu")),
        *(down_0, down_1, hundredth, down_4, down_5),
    )


def arrays_of(layers: tuple[Layer, ...]) -> Arrays:
    """Return the arrays of layers that such a network consists of; `ValueError` of others."""
    steps = [layer for layer in layers if layer.weight is not None and layer.bias is not None]
    names = {len(NAMES): NAMES, 1: LAST}.get(len(steps), ())
    found: Arrays = {}
    for name, layer in zip(names, steps, strict=False):
        found[f"{name}.weight"] = np.asarray(layer.weight, dtype=np.float32)
        found[f"{name}.bias"] = np.asarray(layer.bias, dtype=np.float32)
    if not found or [one.op for one in layers] != [
        one.op for one in layers_of(found, np.zeros(found[f"{names[0]}.weight"].shape[1]), 1.0)
    ]:
        raise ValueError("its layers are not those of the residual network")
    return found
