"""The journal of judgements: nothing that was acknowledged is lost, and undone is undone."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError, VtaError
from vta_cli.labels.journal import Journal, is_journal, judge_event, read_journal
from vta_cli.labels.registry import reader

KEYS = [f"{n:064x}" for n in range(4)]


def judge(journal, key, label, path="a.jpg"):
    return journal.append([judge_event(key, label, str(path), mode="single")])


def held(path):
    journal = Journal(path)
    found = {key: j.label for key, j in journal.standing().judgements.items()}
    journal.close()
    return found


def test_the_latest_judgement_holds_after_reopening(tmp_path):
    journal = Journal(tmp_path / "j.jsonl")
    judge(journal, KEYS[0], 1)
    judge(journal, KEYS[1], 1)
    judge(journal, KEYS[0], 0)
    judge(journal, KEYS[1], None)
    journal.close()
    assert held(tmp_path / "j.jsonl") == {KEYS[0]: 0}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, None, "undo"])), max_size=25))
def test_it_behaves_like_a_dict_with_undo(tmp_path_factory, actions):
    """After any actions the file says what a dict with a stack of its earlier states says."""
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    journal = Journal(path)
    states, batches = [{}], []
    for at, action in actions:
        if action == "undo":
            if batches:
                journal.undo(batches.pop())
                states.pop()
            continue
        new = dict(states[-1])
        if action is None:
            new.pop(KEYS[at], None)
        else:
            new[KEYS[at]] = action
        batches.append(judge(journal, KEYS[at], action))
        states.append(new)
    journal.close()
    assert held(path) == states[-1]


def test_a_line_cut_short_anywhere_loses_that_line_alone(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    judge(journal, KEYS[0], 1)
    whole = path.stat().st_size
    judge(journal, KEYS[1], 0)
    journal.close()
    data = path.read_bytes()
    for end in range(whole, len(data), 7):
        path.write_bytes(data[:end])
        again = Journal(path)
        assert KEYS[0] in again.standing().judgements
        judge(again, KEYS[2], 1)
        again.close()
        assert held(path).keys() >= {KEYS[0], KEYS[2]}


def test_two_that_write_see_each_other_and_tear_nothing(tmp_path):
    first, second = Journal(tmp_path / "j.jsonl"), Journal(tmp_path / "j.jsonl")
    judge(first, KEYS[0], 1)
    judge(second, KEYS[1], 0)
    judge(first, KEYS[0], 0)
    assert second.refresh()
    for journal in (first, second):
        journal.refresh()
        assert {k: j.label for k, j in journal.standing().judgements.items()} == {
            KEYS[0]: 0, KEYS[1]: 0,
        }  # fmt: skip
        journal.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    """A process that is killed in the midst of judging has lost nothing it said was written."""
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from vta_cli.labels.journal import Journal, judge_event
        journal = Journal(Path(sys.argv[1]))
        for n in range(100000):
            journal.append([judge_event(f"{n:064x}", n % 2, "a.jpg", mode="single")])
            print(n, flush=True)
    """)
    path = tmp_path / "j.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        told = [int(process.stdout.readline()) for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1] if line]
    found = held(path)
    assert all(found[f"{n:064x}"] == n % 2 for n in told)


def test_what_did_not_reach_the_disk_does_not_hold(tmp_path, monkeypatch):
    def fail(_handle):
        raise OSError(errno.EIO, "no answer")

    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    judge(journal, KEYS[0], 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(VtaError) as caught:
            judge(journal, KEYS[1], 1)
    assert caught.value.slug == "journal-unwritable"

    judge(journal, KEYS[2], 0)

    assert journal.standing().judgements.keys() == {KEYS[0], KEYS[2]}
    journal.close()
    assert held(path) == {KEYS[0]: 1, KEYS[2]: 0}


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_nothing_is_written_to_a_file_that_has_no_name_any_more(tmp_path, how):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    judge(journal, KEYS[0], 1)
    (tmp_path / "new").write_bytes(path.read_bytes())
    path.unlink()
    if how == "replaced":
        (tmp_path / "new").rename(path)
    with pytest.raises(VtaError) as caught:
        judge(journal, KEYS[1], 1)
    assert caught.value.slug == "journal-gone"
    assert list(journal.standing().judgements) == KEYS[:1]
    journal.close()


def test_it_is_a_label_file(tmp_path):
    """The latest judgement of each content is read; withdrawn and lost files are left out."""
    files = [tmp_path / f"{name}.jpg" for name in "abcd"]
    for file in files[:3]:
        file.write_bytes(b"x")
    journal = Journal(tmp_path / "j.jsonl")
    for key, file in zip(KEYS, files, strict=True):
        judge(journal, key, 1, file)
    judge(journal, KEYS[1], 0, files[1])
    judge(journal, KEYS[2], None, files[2])
    journal.close()
    labels = reader("journal")(tmp_path / "j.jsonl")
    assert {label.path: label.value for label in labels.labels} == {
        str(files[0]): 1.0, str(files[1]): 0.0,
    }  # fmt: skip
    assert any("d.jpg" in problem for problem in labels.problems)


def test_a_moved_file_is_found_where_it_is(tmp_path):
    (tmp_path / "new.jpg").write_bytes(b"x")
    journal = Journal(tmp_path / "j.jsonl")
    judge(journal, KEYS[0], 1, tmp_path / "old.jpg")
    journal.append([{"event": "moved", "key": KEYS[0], "path": str(tmp_path / "new.jpg")}])
    journal.close()
    assert read_journal(tmp_path / "j.jsonl").labels[0].path == str(tmp_path / "new.jpg")


@pytest.mark.parametrize(
    ("content", "slug"),
    [("path,label\na.jpg,1\n", "not-a-journal"), ('{"vta_journal": 99}\n', "newer-journal")],
)
def test_other_files_are_not_written_into(tmp_path, content, slug):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        Journal(path)
    assert caught.value.slug == slug
    assert path.read_text() == content


def test_it_is_told_from_a_table(tmp_path):
    Journal(tmp_path / "j.jsonl").close()
    (tmp_path / "t.jsonl").write_text(json.dumps({"path": "a.jpg", "label": 1}) + "\n")
    assert is_journal(tmp_path / "j.jsonl")
    assert not is_journal(tmp_path / "t.jsonl")
    assert not is_journal(tmp_path / "absent.jsonl")
