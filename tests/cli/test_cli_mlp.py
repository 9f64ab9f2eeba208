"""The network head from the command line: a settings file, `--set`, `--resume`, and a kill."""

import csv
import io
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the nets extra is not installed")

CONFIG = """
name = "kinds"
head = "mlp"
score_class = ["Warm"]
[settings]
hidden = 8
down = [16, 8, 4]
epochs = 30
lr = 3e-3
[classes.0]
name = "Cold"
loss = 0.5
[classes.1]
name = "Warm"
loss = 2.0
"""


@pytest.fixture(scope="module")
def learnt(drawn, vta, tmp_path_factory):
    """Return a folder with classes by number, and a head that a settings file has made."""
    root = tmp_path_factory.mktemp("mlp") / "work"
    shutil.copytree(drawn, root)
    for number, name in enumerate(("disliked", "liked")):
        shutil.copytree(root / name, root / "data" / f"{number}_x")
    (root / "c.toml").write_text(CONFIG)
    ran = vta("embed", "pics", "data", "--preset", "classic", cwd=root)
    assert ran.code == 0, ran.err
    ran = vta("train", "--classes", "data", "--config", "c.toml", "--set", "epochs=20", cwd=root)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("mlp")
    assert "of 20 epochs" in ran.out, "--set wins over the file"
    assert "with class weights" in ran.out
    assert "loss learning" in ran.out
    return root


def curve(root, name):
    text = (root / f".vta/heads/{name}.curve.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def test_names_and_the_score_are_those_of_the_settings_file(learnt, vta):
    ran = vta("score", "pics", "-m", "kinds", cwd=learnt)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {"score.Cold", "score.Warm"} < rows[0].keys()
    assert all(row["score"] == row["score.Warm"] for row in rows)
    scores = [float(row["score"]) for row in rows]
    assert sum(scores[::2]) > sum(scores[1::2])


def test_the_curve_has_a_point_an_epoch_and_one_that_was_kept(learnt):
    rows = curve(learnt, "kinds")
    assert 1 <= len(rows) <= 20
    assert sum(int(row["kept"]) for row in rows) == 1
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert (learnt / ".vta/heads/kinds.curve.svg").read_text().startswith("<svg")


def test_a_killed_training_leaves_the_head_and_the_next_goes_on_from_it(learnt, vta):
    """The head is written whole at the end; what was saved before is what `--resume` takes."""
    (learnt / "t.csv").write_text(
        "path,class\nnot-there.jpg,Warm\n"
        + "".join(f"data/0_x/d{at:02d}.jpg,Cold\ndata/1_x/l{at:02d}.jpg,Warm\n" for at in range(12))
    )
    heads = learnt / ".vta/heads"
    before = {path.name: path.read_bytes() for path in heads.iterdir()}
    words = ["--labels", "t.csv", "--kind", "classes", "--resume", "kinds"]
    long = [*words, "--name", "kinds", "--set", "epochs=1000000", "--set", "patience=0"]
    with subprocess.Popen(
        [sys.executable, "-m", "vta_cli", "train", *long],
        cwd=learnt, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, "VTA_OFFLINE": "1"},
    ) as running:  # fmt: skip
        assert b"not-there.jpg" in running.stderr.readline()  # told before it learns
        running.kill()
    assert {path.name: path.read_bytes() for path in heads.iterdir()} == before
    ran = vta("train", *words, "--name", "more", "--set", "epochs=3", cwd=learnt)
    assert ran.code == 0, ran.err
    assert len(curve(learnt, "more")) <= 3
    first, more = curve(learnt, "kinds"), curve(learnt, "more")
    assert float(more[0]["train_loss"]) < float(first[0]["train_loss"]), "it goes on, not anew"


def test_what_does_not_go_on_is_refused(learnt, vta):
    ran = vta("train", "--tiers", "data", "--head", "mlp", "--resume", "kinds", cwd=learnt)
    assert ran.code != 0
    assert "error[" in ran.err
    ran = vta("train", "--classes", "data", "--head", "mlp", "--set", "hiddens=3", cwd=learnt)
    assert ran.code == 2
    assert "hidden" in ran.err, "the nearest setting"
