"""Compiles a torch network for batches of one size, or says in one line why it stays as it is."""

import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

MOST_LETTERS = 160


def compiled(net: nn.Module, try_it: Callable[[nn.Module], Any]) -> tuple[nn.Module, str]:
    """Compile a network with `torch.compile`.

    Parameters
    ----------
    net : torch.nn.Module
        In inference mode, on its device.
    try_it : callable
        Runs a batch of the size that all later ones have through the network it is given; this is
        when the compiler works, and fails where it is missing.

    Returns
    -------
    net : torch.nn.Module
        Compiled; the network itself where that does not work.
    why : str
        Why it does not, in one line; empty where it does.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the compiler tells of devices that nobody asked for
    try:
        made = cast("nn.Module", torch.compile(net, dynamic=False))
        try_it(made)
    except Exception as error:  # noqa: BLE001 - compilers fail in ways of their own
        torch.compiler.reset()
        return net, _in_one_line(error)
    finally:
        logging.disable(before)
    return made, ""


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:MOST_LETTERS]
