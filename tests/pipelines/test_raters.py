"""Raters against the head and against each other; majorities; weights that count."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from vta_cli.heads.train_kinds import train_kind
from vta_cli.heads.wanted import Wanted
from vta_cli.labels.merge import merge
from vta_cli.labels.merge_classes import merge_classes
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.registry import merge_of
from vta_cli.pipelines.raters import ceiling_notes, questions_of, rater_figures
from vta_cli.records import Suspect

N = 30
KEYS = {f"/{at}.jpg": at.to_bytes(32, "big") for at in range(N)}


def judged(kind, rows, names=()):
    labels = tuple(Label(f"/{at}.jpg", float(v), "t.csv:1", w, who) for at, v, w, who in rows)
    return LabelSet(kind, labels, names=names)


def test_scores_of_each_rater_are_compared_with_the_head_and_with_the_others():
    rng = np.random.default_rng(0)
    ann, bob, found = rng.normal(size=(3, N))
    rows = [(at, ann[at], 1.0, "ann") for at in range(N)]
    rows += [(at, bob[at], 1.0, "bob") for at in range(10)]
    rows += [(at, bob[at] + 4, 1.0, "cy") for at in range(10)]
    figures = rater_figures(
        judged("scores", rows), KEYS, {(KEYS[f"/{at}.jpg"],): found[at] for at in range(20)}
    )
    assert [(one.name, one.n_labels, one.n_shared) for one in figures] == [
        ("ann", 20, 10), ("bob", 10, 10), ("cy", 10, 10),
    ]  # fmt: skip
    assert figures[0].with_head["SRCC"] == pytest.approx(spearmanr(ann[:20], found[:20])[0])
    assert figures[0].with_head["MAE"] == pytest.approx(np.abs(ann[:20] - found[:20]).mean())
    # ann's others say the mean of bob and cy
    assert figures[0].with_others["MAE"] == pytest.approx(np.abs(ann[:10] - bob[:10] - 2).mean())
    assert figures[0].with_others["SRCC"] == pytest.approx(spearmanr(ann[:10], bob[:10])[0])


def test_yes_and_no_of_each_rater_with_ties_of_the_others_left_out():
    found = np.linspace(0.05, 0.95, N)
    ann = (np.arange(N) % 3 == 0).astype(float)
    rows = [(at, ann[at], 1.0, "ann") for at in range(N)]
    rows += [(at, ann[at], 1.0, "bob") for at in range(12)]
    rows += [(at, 1 - ann[at] if at < 4 else ann[at], 1.0, "cy") for at in range(12)]
    answers = {(KEYS[f"/{at}.jpg"],): found[at] for at in range(N)}
    ann_figures, bob, _ = rater_figures(judged("binary", rows), KEYS, answers)
    assert ann_figures.with_head["AUC"] == pytest.approx(roc_auc_score(ann, found))
    assert ann_figures.with_head["accuracy"] == pytest.approx(np.mean((found >= 0.5) == ann))
    assert ann_figures.n_shared == 8  # bob and cy are at odds over four
    assert ann_figures.with_others == {"accuracy": 1.0}
    assert bob.n_shared == 8  # ann against cy is a tie too


def test_one_rater_alone_has_no_table_and_few_images_no_figure():
    rows = [(at, at % 2, 1.0, "ann") for at in range(N)]
    answers = dict.fromkeys([(key,) for key in KEYS.values()], 0.5)
    assert rater_figures(judged("binary", rows), KEYS, answers) == ()
    rows += [(at, at % 2, 1.0, "bob") for at in range(4)]
    assert np.isnan(rater_figures(judged("binary", rows), KEYS, answers)[1].with_head["accuracy"])


def test_repeated_labels_give_the_ceiling_of_yes_and_no_too():
    rows = [(at, 1.0, 1.0, "ann") for at in range(4)]
    rows += [(0, 0.0, 1.0, "ann"), (1, 1.0, 1.0, "ann"), (2, 0.0, 1.0, "bob")]
    notes = ceiling_notes(judged("binary", rows), KEYS)
    assert "2 images" in notes[0]
    assert "of one rater agree in 50 %; too few to say" in notes[0]
    assert "of two raters agree in 0 %;" in notes[1]


def test_tags_are_compared_one_by_one_and_unknown_ones_not_at_all():
    states = {"ann": (1.0, 0.0), "bob": (1.0, 1.0), "cy": (0.0, -1.0)}
    labels = LabelSet(
        "tags",
        tuple(
            Label(f"/{at}.jpg", 1.0, "t.csv:2", 1.0, who, values)
            for at in range(6)
            for who, values in states.items()
        ),
        names=("sky", "sea"),
    )
    suspects = [Suspect(at, "", "", 0.0, values=(0.9, 0.2)) for at in range(6)]
    keys = np.frombuffer(b"".join(KEYS[f"/{at}.jpg"] for at in range(6)), np.uint8).reshape(6, -1)
    ann, bob, cy = rater_figures(labels, KEYS, questions_of("tags", suspects, keys))
    assert (ann.n_labels, bob.n_labels, cy.n_labels) == (12, 12, 6)
    assert (ann.with_head["accuracy"], ann.with_head["recall"]) == (1.0, 1.0)
    assert (bob.with_head["accuracy"], bob.with_head["recall"]) == (0.5, 0.5)
    assert cy.with_head["accuracy"] == 0.0
    assert np.isnan(cy.with_head["recall"])  # cy says of no image that it bears a tag
    # of the sky bob and cy are at odds, so that only the sea is shared; there bob says the contrary
    assert (ann.n_shared, ann.with_others) == (6, {"accuracy": 0.0})


def test_pairs_are_compared_whichever_side_an_image_stood_on():
    def pair(a, b, value, who):
        return Label(f"/{a}.jpg", value, "p.csv:2", 1.0, who, other=f"/{b}.jpg")

    rows = [pair(at, at + 10, 1.0, "ann") for at in range(6)]  # the lower number wins
    rows += [pair(at + 10, at, 0.0, "bob") for at in range(6)]  # turned: the same
    rows += [pair(at + 10, at, 1.0, "cy") for at in range(6)]  # the contrary
    rows += [pair(at, at + 10, 0.5, "dan") for at in range(6)]  # ties are no answer
    judged = merge_of("pairs")(LabelSet("pairs", tuple(rows)), KEYS)
    suspects = [
        Suspect(row, "", "", 0.0, 0.9 if left < right else 0.1)
        for row, (left, right) in enumerate(
            (int(bytes(judged.keys[a])[-1]), int(bytes(judged.keys[b])[-1])) for a, b in judged.rows
        )
    ]
    found = rater_figures(
        LabelSet("pairs", tuple(rows)), KEYS,
        questions_of("pairs", suspects, judged.keys, judged.rows),
    )  # fmt: skip
    accuracy = {one.name: one.with_head["accuracy"] for one in found}
    assert accuracy == {"ann": 1.0, "bob": 1.0, "cy": 0.0}
    notes = ceiling_notes(LabelSet("pairs", tuple(rows[:12])), KEYS)
    assert "6 pairs were judged more than once: judgements of two raters agree in 100 %" in notes[0]


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_the_majority_of_weights_wins_and_a_tie_is_left_out(kind):
    rows = [
        (0, 1, 1.0, "ann"), (0, 0, 1.0, "bob"), (0, 0, 1.0, "cy"),  # two against one
        (1, 1, 3.0, "ann"), (1, 0, 1.0, "bob"), (1, 0, 1.0, "cy"),  # but ann counts three
        (2, 1, 0.3, "ann"), (2, 0, 0.1, "bob"), (2, 0, 0.2, "cy"),  # a tie
        (3, 1, 1.0, "ann"), (4, 0, 1.0, "ann"),
    ]  # fmt: skip
    labels = judged(kind, rows, ("no", "yes"))
    function = merge if kind == "binary" else merge_classes
    found = function(labels, KEYS, on_conflict="majority")
    assert found.paths == ("/0.jpg", "/1.jpg", "/3.jpg", "/4.jpg")
    assert found.targets.tolist() == [0, 1, 1, 0]
    assert found.weights.tolist() == [1.0, 3.0, 1.0, 1.0]
    note = next(note for note in found.notes if "majority" in note)
    assert "3 images" in note
    assert "1 without one left out" in note


@pytest.mark.parametrize("kind", ["scores", "classes", "ordinal", "histograms", "tags"])
def test_weights_move_the_fit_towards_what_is_heavy(kind):
    """The same rows with two contradicting sets of judgements: the heavier half decides."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    rows = np.concatenate([x, x])
    side = np.where(x[:, 0] > 0, 1, 0)
    both = np.concatenate([side, 1 - side])
    y = {
        "scores": both.astype(float),
        "classes": both,
        "ordinal": both,
        "histograms": np.stack([1.0 - both, both], axis=1) * 0.8 + 0.1,
        "tags": both[:, None].astype(np.int8),
    }[kind]
    values = (0.0, 1.0) if kind in ("ordinal", "histograms") else ()
    names = {"classes": ("a", "b"), "tags": ("t",)}.get(kind, ())
    chosen = (1,) if kind == "classes" else ()
    signs = []
    for first in (10.0, 0.1):
        weights = np.repeat([first, 1.0], 40)
        wanted = Wanted(kind, y, weights, names=names, values=values, chosen=chosen)
        head, _ = train_kind([rows], wanted, groups=np.tile(np.arange(40), 2))
        scores = head.score([x])
        signs.append(np.corrcoef(scores, side)[0, 1])
    assert signs[0] > 0.5
    assert signs[1] < -0.5


def test_the_command_prints_raters_and_learns_from_one(drawn, vta, tmp_path):
    names = sorted(path.name for path in (drawn / "pics").iterdir())
    rows = [["path", "label", "rater", "weight"]]
    for at, name in enumerate(names):
        warm = int(at % 2 == 0)
        rows.append([str(drawn / "pics" / name), warm, "ann", 3])
        rows.append([str(drawn / "pics" / name), 1 - warm, "bob", 1])
    with (tmp_path / "two.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    base = ["train", "--labels", "two.csv", "--preset", "classic", "--head", "logistic"]
    refused = vta(*base, cwd=tmp_path)
    assert refused.code == 2
    assert "--on-conflict majority" in refused.err
    ran = vta(*base, "--on-conflict", "majority", cwd=tmp_path)
    assert ran.code == 0, ran.err
    table = ran.out[ran.out.index("Each rater against the head") :].splitlines()
    ann, bob = (next(line.split() for line in table if line.split()[:1] == [n]) for n in
                ("ann", "bob"))  # fmt: skip
    assert float(ann[2]) == pytest.approx(1 - float(bob[2]), abs=2e-3)  # AUC
    assert float(ann[3]) > 0.9
    assert float(ann[5]) == 0.0  # they never agree
    assert "of two raters agree in 0 %" in ran.err
    ran = vta(*base, "--rater", "bob", "--name", "bob", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "Each rater" not in ran.out
    scored = vta("score", str(drawn / "pics"), "--model", "bob", cwd=tmp_path)
    scores = [float(row["score"]) for row in csv.DictReader(io.StringIO(scored.out))]
    assert max(scores[::2]) < min(scores[1::2])
    unknown = vta(*base, "--rater", "bobb", cwd=tmp_path)
    assert unknown.code == 2
    assert "did you mean bob?" in unknown.err
