"""A training of the network that is killed or stopped goes on: the same head, to the bit."""

import contextlib
import dataclasses
import os
import signal

import numpy as np
import pytest

pytest.importorskip("torch", reason="the nets extra is not installed")

from vta_cli.heads.design import make_design
from vta_cli.heads.mlp import Mlp, train_network
from vta_cli.heads.mlp_checkpoint import Checkpoint
from vta_cli.heads.network import Settings
from vta_cli.heads.wanted import Wanted
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.train_gradients import checkpointed

SETTINGS = Settings(hidden=8, down=(8, 4, 4), lr=0.01, epochs=4, batch=8)
X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
TRUTH = X[:, 0] - 0.5 * X[:, 1]
EVERY = 7
"""Seconds between checkpoints, of a clock that counts how often it was asked."""


class Clock:
    """A second a call; before a given one the process dies."""

    def __init__(self, dies_at=0):
        self.now, self.dies_at = 0, dies_at

    def __call__(self):
        self.now += 1
        if self.now == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.now


def learn(folder, checkpoint, kind="scores", settings=SETTINGS, tell=None):
    """Train and save the state; return its bytes, which hold all weights, and what was answered."""
    fold_of = np.arange(60) % 3
    if kind == "binary":
        mlp = Mlp(dataclasses.asdict(settings), checkpoint=checkpoint)
        targets = (TRUTH > 0).astype(np.int8)
        fitted = mlp.fit(make_design([X], normalise=True), targets, np.ones(60), fold_of[None], 0)
        state, curve, answers = mlp.state, mlp.curve, fitted.raw_oof
    else:
        wanted = Wanted("scores", TRUTH, np.ones(60))
        found = train_network(X, wanted, fold_of, settings, 0, tell=tell, checkpoint=checkpoint)
        state, curve, answers = found.state, found.curve, found.out
    state.save(folder / "a.optim")
    return (folder / "a.optim").read_bytes(), answers.tobytes(), repr(curve)


def in_a_process_that_dies(work):
    """Run `work()` in a forked process that is to die of SIGKILL."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what trainings give that nobody stops, and how often they ask the clock."""
    found = {}
    for kind in ("scores", "binary"):
        folder, clock = tmp_path_factory.mktemp(kind), Clock()
        never = Checkpoint(folder / "a.checkpoint", every_s=1e9, clock=clock)
        found[kind] = learn(folder, never, kind), clock.now
        assert not (folder / "a.checkpoint").exists(), "a short training writes none"
    return found


@pytest.mark.parametrize(
    ("kind", "moments"),
    [("scores", [4]), ("scores", [32, 20]), ("binary", [50])],
    ids=["before the first", "twice", "behind some folds"],
)
def test_killed_between_checkpoints_and_run_again(tmp_path, monkeypatch, whole, kind, moments):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a dead process loses nothing of the system's
    path = tmp_path / "a.checkpoint"
    for moment in moments:
        dying = Checkpoint(path, every_s=EVERY, clock=Clock(moment))
        in_a_process_that_dies(lambda dying=dying: learn(tmp_path, dying, kind))
    said, clock = [], Clock()
    found = learn(tmp_path, Checkpoint(path, every_s=1e9, clock=clock, say=said.append), kind)
    right, n_calls = whole[kind]
    assert found == right
    assert len(said) == path.exists() == (moments[0] > EVERY)
    if said:
        assert "going on from" in said[0]
        assert clock.now < n_calls - 10, "what was done is not done again"


class Told(Silent):
    """A progress that keeps what it is told."""

    def __init__(self):
        self.heard = []

    def warn(self, text):
        self.heard.append(text)


def test_ctrl_c_keeps_what_was_learnt_and_says_how_to_go_on(tmp_path, whole):
    head, told = tmp_path / "a.safetensors", Told()
    kept = tmp_path / "a.checkpoint"

    def tell(number, n_fits):
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), checkpointed("mlp", head, told) as checkpoint:
        learn(tmp_path, checkpoint, tell=tell)
    assert kept.is_file()
    assert told.heard == [f"{kept} holds what was learnt: the same command goes on from it"]
    with checkpointed("mlp", head, told) as checkpoint:
        found = learn(tmp_path, checkpoint)
    assert told.heard[1:] == [f"going on from {kept}: 2 fits, 0 epochs of the next"]
    assert not kept.exists(), "the head is saved"
    assert found == whole["scores"][0]


@pytest.mark.parametrize("what", ["settings", "kind", "damage", "half"])
def test_a_checkpoint_of_another_training_or_a_damaged_one_is_said_and_left(tmp_path, whole, what):
    path, said = tmp_path / "a.checkpoint", []
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, Checkpoint(path, stop=lambda: True))
    data = path.read_bytes()
    if what == "damage":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    if what == "half":
        path.write_bytes(data[:2_000])
    settings = dataclasses.replace(SETTINGS, lr=0.02) if what == "settings" else SETTINGS
    kind = "binary" if what == "kind" else "scores"
    found = learn(tmp_path, Checkpoint(path, say=said.append), kind, settings)
    right = learn(tmp_path, None, kind, settings) if what == "settings" else whole[kind][0]
    assert found == right
    assert len(said) == 1
    assert "begins anew" in said[0]


def test_a_full_disk_does_not_end_the_training(tmp_path, whole):
    said = []
    lost = Checkpoint(tmp_path / "none/a", every_s=EVERY, clock=Clock(), say=said.append)
    assert learn(tmp_path, lost) == whole["scores"][0]
    assert len(said) == 1, "once is enough"
    assert "a kill loses" in said[0]
