"""What the classic backbone's vectors are worth on the sample sets, block by block.

    python -m benchmarks.classic_quality [--data DIR] [--repeats 10] [--markdown FILE]

Repeated stratified 5-fold cross-validation on rows of unit length. The ridge head's penalty is
chosen by leave-one-out inside the training folds, the logistic head's C by 5-fold cross-validation
inside them: all figures are nested, and are means over the test folds. Near-duplicates: cosine
similarity of all pairs, against the groups that are known.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.classic_data import DATA, read_picture
from vta_cli.backbones import classic
from vta_cli.backbones.classic_blocks import columns
from vta_cli.backbones.classic_recipe import DEDUPE_THRESHOLD

PENALTIES = 10.0 ** np.arange(-5, 3.1, 0.5)
"""Ridge penalties tried, relative to the mean eigenvalue."""

STRENGTHS = 10.0 ** np.arange(-3, 2.1, 1.0)
"""C of the logistic regression, on columns of the scale of the first principal one."""

N_FOLDS = 5


@dataclass(frozen=True)
class Task:
    """One labelled set; `target` is binary, a rating, or a class number."""

    name: str
    kind: str
    vectors: np.ndarray
    target: np.ndarray


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def embed(files: list[Path]) -> np.ndarray:
    backbone = classic.load()
    return np.concatenate([backbone.embed([read_picture(file)]) for file in files])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tasks(data: Path) -> list[Task]:
    """Read every labelled set that is there; labels of one set may be of another kind."""
    kinds: list[tuple[str, str, str, Callable[[str], float]]] = [
        ("portraits", "binary", "label", float),
        ("dogs_cats", "binary", "label", lambda label: float(label == "dog")),
        ("biq2021_quality", "rating", "mos", float),
        (
            "fruit_tiny",
            "classes",
            "label",
            ["apple", "banana", "orange"].index,
        ),
    ]
    out = []
    for name, kind, column, number in kinds:
        table = data / name / "labels.csv"
        if not table.exists():
            print(f"{name}: not there, left out")
            continue
        rows = [row for row in rows_of(table) if row[column]]
        vectors = embed([data / name / row["file"] for row in rows])
        out.append(Task(name, kind, vectors, np.array([number(row[column]) for row in rows])))
    return out


def gram(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return (unit @ unit.T).astype(np.float64)


def folds(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = np.empty(len(strata), dtype=np.int64)
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        out[members] = (np.arange(len(members)) + rng.integers(N_FOLDS)) % N_FOLDS
    return out


def centred(kernel: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple:
    """Centre a Gram matrix on the training rows: (train x train, test x train)."""
    inner, cross = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
    mean, total = inner.mean(axis=0), inner.mean()
    inner = inner - mean - mean[:, None] + total
    return inner, cross - cross.mean(axis=1, keepdims=True) - mean + total


def ridge(
    kernel: np.ndarray, target: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    inner, cross = centred(kernel, train, test)
    values, basis = np.linalg.eigh(inner)
    values = np.maximum(values, 0)
    mean = target[train].mean(axis=0)
    rest = target[train] - mean
    inside = basis.T @ rest
    scores = []
    for penalty in PENALTIES * values.mean():
        keep = values / (values + penalty)
        leverage = np.minimum((basis**2) @ keep + 1 / len(train), 1 - 1e-6)
        missed = (rest - basis @ (keep[:, None] * inside)) / (1 - leverage)[:, None]
        scores.append((missed**2).mean())
    penalty = PENALTIES[int(np.argmin(scores))] * values.mean()
    return cross @ (basis @ (inside / (values + penalty)[:, None])) + mean


def logistic(
    kernel: np.ndarray, target: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    inner, cross = centred(kernel, train, test)
    values, basis = np.linalg.eigh(inner)
    keep = values > 1e-9 * values.max()
    basis, scale = basis[:, keep], np.sqrt(values[keep])
    rows, others = basis * scale, cross @ (basis / scale)
    unit = rows.std(axis=0).max()
    rows, others = rows / unit, others / unit
    label = target[train, 0] > 0
    fold = folds(label, np.random.default_rng(seed))
    scores = []
    for strength in STRENGTHS:
        parts = []
        for k in range(N_FOLDS):
            head = LogisticRegression(C=strength, max_iter=1000)
            head.fit(rows[fold != k], label[fold != k])
            parts.append(roc_auc_score(label[fold == k], head.decision_function(rows[fold == k])))
        scores.append(np.mean(parts))
    head = LogisticRegression(C=STRENGTHS[int(np.argmax(scores))], max_iter=1000).fit(rows, label)
    return head.decision_function(others)[:, None]


def judge(task: Task, kernel: np.ndarray, n_repeats: int, head: str = "ridge") -> list[float]:
    """Return the task's two figures: AUC and accuracy, rank correlation and AUC, or accuracy."""
    rng = np.random.default_rng(0)
    y = task.target
    target = {
        "binary": (2 * y - 1)[:, None],
        "rating": y[:, None],
        "classes": 2 * np.eye(int(y.max()) + 1)[y.astype(int)] - 1,
    }[task.kind]
    strata = (
        np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y) if task.kind == "rating" else y
    )
    figures = []
    for repeat in range(n_repeats):
        fold = folds(strata, rng)
        for k in range(N_FOLDS):
            train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            if head == "ridge":
                guess = ridge(kernel, target, train, test)
            else:
                guess = logistic(kernel, target, train, test, repeat)
            truth = y[test]
            if task.kind == "classes":
                figures.append([(guess.argmax(axis=1) == truth).mean()])
            elif task.kind == "rating":
                above = truth >= np.median(y)
                figures.append([spearman(guess[:, 0], truth), roc_auc_score(above, guess[:, 0])])
            else:
                right = ((guess[:, 0] > 0) == (truth > 0)).mean()
                figures.append([roc_auc_score(truth, guess[:, 0]), right])
    return list(np.mean(figures, axis=0))


def main_table(found: list[Task], n_repeats: int) -> list[str]:
    lines = [
        "| set | labels | head | AUC or rank correlation | accuracy, or AUC above the median |"
    ]
    lines.append("|---|---|---|---|---|")
    for task in found:
        kernel = gram(task.vectors)
        for head in ("ridge", "logistic") if task.kind == "binary" else ("ridge",):
            first, *second = judge(task, kernel, n_repeats, head)
            if task.kind == "classes":
                first, second = float("nan"), [first]
            shown = "-" if np.isnan(first) else f"{first:.3f}"
            lines.append(f"| {task.name} | {len(kernel)} | {head} | {shown} | {second[0]:.3f} |")
    return lines


def block_table(found: list[Task], n_repeats: int) -> list[str]:
    kept = [task for task in found if task.kind != "classes"]
    names = [task.name for task in kept]
    lines = ["| block | columns | " + " | ".join(f"{name} alone" for name in names)]
    lines[0] += " | " + " | ".join(f"{name} without" for name in names) + " |"
    lines.append("|---" * (2 + 2 * len(names)) + "|")
    whole = [judge(task, gram(task.vectors), n_repeats)[0] for task in kept]
    blank = " | ".join("" for _ in kept)
    dim = kept[0].vectors.shape[1]
    lines.append(f"| all | {dim} | " + " | ".join(f"{v:.3f}" for v in whole) + f" | {blank} |")
    for block, part in columns().items():
        alone, without = [], []
        for task, full in zip(kept, whole, strict=True):
            own = task.vectors[:, part]
            if own.std(axis=0).max() < 1e-6:
                alone.append("-")
            else:
                alone.append(f"{judge(task, gram(own), n_repeats)[0]:.3f}")
            rest = np.delete(task.vectors, np.arange(part.start, part.stop), axis=1)
            without.append(f"{judge(task, gram(rest), n_repeats)[0] - full:+.3f}")
        cells = " | ".join([*alone, *without])
        lines.append(f"| {block} | {part.stop - part.start} | {cells} |")
        print(lines[-1], flush=True)
    return lines


def duplicate_table(data: Path) -> list[str]:
    lines = ["| set | threshold | recall of strict pairs | false pairs | of these layout twins |"]
    lines.append("|---|---|---|---|---|")
    for name in ("neardup_made", "neardup_real"):
        table = data / name / "groups.csv"
        if not table.exists():
            continue
        rows, vectors = [], []
        for row in rows_of(table):
            try:
                vectors.append(embed([data / name / row["file"]])[0])
            except OSError as error:  # a format whose decoder is not installed
                print(f"left out: {row['file']}: {error}")
                continue
            rows.append(row)
        similar = gram(np.stack(vectors))
        group = np.array([row["group"] for row in rows])
        strict = np.array([row["strict"] == "1" for row in rows])
        twin = np.array([row["relation"] == "layout_twin" for row in rows])
        once = np.triu(np.ones_like(similar, dtype=bool), 1)
        same = (group[:, None] == group) & once
        wanted, wrong = same & strict & strict[:, None], (group[:, None] != group) & once
        for threshold in sorted({0.8, 0.85, 0.92, 0.96, DEDUPE_THRESHOLD}):
            near = similar >= threshold
            false, twins = (near & wrong).sum(), (near & wrong & twin & twin[:, None]).sum()
            share = near[wanted].mean()
            lines.append(f"| {name} | {threshold:.2f} | {share:.3f} | {false} | {twins} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f"no sample data at {args.data}: give their folder with --data")
    found = tasks(args.data)
    lines = main_table(found, args.repeats)
    print("\n".join(lines), flush=True)
    lines += ["", *duplicate_table(args.data)]
    print("\n".join(lines[-12:]), flush=True)
    lines += ["", *block_table(found, max(1, args.repeats // 2))]
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
