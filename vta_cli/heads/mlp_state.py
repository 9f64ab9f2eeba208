"""What a network needs to go on learning: weights of all fits, the optimiser's state, the folds.

Kept beside the head in a safetensors file. The weights of each fold's fit are kept too, and which
image was in which fold: a head that goes on learning is judged by fits that have never, before or
now, seen the images that judge them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError, VtaError
from vta_cli.heads.blocks import Floats
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.network import Arrays, Settings, arrays_of, check_arrays, settings_of
from vta_cli.heads.persist import read, unreadable, write
from vta_cli.heads.wanted import Ints, Wanted
from vta_cli.words import counted

TYPE = "network-state"
SUFFIX = ".optim"
MAX_FOLDS = 50


@dataclass(frozen=True)
class State:
    """Where a training stands.

    Attributes
    ----------
    settings : Settings
    kind : str
        Of the judgements; empty if the head does not say, as a published one.
    names : tuple of str
        Classes.
    values : tuple of float
        Bins.
    ends : (float, float)
        Of the scale of scores.
    mean, scale : ndarray of shape (dim,), float64, and float
        The network reads ``(row - mean) * scale``.
    arrays : dict
        Weights of the saved head.
    first, second : dict
        Running means of AdamW; empty with ``n_updates = 0``.
    n_updates : int
    folds : tuple of dict
        Weights of each fold's fit.
    ids : ndarray of shape (n, m), uint8, or None
        What names the rows that it has learnt from.
    fold_of : ndarray of shape (n,), int64, or None
        Their folds.
    """

    settings: Settings
    kind: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    ends: tuple[float, float]
    mean: Floats
    scale: float
    arrays: Arrays
    first: Arrays
    second: Arrays
    n_updates: int
    folds: tuple[Arrays, ...] = ()
    ids: NDArray[np.uint8] | None = None
    fold_of: Ints | None = None

    @property
    def dim(self) -> int:
        """Columns that it reads."""
        return len(self.mean)

    @property
    def is_published(self) -> bool:
        """Whether nothing is known of what it has learnt from."""
        return self.ids is None

    def start(self, fold: int | None) -> Arrays:
        """Return the weights from which a fold's fit goes on; those of the head for None."""
        if fold is None or (self.is_published and not self.folds):
            return self.arrays
        return self.folds[fold]

    def fits(self, wanted: Wanted, dim: int) -> tuple[float, float]:
        """Return the ends of the scale if the judgements are those that it can go on with.

        Raises
        ------
        UsageError
            ``wrong-resume``
        """
        same = {"scores": "rating", "ordinal": "rating"}
        kinds = (self.kind, same.get(self.kind, self.kind))
        if same.get(wanted.kind, wanted.kind) not in kinds and wanted.kind not in kinds:
            raise _wrong(f"it has learnt {self.kind}, not {wanted.kind}")
        self._check_dim(dim)
        if self.names != wanted.names and wanted.kind == "classes":
            theirs = f"the labels' are {', '.join(wanted.names)}"
            raise _wrong(f"its classes are {', '.join(self.names)}, {theirs}")
        if wanted.kind == "histograms" and self.values != wanted.values:
            raise _wrong(f"it knows {len(self.values)} bins, from {self.ends[0]:g}")
        if wanted.kind in ("scores", "ordinal"):  # wider labels widen it: the rest is relearnt
            low, high = wanted.scale
            return min(low, self.ends[0]), max(high, self.ends[1])
        return self.ends

    def fits_binary(self, dim: int) -> None:
        """Raise `UsageError` ``wrong-resume`` unless it can go on with yes and no."""
        if self.kind != "binary":
            raise _wrong(f"it has learnt {self.kind}, not yes and no")
        self._check_dim(dim)

    def _check_dim(self, dim: int) -> None:
        if self.dim != dim:
            raise _wrong(f"it reads vectors of {self.dim} columns, not {dim}")

    def save(self, path: Path) -> None:
        """Write it to one file, atomically.

        Raises
        ------
        HeadError
            ``head-unwritable``
        """
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean}
        for prefix, group in self._groups():
            arrays |= {f"{prefix}.{name}": array for name, array in group.items()}
        if self.ids is not None and self.fold_of is not None:
            arrays |= {"ids": self.ids, "fold_of": self.fold_of}
        document = {
            "type": TYPE, "settings": self.settings.to_json(), "kind": self.kind,
            "names": list(self.names), "values": list(self.values), "ends": list(self.ends),
            "scale": self.scale, "n_updates": self.n_updates, "n_folds": len(self.folds),
        }  # fmt: skip
        write(path, document, arrays)

    def _groups(self) -> list[tuple[str, Arrays]]:
        folds = [(f"fold.{at}", one) for at, one in enumerate(self.folds)]
        return [("head", self.arrays), ("first", self.first), ("second", self.second), *folds]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved state.

        Raises
        ------
        HeadError
            ``no-such-head``, ``head-unreadable`` or ``head-newer``.
        """
        document, arrays = read(path)
        try:
            return cls._restore(document, arrays)
        except (KeyError, TypeError, ValueError, VtaError) as error:
            raise unreadable(path, str(error)) from error

    @classmethod
    def _restore(cls, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        if document.get("type") != TYPE:
            raise ValueError("it is no state of a network")
        settings = settings_of(document["settings"])
        mean, n_folds, n_updates = arrays["mean"], document["n_folds"], document["n_updates"]
        if mean.ndim != 1 or mean.dtype != np.float64 or not np.isfinite(mean).all():
            raise ValueError("its mean is none")
        if not (type(n_folds) is int and 0 <= n_folds <= MAX_FOLDS):
            raise ValueError("its number of folds is out of range")
        if not (type(n_updates) is int and n_updates >= 0):
            raise ValueError("its number of updates is out of range")

        def group(prefix: str) -> Arrays:
            start = f"{prefix}."
            found = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
            check_arrays(found, settings, len(mean))
            return found

        head = group("head")
        folds = tuple(group(f"fold.{at}") for at in range(n_folds))
        ids, fold_of = arrays.get("ids"), arrays.get("fold_of")
        if (ids is None) != (fold_of is None):
            raise ValueError("its folds have no rows")
        if ids is not None and fold_of is not None:
            good = ids.ndim == 2 and ids.dtype == np.uint8 and fold_of.dtype == np.int64
            top = max(n_folds, 1)
            if not good or fold_of.shape not in ((len(ids),), (0,)):
                raise ValueError("its folds do not fit its rows")
            if len(fold_of) and not (fold_of.min() >= 0 and fold_of.max() < top):
                raise ValueError("its folds are out of range")
        low, high = (float(end) for end in document["ends"])
        scale = float(document["scale"])
        if not (np.isfinite([low, high, scale]).all() and low < high and scale > 0):
            raise ValueError("its scale is none")
        return cls(
            settings=settings, kind=str(document["kind"]),
            names=tuple(str(name) for name in document["names"]),
            values=tuple(float(value) for value in document["values"]), ends=(low, high),
            mean=mean, scale=scale, arrays=head,
            first=group("first") if n_updates else {}, second=group("second") if n_updates else {},
            n_updates=n_updates, folds=folds, ids=ids, fold_of=fold_of,
        )  # fmt: skip

    @classmethod
    def of_head(cls, head: LayeredHead, path: Path) -> Self:
        """Take up a head without a state, such as a published one: its weights, nothing else.

        Raises
        ------
        UsageError
            ``wrong-resume`` if its layers or its output are not those of the network.
        """
        wanted = {"rating": "tanh", "classes": "softmax", "distribution": "softmax"}
        if wanted.get(head.promise.kind) != head.output:
            raise _wrong(f"{path.stem} is another kind of head")
        try:
            arrays = arrays_of(head.layers)
            names = [f"{name}.bias" for name in ("up.0", "down.0", "down.1", "down.4")]
            hidden, *down = (len(arrays[name]) if name in arrays else 0 for name in names)
            settings = settings_of(
                {"hidden": hidden, "down": down if hidden else [],
                 "rows": "unit" if head.normalise else "raw"}
            )  # fmt: skip
            check_arrays(arrays, settings, sum(head.dims))
        except ValueError as error:
            raise _wrong(f"{path}: {error}") from error
        promise = head.promise
        kind = {"distribution": "histograms"}.get(promise.kind, promise.kind)
        return cls(
            settings=settings, kind=kind, names=promise.names, values=promise.values,
            ends=(promise.low, promise.high), mean=np.zeros(sum(head.dims)), scale=1.0,
            arrays=arrays, first={}, second={}, n_updates=0,
        )  # fmt: skip


def kept_folds(state: State, ids: NDArray[np.uint8], groups: Ints, dealt: Ints) -> Ints:
    """Deal rows into the folds of a training that goes on.

    A row that it knew keeps its fold, and takes its near-copies along. Others go where they were
    dealt, or to the folds in turn if there are fewer now.

    Parameters
    ----------
    ids : ndarray of shape (n, m), uint8
    groups, dealt : ndarray of shape (n,), int64
        Groups of near-copies, and folds as dealt anew.
    """
    if state.ids is None or state.fold_of is None or not len(state.fold_of):
        return dealt
    n_folds = len(state.folds)
    known = {row.tobytes(): int(f) for row, f in zip(state.ids, state.fold_of, strict=True)}
    own = [known.get(row.tobytes()) for row in ids]
    by_group = {int(g): f for g, f in zip(groups, own, strict=True) if f is not None}
    found = np.array(
        [by_group.get(int(g), int(d) % n_folds) if f is None else f
         for g, d, f in zip(groups, dealt, own, strict=True)], dtype=np.int64,
    )  # fmt: skip
    empty = sorted(set(range(n_folds)) - set(found.tolist()))
    if empty:
        raise HeadError(
            "wrong-resume",
            f"{counted(len(empty), 'fold')} of the head would be without an image",
            hint="give it the labels that it has learnt from as well, or more new ones",
        )
    return found


def _wrong(why: str) -> UsageError:
    return UsageError(
        "wrong-resume",
        f"this head cannot go on learning from these labels: {why}",
        hint="leave out --resume to train a new one",
    )
