"""The network fitted with torch: AdamW in batches, the best state on the held-out rows kept.

The only module of the room that imports torch; `mlp` resolves it when something is to be fitted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vta_cli.heads.network import NAMES, Arrays, Settings, first_arrays
from vta_cli.records import Curve

SMALL = 1_000_000
"""Below so many parameters one thread is the fastest, and a CPU no slower than a GPU."""
ROUND = 1e-4
"""Added under the root of the earth mover's distance, whose slope is unbounded at 0."""
EVALUATED = 4_096
"""Rows of one piece when losses are measured."""


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    Attributes
    ----------
    x : ndarray of shape (n, dim), float32
        Rows, scaled.
    y : ndarray
        ``l1``, ``l2``: (n,) float32 within 0..1. ``cross-entropy``: (n,) int64. ``logistic``: (n,)
        float32, 0 or 1. ``emd``: (n, n_out) float32, rows of sum 1.
    weights : ndarray of shape (n,), float32
        Of the losses, of mean 1.
    loss : str
    n_out : int
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    weights: NDArray[np.float32]
    loss: str
    n_out: int


@dataclass(frozen=True)
class Moments:
    """State of AdamW: running means of gradients and of their squares, and the updates made."""

    first: Arrays
    second: Arrays
    n_updates: int


@dataclass(frozen=True)
class Fit:
    """A fitted network: its arrays at the best epoch, the optimiser's state then, its losses."""

    arrays: Arrays
    moments: Moments
    curve: Curve


def fit(
    problem: Problem,
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    settings: Settings,
    seed: int,
    *,
    start: Arrays | None = None,
    moments: Moments | None = None,
    device: str = "auto",
) -> Fit:
    """Train on some rows and keep the state of the least loss on others.

    Parameters
    ----------
    rows, held : ndarray of int64
        Rows to learn from, and those to stop by; without any of the latter the last state is kept.
    seed : int
        Of the first weights, the order of the rows and the dropout.
    start, moments : optional
        Where to go on from.
    device : str
        Of torch; ``auto``: a GPU for large networks, if there is one.
    """
    arrays = start or first_arrays(settings, problem.x.shape[1], problem.n_out, seed)
    n_numbers = sum(array.size for array in arrays.values())
    gpu = device == "auto" and n_numbers >= SMALL and torch.cuda.is_available()
    place = torch.device("cuda" if gpu else "cpu" if device == "auto" else device)
    before = torch.get_num_threads()
    if n_numbers < SMALL:
        torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
            torch.manual_seed(seed)
            return _descend(problem, rows, held, settings, arrays, moments, place)
    finally:
        torch.set_num_threads(before)


def _descend(
    problem: Problem,
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    settings: Settings,
    arrays: Arrays,
    moments: Moments | None,
    place: torch.device,
) -> Fit:
    x, y, weights = (
        torch.from_numpy(np.ascontiguousarray(part)).to(place)
        for part in (problem.x, problem.y, problem.weights)
    )
    params = {
        name: torch.from_numpy(array.copy()).to(place).requires_grad_()
        for name, array in arrays.items()
    }
    optimiser = torch.optim.AdamW(
        params.values(), lr=settings.lr, weight_decay=settings.weight_decay,
        fused=place.type in ("cpu", "cuda"),
    )  # fmt: skip
    if moments is not None:
        for name, param in params.items():
            optimiser.state[param] = {
                "step": torch.tensor(float(moments.n_updates), device=place),
                "exp_avg": torch.from_numpy(moments.first[name].copy()).to(place),
                "exp_avg_sq": torch.from_numpy(moments.second[name].copy()).to(place),
            }
    total = settings.samples(len(rows))
    order = torch.from_numpy(rows)
    best: tuple[Arrays, Moments] | None = None
    least, since, seen = math.inf, 0, 0
    points: list[tuple[int, float, float, float]] = []
    best_at = 0
    while seen < total:
        lost, counted, rate = 0.0, 0, settings.lr
        shuffled = order[torch.randperm(len(order))]
        for start in range(0, len(shuffled), settings.batch):
            take = shuffled[start : min(start + settings.batch, start + total - seen)].to(place)
            rate = rate_at(settings, seen, total)
            for group in optimiser.param_groups:
                group["lr"] = rate
            out = _forward(params, x[take], settings.dropout)
            loss = (_losses(out, y[take], problem.loss) * weights[take]).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            optimiser.step()
            lost, counted = lost + float(loss.detach()) * len(take), counted + len(take)
            seen += len(take)
            if seen >= total:
                break
        now = _measure(params, x, y, weights, held, problem.loss, place)
        points.append((seen, lost / counted, now, rate))
        since += 1
        if now < least or not len(held):
            least, since, best_at = now, 0, len(points) - 1
            if len(held) or seen >= total:
                best = _snapshot(params, optimiser)
        if len(held) and settings.patience and since >= settings.patience:
            break
    # a loss that was never a number leaves no best state: the last one then says so by its values
    found, state = best or _snapshot(params, optimiser)
    samples, train, kept, rates = zip(*points, strict=True)
    return Fit(found, state, Curve(samples, train, kept, rates, best_at))


def rate_at(settings: Settings, seen: int, total: int) -> float:
    """Return the learning rate after so many rows of `total`.

    A tenth of it at first, the whole after `warmup` rows (torch's LinearLR from 0.1 to 1), times
    half of ``1 + cos(pi * seen / total)`` (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    """
    warm = min(1.0, 0.1 + 0.9 * seen / settings.warmup) if settings.warmup else 1.0
    fall = 0.5 * (1.0 + math.cos(math.pi * seen / total)) if settings.schedule == "cosine" else 1.0
    return settings.lr * warm * fall


def _forward(
    params: Mapping[str, torch.Tensor], x: torch.Tensor, dropout: float = 0.0
) -> torch.Tensor:
    """Return the outputs, shape (n, n_out); see `network.layers_of`."""

    def affine(name: str, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(rows, params[f"{name}.weight"], params[f"{name}.bias"])

    up, long_0, long_2, long_4, down_0, down_1, down_4, down_5 = NAMES
    if f"{up}.weight" not in params:
        return affine(down_5, functional.dropout(x, dropout))
    h = affine(up, x)
    block = functional.leaky_relu(affine(long_0, h), 0.1)
    block = functional.leaky_relu(affine(long_2, block), 0.1)
    h = functional.relu(h + affine(long_4, block))
    h = functional.dropout(affine(down_1, affine(down_0, h)), dropout)
    return affine(down_5, affine(down_4, functional.leaky_relu(h, 0.01)))


def _losses(out: torch.Tensor, y: torch.Tensor, loss: str) -> torch.Tensor:
    """Return the loss of each row, shape (n,)."""
    if loss == "cross-entropy":  # of the logits: soft-maxed once
        return functional.cross_entropy(out, y, reduction="none")
    if loss == "logistic":
        return functional.binary_cross_entropy_with_logits(out[:, 0], y, reduction="none")
    if loss == "emd":
        apart = torch.cumsum(torch.softmax(out, dim=1) - y, dim=1)
        return torch.sqrt(apart.square().mean(dim=1) + ROUND)
    apart = torch.sigmoid(2.0 * out[:, 0]) - y  # (tanh(z) + 1) / 2
    return apart.abs() if loss == "l1" else apart.square()


@torch.no_grad()
def _measure(
    params: Mapping[str, torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    held: NDArray[np.int64],
    loss: str,
    place: torch.device,
) -> float:
    """Return the mean loss of the held-out rows; NaN without any."""
    lost = 0.0
    for start in range(0, len(held), EVALUATED):
        take = torch.from_numpy(held[start : start + EVALUATED]).to(place)
        lost += float((_losses(_forward(params, x[take]), y[take], loss) * weights[take]).sum())
    return lost / len(held) if len(held) else math.nan


def _snapshot(
    params: Mapping[str, torch.Tensor], optimiser: torch.optim.AdamW
) -> tuple[Arrays, Moments]:
    def kept(tensor: torch.Tensor) -> NDArray[np.float32]:
        return np.array(tensor.detach().cpu().numpy(), dtype=np.float32)

    states = {name: optimiser.state[param] for name, param in params.items()}
    n_updates = int(next(iter(states.values()))["step"])
    moments = Moments(
        {name: kept(state["exp_avg"]) for name, state in states.items()},
        {name: kept(state["exp_avg_sq"]) for name, state in states.items()},
        n_updates,
    )
    return {name: kept(param) for name, param in params.items()}, moments
