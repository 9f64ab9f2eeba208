"""A sitting without a browser: what it asks, keeps, learns, moves and gives back."""

from pathlib import Path

import numpy as np
import pytest
from sitting import learnt, liked, until

from vta_cli.errors import UsageError
from vta_cli.heads.taste import Taste
from vta_cli.labels.journal import Journal, judge_event, read_journal
from vta_cli.labels.pairs import read_pairs
from vta_cli.pipelines.label_cup import Cups
from vta_cli.pipelines.label_look import Looker
from vta_cli.pipelines.label_pool import Pool, make_sketch, unit_rows


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


def test_folders_are_read_as_labels_and_stay_where_they_are(sit, here, tmp_path):
    session = sit()
    learnt(session)
    state = session.state()
    assert (state["positive"], state["negative"], state["left"]) == (12, 12, 24)
    assert state["fit"]["auc"] > 0.9
    assert sum(state["histograms"]["oof"]["positive"]) == 12
    assert sum(state["histograms"]["unlabelled"]["all"]) == 24
    assert len(list((here / "liked").iterdir())) == 12
    assert len(read_journal(tmp_path / "j.jsonl").labels) == 24


def test_what_was_said_on_the_page_wins_over_the_folders_next_time(sit):
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


def test_the_saved_head_says_what_the_page_says(sit, told, here, tmp_path):
    """Scores of the saved head equal the page's, to float32; its story survives a restart."""
    session = sit(name="page")
    learnt(session)
    file = here / ".vta" / "heads" / "page.safetensors"
    until(file.is_file)
    taste = Taste.load(file)
    rows = np.flatnonzero(session.pool.has)
    blocks = [space.read(session.pool.key_array(rows))[:, 0, :] for space in session.loader.spaces]
    np.testing.assert_allclose(taste.score(blocks), session.pool.scores[rows], atol=2e-3)
    assert taste.meta["history"][-1]["n"] == 24
    session.close()
    for args in (
        ["score", "pics", "--model", "page"],
        ["train", "--labels", tmp_path / "j.jsonl", "--head", "centroid"],
    ):
        ran = told(*args)
        assert ran.exit_code == 0, ran.output
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


def test_pages_take_back_their_own_actions_and_no_heat_that_others_built_upon(sit):
    session = sit(labelled=False)
    key = session.next(1)[0]["key"]
    session.judge([(key, 1)], "single", "one")
    session.judge([(key, 0)], "single", "two")
    session.undo("one")  # what the other page said of the same picture since holds
    assert (session.state()["negative"], session.state()["sitting"]) == (1, 1)
    session.undo("two")
    assert (session.state()["negative"], session.state()["sitting"]) == (0, 0)
    cups = Cups(session)
    cups.begin(8, 4, (0.5, 0.25), "one")
    for page in ("one", "two"):
        shown = [item["key"] for item in cups.view()["items"]]
        cups.advance(shown, shown[:2], page)
    with pytest.raises(UsageError, match="went on"):
        session.undo("one")
    session.undo("two")
    assert cups.view()["shown"] == 4


def test_pairs_are_kept(sit):
    session = sit()
    left, right = session.pair()
    session.prefer(left["key"], right["key"])
    assert session.state()["pairs"] == 1
    assert Cups(session).pairs_csv().splitlines()[1].endswith(",left")
    session.undo()
    assert session.state()["pairs"] == 0


def test_a_dropped_picture_is_scored_like_the_same_one_in_the_folder(sit, here):
    session = sit()
    learnt(session)
    item = next(i for i in session.grid("liked", 24) if i["score"] > 0.5)
    found = Looker(session).drop((here / "pics" / Path(item["name"]).name).read_bytes())
    assert found["known"]
    assert found["score"] == pytest.approx(item["score"], abs=0.02)
    assert len(found["liked"]) == 6
    assert found["liked"][0]["similarity"] > found["disliked"][0]["similarity"]
    assert found["members"]["nearest 9"] > 0.5


def test_another_process_is_noticed(sit, tmp_path):
    session = sit()
    key = session.next(1)[0]["key"]
    other = Journal(tmp_path / "j.jsonl")
    other.append([{"event": "judge", "key": key, "label": 1, "path": "x", "mode": "single"}])
    other.close()
    assert session.state()["positive"] == 13


def test_a_sketch_keeps_similarities():
    """Compact vectors of a large pool keep the dot products of real, low-rank embeddings."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(900, 40)) @ random.normal(size=(40, 1000))
    unit = unit_rows([(rows + random.normal(size=rows.shape) * 0.1).astype(np.float32)])
    sketch = make_sketch([1000], 100_000, unit)
    assert sketch.dim == 768
    compact = sketch.rows([unit[:50]])
    np.testing.assert_allclose(compact @ compact.T, unit[:50] @ unit[:50].T, atol=0.01)
    coef = random.normal(size=768)
    np.testing.assert_allclose(unit[:50] @ sketch.widen(coef), compact @ coef, atol=1e-3)


def test_what_another_process_said_just_before_ones_own_judgement_is_noticed(sit, tmp_path):
    session = sit()
    first, second = session.next(2)
    other = Journal(tmp_path / "j.jsonl")
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


def test_pairs_of_the_journal_are_labels_for_training(sit, told, tmp_path):
    session = sit(labelled=False)
    random = np.random.default_rng(3)
    rows = np.flatnonzero(session.pool.askable)
    for _ in range(40):
        two = [session.item(int(row)) for row in random.choice(rows, 2, replace=False)]
        two.sort(key=lambda item: -liked(item))
        session.prefer(two[0]["key"], two[1]["key"])
    session.undo()
    found = read_pairs(tmp_path / "j.jsonl")
    assert found.kind == "pairs"
    assert len(found.labels) == 39
    assert found.labels[0].rater == "ann"
    assert Path(found.labels[0].path).is_file()
    session.close()
    ran = told("train", "--pairs", tmp_path / "j.jsonl", "--name", "pairs")
    assert ran.exit_code == 0, ran.output
