"""A sitting over a store of five crops."""

import time

import numpy as np
import pytest
from label_pictures import draw

from tests.small_nets import ONNX_TOML, save_onnx
from vta_cli.heads.pooling import Pooled
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_load import Inputs
from vta_cli.pipelines.label_look import Looker
from vta_cli.pipelines.lanes import Engine
from vta_cli.pipelines.score import load_model
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store

pytest.importorskip("onnxruntime")
WAIT_S = 60


def test_a_sitting_embeds_learns_and_saves_over_tiles(tmp_path):
    """One vector an image is learnt from; the saved head reads five, and agrees on the order."""
    for index in range(12):
        draw(tmp_path / "pics" / f"p{index}.jpg", liked=index % 2 == 0, seed=index)
        draw(tmp_path / "liked" / f"l{index}.jpg", liked=True, seed=100 + index)
        draw(tmp_path / "disliked" / f"d{index}.jpg", liked=False, seed=200 + index)
    save_onnx(tmp_path / "net.onnx", toml=ONNX_TOML.replace('"mean"', '"flatten"'))
    with Store.open(tmp_path / ".vta", create=True) as store:
        store.pin("onnx:net@five-crop")
        sides = [(Source([str(tmp_path / name)]), at) for name, at in
                 (("liked", 1), ("disliked", 0))]  # fmt: skip
        engine = Engine(weights=str(tmp_path / "net.onnx"))
        inputs = Inputs(
            Source([str(tmp_path / "pics")]), sides,
            backbones=[str(tmp_path / "net.onnx")], engine=engine,
        )  # fmt: skip
        plan = Plan(journal=tmp_path / "j.jsonl", rater="ann", every=0, name="page")
        session = Session(store, inputs, plan)
        session.start()
        file = tmp_path / ".vta/heads/page.safetensors"
        try:
            until = time.monotonic() + WAIT_S
            while time.monotonic() < until and not (
                session.loader.loading.step == "done" and file.is_file()
            ):
                time.sleep(0.02)
            (space,) = session.loader.spaces
            assert space.recipe.view == "five-crop"
            assert space.n_rows == 36
            rows = np.flatnonzero(session.pool.has)
            assert len(rows) == 36
            model = load_model(store, "page")
            assert isinstance(model.taste, Pooled)
            found = model.taste.score([space.read(session.pool.key_array(rows))])
            page = session.pool.scores[rows]
            assert np.corrcoef(found, page)[0, 1] > 0.9
            dropped = Looker(session).drop((tmp_path / "pics/p0.jpg").read_bytes())
            at = next(i for i, r in enumerate(rows) if session.pool.paths[r].endswith("/p0.jpg"))
            assert dropped["score"] == pytest.approx(page[at], abs=0.02)
        finally:
            session.close()
