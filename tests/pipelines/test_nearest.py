"""The nearest images of a store: the right ones, without reading all vectors into memory."""

import numpy as np
import pytest

from vta_cli.backbones.classic_recipe import recipe
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.nearest import explain, similar
from vta_cli.pipelines.score import Model
from vta_cli.pipelines.sources import Source
from vta_cli.store.catalogue import Entry
from vta_cli.store.space import Space
from vta_cli.store.store import Store

RECIPE = recipe()
N = 3000


def test_the_nearest_are_found_in_pieces(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((N, RECIPE.dim)).astype(np.float16).astype(np.float32)
    keys = [number.to_bytes(4, "big") * 8 for number in range(N)]
    image = tmp_path / "asked.jpg"
    image.write_bytes(b"x")
    stat = image.stat()
    taken = []
    take = Space.take

    def noted(space, rows):
        taken.append(len(rows))
        return take(space, rows)

    monkeypatch.setattr(Space, "take", noted)
    with Store.open(tmp_path / "store", create=True) as store:
        names = [str(image), *(f"/gone/{number}.jpg" for number in range(1, N))]
        store.catalogue.record(
            Entry(name, 1, stat.st_mtime_ns, key, read_ns=2**62)
            for name, key in zip(names, keys, strict=True)
        )
        with store.space(RECIPE).writer() as writer:
            writer.append(key_rows(keys), vectors)
        spaces = [store.space(RECIPE)]
        found = similar(store, str(image), Source(), spaces, 5, look=False)
        assert similar(store, str(image), Source(), spaces, 5) == []  # no other file is there

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit[1:] @ unit[0]
    best = np.argsort(-cosine)[:5]
    assert [near.paths for near in found] == [(f"/gone/{1 + row}.jpg",) for row in best]
    assert [near.similarity for near in found] == pytest.approx(cosine[best], abs=1e-6)
    assert max(taken) < N


class Stranger:
    """A head of somebody else's."""

    def __init__(self, labels):
        self.meta = {"labels": labels}

    def answer(self, blocks):
        return np.full(len(blocks[0]), 0.5), {}

    def members(self, blocks):
        return {}


@pytest.mark.parametrize(
    "labels", [[], 7, {"positive": 7}, {"positive": ["zz"]}, {"negative": ["ab"]}]
)
def test_a_head_may_tell_nonsense_of_its_labels(tmp_path, labels):
    image = tmp_path / "asked.jpg"
    image.write_bytes(b"x")
    with Store.open(tmp_path / "store", create=True) as store:
        store.catalogue.record(
            [Entry(str(image), 1, image.stat().st_mtime_ns, bytes(32), read_ns=2**62)]
        )
        with store.space(RECIPE).writer() as writer:
            writer.append(key_rows([bytes(32)]), np.ones((1, RECIPE.dim), np.float32))
        model = Model("theirs", Stranger(labels), (store.space(RECIPE),))
        found = explain(store, str(image), model, 3)
    assert found.score == 0.5
    assert not any(found.near.values())
