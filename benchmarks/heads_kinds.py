"""Heads for scores, tiers, classes, votes and pairs on photographs that people have rated.

    python -m benchmarks.heads_kinds [--data DIR] [--seed N] [--quick] [--only HEAD]

The set is `biq2021_quality`: 500 photographs with the mean opinion of thirty people each, five
grades made of it, and pairs of which the better one is known. There are no votes, so the
distribution head learns the grades as a distribution with all votes in one bin. Out of fold, with
95 % intervals; the base says the labels' mean or shares of every image. Yes and no are learnt from
`portraits` and `dogs_cats`, too.
"""

import argparse
import csv
import os
from collections.abc import Iterable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  # after the thread limits

from benchmarks.heads_data import BACKBONES, SAMPLES, labelled_sets  # noqa: E402
from vta_cli.heads.train import train_binary  # noqa: E402
from vta_cli.heads.train_kinds import train_kind  # noqa: E402
from vta_cli.heads.wanted import Wanted  # noqa: E402
from vta_cli.records import Figure, TrainReport  # noqa: E402

FOLDER = "biq2021_quality"
SHOWN = ("SRCC", "LCC", "MAE", "EMD", "accuracy", "exact tier", "log loss", "AUC", "Brier")
HEADER = "| vectors | labels | head | figure | out of fold | 95 % | base | s |\n" + "|---" * 8 + "|"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def judgements(data: Path) -> dict[tuple[str, str], Wanted]:
    """Return what is learnt, by kind and head."""
    rows = rows_of(data / FOLDER / "labels.csv")
    place = {row["file"]: at for at, row in enumerate(rows)}
    mos = np.array([float(row["mos"]) for row in rows])
    grade = np.array([int(row["grade5"]) - 1 for row in rows])
    one = np.ones(len(rows))
    grades = tuple(float(g) for g in range(1, 6))
    duels = rows_of(data / FOLDER / "pairs_from_mos.csv")
    pairs = np.array([[place[duel["left"]], place[duel["right"]]] for duel in duels])
    won = np.array([{"left": 1.0, "right": 0.0}.get(duel["winner"], 0.5) for duel in duels])
    tiers = Wanted("ordinal", grade, one, values=grades)
    scores = Wanted("scores", mos, one)
    classes = Wanted("classes", grade, one, names=tuple("12345"))
    votes = Wanted("histograms", np.eye(5)[grade], one, values=grades)
    return {
        ("opinion scores", "ridge"): scores,
        ("opinion scores", "mlp"): scores,
        ("grades", "ordinal"): tiers,
        ("grades", "ridge"): tiers,
        ("grades", "mlp"): tiers,
        ("grades as classes", "softmax"): classes,
        ("grades as classes", "mlp"): classes,
        ("grades as votes", "distribution"): votes,
        ("grades as votes", "mlp"): votes,
        ("pairs", "pairs"): Wanted("pairs", won, np.ones(len(won)), pairs=pairs),
    }


def binary_figures(report: TrainReport) -> list[Figure]:
    """Return AUC, accuracy and Brier score of yes and no beside those of the share of yes."""
    share = report.n_positive / (report.n_positive + report.n_negative)
    last = report.members[-1]
    return [
        Figure("AUC", "high", last.auc, 0.5, report.train_auc),
        Figure("accuracy", "high", last.accuracy, max(share, 1.0 - share), float("nan")),
        Figure("Brier", "low", last.brier, share * (1.0 - share), float("nan")),
    ]


def line(figure: Figure) -> str:
    found = figure.found
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{figure.name} | {found.value:.3f} | {interval} | {figure.base:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="SqueezeNet alone")
    parser.add_argument("--only", help="this head alone")
    args = parser.parse_args()
    print(HEADER)
    worse = []

    def show(start: str, figures: Iterable[Figure], seconds: float) -> None:
        for figure in figures:
            if figure.name in SHOWN:
                print(f"| {start} | {line(figure)} | {seconds:.1f} |", flush=True)
                sign = 1 if figure.better == "high" else -1
                if sign * (figure.found.value - figure.base) <= 0:
                    worse.append(f"{start} {figure.name}")

    for backbone in ["squeezenet"] if args.quick else list(BACKBONES):
        vectors = labelled_sets(args.data, ["quality"], backbone)[0].x
        vectors = vectors.reshape(len(vectors), -1)
        for (labels, head), wanted in judgements(args.data).items():
            if args.only in (None, head):
                report = train_kind([vectors], wanted, head=head, seed=args.seed)[1]
                show(f"{backbone} | {labels} | {head}", report.figures, report.seconds)
        for one in labelled_sets(args.data, ["portraits", "dogs"], backbone):
            for head in ("ensemble", "mlp"):
                if args.only in (None, head):
                    x = one.x.reshape(len(one.x), -1)
                    report = train_binary([x], one.y, head=head, seed=args.seed)[1]
                    show(
                        f"{backbone} | {one.name} | {head}", binary_figures(report), report.seconds
                    )
    if worse:
        raise SystemExit("no better than the base: " + "; ".join(worse))


if __name__ == "__main__":
    main()
