"""Named arrays of a file, whatever its container; the content decides, never the name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from vta_cli.errors import HeadError, UsageError
from vta_cli.exchange.hdf5_file import read_hdf5
from vta_cli.exchange.torch_file import read_torch

Tensors = Mapping[str, NDArray[Any]]

ZIP = b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"

MAX_FILE_BYTES = 2 << 30
"""Published heads have kilobytes to some tens of megabytes; what is larger is a whole network."""

KINDS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "?",
}  # fmt: skip
"""Types of safetensors, and how their bytes are read."""


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the named arrays of a torch file, of safetensors, or of a Keras weight file (HDF5).

    Returns
    -------
    dict of str to ndarray
        float16 and bfloat16 become float32 (without loss).

    Raises
    ------
    UsageError
        ``no-such-file``, or ``unknown-head-file`` for other containers.
    HeadError
        ``head-unreadable``, ``not-plain-tensors``, or ``missing-extra`` for HDF5.
    """
    start = first_bytes(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UsageError(
            "not-a-head",
            f"{path} has {path.stat().st_size / 2**30:.1f} GiB: that is no head on embeddings",
            hint="name the head's own file",
        )
    if start.startswith(ZIP):
        return read_torch(path)
    if start.startswith(HDF5):
        return read_hdf5(path)
    # eight bytes of length, then JSON: huggingface.co/docs/safetensors
    if len(start) > 8 and start[8:9] == b"{":
        return _read_safetensors(path)
    what = "an old torch file (before 1.6)" if start[:1] == b"\x80" else "none of them"
    raise UsageError(
        "unknown-head-file",
        f"{path} should be a torch file, safetensors or HDF5, and is {what}",
        hint="open it with the program that made it and save it as safetensors",
    )


def first_bytes(path: Path) -> bytes:
    """Return the first 16 bytes of a file.

    Raises
    ------
    UsageError
        ``no-such-file``.
    """
    if not path.is_file():
        raise UsageError("no-such-file", f"there is no file {path}", hint="check the path")
    with path.open("rb") as file:
        return file.read(16)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        listed = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]  # its stub has no types
        return {name: _array(item) for name, item in listed}
    except (SafetensorError, ValueError, KeyError) as error:
        raise HeadError(
            "head-unreadable",
            f"{path} cannot be read as safetensors: {error}",
            hint="fetch the file again; it may have been cut short",
        ) from error


def _array(item: Mapping[str, Any]) -> NDArray[Any]:
    kind = str(item["dtype"])
    if kind not in KINDS:
        raise ValueError(f"arrays of {kind} are not known")
    numbers = np.frombuffer(item["data"], dtype=KINDS[kind])
    if kind == "BF16":  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    if kind == "F16":
        numbers = numbers.astype(np.float32)
    return np.array(numbers.reshape(item["shape"]))
