"""Taking runs back, and only what is still theirs."""

import json
import os
import shutil
from pathlib import Path

import pytest
from arrange_trees import ACTIONS, PHOTOS, make_plan, snapshot

from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action
from vta_cli.arrange.undo import journals, undo
from vta_cli.errors import ArrangeError, UsageError


def run(root, action):
    steps = make_plan(root, action)
    before = snapshot(root / "photos")
    return execute(steps, root / "journal", command=f"vta --{action.value}"), before


@pytest.mark.parametrize("action", ACTIONS)
def test_undo_restores_everything(tmp_path, action):
    outcome, before = run(tmp_path, action)

    dry = undo(outcome.journal, dry_run=True)
    report = undo(outcome.journal)

    assert dry == report
    assert report.removed + report.restored == 4
    assert report.restored == (4 if action is Action.MOVE else 0)
    assert (report.left, report.complete) == ((), True)
    assert snapshot(tmp_path / "photos") == before
    assert not (tmp_path / "out").exists()  # folders that the run made


def test_a_dry_run_changes_nothing(tmp_path):
    outcome, _ = run(tmp_path, Action.MOVE)
    before = snapshot(tmp_path)

    undo(outcome.journal, dry_run=True)

    assert snapshot(tmp_path) == before


def test_undoing_twice_is_an_error_that_says_so(tmp_path):
    outcome, _ = run(tmp_path, Action.COPY)
    undo(outcome.journal)

    with pytest.raises(UsageError) as caught:
        undo(outcome.journal)
    assert caught.value.slug == "already-undone"
    (info,) = journals(tmp_path / "journal")
    with pytest.raises(UsageError):
        undo(info.path)


def test_undoing_what_never_was(tmp_path):
    with pytest.raises(UsageError) as caught:
        undo(tmp_path / "no.jsonl")
    assert caught.value.slug == "no-such-run"


@pytest.mark.parametrize("action", [Action.COPY, Action.SYMLINK, Action.HARDLINK])
def test_what_was_changed_since_stays(tmp_path, action):
    outcome, before = run(tmp_path, action)
    mine = tmp_path / "out" / "picked" / "1.jpg"
    mine.unlink()
    mine.write_bytes(b"my own edit")

    report = undo(outcome.journal)

    assert mine.read_bytes() == b"my own edit"
    assert report.left == ((str(mine), "it was changed since"),)
    assert report.removed == 3
    assert report.complete
    assert snapshot(tmp_path / "photos") == before


@pytest.mark.parametrize("action", [Action.COPY, Action.HARDLINK])
def test_the_only_copy_is_never_removed(tmp_path, action):
    outcome, _ = run(tmp_path, action)
    (tmp_path / "photos" / "1.jpg").unlink()

    report = undo(outcome.journal)

    assert (tmp_path / "out" / "picked" / "1.jpg").read_bytes() == b"one"
    assert report.removed == 3
    assert "only copy" in report.left[0][1]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_source_folder_that_became_a_link_to_the_output_loses_no_file(tmp_path, action):
    outcome, _ = run(tmp_path, action)
    (tmp_path / "photos").rename(tmp_path / "aside")
    (tmp_path / "photos").symlink_to(tmp_path / "out" / "picked")
    if action is not Action.SYMLINK:
        shutil.rmtree(tmp_path / "aside")

    report = undo(outcome.journal)

    if action is Action.SYMLINK:
        assert (tmp_path / "aside" / "1.jpg").read_bytes() == b"one"
    else:
        assert (tmp_path / "out" / "picked" / "1.jpg").read_bytes() == b"one"
        assert (report.removed, report.restored, len(report.left)) == (0, 0, 4)


def test_the_last_copy_of_what_its_source_was_is_not_removed(tmp_path):
    outcome, _ = run(tmp_path, Action.COPY)
    (tmp_path / "photos" / "1.jpg").write_bytes(b"a crop")
    os.utime(tmp_path / "photos" / "empty.jpg")  # touched, and still the same

    report = undo(outcome.journal)

    assert (tmp_path / "out" / "picked" / "1.jpg").read_bytes() == b"one"
    assert report.removed == 3
    assert "source was changed" in report.left[0][1]


def test_what_the_user_removed_is_no_trouble(tmp_path):
    outcome, _ = run(tmp_path, Action.COPY)
    (tmp_path / "out" / "picked" / "1.jpg").unlink()

    report = undo(outcome.journal)

    assert (report.removed, report.left) == (3, ())


def test_a_taken_place_is_not_overwritten_and_can_be_retried(tmp_path):
    outcome, before = run(tmp_path, Action.MOVE)
    place = tmp_path / "photos" / "1.jpg"
    place.write_bytes(b"newcomer")

    report = undo(outcome.journal)

    assert place.read_bytes() == b"newcomer"
    assert (tmp_path / "out" / "picked" / "1.jpg").read_bytes() == b"one"
    assert report.restored == 3
    assert not report.complete
    assert not journals(tmp_path / "journal")[0].undone

    place.unlink()
    assert undo(outcome.journal).restored == 1
    assert snapshot(tmp_path / "photos") == before


def test_a_moved_file_that_was_edited_in_place_goes_home(tmp_path):
    outcome, _ = run(tmp_path, Action.MOVE)
    with (tmp_path / "out" / "picked" / "1.jpg").open("ab") as stream:
        stream.write(b" more")

    assert undo(outcome.journal).restored == 4
    assert (tmp_path / "photos" / "1.jpg").read_bytes() == b"one more"


def test_a_moved_file_that_was_replaced_stays(tmp_path):
    outcome, _ = run(tmp_path, Action.MOVE)
    moved = tmp_path / "out" / "picked" / "1.jpg"
    other = moved.with_name("other")
    other.write_bytes(b"another picture")
    other.replace(moved)

    report = undo(outcome.journal)

    assert moved.read_bytes() == b"another picture"
    assert not (tmp_path / "photos" / "1.jpg").exists()
    assert report.left == ((str(moved), "it was changed since"),)


def test_folders_with_things_of_the_users_stay(tmp_path):
    outcome, _ = run(tmp_path, Action.COPY)
    (tmp_path / "out" / "picked" / "trip" / "notes.txt").write_text("mine")

    undo(outcome.journal)

    assert snapshot(tmp_path / "out").keys() == {"picked", "picked/trip", "picked/trip/notes.txt"}


def test_moved_files_return_to_folders_that_are_gone(tmp_path):
    outcome, _ = run(tmp_path, Action.MOVE)
    (tmp_path / "photos" / "trip").rmdir()

    undo(outcome.journal)

    assert (tmp_path / "photos" / "trip" / "2.jpg").read_bytes() == PHOTOS["trip/2.jpg"]


def test_journals_are_listed_newest_first(tmp_path):
    outcomes = [run(tmp_path / name, Action.COPY)[0] for name in ("a", "b")]
    folder = tmp_path / "all"
    folder.mkdir()
    for outcome in outcomes:
        outcome.journal.rename(folder / outcome.journal.name)
    (folder / "notes.txt").write_text("no journal")
    (folder / "broken.jsonl").write_text("{")
    undo(folder / outcomes[0].journal.name)

    found = journals(folder)

    assert [info.id + ".jsonl" for info in found] == [
        outcome.journal.name for outcome in reversed(outcomes)
    ]
    assert [(info.undone, info.n_steps) for info in found] == [(False, 4), (True, 4)]
    assert found[0].command == "vta --copy"
    assert journals(tmp_path / "nowhere") == []


def test_a_journal_of_a_later_version_is_refused_by_name(tmp_path):
    outcome, _ = run(tmp_path, Action.COPY)
    first, rest = outcome.journal.read_text().split("\n", 1)
    outcome.journal.write_text(json.dumps(json.loads(first) | {"vta_journal": 2}) + "\n" + rest)

    with pytest.raises(ArrangeError) as caught:
        undo(outcome.journal)
    assert caught.value.slug == "newer-journal"


@pytest.mark.parametrize("text", ["", "{}\n", "hello\n", "[1]\n"])
def test_other_files_are_no_journals(tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_text(text)

    with pytest.raises(ArrangeError) as caught:
        undo(path)
    assert caught.value.slug == "not-a-journal"


def test_a_relative_working_directory_does_not_matter(tmp_path, monkeypatch):
    outcome, before = run(tmp_path, Action.MOVE)
    monkeypatch.chdir(tmp_path / "journal")

    undo(Path(os.path.relpath(outcome.journal)))

    assert snapshot(tmp_path / "photos") == before
