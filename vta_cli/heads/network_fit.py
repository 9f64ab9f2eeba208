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

from vta_cli.heads.mlp_checkpoint import Each, Fit, Moments, Standing, curve_of
from vta_cli.heads.network import NAMES, Arrays, Settings, first_arrays

SMALL = 1_000_000
"""Below so many parameters one thread is the fastest, and a CPU no slower than a GPU."""
VERSION = str(torch.__version__)
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
    at: Standing | None = None,
    each: Each | None = None,
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
    at : Standing, optional
        Where this same fit stood; the outcome is that of a fit that was never left, to the bit.
    each : callable, optional
        Called after each batch.
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
            return _descend(problem, rows, held, settings, arrays, moments, place, at, each)
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
    at: Standing | None,
    each: Each | None,
) -> Fit:
    x, y, weights = (
        torch.from_numpy(np.ascontiguousarray(part)).to(place)
        for part in (problem.x, problem.y, problem.weights)
    )
    if at is not None:
        arrays, moments = at.now
    params, optimiser = _optimiser(arrays, moments, settings, place)
    total = settings.samples(len(rows))
    order = torch.from_numpy(rows)
    best: tuple[Arrays, Moments] | None = None
    least, since, seen, best_at = math.inf, 0, 0, 0
    points: list[tuple[int, float, float, float]] = []
    shuffled, taken, lost, counted = order[:0], 0, 0.0, 0
    if at is not None:
        best, least, since, best_at = at.best, at.least, at.since, at.best_at
        points, seen, lost, counted = list(at.points), at.seen, at.lost, at.counted
        shuffled, taken = torch.from_numpy(at.shuffled), at.place
        _set_rng(at.rng, place)

    def standing() -> Standing:
        return Standing(
            now=_snapshot(params, optimiser), best=best, rng=_rng(place),
            shuffled=shuffled.numpy(), place=taken, counted=counted, seen=seen, lost=lost,
            least=least, since=since, best_at=best_at, points=points,
        )  # fmt: skip

    while seen < total:
        if not len(shuffled):
            shuffled, taken, lost, counted = order[torch.randperm(len(order))], 0, 0.0, 0
        take = shuffled[taken : min(taken + settings.batch, taken + total - seen)].to(place)
        rate = rate_at(settings, seen, total)
        for group in optimiser.param_groups:
            group["lr"] = rate
        out = _forward(params, x[take], settings.dropout)
        loss = (_losses(out, y[take], problem.loss) * weights[take]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimiser.step()
        lost, counted = lost + float(loss.detach()) * len(take), counted + len(take)
        taken, seen = taken + len(take), seen + len(take)
        if taken == len(shuffled) or seen >= total:  # the epoch's end
            now = _measure(params, x, y, weights, held, problem.loss, place)
            points.append((seen, lost / counted, now, rate))
            shuffled = order[:0]
            since += 1
            if now < least or not len(held):
                least, since, best_at = now, 0, len(points) - 1
                if len(held) or seen >= total:
                    best = _snapshot(params, optimiser)
            if len(held) and settings.patience and since >= settings.patience:
                break
        if each is not None and seen < total:
            each(standing)
    # a loss that was never a number leaves no best state: the last one then says so by its values
    found, state = best or _snapshot(params, optimiser)
    return Fit(found, state, curve_of(points, best_at))


def _optimiser(
    arrays: Arrays, moments: Moments | None, settings: Settings, place: torch.device
) -> tuple[dict[str, torch.Tensor], torch.optim.AdamW]:
    # torch's own memory, which is aligned alike: products of matrices may differ in their last bits
    params = {
        name: torch.tensor(array, device=place, requires_grad=True)
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
                "exp_avg": torch.tensor(moments.first[name], device=place),
                "exp_avg_sq": torch.tensor(moments.second[name], device=place),
            }
    return params, optimiser


def _rng(place: torch.device) -> NDArray[np.uint8]:
    """Return the state of the CPU's generator, and of the GPU's behind it."""
    parts = [torch.get_rng_state()]
    if place.type == "cuda":
        parts.append(torch.cuda.get_rng_state(place))
    return np.concatenate([part.numpy() for part in parts])


def _set_rng(state: NDArray[np.uint8], place: torch.device) -> None:
    size = len(torch.get_rng_state())
    torch.set_rng_state(torch.from_numpy(state[:size].copy()))
    if place.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(state[size:].copy()), place)


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
