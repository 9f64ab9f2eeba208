"""Heads on CLIP vectors that rate pictures: LAION's two predictors and Aesthetic Predictor V2.5.

LAION v1: github.com/LAION-AI/aesthetic-predictor, one linear map. LAION v2:
github.com/christophschuhmann/improved-aesthetic-predictor, five linear layers, with or without ReLU
between. V2.5: github.com/discus0434/aesthetic-predictor-v2-5, five linear layers on SigLIP; its
file format alone is read here, nothing of its code is used. All want vectors of unit length.
"""

import numpy as np

from vta_cli.errors import UsageError
from vta_cli.exchange.affine_stack import affine, chain, require_widths, widths
from vta_cli.exchange.records import Choice, Published
from vta_cli.exchange.tensor_files import Tensors
from vta_cli.records import Layer, Preprocess, Promise

V1_KEYS = frozenset({"weight", "bias"})
V1_BIASES = {3.529372: "sa_0_4_vit_l_14", 3.421471: "sa_0_4_vit_b_32", 3.150602: "sa_0_4_vit_b_16"}
"""Biases of the three published files (read from them), which tell one from another."""

V2_LINEAR = ("layers.0", "layers.2", "layers.4", "layers.6", "layers.7")
V2_RELU = ("layers.0", "layers.3", "layers.6", "layers.9", "layers.11")
V2_WIDTHS = (768, 1024, 128, 64, 16, 1)
AP25 = ("scoring_head.0", "scoring_head.2", "scoring_head.4", "scoring_head.6", "scoring_head.8")
AP25_WIDTHS = (1152, 1024, 128, 64, 16, 1)

VIT_L_14 = "open_clip:ViT-L-14-quickgelu/openai"
VIT_B_32 = "open_clip:ViT-B-32-quickgelu/openai"
VIT_B_16 = "open_clip:ViT-B-16-quickgelu/openai"
SIGLIP = "open_clip:ViT-SO400M-14-SigLIP-384/webli"

# LAION's own scale; linear maps leave it at both ends
TO_TEN = Promise("rating", 0.0, 10.0, bounded=False)
ONE_TO_TEN = Promise("rating", 1.0, 10.0, bounded=False)


def is_v1(tensors: Tensors) -> bool:
    """Tell LAION v1 by its keys."""
    return set(tensors) == V1_KEYS


def read_v1(tensors: Tensors) -> Published:
    """Read LAION v1: ``score = w @ x + b`` with x of unit length."""
    layer = affine(tensors, "")
    width = widths([layer])[0]
    require_widths([layer], (width, 1))
    bias = float(np.asarray(layer.bias)[0])
    known = next((name for value, name in V1_BIASES.items() if abs(value - bias) < 2e-6), "")
    if width == 768:
        choices: tuple[Choice, ...] = (Choice(VIT_L_14, "768 columns"),)
    elif width == 512:
        both = (_v1_choice(VIT_B_32, "b_32", known), _v1_choice(VIT_B_16, "b_16", known))
        choices = both[::-1] if known.endswith("b_16") else both
    else:
        raise UsageError(
            "unknown-head-file",
            f"LAION v1 heads read 768 or 512 columns, this one reads {width}",
            hint="it may be a head of another tool; ask whoever published it",
        )
    return Published(
        kind="laion-v1",
        title="LAION aesthetic predictor v1 (linear)",
        layers=(layer,),
        output="plain",
        promise=TO_TEN,
        dim=width,
        normalise=True,
        choices=choices,
        licence="MIT",
        source="github.com/LAION-AI/aesthetic-predictor",
        notes=("ratings of about 4,000 generated pictures; the scale has no ends",),
    )


def _v1_choice(backbone: str, mark: str, known: str) -> Choice:
    if known.endswith(mark):
        return Choice(backbone, f"the bias is that of the published {known}")
    return Choice(backbone, "512 columns")


def is_v2(tensors: Tensors) -> bool:
    """Tell LAION v2 by its keys, with or without ReLU."""
    names = {key.rpartition(".")[0] for key in tensors}
    return names in (set(V2_LINEAR), set(V2_RELU))


def read_v2(tensors: Tensors) -> Published:
    """Read LAION v2: five linear layers, dropout between them, which is nothing when applied.

    The gaps in the layers' numbers tell whether a ReLU stood between: ``0 2 4 6 7`` leaves room
    for dropout alone, ``0 3 6 9 11`` for ReLU and dropout.
    """
    relu = "layers.11.weight" in tensors
    layers = [affine(tensors, name) for name in (V2_RELU if relu else V2_LINEAR)]
    require_widths(layers, V2_WIDTHS)
    return Published(
        kind="laion-v2",
        title=f"LAION aesthetic predictor v2 ({'ReLU' if relu else 'linear'} MLP)",
        layers=chain(layers, Layer("relu") if relu else None),
        output="plain",
        promise=ONE_TO_TEN,
        dim=768,
        normalise=True,
        choices=(Choice(VIT_L_14, "768 columns; trained on the 224-pixel network"),),
        licence="Apache-2.0",
        source="github.com/christophschuhmann/improved-aesthetic-predictor",
    )


def is_ap25(tensors: Tensors) -> bool:
    """Tell Aesthetic Predictor V2.5 by its keys."""
    return {key.rpartition(".")[0] for key in tensors} == set(AP25)


def read_ap25(tensors: Tensors) -> Published:
    """Read Aesthetic Predictor V2.5: five linear layers in bfloat16 on SigLIP's pooled vector."""
    layers = [affine(tensors, name) for name in AP25]
    require_widths(layers, AP25_WIDTHS)
    return Published(
        kind="ap-v2.5",
        title="Aesthetic Predictor V2.5 (linear MLP on SigLIP)",
        layers=tuple(layers),
        output="plain",
        promise=ONE_TO_TEN,
        dim=1152,
        normalise=True,
        choices=(Choice(SIGLIP, "1152 columns", Preprocess("squash", 384, 384, "bicubic")),),
        licence="AGPL-3.0",
        source="github.com/discus0434/aesthetic-predictor-v2-5",
        notes=("its licence, AGPL-3.0, asks more of those who offer it as a service",),
    )
