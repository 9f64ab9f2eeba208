"""The files of a sitting: embedded behind, moved, gone, exported."""

import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sitting import WAIT_S, learnt, liked, until

from vta_cli.backbones.registry import load
from vta_cli.errors import UnreadableImageError
from vta_cli.labels.journal import Journal, judge_event, read_journal
from vta_cli.pipelines import lanes
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_cup import Cups
from vta_cli.pipelines.label_load import Inputs, Loader
from vta_cli.pipelines.label_look import Looker
from vta_cli.pipelines.label_serve import export
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store


def test_missing_vectors_are_embedded_behind(folder, sit, monkeypatch):
    """The store is new to a pool that counts as large: it takes axes as soon as it can."""
    monkeypatch.setattr("vta_cli.pipelines.label_pool.SKETCH_DIM", 16)
    monkeypatch.setattr("vta_cli.pipelines.label_pool.EXACT_FLOATS", 0)
    monkeypatch.setattr("vta_cli.pipelines.label_load.BASIS_ROWS", 20)
    monkeypatch.setattr("vta_cli.pipelines.label_load.FIRST_CHUNK", 4)
    loads = []
    monkeypatch.setattr(lanes, "load", lambda spec, **how: loads.append(spec) or load(spec, **how))
    shutil.copytree(folder / "pics", folder / "more")
    for at, file in enumerate(sorted((folder / "more").iterdir())):
        file.write_bytes(file.read_bytes() + bytes([at]))  # other content, same picture
    store = Store.open(folder / ".vta")
    inputs = Inputs(Source(["more"]), [(Source(["liked"]), 1), (Source(["disliked"]), 0)])
    session = Session(store, inputs, Plan(folder / "k.jsonl", every=0))
    session.start()
    until(lambda: session.loader.loading.step == "done")
    learnt(session)
    assert session.state()["vectors"] == 24
    assert len(loads) == 1  # and not for each chunk
    assert np.isfinite(session.pool.scores).all()
    assert session.pool.vectors.shape[1] == len(session.learner.fit.head.coef) == 16
    right = [liked(item) == (item["score"] > 0.5) for item in session.grid("liked", 24)]
    assert np.mean(right) > 0.8
    session.close()
    store.close()


def fresh(folder, name):
    """Make a folder of pictures that the store has never seen, one of them unreadable."""
    shutil.copytree(folder / "pics", folder / name)
    for at, file in enumerate(sorted((folder / name).iterdir())):
        file.write_bytes(file.read_bytes() + bytes([at]))
    (folder / name / "broken.jpg").write_bytes(b"no image")


def test_what_is_not_embedded_yet_can_be_labelled_at_once(folder, monkeypatch):
    """The network never gets to work here, and the page has pictures to ask about all the same."""
    fresh(folder, "more")
    monkeypatch.setattr(Loader, "_open_lanes", lambda loader: loader._stop.wait(WAIT_S))
    monkeypatch.setattr("vta_cli.pipelines.label_load.FIRST_LOOK", 6)
    with Store.open(folder / ".vta") as store:
        session = Session(store, Inputs(Source(["more"])), Plan(folder / "k.jsonl", every=0))
        session.start()
        for n in range(24):  # more than are looked at ahead
            until(lambda: session.next(1))
            item = session.next(1)[0]
            assert item["score"] is None
            assert Path(item["name"]).stem != "broken"
            session.judge([(item["key"], liked(item))], "single")
            assert session.state()["left"] == 24 - n
        assert session.state()["positive"] == 12
        assert len(session.pool) == 24
        session.close()


def test_what_was_judged_and_moved_before_its_turn_is_embedded_where_it_is(folder, monkeypatch):
    fresh(folder, "more")
    later = time.time() + 3600  # the catalogue does not believe in files changed after it looked
    os.utime(folder / "more" / "broken.jpg", (later, later))
    gate = threading.Event()
    opened = Loader._open_lanes
    monkeypatch.setattr(Loader, "_open_lanes", lambda loader: (gate.wait(WAIT_S), opened(loader)))
    with Store.open(folder / ".vta") as store:
        inputs = Inputs(Source(["more"], exclude=[folder / "yes", folder / "no"]))
        plan = Plan(folder / "k.jsonl", every=0, move=(folder / "yes", folder / "no"))
        session = Session(store, inputs, plan)
        session.start()
        for _ in range(8):
            until(lambda: session.next(1))
            item = session.next(1)[0]
            session.judge([(item["key"], liked(item))], "single")
        gate.set()
        until(lambda: session.loader.loading.step == "done")
        assert session.state()["vectors"] == 24
        assert session.loader.loading.n_skipped == 1
        learnt(session)
        session.close()


def test_move_moves_and_undo_brings_back(sit, folder, tmp_path):
    """The original's behaviour, with a way back; copies of names never overwrite."""
    (folder / "yes").mkdir()
    session = sit(labelled=False, move=(folder / "yes", folder / "no"))
    first, second = session.next(2)
    session.judge([(first["key"], 1)], "single")
    session.judge([(second["key"], 0)], "single")
    name = Path(first["name"]).name
    assert (folder / "yes" / name).is_file()
    assert not (folder / "pics" / name).exists()
    session.undo()
    session.undo()
    assert (folder / "pics" / name).is_file()
    assert len(list((folder / "pics").iterdir())) == 24
    session.judge([(first["key"], 1)], "single")
    assert read_journal(tmp_path / "j.jsonl").labels[0].path == str(folder / "yes" / name)


def labelled_folders(folder):
    """Make a sitting on pictures that the store does not know.

    yes/ and no/ share one picture; yes/ is a part of the source, which holds a list and an archive.
    """
    more = folder / "more"
    fresh(folder, "more")
    (more / "list.txt").write_text("p00.jpg\n")
    (more / "old.zip").write_bytes(b"PK")
    for at, (name, side) in enumerate((("p00", "yes"), ("p02", "yes"), ("p01", "no"))):
        (more / side).mkdir(exist_ok=True)
        (more / f"{name}.jpg").rename(more / side / f"{at}.jpg")
    (more / "no" / "both.jpg").write_bytes((more / "yes" / "0.jpg").read_bytes())
    store = Store.open(folder / ".vta")
    sides = [(Source(["more/yes"]), 1), (Source(["more/no"]), 0)]
    session = Session(store, Inputs(Source(["more"]), sides), Plan(folder / "k.jsonl", every=0))
    return session, store


def test_labels_of_folders_count_before_their_vectors_come(folder, monkeypatch):
    gate = threading.Event()
    opened = Loader._open_lanes
    monkeypatch.setattr(Loader, "_open_lanes", lambda loader: (gate.wait(WAIT_S), opened(loader)))
    monkeypatch.setattr("vta_cli.pipelines.label_load.FIRST_LOOK", 6)
    session, store = labelled_folders(folder)
    session.start()
    until(lambda: len(session.next(30)) == 6)
    state = session.state()
    assert (state["positive"], state["negative"], state["waiting"]) == (2, 2, 4)
    assert all("/" not in item["name"] for item in session.next(30))  # labelled ones are not asked
    gone = next(
        p for p in sorted((folder / "more").glob("p*.jpg")) if str(p) in session.loader._later
    )
    gone.unlink()  # as by a user who tidies up meanwhile
    gate.set()
    until(lambda: session.loader.loading.step in ("done", "failed"))
    state = session.state()
    assert session.loader.loading.problem == ""
    # what lies in both folders is judged by nobody yet
    assert (state["positive"], state["negative"], state["waiting"]) == (1, 1, 0)
    assert state["loading"]["clashes"] == 1
    assert state["images"] == state["vectors"] == 23
    assert state["left"] == 21
    session.close()
    labels = {Path(label.path).name for label in read_journal(folder / "k.jsonl").labels}
    assert labels == {"1.jpg", "2.jpg"}
    store.close()


def test_a_tournament_waits_for_its_images_and_is_not_another_folders(
    sit, folder, tmp_path, monkeypatch
):
    session = sit(labelled=False)
    cups = Cups(session)
    cups.begin(8, 4, (0.5, 0.25))
    for item in cups.view()["items"][:3]:
        (folder / "pics" / Path(item["name"]).name).unlink()
    left = cups.view()["items"][3:]
    session.close()
    gate = threading.Event()
    scan = Loader._scan
    monkeypatch.setattr(Loader, "_scan", lambda loader: (gate.wait(WAIT_S), scan(loader)))
    again = sit(labelled=False, wait=False)
    assert Cups(again).view() == {"on": True, "waiting": True}
    gate.set()
    until(lambda: again.loader.loading.step == "done")
    shown = Cups(again).view()["items"]
    assert shown[0]["key"] == left[0]["key"]
    assert len(shown) == 4  # those that went away make room
    again.close()
    n = len(again.journal.events)
    with Store.open(folder / ".vta") as store:
        elsewhere = Session(store, Inputs(Source(["liked"])), Plan(tmp_path / "j.jsonl", every=0))
        elsewhere.start()
        until(lambda: elsewhere.loader.loading.step == "done")
        assert Cups(elsewhere).view()["on"] is False
        assert len(elsewhere.journal.events) == n
        elsewhere.close()


def test_labels_are_exported_as_folders(sit, here, tmp_path):
    session = sit()
    session.close()
    out = tmp_path / "out"
    with Store.open(here / ".vta") as store:
        assert export(store, tmp_path / "j.jsonl", out, link=False) == 24
    assert len(list((out / "liked").iterdir())) == 12
    assert len(list((here / "liked").iterdir())) == 12


@pytest.mark.parametrize("link", [False, True])
def test_an_image_that_is_judged_otherwise_changes_its_side_of_an_export(tmp_path, link):
    image, other, out = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "out"
    image.write_bytes(b"a")
    other.write_bytes(b"b")
    with Store.open(tmp_path / ".vta", create=True) as store:
        for side, against in (("liked", "disliked"), ("disliked", "liked"), ("liked", "disliked")):
            journal = Journal(tmp_path / "j.jsonl")
            said = [("a", image, int(side == "liked")), ("b", other, 1)]
            journal.append(
                [judge_event(key * 64, one, str(path), mode="single") for key, path, one in said]
            )
            journal.close()
            assert export(store, tmp_path / "j.jsonl", out, link=link) == 2
            assert (out / side / "a.jpg").read_bytes() == b"a"
            assert not os.path.lexists(out / against / "a.jpg")
            assert (out / "liked" / "b.jpg").read_bytes() == b"b"
            (out / "liked" / "mine.jpg").write_bytes(b"a")  # of nobody's export
    assert (out / "liked" / "mine.jpg").exists()


def test_a_picture_that_went_away_before_its_turn_is_asked_no_more(folder, monkeypatch):
    fresh(folder, "more")
    gate = threading.Event()
    opened = Loader._open_lanes
    monkeypatch.setattr(Loader, "_open_lanes", lambda loader: (gate.wait(WAIT_S), opened(loader)))
    with Store.open(folder / ".vta") as store:
        session = Session(store, Inputs(Source(["more"])), Plan(folder / "k.jsonl", every=0))
        session.start()
        until(lambda: len(session.next(30)) == 24)
        gone, changed = (folder / "more" / item["name"] for item in session.next(2))
        gone.unlink()
        changed.write_bytes(changed.read_bytes() + b"x")
        gate.set()
        until(lambda: session.loader.loading.step in ("done", "failed"))
        state = session.state()
        assert (state["left"], state["images"], state["vectors"]) == (23, 23, 23)
        assert state["loading"]["skipped"] == 2
        assert gone.name not in {item["name"] for item in session.next(24)}
        session.close()


def test_a_picture_that_cannot_be_shown_is_asked_no_more(sit, folder):
    session = sit(labelled=False)
    cups = Cups(session)
    cups.begin(24, 4)
    item = cups.view()["items"][0]
    (folder / "pics" / item["name"]).unlink()
    with pytest.raises(UnreadableImageError):
        Looker(session).picture(item["key"], "thumb")
    assert session.state()["left"] == 23
    assert item["key"] not in {other["key"] for other in cups.view()["items"]}
    assert item["key"] not in {other["key"] for other in session.next(24)}


def test_without_embedding_files_that_were_moved_or_are_new_are_reviewed_all_the_same(sit, folder):
    (folder / "yes").mkdir()
    (folder / "no").mkdir()
    session = sit(labelled=False, move=(folder / "yes", folder / "no"))
    for item in session.next(4):
        session.judge([(item["key"], liked(item))], "single")
    session.close()
    shutil.copy(folder / "liked" / "l00.jpg", folder / "yes" / "new.jpg")
    with (folder / "yes" / "new.jpg").open("ab") as file:
        file.write(b"x")  # other content, which no store knows
    with Store.open(folder / ".vta") as store:
        sides = [(Source(["yes"]), 1), (Source(["no"]), 0)]
        inputs = Inputs(Source(["pics"]), sides, embed_missing=False)
        again = Session(store, inputs, Plan(folder / "k.jsonl", every=0))
        again.start()
        until(lambda: again.loader.loading.step in ("done", "failed"))
        found = again.review(show="all", order="newest", start=0, n=9)["items"]
        assert len(found) == 5
        assert Looker(again).picture(found[0]["key"], "thumb")
        state = again.state()
        assert (state["left"], state["waiting"]) == (20, 1)  # the new one has no vector
        again.close()
