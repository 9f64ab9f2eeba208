"""Where a torch network runs and in which arithmetic. Imports torch."""

import warnings
from typing import Literal

import torch

from vta_cli.errors import UsageError

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` takes cuda, then mps, then cpu.

    Raises
    ------
    UsageError
        ``no-such-device`` if this machine or this build of torch lacks it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            "no-such-device", f"there is no device {name!r}", hint="use auto, cpu, cuda or mps"
        ) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise UsageError(
            "no-such-device",
            f"the device {name!r} is not available here",
            hint="use --device auto, or install a torch build that supports it",
        )
    return device


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Return the arithmetic for a device.

    ``auto`` is bf16 on CUDA devices that have it in hardware, fp16 on other CUDA devices, fp32
    elsewhere: processors without such units ran bf16 three to eight times slower than fp32.

    Raises
    ------
    UsageError
        ``unknown-precision``.
    """
    if name == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    for precision in DTYPES:
        if name == precision:
            if device.type == "cpu" and precision != "fp32":
                warnings.warn(
                    f"{precision} on a CPU is usually many times slower than fp32", stacklevel=2
                )
            return precision
    raise UsageError(
        "unknown-precision",
        f"there is no precision {name!r}",
        hint=f"use auto, {', '.join(DTYPES)}",
    )


def free_cached_memory(device: torch.device) -> None:
    """Give memory that torch keeps in reserve back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def has_room(device: torch.device) -> bool:
    """Tell whether a pass of twice the size will fit, by the most that passes took so far.

    Only CUDA tells; elsewhere the answer is yes, and a pass that does not fit is halved.
    """
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_allocated(device)
    taken = torch.cuda.max_memory_allocated(device) - held
    return bool(2 * taken <= free + torch.cuda.memory_reserved(device) - held)
