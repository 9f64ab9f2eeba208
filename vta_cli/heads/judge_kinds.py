"""What is known of a head of any kind: figures beside the base rate, names, doubtful labels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads import metrics
from vta_cli.heads.blocks import Floats
from vta_cli.heads.calibration import sigmoid
from vta_cli.heads.figures import (
    LOW,
    Named,
    answer_figures,
    base_answers,
    bootstrap,
    numbers_of,
    pair_figures,
    tier_of,
)
from vta_cli.heads.wanted import Ints, Wanted, with_rows
from vta_cli.records import Figure, Interval, NameFigures, Reliability, Suspect


def judge_answers(
    out: Floats, trained: Floats, wanted: Wanted, groups: Ints, seed: int
) -> tuple[Figure, ...]:
    """Return the figures of answers of shape (n, n_out); `trained` are those of the final head."""
    scale = wanted.scale
    base = answer_figures(base_answers(wanted, out.shape[1]), wanted, scale)
    own = answer_figures(trained, wanted, scale)

    def figures(rows: Ints, counts: Floats) -> Named:
        del counts
        drawn = with_rows(wanted, wanted.y[rows], wanted.weights[rows])
        return answer_figures(out[rows], drawn, scale)

    found = bootstrap(figures, groups, seed)
    for name in found:
        if name.startswith("good or bad"):
            middle = sum(scale) / 2.0
            share = float(np.mean(wanted.numbers >= middle))
            base[name] = max(share, 1.0 - share)
    return _listed(found, base, own)


def judge_pairs(
    strength: Floats, trained: Floats, wanted: Wanted, groups: Ints, seed: int
) -> tuple[Figure, ...]:
    """Return the figures of strengths of shape (n,); images are drawn, a pair as often as both."""
    pairs = _pairs(wanted)
    out = _wins(strength, pairs)

    def figures(rows: Ints, counts: Floats) -> Named:
        del rows
        return pair_figures(out, wanted.y, counts[pairs[:, 0]] * counts[pairs[:, 1]])

    once = np.ones(len(pairs))
    own = pair_figures(_wins(trained, pairs), wanted.y, once)
    base = pair_figures(np.full(len(pairs), 0.5), wanted.y, once)
    return _listed(bootstrap(figures, groups, seed), base, own)


def _pairs(wanted: Wanted) -> Ints:
    return np.empty((0, 2), dtype=np.int64) if wanted.pairs is None else wanted.pairs


def _wins(strength: Floats, pairs: Ints) -> Floats:
    return sigmoid(strength[pairs[:, 0]] - strength[pairs[:, 1]])


def _listed(found: dict[str, Interval], base: Named, own: Named) -> tuple[Figure, ...]:
    return tuple(
        Figure(name, "low" if name in LOW else "high", interval, base[name], own[name])
        for name, interval in found.items()
    )


def judge_names(out: Floats, wanted: Wanted) -> tuple[tuple[NameFigures, ...], Ints | None]:
    """Return how each class, tier or tag fares, and the confusion of classes or tiers."""
    if wanted.kind == "tags":
        rows = [
            _fares(name, tag[tag >= 0] == 1, said[tag >= 0] >= 0.5, said[tag >= 0])
            for name, tag, said in zip(wanted.names, wanted.y.T, out.T, strict=True)
        ]
        return tuple(rows), None
    if wanted.kind not in ("classes", "ordinal"):
        return (), None
    names = wanted.names or tuple(f"{value:g}" for value in wanted.values)
    said = tier_of(out, wanted) if wanted.kind == "ordinal" else np.argmax(out, axis=1)
    if out.shape[1] == 1:  # a number is the nearer to a tier, the likelier that
        out = -np.abs(out - np.asarray(wanted.values))
    rows = [_fares(name, wanted.y == k, said == k, out[:, k]) for k, name in enumerate(names)]
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (wanted.y, said), 1)
    return tuple(rows), confusion


def judge_promises(out: Floats, wanted: Wanted) -> tuple[Reliability, ...]:
    """Return how what is said of classes or tags comes true; nothing of other kinds."""
    if wanted.kind == "tags":
        known = wanted.y >= 0
        return metrics.reliability(out[known], (wanted.y[known] == 1).astype(np.int8))
    if wanted.kind == "classes":
        right = (np.argmax(out, axis=1) == wanted.y).astype(np.int8)
        return metrics.reliability(out.max(axis=1), right)
    return ()


def _fares(
    name: str, is_so: NDArray[np.bool_], said: NDArray[np.bool_], scores: Floats
) -> NameFigures:
    hits, n_so, n_said = float(np.sum(is_so & said)), float(is_so.sum()), float(said.sum())
    square = metrics.BETA**2
    denominator = square * n_so + n_said
    return NameFigures(
        name=name,
        n_labels=int(n_so),
        recall=hits / n_so if n_so else math.nan,
        precision=hits / n_said if n_said else math.nan,
        f2=(1.0 + square) * hits / denominator if denominator else math.nan,
        auc=float(metrics.auc(scores, is_so.astype(np.int8))[0]),
    )


def suspects(losses: Floats, out: Floats, wanted: Wanted) -> tuple[Suspect, ...]:
    """List all labels, those that the head likes least first.

    Parameters
    ----------
    losses : ndarray of shape (n,) or, of pairs, (m,), float64
        Out of fold.
    out : ndarray of shape (n, n_out), float64
        Out-of-fold answers; of pairs the probability that the left one wins, shape (m, 1).
    """
    order = np.argsort(-losses, kind="stable")
    said, found = _said(wanted), _found(out, wanted)
    values = _values(out, wanted)
    each = out.tolist() if wanted.kind == "tags" else [()] * len(out)
    return tuple(
        Suspect(int(at), said[at], found[at], float(losses[at]), float(values[at]), tuple(each[at]))
        for at in order
    )


def _values(out: Floats, wanted: Wanted) -> Floats:
    """Return an answer as one number a row, shape (n,); NaN of tags."""
    if wanted.kind == "classes":
        return np.asarray(np.argmax(out, axis=1), dtype=np.float64)
    if wanted.kind == "tags":
        return np.full(len(out), np.nan)
    return out[:, 0] if wanted.kind == "pairs" else numbers_of(out, wanted)


def _said(wanted: Wanted) -> list[str]:
    if wanted.kind == "classes":
        return [wanted.names[at] for at in wanted.y]
    if wanted.kind == "tags":
        return [
            ", ".join(name for name, state in zip(wanted.names, row, strict=True) if state == 1)
            or "no tag"
            for row in wanted.y
        ]
    if wanted.kind == "pairs":
        return [{1.0: "left", 0.0: "right"}.get(float(one), "tie") for one in wanted.y]
    return [f"{number:.3g}" for number in wanted.numbers]


def _found(out: Floats, wanted: Wanted) -> list[str]:
    if wanted.kind == "classes":
        return [f"{wanted.names[int(row.argmax())]} {row.max():.2f}" for row in out]
    if wanted.kind == "tags":
        return [_tags(row, wanted.names) for row in out]
    if wanted.kind == "pairs":
        return [f"left {row[0]:.2f}" for row in out]
    return [f"{number:.3g}" for number in numbers_of(out, wanted)]


def _tags(row: Floats, names: Sequence[str]) -> str:
    likely = [f"{name} {value:.2f}" for name, value in zip(names, row, strict=True) if value >= 0.5]
    return ", ".join(likely) or "no tag"
