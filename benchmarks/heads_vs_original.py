"""The default head beside the original ensemble and a tuned logistic regression.

    python -m benchmarks.heads_vs_original [--seeds N] [--data DIR] [--cache DIR] [--quick]

For each labelled set and number of labels: as many positives as negatives are drawn, the rest
(balanced too) is the test. Every method gets the same vectors and draws. AUC with the standard
error over the draws. Calibration error is the ECE with ten equal bins over the test scores of all
draws together: of one draw's test of 20 to 400 images most of the ECE is noise, which no method can
avoid. Even of all draws together perfect probabilities show some; it is given as *floor*, found by
drawing outcomes from vta's own scores. Seconds are CPU time of training with cross-validation, on
one thread; the original's are those of one draw. `--cache` keeps the scores of the other two
methods, which do not change while the heads of vta do. `--rows FILE` keeps finished rows, so that a
long run can be done in pieces, also side by side with a file each (delete it when the heads have
changed). `--markdown FILE` writes the table as docs/heads.md shows it.
"""

import argparse
import json
import os
import platform
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  # after the thread limits

from benchmarks.heads_data import BACKBONES, SAMPLES, SETS, LabelledSet, labelled_sets  # noqa: E402
from benchmarks.heads_peers import cost, peers  # noqa: E402
from vta_cli.heads.metrics import auc, ece  # noqa: E402
from vta_cli.heads.train import train_binary  # noqa: E402

BUDGETS = (20, 50, 100, 200)
FEWEST_TEST_SIDE = 5
METHODS = ("original", "logistic", "vta")
HEADER = (
    "| vectors | set | labels | original | logistic | vta | gain over the better | ECE original "
    "| logistic | vta | floor | CPU s |\n" + "|---" * 12 + "|"
)


def draw(y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return rows to train on (n) and to test on, both balanced; None if the set is too small."""
    random = np.random.default_rng(seed)
    sides = [random.permutation(np.flatnonzero(y == side)) for side in (1, 0)]
    n_test = min(len(side) for side in sides) - n // 2
    if n_test < FEWEST_TEST_SIDE:
        return None
    train = np.concatenate([side[: n // 2] for side in sides])
    test = np.concatenate([side[n // 2 : n // 2 + n_test] for side in sides])
    return train, test


@dataclass(frozen=True)
class Row:
    """What one set gives at one number of labels.

    Attributes
    ----------
    auc, draw_ece : dict of str to ndarray of shape (n_draws,), float64
        Of each method.
    ece : dict of str to float
        Over the test scores of all draws.
    floor : float
        The ECE that vta's scores would show if they were perfect probabilities.
    seconds : float
        CPU seconds of one training of vta, mean over draws.
    original_s : tuple of float or None
        Of the original: its fits, its search of weights.
    """

    vectors: str
    name: str
    n: int
    auc: dict[str, np.ndarray]
    draw_ece: dict[str, np.ndarray]
    ece: dict[str, float]
    floor: float
    seconds: float
    original_s: tuple[float, float] | None

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells the row from others: vectors, set, labels, draws."""
        return self.vectors, self.name, self.n, len(self.auc["vta"])

    @property
    def gain(self) -> tuple[float, float]:
        """Gain of AUC over the better of the other two, and the paired standard error."""
        better = max(METHODS[:2], key=lambda m: self.auc[m].mean())
        return mean_error(self.auc["vta"] - self.auc[better])


def kept_rows(path: Path) -> list[Row]:
    """Return the rows that `keep` wrote."""
    found = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
    for row in found:
        for name in ("auc", "draw_ece"):
            row[name] = {method: np.array(values) for method, values in row[name].items()}
        row["original_s"] = row["original_s"] and tuple(row["original_s"])
    return [Row(**row) for row in found]


def keep(row: Row, path: Path) -> None:
    """Append a row, one JSON object a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row), default=np.ndarray.tolist) + "\n")


def mean_error(values: np.ndarray) -> tuple[float, float]:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values.mean()), float(error)


def compare(
    backbone: str, case: LabelledSet, n: int, seeds: range, cache: Path | None, timed: bool
) -> Row | None:
    """Run all methods on all draws; None if the set is too small for so many labels."""
    scores: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    truth, seconds, original_s = [], [], None
    for seed in seeds:
        rows = draw(case.y, n, seed)
        if rows is None:
            return None
        train, test = rows
        started = time.process_time()
        taste, _ = train_binary([case.x[train]], case.y[train], seed=seed)
        seconds.append(time.process_time() - started)
        found = peers(case, train, test, seed, cache)
        scores["vta"].append(taste.score([case.x[test]]))
        scores["original"].append(found.original)
        scores["logistic"].append(found.logistic)
        truth.append(case.y[test])
        if timed and seed == seeds[0]:
            original_s = cost(case, train, seed, cache)
    y = np.concatenate(truth)
    drawn = {m: list(zip(scores[m], truth, strict=True)) for m in METHODS}
    return Row(
        backbone, case.name, n,
        {m: np.array([auc(*pair)[0] for pair in drawn[m]]) for m in METHODS},
        {m: np.array([ece(*pair)[0] for pair in drawn[m]]) for m in METHODS},
        {m: float(ece(np.concatenate(scores[m]), y)[0]) for m in METHODS},
        noise_floor(np.concatenate(scores["vta"])),
        float(np.mean(seconds)), original_s,
    )  # fmt: skip


def noise_floor(scores: np.ndarray) -> float:
    """Return the mean ECE of `scores` over outcomes drawn from them."""
    random = np.random.default_rng(0)
    made = [(random.random(len(scores)) < scores).astype(np.int8) for _ in range(50)]
    return float(np.mean([ece(scores, y)[0] for y in made]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0, help="of the draws")
    parser.add_argument("--labels", type=int, nargs="*", default=list(BUDGETS), choices=BUDGETS)
    parser.add_argument("--data", type=Path, default=SAMPLES)
    parser.add_argument("--backbone", nargs="*", default=list(BACKBONES), choices=list(BACKBONES))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--cache", type=Path, help="folder for the other methods' scores")
    parser.add_argument(
        "--rows", type=Path, help="file of finished rows of the same first seed, not computed again"
    )
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--quick", action="store_true", help="3 draws, SqueezeNet vectors")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    seeds = 3 if options.quick else options.seeds
    draws = range(options.first_seed, options.first_seed + seeds)
    backbones = ["squeezenet"] if options.quick else options.backbone
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {seeds} draws")
    print(HEADER, flush=True)
    rows = []
    known = options.rows is not None and options.rows.is_file()
    done = {row.key: row for row in kept_rows(options.rows)} if known else {}
    for backbone in backbones:
        for case in labelled_sets(options.data, options.sets, backbone):
            for n in options.labels:
                row = done.get((backbone, case.name, n, seeds))
                if row is None:
                    timed = case.name in ("dogs", "quality")
                    row = compare(backbone, case, n, draws, options.cache, timed)
                    if row is not None and options.rows is not None:
                        keep(row, options.rows)
                if row is not None:
                    rows.append(row)
                    print(line(row), flush=True)
    told = summary(rows)
    print(f"\n{told}")
    if options.markdown is not None:
        table = "\n".join([HEADER, *map(line, rows)])
        options.markdown.write_text(f"{table}\n\n{told}\n", encoding="utf-8")


def line(row: Row) -> str:
    """Return one line of the table."""
    aucs = ["{:.3f}±{:.3f}".format(*mean_error(row.auc[m])) for m in METHODS]
    errors = [f"{row.ece[m]:.3f}" for m in METHODS]
    cells = [row.vectors, row.name, str(row.n), *aucs, "{:+.3f}±{:.3f}".format(*row.gain), *errors]
    return f"| {' | '.join([*cells, f'{row.floor:.3f}', f'{row.seconds:.2f}'])} |"


def summary(rows: list[Row]) -> str:
    """Return the sentences below the table."""
    gains = np.array([row.gain for row in rows])
    worst = rows[int(np.argmin(gains.sum(axis=1)))]
    below = np.sum(gains.sum(axis=1) < 0)
    eces = {m: float(np.mean([row.ece[m] for row in rows])) for m in METHODS}
    each = {m: float(np.mean([row.draw_ece[m].mean() for row in rows])) for m in METHODS}
    ratio = eces["vta"] / eces["original"]
    told = [
        (
            f"AUC over the better of the two: mean {gains[:, 0].mean():+.4f}; "
            f"{below} of {len(rows)} rows below by more than a standard error; "
            f"worst {worst.gain[0]:+.4f}±{worst.gain[1]:.4f} "
            f"({worst.vectors}, {worst.name}, {worst.n} labels)."
        ),
        (
            f"Calibration error, mean of the rows: {_listed(eces)}, "
            f"floor {np.mean([row.floor for row in rows]):.3f}; vta over original {ratio:.2f}."
        ),
        f"The same as the mean over single draws, mostly noise: {_listed(each)}.",
    ]
    for vectors in dict.fromkeys(row.vectors for row in rows):
        timed = [row for row in rows if row.vectors == vectors and row.original_s is not None]
        for n in sorted({row.n for row in timed}):
            pairs = [(row.original_s, row.seconds) for row in timed if row.n == n]
            fit = np.mean([cost[0] / own for cost, own in pairs if cost])
            whole = np.mean([sum(cost) / own for cost, own in pairs if cost])
            told.append(
                f"{vectors}, {n} labels: {whole:.0f} times faster than the original with its "
                f"search of weights, {fit:.1f} times than its fits alone."
            )
    return "\n".join(told)


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{method} {value:.3f}" for method, value in values.items())


if __name__ == "__main__":
    main()
