"""The residual network as a head: for scores, tiers, classes and votes, and for yes and no.

Each fold's answers come from a fit that never saw it, stopped by the next fold; the saved head
learns from all folds but one, which stops it. Near-copies share a fold, so that neither knows a
copy of what judges it.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.blocks import Floats
from vta_cli.heads.design import Design
from vta_cli.heads.distribution import emd
from vta_cli.heads.layered import Output, finish
from vta_cli.heads.layers import forward
from vta_cli.heads.mlp_checkpoint import Checkpoint, Each, Fit, Moments, Standing
from vta_cli.heads.mlp_state import State, kept_folds
from vta_cli.heads.network import Settings, layers_of, n_parameters, settings_of
from vta_cli.heads.network_part import NetworkPart
from vta_cli.heads.protocol import Fitted
from vta_cli.heads.registry import NETWORK_FIT, resolve
from vta_cli.heads.wanted import Ints, Wanted
from vta_cli.records import Curve, Layer, Promise
from vta_cli.words import counted

NAME = "mlp"
TINY = 1e-12
FEWEST_FOLDS = 3
"""With fewer there is none to stop by; the training then takes all its epochs."""
OUTPUTS: dict[str, tuple[str, Output]] = {
    "scores": ("l1", "tanh"),
    "ordinal": ("l1", "tanh"),
    "classes": ("cross-entropy", "softmax"),
    "histograms": ("emd", "softmax"),
    "binary": ("logistic", "plain"),
}
"""Kind of judgement to its loss and what is made of the last layer."""

Tell = Callable[[int, int], None]
"""Called before each fit with its number from 0 and the number of fits."""


def require_torch() -> None:
    """Refuse to go on without torch.

    Raises
    ------
    UsageError
        ``missing-extra``
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "missing-extra",
            f"the head {NAME} is trained with torch, which is not installed",
            hint="pip install 'vta[nets]', or leave out --head mlp",
        )


@dataclass(frozen=True)
class Networked:
    """What came of a training.

    Attributes
    ----------
    layers : tuple of Layer
        Of the saved head, for rows that are not scaled.
    out, trained : ndarray of shape (n, n_out), float64
        Answers out of fold, and of the saved head.
    promise : Promise
    output : str
        Of `LayeredHead`.
    curve : Curve
    detail : str
    state : State
        To go on from.
    """

    layers: tuple[Layer, ...]
    out: Floats
    trained: Floats
    promise: Promise
    output: Output
    curve: Curve
    detail: str
    state: State


def train_network(
    rows: NDArray[np.float32],
    wanted: Wanted,
    fold_of: Ints,
    settings: Settings,
    seed: int,
    *,
    state: State | None = None,
    device: str = "auto",
    tell: Tell | None = None,
    checkpoint: Checkpoint | None = None,
) -> Networked:
    """Fit the network for judgements that are not yes or no, out of fold and for good.

    Parameters
    ----------
    rows : ndarray of shape (n, dim), float32
        Joined blocks, as `settings.rows` wants them but for the scaling.
    wanted : Wanted
        Weights of mean 1.
    fold_of : ndarray of shape (n,), int64
    state : State, optional
        To go on from.
    checkpoint : Checkpoint, optional
        Where to write how far it is, and to go on from if it is of this very training.
    """
    loss, output = OUTPUTS[wanted.kind]
    low, high = wanted.scale if wanted.kind in ("scores", "ordinal", "histograms") else (0.0, 1.0)
    if state is not None:
        low, high = state.fits(wanted, rows.shape[1])
    weights = wanted.weights
    if wanted.class_weights:
        weights = weights * np.asarray(wanted.class_weights)[wanted.y]
    if wanted.kind in ("scores", "ordinal"):
        loss = settings.loss or loss
        y: NDArray[Any] = ((wanted.numbers - low) / (high - low)).astype(np.float32)
        n_out = 1
        promise = Promise("rating", low, high)
    else:
        if settings.loss:
            raise UsageError(
                "bad-setting",
                f"loss = {settings.loss!r} is for scores and tiers, not {wanted.kind}",
                hint="leave it out",
            )
        y = wanted.y if wanted.kind == "classes" else wanted.y.astype(np.float32)
        n_out = len(wanted.names) if wanted.kind == "classes" else y.shape[1]
        promise = (
            Promise("classes", names=wanted.names, chosen=wanted.chosen or (0,))
            if wanted.kind == "classes"
            else Promise("distribution", low, high, values=wanted.values)
        )
    checkpoint = _begun(checkpoint, rows, y, weights, loss, fold_of, settings, seed, state, device)
    runs = _run(
        rows, y, weights, loss, n_out, fold_of, settings, seed, state, device, tell, checkpoint
    )
    out = np.empty((len(rows), n_out))
    for fold, layers in enumerate(runs.folds):
        held = fold_of == fold
        out[held] = finish(forward(layers, rows[held].astype(np.float64)), output, promise)
    trained = finish(forward(runs.final, rows.astype(np.float64)), output, promise)
    return Networked(
        layers=runs.final,
        out=out,
        trained=trained,
        promise=promise,
        output=output,
        curve=runs.curve,
        detail=runs.detail,
        state=runs.state(settings, wanted.kind, wanted.names, wanted.values, (low, high)),
    )  # fmt: skip


def losses_of(out: Floats, wanted: Wanted) -> Floats:
    """Return the loss of each answer, shape (n,)."""
    if wanted.kind == "classes":
        return np.asarray(-np.log(np.maximum(out[np.arange(len(out)), wanted.y], TINY)))
    if wanted.kind == "histograms":
        return emd(out, wanted.y)
    return np.abs(out[:, 0] - wanted.numbers)


@dataclass(frozen=True)
class _Runs:
    """All fits of one training."""

    final: tuple[Layer, ...]
    folds: list[tuple[Layer, ...]]
    curve: Curve
    detail: str
    mean: Floats
    scale: float
    last: Fit
    arrays: list[Any]

    def state(
        self,
        settings: Settings,
        kind: str,
        names: Sequence[str],
        values: Sequence[float],
        ends: tuple[float, float],
        ids: NDArray[np.uint8] | None = None,
        fold_of: Ints | None = None,
    ) -> State:
        """Return what is needed to go on."""
        return State(
            settings=settings, kind=kind, names=tuple(names), values=tuple(values), ends=ends,
            mean=self.mean, scale=self.scale, arrays=self.last.arrays,
            first=self.last.moments.first, second=self.last.moments.second,
            n_updates=self.last.moments.n_updates, folds=tuple(self.arrays),
            ids=ids, fold_of=fold_of,
        )  # fmt: skip


def _run(
    rows: NDArray[np.float32],
    y: NDArray[Any],
    weights: Floats,
    loss: str,
    n_out: int,
    fold_of: Ints,
    settings: Settings,
    seed: int,
    state: State | None,
    device: str,
    tell: Tell | None,
    checkpoint: Checkpoint,
) -> _Runs:
    torch_side = resolve(NETWORK_FIT)
    mean, scale = _scaling(rows, settings) if state is None else (state.mean, state.scale)
    problem = torch_side.Problem(
        ((rows - mean) * scale).astype(np.float32), y, weights.astype(np.float32), loss, n_out
    )
    n_folds = int(fold_of.max()) + 1 if len(fold_of) else 0
    stops = n_folds >= FEWEST_FOLDS
    everything = np.arange(len(rows))
    fits = []
    for number in range(n_folds + 1):
        if tell is not None:
            tell(number, n_folds + 1)
        own = number < n_folds  # the last fit is the saved head's
        judged = fold_of == number if own else np.zeros(len(rows), dtype=np.bool_)
        stop = fold_of == (number + 1) % n_folds if stops else np.zeros(len(rows), dtype=np.bool_)
        moments = None
        start = None
        if state is not None:
            start = state.start(number if own else None)
            if not own and state.n_updates:
                moments = Moments(state.first, state.second, state.n_updates)
        make = partial(
            torch_side.fit, problem, everything[~judged & ~stop], everything[stop], settings,
            seed * 1_000 + number, start=start, moments=moments, device=device,
        )  # fmt: skip
        fits.append(checkpoint.fit(partial(_made, make, own)))
    if not all(np.isfinite(array).all() for one in fits for array in one.arrays.values()):
        raise HeadError(
            "diverged",
            f"the training of the head {NAME} ran away: its weights are no numbers any more",
            hint=f"take a smaller learning rate than {settings.lr:g}, e.g. --set "
            f"lr={settings.lr / 10:g}",
        )
    made = [layers_of(one.arrays, mean, scale) for one in fits]
    last = fits[-1]
    epochs = [one.curve.best + 1 for one in fits[:-1]]
    spread = f", {min(epochs)} to {max(epochs)} in the folds" if epochs else ""
    n_epochs = counted(len(last.curve.samples), "epoch")
    kept = f"best of {n_epochs}: {last.curve.best + 1}" if stops else (
        f"{n_epochs}, too few folds to stop by one"
    )  # fmt: skip
    size = n_parameters(settings, rows.shape[1], n_out)
    return _Runs(
        final=made[-1],
        folds=made[:-1],
        curve=last.curve,
        detail=f"{size:,} parameters; {kept}{spread}",
        mean=mean,
        scale=scale,
        last=last,
        arrays=[one.arrays for one in fits[:-1]],
    )


def _begun(checkpoint: Checkpoint | None, *decides: object) -> Checkpoint:
    """Return the checkpoint of the training that these things and the version of torch decide."""
    require_torch()
    found = checkpoint or Checkpoint()
    found.begin(resolve(NETWORK_FIT).VERSION, *decides)
    return found


def _made(make: Callable[..., Fit], own: bool, at: Standing | None, each: Each) -> Fit:
    """Make a fit; of those of the folds nobody needs the optimiser's state."""
    found = make(at=at, each=each)
    return replace(found, moments=Moments({}, {}, 0)) if own else found


def _scaling(rows: NDArray[np.float32], settings: Settings) -> tuple[Floats, float]:
    """Return what is taken off the rows and what they are multiplied by; no label is involved."""
    if settings.rows != "standard":
        return np.zeros(rows.shape[1]), 1.0
    mean = rows.mean(axis=0, dtype=np.float64)
    size = float(np.sqrt(np.mean((rows - mean) ** 2)))
    return mean, 1.0 / size if size > TINY else 1.0


class Mlp:
    """The network as a member for yes and no: cross-entropy, its log-odds calibrated like others.

    What came of the last `fit` besides its part stays in `curve` and `state`.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        state: State | None = None,
        ids: NDArray[np.uint8] | None = None,
        device: str = "auto",
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.settings = settings_of(settings or {}, None if state is None else state.settings)
        if self.settings.loss:
            raise UsageError(
                "bad-setting",
                f"loss = {self.settings.loss!r} is for scores and tiers, not for yes and no",
                hint="leave it out",
            )
        self._from, self._ids, self._device = state, ids, device
        self._checkpoint = checkpoint
        self.curve: Curve | None = None
        self.state: State | None = None

    def folds(self, groups: Ints, folds: Ints) -> Ints:
        """Return folds (n_repeats, n) in which what the head knew keeps its old place."""
        if self._from is None or self._ids is None or not len(folds):
            return folds
        return np.stack([kept_folds(self._from, self._ids, groups, one) for one in folds[:1]])

    def fit(
        self,
        design: Design,
        targets: NDArray[np.int8],
        weights: Floats,
        folds: NDArray[np.int64],
        seed: int,
    ) -> Fitted:
        """Fit on all rows and out of fold; see `protocol.Fitter`."""
        if self._from is not None:
            self._from.fits_binary(design.unit.shape[1])
        loss, _ = OUTPUTS["binary"]
        y = targets.astype(np.float32)
        raw_oof = np.zeros(folds.shape)
        deals = list(folds) or [np.zeros(0, dtype=np.int64)]
        checkpoint = _begun(
            self._checkpoint, design.unit, y, weights, folds, self.settings, seed, self._from,
            self._device,
        )  # fmt: skip
        for repeat, fold_of in enumerate(deals):
            runs = _run(
                design.unit, y, weights / weights.mean(), loss, 1, fold_of, self.settings,
                seed + repeat, self._from, self._device, None, checkpoint,
            )  # fmt: skip
            for fold, layers in enumerate(runs.folds):
                held = fold_of == fold
                raw_oof[repeat, held] = forward(layers, design.unit[held].astype(np.float64))[:, 0]
            if repeat == 0:
                first = runs
        self.curve = first.curve
        fold_of = None
        if self._ids is not None:  # views of an image share its fold
            fold_of = deals[0][:: max(len(targets) // len(self._ids), 1)]
        self.state = first.state(self.settings, "binary", (), (), (0.0, 1.0), self._ids, fold_of)
        return Fitted(NetworkPart(first.final), raw_oof, first.detail)
