"""A head trained on one store scores the same on another, bit for bit on the same vectors."""

import shutil

import numpy as np
import pytest

from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.score import ScoreReport, load_model, score
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store


@pytest.fixture(scope="module")
def two_stores(drawn, vta, tmp_path_factory):
    """Return two stores of equal contents: other folders, names, order and shards."""
    root = tmp_path_factory.mktemp("two")
    shutil.copytree(drawn / "pics", root / "here/pics")
    shutil.copytree(drawn / "liked", root / "here/liked")
    shutil.copytree(drawn / "disliked", root / "here/disliked")
    (root / "there/sub").mkdir(parents=True)
    names = sorted(path.name for path in (drawn / "pics").iterdir())
    renamed = {name: f"sub/{len(names) - at:03d}.jpg" for at, name in enumerate(names)}
    for name, other in renamed.items():
        shutil.copy2(drawn / "pics" / name, root / "there" / other)
    assert vta("embed", "pics", "--preset", "classic", cwd=root / "here").code == 0
    order = [renamed[name] for name in names]
    rng = np.random.default_rng(5)
    rng.shuffle(order)
    assert vta("embed", *order[:7], "--preset", "classic", cwd=root / "there").code == 0
    extra = root / "there/other"
    shutil.copytree(drawn / "liked", extra)
    assert vta("embed", extra, "--preset", "classic", cwd=root / "there").code == 0
    for part in (order[7:9], order[9:]):
        assert vta("embed", *part, "--preset", "classic", cwd=root / "there").code == 0
    return root, names, renamed


def _scores(store, paths, head):
    with Store.open(store, read_only=True) as opened:
        models = [load_model(opened, str(head))]
        blocks = score(
            opened, Source([str(path) for path in paths]), models, ScoreReport(), Silent(),
            members=True,
        )  # fmt: skip
        found = {}
        for block in blocks:
            for at, path in enumerate(block.paths):
                found[path] = [float(values[at]) for values in block.scores.values()]
    return found


@pytest.mark.parametrize(
    "labels",
    [
        ["--pos", "liked", "--neg", "disliked"],
        ["--pos", "liked", "--neg", "disliked", "--head", "knn"],
        ["--labels", "stars.csv"],
        ["--labels", "stars.csv", "--kind", "ordinal"],
    ],
    ids=["ensemble", "knn", "ridge", "ordinal"],
)
def test_equal_vectors_have_equal_scores_whatever_the_store(two_stores, vta, labels):
    root, names, renamed = two_stores
    here, there = root / "here", root / "there"
    rows = [f"pics/{name},{at % 2 + at % 3}" for at, name in enumerate(names)]
    (here / "stars.csv").write_text("path,score\n" + "\n".join(rows))
    head = root / "head.safetensors"
    ran = vta("train", *labels, "--preset", "classic", "--out", head, cwd=here)
    assert ran.code == 0, ran.err
    one = _scores(here / ".vta", [here / "pics"], head)
    other = _scores(there / ".vta", [there], head)
    assert len(other) == len(names) + 12
    for name in names:
        mine = one[str(here / "pics" / name)]
        assert np.isfinite(mine).all()
        assert mine == other[str(there / renamed[name])], name
