"""Embedding five crops with a backbone that remembers what it was shown."""

import numpy as np
import pytest
from PIL import Image

from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import BackboneError
from vta_cli.images.views import readings
from vta_cli.pipelines import lanes as lanes_module
from vta_cli.pipelines import score as scoring
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.lanes import Engine, Lane, choose
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.pipelines.views import one_vector, split_pin, whole_recipes, with_view
from vta_cli.records import Preprocess, Recipe
from vta_cli.store.catalogue import Entry
from vta_cli.store.store import Store

SQUASH = Preprocess("squash", 8, 8)
SIZES = [(40, 30), (12, 50), (33, 33), (16, 16), (64, 90), (17, 19), (5, 9)]
SEEN = {size: 5 if min(size) > 16 else 1 for size in SIZES}


class Fake:
    """A backbone whose vector is the mean colour; can fail at a given call."""

    resize = None

    def __init__(self, *, threads=False, fail_at=-1):
        self.recipe = Recipe("fake:a", "none", 3, SQUASH)
        self.threads, self.batch_size, self.batches, self.fail_at = threads, 4, [], fail_at

    def embed(self, batch):
        if len(self.batches) == self.fail_at:
            raise BackboneError("broken", "the fake broke")
        self.batches.append(len(batch))
        return np.array([pixels.reshape(-1, 3).mean(axis=0) for pixels in batch], np.float32)

    def close(self):
        pass


@pytest.fixture
def pictures(tmp_path):
    """Save noise of several sizes; return the arrays by path."""
    random = np.random.default_rng(0)
    found = {}
    (tmp_path / "pics").mkdir()
    for at, size in enumerate(SIZES):
        pixels = random.integers(0, 255, (*size, 3), dtype=np.uint8)
        path = tmp_path / "pics" / f"{at}.png"
        Image.fromarray(pixels).save(path)
        found[str(path)] = pixels
    return found


def lane(store, fake, monkeypatch, view="five-crop"):
    """Return a lane of the fake."""
    monkeypatch.setattr(lanes_module, "load", lambda *_, **__: fake)
    monkeypatch.setattr(lanes_module, "locate_weights", lambda *_: None)
    monkeypatch.setattr(lanes_module, "expected_recipe", lambda *_, **__: fake.recipe)
    spec = BackboneSpec(name="fake:a", family="fake", dim=3, preprocess=SQUASH)
    return Lane(store, spec, Engine(), Silent(), view)


@pytest.mark.parametrize("threads", [False, True])
def test_each_view_stands_under_its_image(tmp_path, pictures, monkeypatch, threads):
    """Five vectors an image, each of its own tile; a small picture's one vector five times."""
    with Store.open(tmp_path / "s", create=True) as store:
        fake = Fake(threads=threads)
        line = lane(store, fake, monkeypatch)
        report = embed(store, Source([str(tmp_path / "pics")]), [line], Silent(), workers=2)
        assert report.embedded == {"fake:a": len(SIZES)}
        assert sum(fake.batches) == sum(SEEN.values())
        if not threads:
            assert set(fake.batches[:-1]) == {4}, "batches are full of views, whoever's they are"
        (space,) = store.spaces()
        assert (space.recipe.view, space.recipe.n_views) == ("five-crop", 5)
        assert space.recipe.extra["tiling"] == {"tile_px": 16, "limit_px": 36}
        for entry in store.catalogue.entries():
            (found,) = space.read(np.frombuffer(entry.key, np.uint8)[None])
            shown = readings(pictures[entry.path], SQUASH, "five-crop")
            means = [one.reshape(-1, 3).mean(axis=0) for one in shown]
            wanted = np.array(means * (5 // len(means)))
            assert found == pytest.approx(wanted, abs=0.1)
        again = Fake()
        embed(store, Source([str(tmp_path / "pics")]), [lane(store, again, monkeypatch)], Silent())
        assert again.batches == []
        embed(
            store,
            Source([str(tmp_path / "pics")]),
            [lane(store, again, monkeypatch, "whole")],
            Silent(),
        )
        assert sum(again.batches) == len(SIZES)
        assert len(store.spaces()) == 2, "whole and five-crop vectors never share a space"


def test_a_failure_puts_no_vector_under_another_key(tmp_path, pictures, monkeypatch):
    """What was whole before is kept, and is right; the rest is missing."""
    with Store.open(tmp_path / "s", create=True) as store:
        line = lane(store, Fake(fail_at=2), monkeypatch)
        with pytest.raises(BackboneError):
            embed(store, Source([str(tmp_path / "pics")]), [line], Silent(), workers=1)
        (space,) = store.spaces()
        assert 1 <= space.n_rows < len(SIZES)
        embed(store, Source([str(tmp_path / "pics")]), [lane(store, Fake(), monkeypatch)], Silent())
        (space,) = store.spaces()
        for entry in store.catalogue.entries():
            (found,) = space.read(np.frombuffer(entry.key, np.uint8)[None])
            first = readings(pictures[entry.path], SQUASH, "five-crop")[0]
            assert found[0] == pytest.approx(first.reshape(-1, 3).mean(axis=0), abs=0.1)


def test_the_view_is_pinned_with_the_backbones(tmp_path):
    """A store of five crops goes on so; asked for otherwise, it does otherwise."""
    with Store.open(tmp_path / "s", create=True) as store:
        first = choose(store, "classic", [], Engine(), "five-crop")
        assert (first.view, first.pin) == ("five-crop", "classic@five-crop")
        store.pin(first.pin)
        again = choose(store, "auto", [], Engine())
        assert (again.view, again.pin) == ("five-crop", first.pin)
        assert [spec.name for spec in again.specs] == [spec.name for spec in first.specs]
        assert choose(store, "auto", [], Engine(), "whole").view == "whole"
        assert choose(store, "auto", ["CLIP_ViTL_14@336"], Engine()).view == "five-crop"
    assert split_pin("CLIP_ViTL_14@336") == ("CLIP_ViTL_14@336", "whole")


def test_recipes_there_and_back():
    """The view is part of the identity; a whole recipe comes back to the bit."""
    whole = Recipe("fake:a", "none", 3, SQUASH, extra={"mean": [0.5]})
    five = with_view(whole, "five-crop")
    assert five.digest != whole.digest
    assert Recipe.from_json(five.to_json()).digest == five.digest
    assert whole_recipes([five, whole]) == [whole]


def test_one_vector_weighs_tiles_alike():
    """The mean of directions: a long vector counts no more than a short one."""
    views = np.array([[[2.0, 0.0], [0.0, 100.0]], [[0.0, 0.0], [3.0, 0.0]]], np.float32)
    assert one_vector(views) == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.0]]))
    single = views[:, :1]
    assert np.array_equal(one_vector(single), single[:, 0])


def test_a_pooled_head_is_shown_some_images_at_a_time(tmp_path, monkeypatch):
    """Scoring stays in bounded memory where each image has several vectors."""
    shown = []

    class Recorder:
        recipes, meta, dims, normalise = (), {}, (3,), True

        def answer(self, blocks):
            shown.append(blocks[0].shape)
            return blocks[0][:].mean(axis=(1, 2)).astype(np.float64), {}

    monkeypatch.setattr(scoring, "BLOCK_NUMBERS", 1)
    recipe = with_view(Recipe("fake:a", "none", 3, SQUASH), "five-crop")
    random = np.random.default_rng(0)
    keys = random.integers(0, 256, (600, 32), np.uint8)
    vectors = random.standard_normal((600, recipe.n_views, 3)).astype(np.float16)
    with Store.open(tmp_path / "s", create=True) as store:
        space = store.space(recipe)
        with space.writer() as writer:
            writer.append(keys, vectors.astype(np.float32))
        store.catalogue.record(
            Entry(f"/p/{at:03d}.jpg", 9, 9, key.tobytes(), 4, 4, "JPEG")
            for at, key in enumerate(keys)
        )
        model = scoring.Model("fake", Recorder(), (space,))
        report = scoring.ScoreReport()
        blocks = list(scoring.score(store, Source(), [model], report, Silent()))

    assert [shape[0] for shape in shown] == [256, 256, 88]
    found = np.concatenate([block.scores["score"] for block in blocks])
    assert np.allclose(found, vectors.astype(np.float64).mean(axis=(1, 2)), atol=1e-6)
