"""NIMA as idealo published it (github.com/idealo/image-quality-assessment): a whole MobileNet.

The file holds the network and its last layer, ten shares of votes for the scores 1 to 10. Here the
two are taken apart: the network becomes a backbone of 1024 columns, the last layer the head.
"""

import numpy as np

from vta_cli.exchange.affine_stack import broken
from vta_cli.exchange.records import Published
from vta_cli.exchange.tensor_files import Tensors
from vta_cli.records import Layer, Promise

DIM = 1024
N_BINS = 10


def is_nima(tensors: Tensors) -> bool:
    """Tell a MobileNet with one dense layer on top."""
    return "conv_pw_13/kernel" in tensors and _dense(tensors) is not None


def _dense(tensors: Tensors) -> str | None:
    names = [name.split("/")[0] for name in tensors if name.endswith("/kernel")]
    dense = [name for name in names if name.startswith("dense")]
    return dense[0] if len(dense) == 1 else None


def read_nima(tensors: Tensors) -> Published:
    """Take the last layer as the head, and the rest as the network that it stands on.

    Raises
    ------
    HeadError
        If the last layer is not 1024 columns to ten bins.
    """
    name = _dense(tensors)
    kernel, bias = tensors.get(f"{name}/kernel"), tensors.get(f"{name}/bias")
    if kernel is None or bias is None or (kernel.shape, bias.shape) != ((DIM, N_BINS), (N_BINS,)):
        raise broken("its last layer does not map 1024 columns to 10 bins")
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise broken("its last layer holds values that are not finite")
    layer = Layer("affine", kernel.T.astype(np.float32).copy(), bias.astype(np.float32))
    network = {key: value for key, value in tensors.items() if not key.startswith(f"{name}/")}
    return Published(
        kind="nima-idealo",
        title="NIMA (MobileNet) of idealo",
        layers=(layer,),
        output="softmax",
        promise=Promise(
            "distribution", 1.0, float(N_BINS), values=tuple(float(k) for k in range(1, 11))
        ),
        dim=DIM,
        normalise=False,
        choices=(),
        licence="Apache-2.0",
        source="github.com/idealo/image-quality-assessment",
        notes=(_PADDING, _TECHNICAL),
        network=network,
    )


_PADDING = (
    "the network pads as Keras 2.1 did, in which it was trained; newer Keras pads otherwise and "
    "gives these weights other scores"
)
_TECHNICAL = "of the technical weights: their labels are 0 to 9, so the mean is one too high"
