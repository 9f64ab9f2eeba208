"""Residual networks of CityClassifiers (github.com/city96/CityClassifiers): scores and classes.

Layers, with F columns in and H hidden: F -> H, a block of three H -> H added to its input, then
H -> 128 -> 64 -> 32 -> O. They read CLIP vectors as they come, *not* of unit length.
"""

import json
from pathlib import Path
from typing import Any

from vta_cli.errors import UsageError
from vta_cli.exchange.affine_stack import affine, broken, require_widths
from vta_cli.exchange.records import Choice, Published
from vta_cli.exchange.tensor_files import Tensors
from vta_cli.records import Layer, Promise

NAMES = (
    "up.0",
    "up.1.long.0",
    "up.1.long.2",
    "up.1.long.4",
    "down.0",
    "down.1",
    "down.4",
    "down.5",
)

VIT_L_14_336 = "open_clip:ViT-L-14-336-quickgelu/openai"
VIT_L_14 = "open_clip:ViT-L-14-quickgelu/openai"
METACLIP = "open_clip:ViT-H-14-quickgelu/metaclip_fullcc"

WIDTHS = {768: 1024, 1024: 1280}
"""Hidden width by the width of the vectors: CLIP ViT-L/14 and MetaCLIP ViT-H/14."""

MAX_SIDE_FILE_BYTES = 1 << 20


def is_city(tensors: Tensors) -> bool:
    """Tell the residual network by its keys."""
    return {key.rpartition(".")[0] for key in tensors} == set(NAMES)


def read_city(tensors: Tensors, settings: dict[str, Any]) -> Published:
    """Read a score head (one output) or a class head (several).

    Parameters
    ----------
    tensors : mapping of str to ndarray
    settings : dict
        The ``config.json`` beside the file, or empty: ``name``, ``rev``, ``arch``, ``labels``.

    Raises
    ------
    UsageError, HeadError
        If the tensors or the settings do not fit together.
    """
    steps = [affine(tensors, name) for name in NAMES]
    dim = steps[0].weight.shape[1] if steps[0].weight is not None else 0
    hidden = WIDTHS.get(dim)
    if hidden is None:
        raise broken(f"it reads {dim} columns, not {' or '.join(map(str, WIDTHS))}")
    n_out = len(steps[-1].bias) if steps[-1].bias is not None else 0
    require_widths(steps, (dim, *(hidden,) * 4, 128, 64, 32, n_out))
    up, long_0, long_2, long_4, down_0, down_1, down_4, down_5 = steps
    tenth, hundredth = Layer("leaky_relu", slope=0.1), Layer("leaky_relu", slope=0.01)
    layers = (
        *(up, Layer("mark"), long_0, tenth, long_2, tenth, long_4, Layer("add"), Layer("relu")),
        *(down_0, down_1, hundredth, down_4, down_5),
    )
    classes = n_out > 1
    arch = settings.get("arch", "class" if classes else "score")
    if arch != ("class" if classes else "score"):
        raise UsageError(
            "bad-side-file",
            f"the config beside the head says {arch!r}, but the head has {n_out} outputs",
            hint="take the config.json that was published with this very head",
        )
    names = _names(settings.get("labels"), n_out) if classes else ()
    title = " ".join(str(settings[key]) for key in ("name", "rev") if settings.get(key))
    return Published(
        kind="city",
        title=f"CityClassifiers {'class' if classes else 'score'} head"
        + (f" {title}" * bool(title)),
        layers=layers,
        output="softmax" if classes else "tanh",
        promise=Promise("classes", names=names, chosen=(0,)) if classes else Promise("rating"),
        dim=dim,
        normalise=False,
        choices=_choices(dim, classes=classes),
        licence="Apache-2.0",
        source="github.com/city96/CityClassifiers",
        view="five-crop" if classes else "whole",
        notes=(_TILES,) if classes else ("0 to 1 is the range of the scores it was trained on",),
    )


_TILES = (
    "its authors look at large pictures in five tiles (672 px for the 336-pixel network, as vta's "
    "five-crop; 512 px for the 224-pixel one, where vta cuts 448) and average the answers; whole "
    "pictures give weaker answers on fine faults"
)


def _choices(dim: int, *, classes: bool) -> tuple[Choice, ...]:
    if dim == 1024:
        return (Choice(METACLIP, "1024 columns"),)
    today, then = (", 672-pixel tiles", ", 512-pixel tiles") if classes else ("", "")
    return (
        Choice(VIT_L_14_336, f"336 px{today}: what the authors' code applies today"),
        Choice(VIT_L_14, f"224 px{then}: what their model card says, and their code until 2023-12"),
    )


def _names(labels: Any, n_out: int) -> tuple[str, ...]:
    """Return the classes' names in the order of the outputs; numbers where none are given."""
    if not labels:
        return tuple(str(index) for index in range(n_out))
    found = {}
    if isinstance(labels, dict):
        for key, value in labels.items():
            # labels are names, or tables with a name and a weight of the loss
            name = value.get("name") if isinstance(value, dict) else value
            found[str(key)] = str(name)
    if set(found) != {str(index) for index in range(n_out)}:
        raise UsageError(
            "bad-side-file",
            f"the config beside the head names the classes {sorted(found)}, the head has {n_out}",
            hint="name them with --labels A,B,...",
        )
    return tuple(found[str(index)] for index in range(n_out))


def read_settings(head: Path) -> dict[str, Any]:
    """Read ``NAME.config.json`` beside ``NAME.safetensors``; empty if there is none.

    Raises
    ------
    UsageError
        ``bad-side-file`` if it is there and no JSON object.
    """
    file = head.with_name(f"{head.stem}.config.json")
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > MAX_SIDE_FILE_BYTES:
            raise ValueError("it is too long")
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError("it is no JSON object")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            "bad-side-file",
            f"{file} cannot be read: {error}",
            hint="mend it, or move it away and name the classes with --labels",
        ) from error
    return data
