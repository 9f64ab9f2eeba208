"""Embedding with fake backbones that count what they are asked to do."""

import os
import shutil
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import BackboneError
from vta_cli.pipelines import embed as embed_module
from vta_cli.pipelines import lanes as lanes_module
from vta_cli.pipelines.crew import CrewLostError
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.records import Preprocess, Recipe
from vta_cli.store.store import Store

NATIVE = Preprocess("native", 4096, 0)
SMALL = Preprocess("squash", 8, 8)


class Fake:
    """A backbone whose vector is the mean colour; remembers the batches it was given."""

    resize = None

    def __init__(self, name, preprocess, *, threads=False, batch_size=4):
        self.recipe = Recipe(backbone=name, weights="none", dim=3, preprocess=preprocess)
        self.threads, self.batch_size = threads, batch_size
        self.batches, self.closed = [], 0

    def embed(self, batch):
        self.batches.append(len(batch))
        return np.array([pixels.reshape(-1, 3).mean(axis=0) for pixels in batch], np.float32)

    def close(self):
        self.closed += 1


@pytest.fixture
def lane_of(monkeypatch):
    """Return a function that makes a lane of a fake; loading is counted."""
    fakes, loads = {}, []

    def fake_load(spec, **_options):
        loads.append(spec.name)
        return fakes[spec.name]

    monkeypatch.setattr(lanes_module, "load", fake_load)
    monkeypatch.setattr(lanes_module, "locate_weights", lambda *_: None)
    monkeypatch.setattr(
        lanes_module, "expected_recipe", lambda spec, *_, **__: fakes[spec.name].recipe
    )

    def make(store, fake):
        fakes[fake.recipe.backbone] = fake
        spec = BackboneSpec(
            name=fake.recipe.backbone, family="fake", dim=3, preprocess=fake.recipe.preprocess
        )
        return Lane(store, spec, Engine(), Silent())

    make.loads = loads
    return make


def test_second_run_calls_nothing_and_loads_nothing(drawn, tmp_path, lane_of):
    """All vectors present: no backbone is loaded, no image opened."""
    with Store.open(tmp_path / "s", create=True) as store:
        fake = Fake("fake:a", SMALL)
        report = embed(store, Source([str(drawn / "pics")]), [lane_of(store, fake)], Silent())
        assert (report.n_images, report.embedded) == (24, {"fake:a": 24})
        assert sum(fake.batches) == 24
        assert max(fake.batches) == 4
        assert lane_of.loads == ["fake:a"]
        again = Fake("fake:a", SMALL)
        report = embed(store, Source([str(drawn / "pics")]), [lane_of(store, again)], Silent())
        assert (report.n_known, report.n_opened, report.embedded) == (24, 0, {"fake:a": 0})
        assert again.batches == []
        assert lane_of.loads == ["fake:a"]


def test_a_lane_may_keep_its_network_from_one_run_to_the_next(drawn, tmp_path, lane_of):
    """It is loaded once; copies of what was embedded or refused before are told as ever."""
    whole = (drawn / "pics/p00.jpg").read_bytes()
    cut = whole[:300]
    files = {"a/1.jpg": whole, "a/cut.jpg": cut, "b/1.jpg": whole, "b/2.jpg": whole + b"x"}
    for name, data in (files | {"b/cut.jpg": cut}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with Store.open(tmp_path / "s", create=True) as store:
        fake = Fake("fake:a", SMALL)
        lane = lane_of(store, fake)
        lane.keeps = True
        first, second, third = (
            embed(store, Source([str(tmp_path / name)]), [lane], Silent()) for name in "abb"
        )
    assert [one.embedded["fake:a"] for one in (first, second, third)] == [1, 1, 0]
    assert [one.skips.total() for one in (first, second, third)] == [1, 1, 1]
    assert (first.n_known, second.n_known) == (0, 1)
    assert lane_of.loads == ["fake:a"]
    assert fake.closed == 0
    lane.release()
    assert fake.closed == 1


def test_vectors_belong_to_their_images(drawn, tmp_path, lane_of):
    """Each key's vector is what the backbone makes of that image, for both kinds of backbone."""
    from PIL import Image

    with Store.open(tmp_path / "s", create=True) as store:
        fakes = [Fake("fake:net", NATIVE), Fake("fake:cpu", NATIVE, threads=True)]
        lanes = [lane_of(store, fake) for fake in fakes]
        embed(store, Source([str(drawn / "pics")]), lanes, Silent(), workers=3)
        for entry in store.catalogue.entries():
            with Image.open(entry.path) as image:
                want = np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0)
            key = np.frombuffer(entry.key, np.uint8)[None]
            for lane in lanes:
                np.testing.assert_allclose(lane.space.read(key)[0, 0], want, rtol=2e-3)


class Coarse(Fake):
    """A fake with a resize of its own, so it may see JPEGs at a fraction of their size."""

    def __init__(self, name, px):
        super().__init__(name, Preprocess("squash", px, px))
        self.recipe = replace(self.recipe, extra={"resize": "corner"})
        self.seen = set()

    def resize(self, pixels, size, _interpolation):
        self.seen.add(pixels.shape)
        return np.ascontiguousarray(pixels[: size[1], : size[0]])


def test_vectors_do_not_depend_on_which_backbones_run_together(drawn, tmp_path, lane_of):
    """Of 96 px, a view of 8 px admits the half, one of 13 px does not, nor an exact one."""
    source = Source([str(drawn / "pics")])
    found = []
    for name, chosen in (("all", "abc"), ("a", "a"), ("b", "b"), ("c", "c")):
        with Store.open(tmp_path / name, create=True) as store:
            made = {"a": Coarse("fake:a", 13), "b": Coarse("fake:b", 8), "c": Fake("fake:c", SMALL)}
            lanes = [lane_of(store, made[letter]) for letter in chosen]
            embed(store, source, lanes, Silent())
            keys = np.array([list(entry.key) for entry in store.catalogue.entries()], np.uint8)
            found.append({lane.spec.name: lane.space.read(keys) for lane in lanes})
            for letter, px in (("a", 96), ("b", 48)):
                assert made[letter].seen == ({(px, px, 3)} if letter in chosen else set())
    for alone in found[1:]:
        for name, vectors in alone.items():
            assert np.array_equal(vectors, found[0][name])


def test_only_the_missing_backbone_runs(drawn, tmp_path, lane_of):
    """A second backbone embeds what it lacks; the first one is not loaded again."""
    with Store.open(tmp_path / "s", create=True) as store:
        first, second = Fake("fake:a", SMALL), Fake("fake:b", NATIVE)
        source = Source([str(drawn / "pics")])
        embed(store, source, [lane_of(store, first)], Silent())
        first.batches.clear()
        report = embed(store, source, [lane_of(store, first), lane_of(store, second)], Silent())
        assert report.embedded == {"fake:a": 0, "fake:b": 24}
        assert first.batches == []


def test_equal_bytes_are_embedded_once(drawn, tmp_path, lane_of):
    """Copies within one run cost one vector, unreadable copies one decode each but all are told."""
    folder = tmp_path / "pics"
    shutil.copytree(drawn / "pics", folder)
    for index in range(5):
        shutil.copy(folder / "p00.jpg", folder / f"copy{index}.jpg")
        (folder / f"bad{index}.jpg").write_bytes(b"\xff\xd8 broken")
    (folder / "notes.txt").write_text("not an image, and nobody pretends")
    with Store.open(tmp_path / "s", create=True) as store:
        fake = Fake("fake:a", SMALL)
        report = embed(store, Source([str(folder)]), [lane_of(store, fake)], Silent(), workers=4)
        assert report.embedded == {"fake:a": 24}
        assert report.n_images == 29
        assert report.skips.total() == 5
        assert report.n_files == 34
        again = embed(store, Source([str(folder)]), [lane_of(store, fake)], Silent())
        assert again.skips == report.skips
        assert again.n_known == 29


def test_a_disguised_image_is_taken(drawn, tmp_path, lane_of):
    """Content decides: a picture called .txt is embedded, a text called .txt is passed over."""
    folder = tmp_path / "pics"
    folder.mkdir()
    shutil.copy(drawn / "pics/p00.jpg", folder / "picture.txt")
    (folder / "caption.txt").write_text("a disc")
    with Store.open(tmp_path / "s", create=True) as store:
        fake = Fake("fake:a", SMALL)
        report = embed(store, Source([str(folder)]), [lane_of(store, fake)], Silent())
        assert (report.n_images, report.skips.total()) == (1, 0)


def test_a_device_works_ahead_and_rows_stay_with_their_images(drawn, tmp_path, lane_of):
    """Batches begun before the last are fetched change nothing but the order of work."""

    class Device(Fake):
        n_ahead = 1

        def __init__(self, *args, **choices):
            super().__init__(*args, **choices)
            self.under_way, self.most = 0, 0

        def start(self, batch):
            rows = self.embed(batch)
            self.under_way += 1
            self.most = max(self.most, self.under_way)

            def fetch():
                self.under_way -= 1
                return rows

            return fetch

    with Store.open(tmp_path / "s", create=True) as store:
        fakes = [Fake("fake:plain", SMALL), Device("fake:device", SMALL, batch_size=5)]
        lanes = [lane_of(store, fake) for fake in fakes]
        embed(store, Source([str(drawn / "pics")]), lanes, Silent())
        assert (fakes[1].most, fakes[1].under_way) == (2, 0)
        keys = np.stack([np.frombuffer(e.key, np.uint8) for e in store.catalogue.entries()])
        assert len(keys) == 24
        np.testing.assert_array_equal(*(lane.space.read(keys) for lane in lanes))


def test_failing_backbone_keeps_what_was_sealed(drawn, tmp_path, lane_of):
    """A backbone that fails half-way ends the run; rows before it are committed."""

    class Failing(Fake):
        def embed(self, batch):
            if sum(self.batches) >= 12:
                raise RuntimeError("device lost")
            return super().embed(batch)

    with Store.open(tmp_path / "s", create=True) as store:
        lane = lane_of(store, Failing("fake:a", SMALL))
        with pytest.raises(RuntimeError, match="device lost"):
            embed(store, Source([str(drawn / "pics")]), [lane], Silent())
    with Store.open(tmp_path / "s") as store:
        good = Fake("fake:a", SMALL)
        report = embed(store, Source([str(drawn / "pics")]), [lane_of(store, good)], Silent())
        assert report.n_images == 24
        assert sum(good.batches) == 12


def test_a_device_that_fails_at_the_end_leaves_nothing_for_the_next_run(drawn, tmp_path, lane_of):
    """A lane that keeps its network gives no vector of then to an image of now."""

    class Failing(Fake):
        n_ahead, fails = 1, True

        def start(self, batch):
            rows = self.embed(batch)

            def fetch():
                if self.fails:
                    raise RuntimeError("device lost")
                return rows

            return fetch

    for number in range(4):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        shutil.copy(drawn / f"pics/p0{number}.jpg", tmp_path / f"{number % 2}/{number}.jpg")
    with Store.open(tmp_path / "s", create=True) as store:
        plain, fake = Fake("fake:plain", SMALL), Failing("fake:a", SMALL)
        lane, sound = lane_of(store, fake), lane_of(store, plain)
        lane.keeps = True
        with pytest.raises(RuntimeError, match="device lost"):
            embed(store, Source([str(tmp_path / "0")]), [lane], Silent())
        fake.fails = False
        for lanes in ([lane], [sound]):
            embed(store, Source([str(tmp_path / "1")]), lanes, Silent())
        keys = sound.space.keys()
        assert len(keys) == 2
        np.testing.assert_array_equal(lane.space.read(keys), sound.space.read(keys))


def test_a_run_computes_in_the_precision_that_it_was_planned_by(tmp_path, lane_of, monkeypatch):
    """As of a store that was begun without a GPU: auto means something else on another machine."""
    fake, asked = Fake("fake:a", SMALL), []

    def load(spec, *, precision, **_options):
        asked.append(precision)
        fake.recipe = replace(fake.recipe, precision="bf16" if precision == "auto" else precision)
        return fake

    monkeypatch.setattr(lanes_module, "load", load)
    with Store.open(tmp_path / "s", create=True) as store:
        lane = lane_of(store, fake)
        assert lane.space.recipe == lane.backbone.recipe
        monkeypatch.setattr(lanes_module, "expected_recipe", lambda *_, **__: None)
        assert lane_of(store, fake).space.recipe.precision == "bf16"
    assert asked == ["fp32", "auto"]


@pytest.mark.parametrize("threads", [False, True])
def test_other_weights_than_the_store_knows_write_nothing(
    drawn, tmp_path, lane_of, monkeypatch, threads
):
    """They are fetched where the first ones are not at hand; vectors of both must not mix."""
    fake = Fake("fake:a", SMALL, threads=threads)
    old = replace(fake.recipe, weights="old")
    monkeypatch.setattr(lanes_module, "expected_recipe", lambda *_, **__: old)
    with Store.open(tmp_path / "s", create=True) as store:
        lane = lane_of(store, fake)
        with pytest.raises(BackboneError) as caught:
            embed(store, Source([str(drawn / "pics")]), [lane], Silent(), workers=0)
        assert caught.value.slug == "weights-mismatch"
        assert lane_of.loads == ["fake:a"]
        assert store.spaces() == []
        assert (fake.batches, fake.closed) == ([], 1)


def test_a_second_ctrl_c_ends_at_once(drawn, tmp_path, lane_of, monkeypatch):
    """Also while a worker hangs; what it was at is not waited for."""
    main, ended = threading.main_thread().ident, threading.Event()
    both = threading.Barrier(2)

    class Hung:
        n_workers, ready, closed, alive = 2, True, False, True

        def open(self, *_):
            if both.wait() == 0:
                signal.pthread_kill(main, signal.SIGINT)
            ended.wait()
            raise CrewLostError

        def halt(self):
            signal.raise_signal(signal.SIGINT)

        def close(self):
            self.closed = True
            ended.set()

    monkeypatch.setattr(embed_module, "hire", lambda *_: Hung())
    monkeypatch.setattr(embed_module, "files_at_once", lambda _: 1)
    with Store.open(tmp_path / "s", create=True) as store:
        lane = lane_of(store, Fake("fake:a", SMALL))
        with pytest.raises(KeyboardInterrupt):
            embed(store, Source([str(drawn / "pics")]), [lane], Silent())


def test_an_edit_that_sets_its_time_back_is_seen(drawn, tmp_path, lane_of):
    """Its time of change tells it; where only rights changed, the file is hashed and no more."""
    pics = tmp_path / "pics"
    shutil.copytree(drawn / "pics", pics)
    edited, closed = sorted(pics.glob("*.jpg"))[:2]
    picture = edited.read_bytes()
    edited.write_bytes(picture + b"1")
    for path in pics.iterdir():
        os.utime(path, (1.5e9, 1.5e9))
    source = Source([str(pics)])
    with Store.open(tmp_path / "s", create=True) as store:
        n_images = embed(store, source, [lane_of(store, Fake("fake:a", SMALL))], Silent()).n_images
        edited.write_bytes(picture + b"2")
        os.utime(edited, (1.5e9, 1.5e9))
        closed.chmod(0o600)
        fake = Fake("fake:a", SMALL)
        report = embed(store, source, [lane_of(store, fake)], Silent())
        assert (report.n_opened, report.n_images) == (2, n_images)
        assert report.embedded == {"fake:a": 1}
        report = embed(store, source, [lane_of(store, fake)], Silent())
        assert report.n_opened == 0
