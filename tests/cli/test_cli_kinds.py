"""Every kind of label through the real commands: train, score, filter."""

import csv
import io
import json
import re
import shutil
from itertools import pairwise

import pytest


@pytest.fixture(scope="module")
def judged(drawn, vta, tmp_path_factory):
    """Return a folder with an embedded store and the same judgements in every form."""
    root = tmp_path_factory.mktemp("judged") / "work"
    shutil.copytree(drawn, root)
    names = sorted(path.name for path in (root / "pics").iterdir())
    liked = {name: at % 2 == 0 for at, name in enumerate(names)}
    for name in names:
        for folder in (f"tiers/{4 if liked[name] else 1}", f"classes/{int(not liked[name])}_c"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / "pics" / name, root / folder / name)
    table = [f"pics/{name},{70 + at if liked[name] else 10 + at}" for at, name in enumerate(names)]
    for odd in ("labels.zip", "list.txt"):  # named as images are, they are no sources either
        (root / odd).write_text("pics/p00.jpg\n")
        table.append(f"{odd},50")
    (root / "scores.csv").write_text("path,score\n" + "\n".join(table))
    table = [f"pics/{name},{'warm' if liked[name] else '-'}" for name in names]
    (root / "tags.csv").write_text("path,tags\n" + "\n".join(table))
    pairs = [f"pics/{a},pics/{b},{'left' if liked[a] else 'right'}"
             for a, b in pairwise(names)]  # fmt: skip
    (root / "pairs.csv").write_text("left,right,winner\n" + "\n".join(pairs))
    votes = [{"image_id": name[:-4], "label": [1, 2, 7] if liked[name] else [7, 2, 1]}
             for name in names]  # fmt: skip
    (root / "votes.json").write_text(json.dumps(votes))
    (root / "page.jsonl").write_text('{"vta_journal":1}\n')
    assert vta("embed", "pics", "--preset", "classic", cwd=root).code == 0
    return root


CASES = {
    "tiers": (["--tiers", "tiers"], "ordinal", 2.5, "4"),
    "tiers as scores": (["--tiers", "tiers", "--kind", "scores"], "ridge", 2.5, "4"),
    "classes": (["--classes", "classes"], "softmax", 0.5, "0_c"),
    "scores": (["--labels", "scores.csv"], "ridge", 45, r"[789]\d"),
    "tags": (["--labels", "tags.csv"], "tags", 0.5, "warm"),
    "votes": (["--histograms", "votes.json", "--images", "pics"], "distribution", 2, "2.6"),
    "votes from 0": (
        ["--histograms", "votes.json", "--images", "pics", "--first-bin", "0"],
        "distribution",
        1,
        "1.6",
    ),
    "pairs": (["--pairs", "pairs.csv"], "pairs", 0.5, "won 2 of 2"),
}
"""Options of `vta train`, the head that it chooses, a score between the two groups, and a pattern
of what was said of a liked picture in the middle."""


@pytest.mark.parametrize("case", list(CASES))
def test_labels_of_every_kind_find_the_liked_pictures(judged, vta, case):
    options, head, middle, said = CASES[case]
    name = case.replace(" ", "-")
    trained = vta("train", *options, "--name", name, "--audit", 2, cwd=judged)
    assert trained.code == 0, trained.err
    assert trained.out.startswith(head)
    assert "base" in trained.out
    assert ("2 labelled files could not be read" in trained.err) == (case == "scores")
    assert "Labels most likely wrong" in trained.out
    scored = vta("score", "pics", "--model", name, cwd=judged)
    rows = list(csv.DictReader(io.StringIO(scored.out)))
    scores = [float(row["score"]) for row in rows]
    assert min(scores[::2]) > max(scores[1::2])
    kept = vta("filter", "pics", "--model", name, "--threshold", middle, cwd=judged)
    assert kept.code == 0, kept.err
    assert len(kept.out.splitlines()) == 12
    told = json.loads(vta("heads", "show", name, cwd=judged).out)["labels"]
    assert sum(told.values()) == 24
    assert any(re.fullmatch(said, one) for one in told)
    why = vta("explain", "pics/p02.jpg", "--model", name, "-n", "3", cwd=judged)
    assert why.code == 0, why.err
    near = why.out.partition("nearest labelled\n")[2].splitlines()
    assert len(near) == 3
    for line in near:
        assert re.fullmatch(rf" +0\.\d+  ({said}|won 1 of 1)  .*/p\d[02468]\.jpg", line), line


def test_audit_names_the_wrong_label_of_yes_and_no(judged, vta):
    liked = [f"pics/p{at:02d}.jpg,{int(at % 2 == 0) if at != 7 else 1}" for at in range(24)]
    (judged / "yes.csv").write_text("path,label\n" + "\n".join(liked))
    ran = vta("train", "--labels", "yes.csv", "--head", "logistic", "--audit", 1, cwd=judged)
    assert ran.code == 0, ran.err
    assert "liked" in ran.out
    assert ran.out.rstrip().endswith("p07.jpg")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--tiers", "tiers", "--classes", "classes"], "no-labels"),
        (["--tiers", "tiers", "--head", "softmax"], "wrong-head"),
        (["--tiers", "tiers", "--kind", "tags"], "wrong-option"),
        (["--classes", "classes", "--class-weight", "c"], "bad-option"),
        (["--classes", "classes", "--score-class", "x"], "no-such-class"),
        (["--labels", "scores.csv", "--class-weight", "c=2"], "wrong-option"),
        (["--labels", "scores.csv", "--images", "pics"], "wrong-option"),
        (["--labels", "scores.csv", "--first-bin", "0"], "wrong-option"),
        (["--classes", "classes", "--positive", "c"], "wrong-option"),
        (["--labels", "scores.csv", "--kind", "classes", "--positive", "c"], "wrong-option"),
        (["--labels", "page.jsonl", "--kind", "scores"], "wrong-option"),
        (["--pairs", "scores.csv"], "no-pair-columns"),
    ],
)
def test_what_cannot_be_meant_is_refused(judged, vta, options, word):
    ran = vta("train", *options, cwd=judged)
    assert ran.code == 2
    assert word in ran.err
    assert "Traceback" not in ran.err
