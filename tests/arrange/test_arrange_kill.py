"""kill -9 at every moment of a run, and of its undo: nothing is lost, all can be taken back."""

import os
import shutil
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from arrange_trees import ACTIONS, PHOTOS, make_plan, snapshot

from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action
from vta_cli.arrange.undo import undo

CHANGING = ["link", "symlink", "unlink", "rename", "replace", "mkdir", "rmdir", "write", "open"]


class KilledError(BaseException):
    """Stands for the end of the process: whatever the code catches, no more calls get through."""


@contextmanager
def killed_at(moment, *, after):
    """Let the calls that change the disk pass until the given one, then none at all.

    With `after`, the fatal call still takes effect; a write of the journal takes half effect.
    """
    calls = 0

    def wrap(real, name):
        def call(*args, **options):
            nonlocal calls
            calls += 1
            if calls < moment:
                return real(*args, **options)
            if calls == moment and after:
                if name == "write":
                    args = (args[0], args[1][: len(args[1]) // 2])
                real(*args, **options)
            raise KilledError

        return call

    patches = [patch.object(os, name, wrap(getattr(os, name), name)) for name in CHANGING]
    patches.append(patch.object(shutil, "copyfile", wrap(shutil.copyfile, "copyfile")))
    for one in patches:
        one.start()
    try:
        yield
    except KilledError:
        pass
    finally:
        for one in patches:
            one.stop()


@pytest.fixture(autouse=True)
def _no_syncs(monkeypatch):
    """A kill leaves the system's buffers alone, so syncs only cost time here."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def all_bytes(root):
    """Return what can be read anywhere below."""
    return {path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("action", "across"),
    [*((action, False) for action in ACTIONS), (Action.MOVE, True)],
    ids=[*(action.value for action in ACTIONS), "move-across"],
)
def test_a_killed_run_can_be_taken_back(tmp_path, action, after, across, monkeypatch):
    if across:
        real = os.link

        def link(source, destination, **options):
            if not str(source).endswith(".part"):
                raise OSError(18, "EXDEV", source)
            real(source, destination, **options)

        monkeypatch.setattr(os, "link", link)
    finished = False
    for moment in range(1, 200):
        root = tmp_path / str(moment)
        steps = make_plan(root, action)
        before = snapshot(root / "photos")
        finished = False
        with killed_at(moment, after=after):
            execute(steps, root / "journal", command="")
            finished = True

        assert set(PHOTOS.values()) <= all_bytes(root)
        for journal in (root / "journal").glob("*") if (root / "journal").exists() else ():
            if journal.read_bytes().count(b"\n"):  # else it was killed in its first line
                undo(journal)
        assert snapshot(root / "photos") == before
        assert not (root / "out").exists()
        if finished:
            break
    assert finished  # every moment was tried
    assert moment > 20


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_killed_undo_can_be_repeated(tmp_path, action, after):
    finished = False
    for moment in range(1, 100):
        root = tmp_path / str(moment)
        steps = make_plan(root, action)
        before = snapshot(root / "photos")
        outcome = execute(steps, root / "journal", command="")
        finished = False
        with killed_at(moment, after=after):
            undo(outcome.journal)
            finished = True

        assert set(PHOTOS.values()) <= all_bytes(root)
        if outcome.journal.exists():
            assert undo(outcome.journal).left == ()
        assert snapshot(root / "photos") == before
        assert not (root / "out").exists()
        if finished:
            break
    assert finished
