"""Five crops from the command line: embed, train, score, pool, and what compares images."""

import csv
import io
import json

import pytest
from PIL import Image

from tests.small_nets import ONNX_TOML, save_onnx
from vta_cli.api import load_taste
from vta_cli.store.store import Store

pytest.importorskip("onnxruntime")

FINE = ONNX_TOML.replace('"mean"', '"flatten"')


def rows_of(text):
    """Read CSV text into rows by the name of the file."""
    return {row["path"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(scope="module")
def tiled(drawn, vta, tmp_path_factory):
    """Return a folder whose store holds five crops of a small network, with a head on them."""
    root = tmp_path_factory.mktemp("tiled")
    for name in ("pics", "liked", "disliked"):
        (root / name).symlink_to(drawn / name)
    (root / "small").mkdir()
    Image.new("RGB", (15, 40), (200, 90, 10)).save(root / "small/s.png")
    (root / "small/broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    save_onnx(root / "net.onnx", toml=FINE)
    args = ("--backbone", "net.onnx", "--views", "five-crop")
    ran = vta("embed", "pics/", "liked/", "disliked/", "small", *args, cwd=root)
    assert ran.code == 0, ran.err
    assert "1 file skipped" in ran.err
    ran = vta("train", "--pos", "liked/", "--neg", "disliked/", "--head", "logistic", cwd=root)
    assert ran.code == 0, ran.err
    return root


def test_the_store_goes_on_in_five_crops(tiled, vta):
    """The second embed, with no option, opens nothing; the space holds five vectors an image."""
    ran = vta("embed", "pics/", "small", cwd=tiled)
    assert ran.code == 0, ran.err
    assert "0 files opened" in ran.err
    with Store.open(tiled / ".vta", read_only=True) as store:
        assert store.preset.endswith("@five-crop")
        (space,) = store.spaces()
        assert space.recipe.n_views == 5
        keys = space.keys()
        found = space.read(keys)
        flat = (found == found[:, :1]).all(axis=(1, 2))
        assert flat.sum() == 1, "only the small picture has one view for all"


def test_scores_are_pooled_as_asked(tiled, vta):
    """Min, median, max in this order, the mean between; a small picture scores alike by all."""
    found = {}
    for pool in ("mean", "median", "max", "min"):
        ran = vta("score", "pics/", "small", "--pool", pool, cwd=tiled)
        assert ran.code == 0, ran.err
        found[pool] = rows_of(ran.out)
    same = vta("score", "pics/", "small", cwd=tiled)
    assert rows_of(same.out) == found["mean"], "the mean is the default"
    for name in [f"p{at:02d}.jpg" for at in range(24)]:
        low, middle, mean, high = (
            float(found[pool][name]["score"]) for pool in ("min", "median", "mean", "max")
        )
        assert low <= min(middle, mean) <= max(middle, mean) <= high
        assert low < high
    assert len({found[pool]["s.png"]["score"] for pool in found}) == 1
    assert found["max"]["broken.jpg"]["score"] == ""
    assert found["max"]["broken.jpg"]["reason"]
    for wrong in (("--pool", "sum"), ("--views", "nine-crop")):
        ran = vta("score", "pics/", *wrong, cwd=tiled)
        assert ran.code == 2, wrong
        assert wrong[1] in ran.err


def test_every_command_that_scores_pools_as_asked(tiled, vta):
    """Sort, filter and report agree with score; a file of scores and other keepers ask no head."""
    scores = tiled / "low.csv"
    ran = vta("score", "pics/", "-m", "taste", "--pool", "min", "-o", scores, cwd=tiled)
    assert ran.code == 0, ran.err
    with scores.open() as file:
        found = {row["path"]: float(row["score"]) for row in csv.DictReader(file)}
    low = ("pics/", "-m", "taste", "--pool", "min")
    ran = vta("sort", *low, cwd=tiled)
    assert {r["path"]: float(r["score"]) for r in rows_of(ran.out).values()} == found
    mean = rows_of(vta("sort", "pics/", "-m", "taste", cwd=tiled).out)
    assert any(float(row["score"]) > found[row["path"]] for row in mean.values())
    limit = sorted(found.values())[12]
    ran = vta("filter", *low, "--threshold", limit, cwd=tiled)
    assert set(ran.out.split()) == {path for path, score in found.items() if score >= limit}
    best = []
    for name, source in (("own", low), ("file", (scores, "-m", "taste"))):
        assert vta("report", *source, "-o", f"{name}.html", cwd=tiled).code == 0
        page = (tiled / f"{name}.html").read_text()
        best.append(page[page.index("<h2>Best") : page.index("<h2>Worst")])
    assert best[0] == best[1]
    assert f"{max(found.values()):.3f}" in best[0]
    ran = vta("sort", scores, "--pool", "min", cwd=tiled)
    assert "--pool has no part in them" in ran.err
    ran = vta("dedupe", "pics/", "--keep", "first", "--pool", "max", cwd=tiled)
    assert "--pool has no part in --keep first" in ran.err
    for command in (("sort",), ("filter", "--top", "3"), ("report",), ("dedupe",)):
        ran = vta(command[0], "pics/", *command[1:], "--pool", "sum", cwd=tiled)
        assert ran.code == 2
        assert "error[unknown-pool]" in ran.err


def test_the_best_copy_is_best_by_the_pooled_score(tiled, vta):
    """Of all pictures as one group the keeper is the one with the best pooled score."""
    for pool in ("min", "max"):
        rows = rows_of(vta("score", "pics/", "-m", "taste", "--pool", pool, cwd=tiled).out)
        args = ("--keep", "best", "-m", "taste", "--pool", pool, "--threshold", "0.5")
        ran = vta("dedupe", "pics/", *args, cwd=tiled)
        kept = [name for name, row in rows_of(ran.out).items() if row["keep"] == "true"]
        assert kept == [max(rows, key=lambda name: float(rows[name]["score"]))], ran.err


def test_from_python_the_same(tiled, vta):
    """`load_taste` cuts, embeds and pools as the commands do."""
    scored = rows_of(vta("score", "pics/", "small", "-m", "taste", "--pool", "max", cwd=tiled).out)
    paths = [*sorted((tiled / "pics").iterdir())[:4], tiled / "small/s.png"]
    wanted = [float(scored[path.name]["score"]) for path in paths]
    found = load_taste(tiled / ".vta", "taste", pool="max", weights=str(tiled / "net.onnx"))
    assert found.score(paths) == pytest.approx(wanted, abs=2e-3)  # the store keeps float16
    assert found.score([]).shape == (0,)


def test_images_are_compared_by_the_mean_of_their_tiles(tiled, vta):
    """Dedupe, similar and explain work on five crops."""
    ran = vta("similar", "pics/p00.jpg", "--number", "3", cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("dedupe", "pics/", "--threshold", "0.9999999", cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("dedupe", "pics/", "--keep", "best", "--threshold", "0.9", cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("explain", "pics/p00.jpg", cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("sort", "pics/", "--top", "3", cwd=tiled)
    assert ran.code == 0, ran.err


def test_a_head_of_whole_pictures_is_shown_tiles_and_says_so(tiled, drawn, vta, tmp_path):
    """Unasked where the store has nothing else; by request where it has both."""
    head = tmp_path / "whole.safetensors"
    args = ("train", "--pos", "liked/", "--neg", "disliked/", "--head", "logistic", "--out", head)
    store, net = ("--store", tmp_path / "s"), ("--backbone", "net.onnx")
    ran = vta(*args, *store, *net, cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("score", "pics/", "-m", head, cwd=tiled)
    assert ran.code == 0, ran.err
    assert "was made for whole views; it is shown five-crop ones" in ran.err
    tiles = rows_of(ran.out)
    assert vta("embed", "pics/", *net, *store, cwd=tiled).code == 0
    plain = vta("score", "pics/", "-m", head, *store, cwd=tiled)
    assert "it is shown" not in plain.err
    assert rows_of(plain.out)["p00.jpg"] != tiles["p00.jpg"]
    ran = vta("score", "pics/", "-m", "taste", *store, cwd=tiled)
    assert ran.code == 2
    own = tiled / ".vta/heads/taste.safetensors"
    ran = vta("score", "pics/", "-m", own, *store, cwd=tiled)
    assert ran.code == 1
    assert "missing-space" in ran.err
    assert "--views five-crop" in ran.err
    assert "--views whole" in ran.err
    ran = vta("score", "pics/", "-m", own, "--views", "whole", *store, cwd=tiled)
    assert ran.code == 0, ran.err
    assert "was made for five-crop views; it is shown whole ones" in ran.err
    args = ("embed", "pics/", *net, "--views", "five-crop", *store)
    assert vta(*args, cwd=tiled).code == 0
    ran = vta("score", "pics/", "-m", head, "--views", "five-crop", *store, cwd=tiled)
    assert rows_of(ran.out) == tiles
    shown = ("pics/", "-m", head, "--views", "five-crop", *store)
    wanted = {name: float(row["score"]) for name, row in tiles.items()}
    ran = vta("sort", *shown, cwd=tiled)
    assert {name: float(row["score"]) for name, row in rows_of(ran.out).items()} == wanted
    ran = vta("filter", *shown, "--threshold", max(wanted.values()), cwd=tiled)
    assert ran.out.rpartition("/")[2].strip() == max(wanted, key=wanted.get)
    ran = vta("dedupe", *shown, "--keep", "best", "--threshold", "0.5", cwd=tiled)
    assert "it is shown five-crop ones" in ran.err
    assert rows_of(ran.out)[max(wanted, key=wanted.get)]["keep"] == "true"


def test_pooling_one_vector_is_told_to_be_idle(trained_once, vta):
    ran = vta("score", "pics", "--pool", "max", cwd=trained_once)
    assert ran.code == 0, ran.err
    assert "is shown one vector an image: --pool max has no part" in ran.err


def test_other_kinds_of_judgement(tiled, drawn, vta, tmp_path):
    """Classes learn by view and write pooled columns; pairs are refused with the remedy."""
    table = tmp_path / "l.csv"
    lines = [
        f"{path},{side}" for side in ("liked", "disliked") for path in (drawn / side).iterdir()
    ]
    table.write_text("path,label\n" + "\n".join(lines) + "\n")
    ran = vta("train", "--labels", table, "--kind", "classes", "--name", "kinds", cwd=tiled)
    assert ran.code == 0, ran.err
    ran = vta("score", "pics/", "-m", "kinds", "--pool", "max", cwd=tiled)
    assert ran.code == 0, ran.err
    sums = [
        float(row["score.liked"]) + float(row["score.disliked"])
        for row in rows_of(ran.out).values()
    ]
    assert max(sums) > 1.0
    pairs = tmp_path / "p.csv"
    liked, bad = sorted((drawn / "liked").iterdir()), sorted((drawn / "disliked").iterdir())
    pairs.write_text(
        "left,right,winner\n" + "".join(f"{a},{b},left\n" for a, b in zip(liked, bad, strict=True))
    )
    ran = vta("train", "--pairs", pairs, "--name", "duel", cwd=tiled)
    assert ran.code == 2
    assert "--views whole" in ran.err


def test_the_settings_file_may_say_it(drawn, vta, tmp_path):
    """`views` is a setting like any other, and a wrong one is refused before any work."""
    save_onnx(tmp_path / "net.onnx")
    (tmp_path / "vta.toml").write_text('[embed]\nviews = "five-crop"\nbackbone = ["net.onnx"]\n')
    ran = vta("embed", drawn / "liked", cwd=tmp_path)
    assert ran.code == 0, ran.err
    spaces = list((tmp_path / ".vta/spaces").iterdir())
    recipe = json.loads((spaces[0] / "recipe.json").read_text())
    assert "five-crop" in json.dumps(recipe)
    ran = vta("embed", drawn / "liked", "--views", "four", cwd=tmp_path)
    assert ran.code == 2
    assert "unknown-view" in ran.err
