"""A sitting without a browser: what it asks, keeps, learns, moves and gives back."""

import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from label_pictures import make_folder

from vta_cli.errors import UsageError
from vta_cli.heads.taste import Taste
from vta_cli.labels.journal import Journal, judge_event, read_journal
from vta_cli.labels.pairs import read_pairs
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_cup import Cups
from vta_cli.pipelines.label_load import Inputs, Loader
from vta_cli.pipelines.label_look import Looker
from vta_cli.pipelines.label_pool import Pool, make_sketch, unit_rows
from vta_cli.pipelines.label_serve import export
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store

WAIT_S = 60


@pytest.fixture(scope="module")
def _made(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("label") / "work")


@pytest.fixture
def folder(_made, tmp_path, monkeypatch):
    """Return a folder with pics/ (24), liked/ and disliked/ (12 each), all with vectors."""
    root = shutil.copytree(_made, tmp_path / "work")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def sit(folder):
    """Return a function that begins a sitting; all of them are closed in the end."""
    begun = []

    def begin(*, labelled=True, wait=True, **plan):
        store = Store.open(folder / ".vta")
        sides = [(Source(["liked"]), 1), (Source(["disliked"]), 0)] if labelled else []
        given = {"journal": folder / "j.jsonl", "rater": "ann", "every": 0, **plan}
        session = Session(store, Inputs(Source(["pics"]), sides), Plan(**given))
        begun.append((session, store))
        session.start()
        if wait:
            until(lambda: session.loader.loading.step == "done")
        return session

    yield begin
    for session, store in begun:
        session.close()
        store.close()


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def learnt(session):
    until(lambda: session.learner.fit is not None and not session.learner.busy)


def liked(item):
    """Tell the truth about a drawn picture: even numbers are liked."""
    return int(int(Path(item["name"]).stem[1:]) % 2 == 0)


def test_it_starts_without_any_label_and_learns_what_it_is_told(sit):
    session = sit(labelled=False)
    assert session.state()["fit"] is None
    for _ in range(8):
        item = session.next(1)[0]
        assert item["label"] is None
        session.judge([(item["key"], liked(item))], "single")
    session.retrain()
    learnt(session)
    rest = [row for row in range(len(session.pool)) if session.pool.label[row] < 0]
    right = [(session.pool.scores[row] > 0.5) == bool(liked(session.item(row))) for row in rest]
    assert np.mean(right) > 0.8
    assert session.state()["left"] == 16


def test_folders_are_read_as_labels_and_stay_where_they_are(sit, folder):
    session = sit()
    learnt(session)
    state = session.state()
    assert (state["positive"], state["negative"], state["left"]) == (12, 12, 24)
    assert state["fit"]["auc"] > 0.9
    assert sum(state["histograms"]["oof"]["positive"]) == 12
    assert sum(state["histograms"]["unlabelled"]["all"]) == 24
    assert len(list((folder / "liked").iterdir())) == 12
    assert len(read_journal(folder / "j.jsonl").labels) == 24


def test_what_was_said_on_the_page_wins_over_the_folders_next_time(sit, folder):
    session = sit()
    first = next(key for key, held in session.standing.judgements.items() if held.label == 1)
    second = next(key for key, held in session.standing.judgements.items() if held.label == 0)
    session.judge([(first, 0)], "review")
    session.judge([(second, None)], "review")
    session.close()
    again = sit()
    assert again.standing.judgements[first].label == 0
    assert second not in again.standing.judgements
    assert again.state()["negative"] == 12


def test_undo_restores_what_held_before(sit):
    session = sit()
    key = next(iter(session.standing.judgements))
    before = session.standing.judgements[key].label
    session.judge([(key, 1 - before)], "review")
    told = session.undo()
    assert told["items"][0]["key"] == key
    assert session.standing.judgements[key].label == before
    with pytest.raises(UsageError, match="nothing"):
        session.undo()


def test_a_grid_is_one_action(sit):
    session = sit()
    learnt(session)
    items = session.grid("liked", 6)
    assert [liked(item) for item in items] == [1] * 6
    assert sorted((item["score"] for item in items), reverse=True) == [i["score"] for i in items]
    session.judge([(item["key"], 1) for item in items], "grid")
    assert session.state()["left"] == 18
    session.undo()
    assert session.state()["left"] == 24


def test_nothing_is_asked_twice_in_a_row_and_skips_come_back(sit):
    session = sit()
    learnt(session)  # a fit gives the skipped ones back
    keys = [item["key"] for _ in range(24) for item in session.next(1)]
    assert len(set(keys)) == 24
    assert session.next(1)


def test_two_pages_share_the_work(sit):
    """Images that one page has on view are not given to the other."""
    session = sit()
    first = session.next(4)
    second = session.next(4)
    assert not {item["key"] for item in first} & {item["key"] for item in second}


def test_learning_is_automatic_after_so_many_labels(sit):
    session = sit(every=3)
    learnt(session)
    n = len(session.learner.history)
    for item in session.next(2):
        session.judge([(item["key"], liked(item))], "single")
    assert len(session.learner.history) == n
    session.judge([(session.next(1)[0]["key"], 1)], "single")
    until(lambda: len(session.learner.history) > n)
    learnt(session)
    assert session.learner.history[-1]["n"] == 27


def test_the_saved_head_says_what_the_page_says(sit, vta, folder):
    """Scores of the saved head equal the page's, to float32; its story survives a restart."""
    session = sit(name="page")
    learnt(session)
    file = folder / ".vta" / "heads" / "page.safetensors"
    until(file.is_file)
    taste = Taste.load(file)
    rows = np.flatnonzero(session.pool.has)
    blocks = [space.read(session.pool.key_array(rows))[:, 0, :] for space in session.loader.spaces]
    np.testing.assert_allclose(taste.score(blocks), session.pool.scores[rows], atol=2e-3)
    assert taste.meta["history"][-1]["n"] == 24
    session.close()
    ran = vta("score", "pics", "--model", "page", cwd=folder)
    assert ran.code == 0, ran.err
    ran = vta("train", "--labels", "j.jsonl", "--head", "logistic", cwd=folder)
    assert ran.code == 0, ran.err
    assert len(sit(name="page", wait=False).learner.history) >= 1


def test_limits_follow_the_head_until_they_are_moved(sit):
    session = sit()
    learnt(session)
    session.configure(low=0.1, high=0.2)
    session.retrain()
    until(lambda: len(session.learner.history) >= 2)
    learnt(session)
    settings = session.state()["settings"]
    assert (settings["low"], settings["high"], settings["follow"]) == (0.1, 0.2, False)
    session.configure(follow=True)
    assert session.state()["settings"]["low"] != 0.1
    with pytest.raises(UsageError, match="limits"):
        session.configure(low=0.9, high=0.1)


def test_likely_mistakes_come_first_in_the_review(sit):
    session = sit()
    key = next(key for key, held in session.standing.judgements.items() if held.label == 1)
    session.judge([(key, 0)], "single")
    session.retrain()
    until(lambda: session.learner.history and session.learner.history[-1]["n_positive"] == 11)
    learnt(session)
    found = session.review(show="all", order="mistakes", start=0, n=50)
    assert found["total"] == 24
    assert found["items"][0]["key"] == key
    assert found["items"][0]["opinion"] > 0.5
    assert found["items"][0]["rater"] == "ann"
    assert session.review(show="liked", order="newest", start=0, n=50)["total"] == 11


def test_missing_vectors_are_embedded_behind(folder, sit):
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
    assert np.isfinite(session.pool.scores).all()
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


def test_other_images_of_the_grid_are_others(sit):
    session = sit()
    learnt(session)
    pages = [session.grid("liked", 10, start) for start in (0, 10, 20)]
    keys = [item["key"] for page in pages for item in page]
    assert len(keys) == len(set(keys)) == 24
    assert session.grid("liked", 10, 24) == pages[0]


def test_an_unknown_image_is_refused_and_nothing_written(sit):
    session = sit()
    good = session.next(1)[0]["key"]
    n = len(session.journal.events)
    with pytest.raises(UsageError, match="no image"):
        session.judge([(good, 1), ("0" * 64, 1)], "single")
    assert len(session.journal.events) == n


def test_move_moves_and_undo_brings_back(sit, folder):
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
    assert read_journal(folder / "j.jsonl").labels[0].path == str(folder / "yes" / name)


def test_a_tournament_is_played_undone_and_resumed(sit):
    session = sit(labelled=False)
    cups = Cups(session)
    assert cups.view()["on"] is False
    cups.begin(8, 4, (0.5, 0.25))
    shown = [item["key"] for item in cups.view()["items"]]
    cups.advance(shown, shown[:2])
    with pytest.raises(UsageError, match="present heat"):
        cups.advance(shown, shown[:1])
    session.undo()
    assert [item["key"] for item in cups.view()["items"]] == shown
    cups.advance(shown, shown[:2])
    session.close()
    again = sit(labelled=False)
    cups = Cups(again)
    assert cups.view()["shown"] == 4
    while not cups.view()["done"]:
        keys = [item["key"] for item in cups.view()["items"]]
        cups.advance(keys, keys[:2])
    assert cups.view()["tiers"] == [4, 2, 2]
    assert cups.tiers_csv().count(",2") == 2
    cups.to_labels()
    assert (again.state()["positive"], again.state()["negative"]) == (4, 4)


def test_pairs_are_kept(sit):
    session = sit()
    left, right = session.pair()
    session.prefer(left["key"], right["key"])
    assert session.state()["pairs"] == 1
    assert Cups(session).pairs_csv().splitlines()[1].endswith(",left")
    session.undo()
    assert session.state()["pairs"] == 0


def test_a_dropped_picture_is_scored_like_the_same_one_in_the_folder(sit, folder):
    session = sit()
    learnt(session)
    item = next(i for i in session.grid("liked", 24) if i["score"] > 0.5)
    found = Looker(session).drop((folder / "pics" / Path(item["name"]).name).read_bytes())
    assert found["known"]
    assert found["score"] == pytest.approx(item["score"], abs=0.02)
    assert len(found["liked"]) == 6
    assert found["liked"][0]["similarity"] > found["disliked"][0]["similarity"]
    assert found["members"]["nearest 9"] > 0.5


def test_labels_are_exported_as_folders(sit, folder):
    session = sit()
    session.close()
    with Store.open(folder / ".vta") as store:
        assert export(store, folder / "j.jsonl", folder / "out", link=False) == 24
    assert len(list((folder / "out" / "liked").iterdir())) == 12
    assert len(list((folder / "liked").iterdir())) == 12


def test_another_process_is_noticed(sit, folder):
    session = sit()
    key = session.next(1)[0]["key"]
    other = Journal(folder / "j.jsonl")
    other.append([{"event": "judge", "key": key, "label": 1, "path": "x", "mode": "single"}])
    other.close()
    assert session.state()["positive"] == 13


def test_a_sketch_keeps_similarities():
    """Compact vectors of a large pool keep the dot products of real, low-rank embeddings."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, 40)) @ random.normal(size=(40, 1500))
    unit = unit_rows([(rows + random.normal(size=rows.shape) * 0.1).astype(np.float32)])
    sketch = make_sketch([1500], 100_000, unit)
    assert sketch.dim == 768
    compact = sketch.rows([unit[:50]])
    np.testing.assert_allclose(compact @ compact.T, unit[:50] @ unit[:50].T, atol=0.01)
    coef = random.normal(size=768)
    np.testing.assert_allclose(unit[:50] @ sketch.widen(coef), compact @ coef, atol=1e-3)


def test_what_another_process_said_just_before_ones_own_judgement_is_noticed(sit, folder):
    session = sit()
    first, second = session.next(2)
    other = Journal(folder / "j.jsonl")
    assert not other.alone
    other.append([judge_event(first["key"], 1, "x", mode="single")])
    other.close()
    session.judge([(second["key"], 1)], "single")
    assert session.state()["positive"] == 14


def test_vectors_stay_when_the_pool_grows():
    pool = Pool()
    for at in range(64):
        pool.add(bytes([at]) * 32, f"{at}", f"{at}", (1, 1), askable=True)
    pool.set_vectors(np.arange(64), np.ones((64, 3), np.float32))
    pool.add(bytes([64]) * 32, "64", "64", (1, 1), askable=True)
    np.testing.assert_array_equal(pool.vectors[:64], 1.0)
    np.testing.assert_array_equal(pool.vectors[64:], 0.0)


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


def test_a_tournament_waits_for_its_images_and_is_not_another_folders(sit, folder, monkeypatch):
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
        elsewhere = Session(store, Inputs(Source(["liked"])), Plan(folder / "j.jsonl", every=0))
        elsewhere.start()
        until(lambda: elsewhere.loader.loading.step == "done")
        assert Cups(elsewhere).view()["on"] is False
        assert len(elsewhere.journal.events) == n
        elsewhere.close()


def test_a_large_undo_answers_with_a_part(sit, monkeypatch):
    monkeypatch.setattr("vta_cli.pipelines.label.MAX_PAGE", 5)
    session = sit()
    session.judge([(key, 1) for key in list(session.standing.judgements)], "tournament")
    assert len(session.undo()["items"]) == 5
    assert session.state()["negative"] == 12


def test_the_counters_of_the_sitting_go_back_with_each_undo(sit):
    session = sit()
    learnt(session)
    key = session.next(1)[0]["key"]
    session.judge([(key, 1)], "single")
    session.judge([(key, 0)], "single")
    session.judge([(key, None)], "review")
    counted = []
    for _ in range(4):
        state = session.state()
        counted.append((state["sitting"], state["positive"], state["negative"], state["untrained"]))
        if state["can_undo"]:
            session.undo()
    assert counted == [(0, 12, 12, 3), (1, 12, 13, 2), (1, 13, 12, 1), (0, 12, 12, 0)]


def test_a_fit_that_fails_leaves_the_page_at_work(sit, monkeypatch):
    session = sit()
    learnt(session)

    def crash(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("vta_cli.pipelines.label_learn.fit_quick", crash)
        session.retrain()
        until(lambda: "no room" in session.state()["problem"] and not session.state()["training"])
    session.judge([(session.next(1)[0]["key"], 1)], "single")
    session.retrain()
    until(lambda: session.learner.fit is not None and len(session.learner.fit.rows) == 25)
    learnt(session)
    assert session.state()["problem"] == ""


def test_pairs_of_the_journal_are_labels_for_training(sit, vta, folder):
    session = sit(labelled=False)
    random = np.random.default_rng(3)
    rows = np.flatnonzero(session.pool.askable)
    for _ in range(40):
        two = [session.item(int(row)) for row in random.choice(rows, 2, replace=False)]
        two.sort(key=lambda item: -liked(item))
        session.prefer(two[0]["key"], two[1]["key"])
    session.undo()
    told = read_pairs(folder / "j.jsonl")
    assert told.kind == "pairs"
    assert len(told.labels) == 39
    assert told.labels[0].rater == "ann"
    assert Path(told.labels[0].path).is_file()
    session.close()
    ran = vta("train", "--pairs", "j.jsonl", "--name", "pairs", cwd=folder)
    assert ran.code == 0, ran.err
