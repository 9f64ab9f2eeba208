"""One torch network in inference mode: uint8 pictures in, float32 vectors out.

Shared by all families that run on torch. Pictures travel to the device as bytes and are normalised
there; the network's memory layout, autocast and out-of-memory handling are settled here once.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vta_cli.backbones.batch_size import BatchSize
from vta_cli.backbones.batches import checked, in_pieces, is_out_of_memory, stack
from vta_cli.backbones.compiled import compiled as compile_net
from vta_cli.backbones.device import DTYPES, free_cached_memory, has_room
from vta_cli.backbones.protocol import is_exact
from vta_cli.backbones.resize import resize
from vta_cli.records import Pixels, Recipe, Vectors

BATCH_CPU = 16
"""Throughput on CPUs is flat from 8 to 16 pictures on; more only costs memory."""

BATCH_GROWING = (32, 512)
"""On other devices the size is found while the network works, between these."""

BATCH_COMPILED = 128
"""On other devices, for networks that are compiled for one size: enough to fill a large GPU."""

MANY_CONVOLUTIONS = 4
"""Transformers have one convolution, the patch embedding; nets with more gain by channels_last."""


def in_inference_mode(net: nn.Module) -> nn.Module:
    """Freeze a network: evaluation mode (batch norm, dropout), no gradients.

    The only place that does so; timm hands networks over in training mode.
    """
    return net.eval().requires_grad_(requires_grad=False)


class TorchBackbone:
    """A `Backbone` around a torch network.

    Parameters
    ----------
    net : torch.nn.Module
        From (n, 3, px, px) float to (n, dim), or to a tuple that begins with it.
    recipe : Recipe
        With `mean` and `std` in its extra, of pixels in 0..1.
    device : torch.device
    batch_size : int, optional
        Pictures per pass, halved where memory asks for it; found by itself without it.
    compiled : bool
        Compile the network first, for batches of one size.

    Attributes
    ----------
    notes : tuple of str
        What the user should know of how it runs.
    """

    threads = False

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        device: torch.device,
        batch_size: int | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        self.recipe = recipe
        self.notes: tuple[str, ...] = ()
        self._batch = _batch_size(device, batch_size, fixed=compiled)
        self.resize = None if is_exact(recipe) else resize
        self.n_ahead = 1 if device.type == "cuda" else 0
        self._device = device
        self._layout = _memory_layout(net)
        self._net: nn.Module = in_inference_mode(net).to(device).to(memory_format=self._layout)
        self._copies = _stream(device)
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(recipe.extra["mean"], device=device).reshape(shape)
        self._std = torch.tensor(recipe.extra["std"], device=device).reshape(shape)
        self._padded = False
        if compiled:
            self._padded = self._compile()

    @property
    def batch_size(self) -> int:
        """Pictures that suit a pass; may change from one to the next."""
        return self._batch.size

    def _compile(self) -> bool:
        """Compile the network, or note why it runs as it is."""
        net = self._net

        def try_it(made: nn.Module) -> None:
            px = self.recipe.preprocess.crop_px
            self._net = made
            self._forward(np.zeros((self.batch_size, px, px, 3), np.uint8))

        self._net, why = compile_net(net, try_it)
        if why:
            self.notes = (f"{self.recipe.backbone} runs uncompiled: {why}",)
        return not why

    def start(self, batch: Sequence[Pixels]) -> Callable[[], Vectors]:
        """Begin to embed; the returned function waits for the vectors and checks them.

        On a CUDA device the pictures travel and the network runs while the caller goes on: with
        one batch begun before the last is fetched, the device does not wait for the host. Elsewhere
        the work is done at once. Errors are those of `embed`, from either call.
        """
        if self._device.type != "cuda" or len(batch) > self.batch_size or len(batch) == 0:
            vectors = self.embed(batch)
            return lambda: vectors
        pixels = stack(batch, self.recipe.preprocess.crop_px)
        try:
            fetch = self._begin(pixels)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            fetch = None
        if fetch is None:  # in pieces, outside the `except` so that the failed tensors are gone
            vectors = self.embed(batch)
            return lambda: vectors
        return lambda: checked(fetch(), self.recipe)

    def embed(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed preprocessed pictures; see `Backbone.embed`.

        Raises
        ------
        BackboneError
            ``out-of-memory``, or ``not-finite`` if the network answers with NaN or infinity.
        ValueError
            If a picture is not of the recipe's size.
        """
        if len(batch) == 0:
            return np.empty((0, self.recipe.dim), np.float32)
        px = self.recipe.preprocess.crop_px
        wanted = self.batch_size
        vectors, fitting = in_pieces(
            self._forward,
            stack(batch, px),
            wanted,
            name=self.recipe.backbone,
            after_failure=lambda: free_cached_memory(self._device),
        )
        if fitting < wanted:
            self._batch.settle(fitting)
        return checked(vectors, self.recipe)

    def close(self) -> None:
        """Let go of the network and its memory."""
        self._net = nn.Identity()
        free_cached_memory(self._device)

    def _forward(self, piece: NDArray[np.uint8]) -> Vectors:
        return self._begin(piece)()

    def _begin(self, piece: NDArray[np.uint8]) -> Callable[[], Vectors]:
        """Queue one forward pass; the returned function waits for its vectors, (n, dim)."""
        n = len(piece)
        if self._padded and n < self.batch_size:  # another size would be compiled anew
            piece = np.concatenate([piece, np.zeros_like(piece[:1]).repeat(self.batch_size - n, 0)])
        host = torch.from_numpy(piece)  # (n, px, px, 3) uint8
        clock = time.perf_counter()
        with torch.inference_mode(), self._arithmetic():
            x = self._sent(host).permute(0, 3, 1, 2)  # (n, 3, px, px)
            begun = self._marked()
            x = x.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
            y = self._net(x.contiguous(memory_format=self._layout))
            y = y[0] if isinstance(y, tuple) else y
            y = y.to(torch.float32)[:n]
            if begun is None:
                vectors: Vectors = y.cpu().numpy()
                self._batch.ran(n, time.perf_counter() - clock)
                return lambda: vectors
            back = torch.empty(y.shape, dtype=y.dtype, pin_memory=True)
            back.copy_(y, non_blocking=True)
            arrived = self._marked()

        def fetch() -> Vectors:
            arrived.synchronize()
            self._batch.ran(n, begun.elapsed_time(arrived) / 1e3)
            rows: Vectors = back.numpy().copy()  # pinned memory goes back to its cache
            return rows

        return fetch

    def _marked(self) -> Any:
        """Return an event at the end of what is queued so far; None on devices without events."""
        if self._device.type != "cuda":
            return None
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _sent(self, host: torch.Tensor) -> torch.Tensor:
        """Return the bytes on the device; on CUDA they travel beside the pass that is running."""
        if self._copies is None:
            return host.to(self._device)
        with torch.cuda.stream(self._copies):
            sent = host.pin_memory().to(self._device, non_blocking=True)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._copies)
        sent.record_stream(current)
        return sent

    @contextlib.contextmanager
    def _arithmetic(self) -> Iterator[None]:
        dtype = DTYPES[self.recipe.precision]
        # convolutions would otherwise use TF32, which is not the fp32 that the recipe promises
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False)
        lower = dtype != torch.float32
        cast = torch.autocast(self._device.type, dtype=dtype if lower else None, enabled=lower)
        with exact, cast:
            yield


def _batch_size(device: torch.device, wish: int | None, *, fixed: bool) -> BatchSize:
    """Return the size to begin with, and to grow from where nobody asked for one."""
    size = wish or (BATCH_CPU if device.type == "cpu" else BATCH_COMPILED if fixed else None)
    if size is not None:
        return BatchSize(size, size)
    return BatchSize(*BATCH_GROWING, lambda: has_room(device))


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a stream for copies, on devices that have streams."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _memory_layout(net: nn.Module) -> torch.memory_format:
    n_convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
    many = n_convolutions > MANY_CONVOLUTIONS
    return torch.channels_last if many else torch.contiguous_format
