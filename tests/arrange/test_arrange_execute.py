"""Carrying out plans: what stands on the disk afterwards, and what goes wrong well."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from arrange_trees import ACTIONS, PHOTOS, make_photos, make_plan, snapshot

from vta_cli.arrange import transfer
from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action, Item, plan
from vta_cli.arrange.undo import undo
from vta_cli.errors import ArrangeError


def contents(folder):
    return {rel: (folder / rel).read_bytes() for rel in PHOTOS if (folder / rel).exists()}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_file_arrives_whole(tmp_path, action):
    outcome = execute(make_plan(tmp_path, action), tmp_path / "journal", command="vta filter")

    assert (outcome.done, outcome.already, outcome.failed) == (4, 0, ())
    assert contents(tmp_path / "out" / "picked") == PHOTOS
    assert contents(tmp_path / "photos") == ({} if action is Action.MOVE else PHOTOS)
    assert not list(tmp_path.rglob(".vta-*"))  # no temporary file is left


def test_a_copy_keeps_its_time_and_is_a_file_of_its_own(tmp_path):
    execute(make_plan(tmp_path, Action.COPY), tmp_path / "journal", command="")

    source, copy = tmp_path / "photos" / "1.jpg", tmp_path / "out" / "picked" / "1.jpg"
    assert copy.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert not copy.samefile(source)


def test_links_are_links(tmp_path):
    execute(make_plan(tmp_path, Action.HARDLINK), tmp_path / "journal", command="")
    execute(
        plan(make_photos(tmp_path / "photos"), tmp_path / "soft", Action.SYMLINK),
        tmp_path / "journal",
        command="",
    )

    source = tmp_path / "photos" / "trip" / "2.jpg"
    assert os.path.samestat(
        (tmp_path / "out" / "picked" / "trip" / "2.jpg").lstat(), source.lstat()
    )
    assert os.readlink(tmp_path / "soft" / "trip" / "2.jpg") == str(source)


@pytest.mark.parametrize("action", [Action.COPY, Action.HARDLINK, Action.SYMLINK])
def test_a_second_run_has_nothing_to_do(tmp_path, action):
    execute(make_plan(tmp_path, action), tmp_path / "journal", command="")
    before = snapshot(tmp_path / "out")

    again = plan(
        [Item(str(tmp_path / "photos" / rel), rel) for rel in PHOTOS],
        tmp_path / "out" / "picked",
        action,
    )
    outcome = execute(again, tmp_path / "journal", command="")

    assert (outcome.done, outcome.already) == (0, 4)
    assert snapshot(tmp_path / "out") == before


def test_a_copy_of_a_symbolic_link_is_what_it_leads_to(tmp_path):
    make_photos(tmp_path / "photos")
    link = tmp_path / "photos" / "link.jpg"
    link.symlink_to("1.jpg")

    for action in (Action.COPY, Action.HARDLINK):
        steps = plan([Item(str(link), "link.jpg")], tmp_path / action.value, action)
        execute(steps, tmp_path / "journal", command="")
        made = tmp_path / action.value / "link.jpg"
        assert not made.is_symlink()
        assert made.read_bytes() == b"one"


def test_a_moved_symbolic_link_leads_where_it_led(tmp_path):
    make_photos(tmp_path / "photos")
    link = tmp_path / "photos" / "trip" / "link.jpg"
    link.symlink_to("../1.jpg")
    before = snapshot(tmp_path / "photos")

    steps = plan([Item(str(link), "link.jpg")], tmp_path / "out", Action.MOVE)
    outcome = execute(steps, tmp_path / "journal", command="")

    assert not link.is_symlink()
    assert (tmp_path / "out" / "link.jpg").read_bytes() == b"one"
    undo(outcome.journal)
    assert snapshot(tmp_path / "photos") == before


def test_a_link_that_is_moved_out_of_a_linked_folder_leads_where_it_led(tmp_path):
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "1.jpg").write_bytes(b"one")
    (tmp_path / "far" / "deep" / "link.jpg").symlink_to("../1.jpg")
    (tmp_path / "photos").symlink_to(tmp_path / "far" / "deep")
    item = Item(str(tmp_path / "photos" / "link.jpg"), "link.jpg")

    execute(plan([item], tmp_path / "out", Action.MOVE), tmp_path / "journal", command="")

    assert (tmp_path / "out" / "link.jpg").read_bytes() == b"one"


def test_what_cannot_be_done_is_told_and_the_rest_goes_on(tmp_path):
    steps = make_plan(tmp_path, Action.COPY)
    (tmp_path / "photos" / "1.jpg").unlink()
    os.mkfifo(tmp_path / "photos" / "1.jpg")  # would hang whoever opened it
    (tmp_path / "photos" / "empty.jpg").unlink()
    told = []

    outcome = execute(
        steps, tmp_path / "journal", command="", on_error=lambda *what: told.append(what)
    )

    assert outcome.done == 2
    assert [reason for _, reason in outcome.failed] == ["not a plain file", "the file is gone"]
    assert tuple(told) == outcome.failed


@pytest.mark.parametrize("action", ACTIONS)
def test_a_name_taken_since_the_plan_is_not_overwritten(tmp_path, action):
    steps = make_plan(tmp_path, action)
    taken = tmp_path / "out" / "picked" / "1.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"precious")

    outcome = execute(steps, tmp_path / "journal", command="")

    assert taken.read_bytes() == b"precious"
    assert (tmp_path / "photos" / "1.jpg").read_bytes() == b"one"
    assert [reason for _, reason in outcome.failed] == ["the name was taken meanwhile"]
    undo(outcome.journal)
    assert taken.read_bytes() == b"precious"


def without_hard_links(monkeypatch, code=errno.EPERM):
    def refuse(*args, **options):
        raise OSError(code, os.strerror(code), *args[:1])

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("action", [Action.COPY, Action.MOVE])
def test_file_systems_without_hard_links_will_do(tmp_path, monkeypatch, action):
    steps = make_plan(tmp_path, action)
    taken = tmp_path / "out" / "picked" / "1.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"precious")
    without_hard_links(monkeypatch)

    outcome = execute(steps, tmp_path / "journal", command="")

    assert outcome.done == 3
    assert taken.read_bytes() == b"precious"
    assert (tmp_path / "out" / "picked" / "trip" / "2.jpg").read_bytes() == PHOTOS["trip/2.jpg"]


def test_a_hard_link_to_another_file_system_says_what_to_do_instead(tmp_path, monkeypatch):
    steps = make_plan(tmp_path, Action.HARDLINK)
    without_hard_links(monkeypatch, errno.EXDEV)

    with pytest.raises(ArrangeError) as caught:
        execute(steps, tmp_path / "journal", command="")
    assert caught.value.slug == "cross-device-link"
    assert "symbolic" in caught.value.hint


def across_file_systems(monkeypatch):
    """Make links work within the output only, as if the photographs lay on another disk."""
    real = os.link

    def link(source, destination, **options):
        if not str(source).endswith(".part"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        real(source, destination, **options)

    monkeypatch.setattr(os, "link", link)


def test_a_move_across_file_systems_copies_compares_and_removes(tmp_path, monkeypatch):
    steps = make_plan(tmp_path, Action.MOVE)
    before = snapshot(tmp_path / "photos")
    across_file_systems(monkeypatch)

    outcome = execute(steps, tmp_path / "journal", command="")

    assert outcome.done == 4
    assert contents(tmp_path / "out" / "picked") == PHOTOS
    assert contents(tmp_path / "photos") == {}
    undo(outcome.journal)
    assert snapshot(tmp_path / "photos") == before
    assert not (tmp_path / "out").exists()


def test_a_move_between_two_real_file_systems(tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at hand")
    out = memory / f"vta-test-{os.getpid()}"
    try:
        steps = plan(make_photos(tmp_path / "photos"), out, Action.MOVE)
        before = snapshot(tmp_path / "photos")
        outcome = execute(steps, tmp_path / "journal", command="")
        assert contents(out) == PHOTOS
        undo(outcome.journal)
        assert snapshot(tmp_path / "photos") == before
        assert not out.exists()
    finally:
        shutil.rmtree(out, ignore_errors=True)


def test_a_file_that_changes_while_it_is_moved_stays(tmp_path, monkeypatch):
    steps = make_plan(tmp_path, Action.MOVE)
    across_file_systems(monkeypatch)
    real = shutil.copyfile

    def copy_then_edit(source, destination, **options):
        real(source, destination, **options)
        if source.endswith("/1.jpg"):
            Path(source).write_bytes(b"newer")

    monkeypatch.setattr(shutil, "copyfile", copy_then_edit)
    outcome = execute(steps, tmp_path / "journal", command="")

    assert (tmp_path / "photos" / "1.jpg").read_bytes() == b"newer"
    assert not (tmp_path / "out" / "picked" / "1.jpg").exists()
    assert len(outcome.failed) == 1


def test_a_source_folder_that_may_not_be_written_keeps_its_files(tmp_path, monkeypatch):
    steps = make_plan(tmp_path, Action.MOVE)
    before = snapshot(tmp_path / "photos")
    real = os.unlink

    def unlink(path, **options):
        if "photos" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    outcome = execute(steps, tmp_path / "journal", command="")

    assert {reason for _, reason in outcome.failed} == {"no permission"}
    assert snapshot(tmp_path / "photos") == before
    assert contents(tmp_path / "out" / "picked") == {}


@pytest.mark.parametrize("action", [Action.COPY, Action.MOVE])
def test_a_full_disk_keeps_what_was_done_and_can_be_taken_back(tmp_path, monkeypatch, action):
    steps = make_plan(tmp_path, action)
    before = snapshot(tmp_path / "photos")
    if action is Action.MOVE:
        across_file_systems(monkeypatch)
    real = shutil.copyfile

    def copyfile(source, destination, **options):
        if "trip/3" in source:
            Path(destination).write_bytes(b"thr")
            raise OSError(errno.ENOSPC, "No space left on device", destination)
        real(source, destination, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copyfile)
        with pytest.raises(ArrangeError) as caught:
            execute(steps, tmp_path / "journal", command="")

    assert caught.value.slug == "disk-full"
    assert "2 of 4" in caught.value.message
    assert set(contents(tmp_path / "out" / "picked")) == {"1.jpg", "trip/2.jpg"}
    assert not list(tmp_path.rglob("*.part"))
    (journal,) = (tmp_path / "journal").iterdir()
    undo(journal)
    assert snapshot(tmp_path / "photos") == before


def test_a_journal_that_cannot_be_written_stops_everything(tmp_path):
    steps = make_plan(tmp_path, Action.MOVE)
    (tmp_path / "journal").write_text("a file, not a folder")

    with pytest.raises(ArrangeError) as caught:
        execute(steps, tmp_path / "journal", command="")

    assert caught.value.slug == "journal-unwritable"
    assert contents(tmp_path / "photos") == PHOTOS


def test_ctrl_c_leaves_a_whole_journal(tmp_path, monkeypatch):
    steps = make_plan(tmp_path, Action.COPY)
    before = snapshot(tmp_path / "photos")
    real = transfer.put

    def put(path, destination):
        if "trip/3" in destination:
            raise KeyboardInterrupt
        real(path, destination)

    monkeypatch.setattr(transfer, "put", put)
    with pytest.raises(KeyboardInterrupt):
        execute(steps, tmp_path / "journal", command="")

    assert not list(tmp_path.rglob("*.part"))
    (journal,) = (tmp_path / "journal").iterdir()
    assert '"end":"interrupted"' in journal.read_text()
    report = undo(journal)
    assert report.removed == 2
    assert snapshot(tmp_path / "photos") == before
    assert not (tmp_path / "out").exists()


def test_progress_counts_every_step(tmp_path):
    class Watch:
        def __init__(self):
            self.told, self.count = None, 0

        def stage(self, name, total=None, unit="images"):
            self.told = (name, total, unit)
            return self

        def advance(self, n=1):
            self.count += n

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

    watch = Watch()
    execute(make_plan(tmp_path, Action.COPY), tmp_path / "journal", command="", progress=watch)

    assert watch.told == ("copying", 4, "files")
    assert watch.count == 4
