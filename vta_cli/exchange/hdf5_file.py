"""Named arrays of a Keras weight file (HDF5). The only module that needs h5py, an extra."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError

MAX_NUMBERS = 1 << 24
"""Most numbers of one array: a compressed file may claim any size. MobileNet's largest has a
million."""
MAX_ARRAYS = 10_000


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a Keras weight file, named ``LAYER/WEIGHT``.

    Keras writes ``/LAYER/LAYER/WEIGHT:0``, whole models below ``/model_weights``. Links to other
    files and data kept in other files are not followed.

    Raises
    ------
    HeadError
        ``missing-extra`` without h5py, ``head-unreadable`` for a damaged or crafted file.
    """
    if importlib.util.find_spec("h5py") is None:
        raise HeadError(
            "missing-extra",
            f"{path} is HDF5, and reading it needs the package h5py, which is not installed",
            hint="pip install 'vta[nima]'",
        )
    h5py: Any = importlib.import_module("h5py")
    found: dict[str, NDArray[Any]] = {}

    def take(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or "optimizer" in name:
            return
        if item.external is not None or item.is_virtual:
            raise ValueError(f"{name} lies in another file")
        if item.size is None or item.size > MAX_NUMBERS or len(found) >= MAX_ARRAYS:
            raise ValueError(f"{name} is too large")
        if item.dtype.kind != "f":
            return
        parts = name.split("/")
        found["/".join(parts[-2:]).removesuffix(":0")] = np.array(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise HeadError(
            "head-unreadable",
            f"{path} cannot be read as HDF5: {error}",
            hint="fetch the file again; it may have been cut short",
        ) from error
    return found
