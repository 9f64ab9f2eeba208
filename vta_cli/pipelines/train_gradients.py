"""Heads that learn by gradients: their settings, what they go on from, what is kept beside them."""

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.mlp import Mlp, require_torch
from vta_cli.heads.mlp_checkpoint import SUFFIX as CHECKPOINT
from vta_cli.heads.mlp_checkpoint import Checkpoint
from vta_cli.heads.mlp_state import SUFFIX, State
from vta_cli.heads.network import settings_of
from vta_cli.heads.persist import read
from vta_cli.heads.registry import NETWORKS
from vta_cli.heads.saved import load_head
from vta_cli.heads.train_kinds import Gradients
from vta_cli.pages.curve import curve_svg
from vta_cli.pipelines.interrupt import StopRequest
from vta_cli.pipelines.labelled import ByGradients
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.score import ANY_WEIGHTS, find_head
from vta_cli.records import Curve
from vta_cli.store.space import Space
from vta_cli.store.store import Store


def head_of(head: str | None, by: ByGradients) -> str | None:
    """Return the head that is meant, and check early what can be checked.

    Raises
    ------
    UsageError
        ``wrong-option`` if the head does not learn by gradients; ``missing-extra`` without torch.
    """
    if head is None and by.resume is not None:
        head = NETWORKS[0]
    if head in NETWORKS:
        require_torch()
        settings_of(by.settings)
    elif by.settings or by.resume is not None:
        what = "--resume" if by.resume is not None else "--set"
        raise UsageError(
            "wrong-option",
            f"{what} is for heads that learn by gradients",
            hint=f"say --head {NETWORKS[0]}",
        )
    return head


def gradients(
    store: Store,
    by: ByGradients,
    spaces: Sequence[Space],
    ids: NDArray[np.uint8],
    kept: list[State],
    checkpoint: Checkpoint,
) -> Gradients:
    """Return how to train judgements that are not yes or no; the new state is put into `kept`."""
    state = _state(store, by, spaces)
    settings = settings_of(by.settings, None if state is None else state.settings)
    return Gradients(settings, state, ids, by.device, kept.append, checkpoint)


def member(
    store: Store,
    by: ByGradients,
    spaces: Sequence[Space],
    ids: NDArray[np.uint8],
    checkpoint: Checkpoint,
) -> Mlp:
    """Return the member that learns yes and no."""
    state = _state(store, by, spaces)
    return Mlp(by.settings, state=state, ids=ids, device=by.device, checkpoint=checkpoint)


@contextmanager
def checkpointed(head: str | None, path: Path, progress: Progress) -> Iterator[Checkpoint]:
    """Keep a checkpoint beside the file of a head that learns by gradients, and heed Ctrl-C.

    It is removed at the end, when the head is saved; of other heads there is none.
    """
    if head not in NETWORKS:
        yield Checkpoint()
        return
    with StopRequest() as stop:
        kept = Checkpoint(
            path.with_suffix(CHECKPOINT), stop=lambda: stop.requested, say=progress.warn
        )
        yield kept
        kept.remove()


def id_rows(keys: NDArray[Any]) -> NDArray[np.uint8]:
    """Return content keys as bytes, shape (n, 32)."""
    flat = np.ascontiguousarray(keys)
    return flat.view(np.uint8).reshape(len(flat), -1).copy()


def _state(store: Store, by: ByGradients, spaces: Sequence[Space]) -> State | None:
    if by.resume is None:
        return None
    path = find_head(store, by.resume)
    head = load_head(path)
    mine = [space.recipe.to_json() for space in spaces]
    if len(head.recipes) != len(mine) or not all(map(_same, head.recipes, mine)):
        raise UsageError(
            "wrong-resume",
            f"{path.stem} reads other vectors than these: "
            + ", ".join(str(one.get("backbone")) for one in head.recipes),
            hint="name its backbones with --backbone, in this order",
        )
    beside = path.with_suffix(SUFFIX)
    if not beside.is_file():
        if isinstance(head, LayeredHead):
            return State.of_head(head, path)
        raise UsageError(
            "wrong-resume",
            f"{path.stem} is no head that could go on learning",
            hint=f"train one with --head {NETWORKS[0]}; {beside.name} lies beside it then",
        )
    state = State.load(beside)
    last = state.arrays["down.5.weight"]
    if not any(np.array_equal(last, array) for array in read(path)[1].values()):
        raise HeadError(
            "wrong-resume",
            f"{beside} belongs to another training than {path.name}",
            hint="the head has been trained anew or restored since; train it anew with --head "
            f"{NETWORKS[0]}",
        )
    return state


def _same(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    """Tell whether two recipes differ in no more than precision, or in weights left open."""
    free = {"precision"} | ({"weights"} if theirs.get("weights") == ANY_WEIGHTS else set())
    left, right = ({k: v for k, v in one.items() if k not in free} for one in (theirs, mine))
    return left == right


def save_beside(head: Path, state: State | None, curve: Curve | None) -> None:
    """Save, beside the file of a head, the state to go on from and the losses as csv and drawing.

    Raises
    ------
    HeadError
        ``head-unwritable``
    """
    if state is not None:
        state.save(head.with_suffix(SUFFIX))
    if curve is not None:
        _write(head.with_suffix(".curve.csv"), curve_csv(curve))
        _write(head.with_suffix(".curve.svg"), curve_svg(curve, head.stem))


def curve_csv(curve: Curve) -> str:
    """Return a row an epoch: rows seen, both losses, learning rate, whether it was kept."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["rows_seen", "train_loss", "held_out_loss", "learning_rate", "kept"])
    points = zip(curve.samples, curve.train, curve.held, curve.rate, strict=True)
    for at, (seen, train, held, rate) in enumerate(points):
        shown = "" if math.isnan(held) else f"{held:.6g}"
        rows.writerow([seen, f"{train:.6g}", shown, f"{rate:.6g}", int(at == curve.best)])
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HeadError(
            "head-unwritable",
            f"cannot write {path}: {error.strerror or error}",
            hint="check the folder, its permissions and the space left on the disk",
        ) from error
