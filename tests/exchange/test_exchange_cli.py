"""`vta heads import` and `export` as users run them, and scoring with what they give."""

import csv
import io
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from published_files import published, ratings, run_here, save_city

from vta_cli.backbones.registry import resolve
from vta_cli.exchange.published import read_published
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.saved import load_head
from vta_cli.pipelines.views import with_view
from vta_cli.records import Layer, Promise, Recipe
from vta_cli.store.store import Store

L14 = "open_clip:ViT-L-14-quickgelu/openai"
SOURCES = ("pics", "liked", "disliked")
L14_336 = "open_clip:ViT-L-14-336-quickgelu/openai"


@pytest.fixture
def here(monkeypatch):
    """Return a function that runs `vta` in this process, which saves its start-up."""
    return partial(run_here, monkeypatch)


def add_vectors(folder, name, rows, *, weights="f" * 64, precision="fp32"):
    """Give the store's images vectors of a backbone, as an embed with its weights would.

    `rows` of shape (n, 5, dim) are those of five crops.
    """
    spec = resolve(name)
    extra = {"mean": list(spec.mean), "std": list(spec.std), "pool": spec.pool}
    recipe = Recipe(name, weights, spec.dim, spec.preprocess, precision, extra=extra)
    if rows.ndim == 3:
        recipe = with_view(recipe, "five-crop")
    with Store.open(folder / ".vta") as store:
        keys = next(s for s in store.spaces() if s.recipe.backbone.startswith("classic")).keys()
        keys = keys[: len(rows)]
        with store.space(recipe).writer() as writer:
            writer.append(keys, rows if rows.ndim == 3 else rows[:, None, :])
            writer.seal()
        paths = store.catalogue.paths_of([key.tobytes() for key in keys])
    # the catalogue also knows the files of the folder that this one was copied from
    known = [paths[key.tobytes()] for key in keys]
    return [next(path for path in one if path.startswith(str(folder))) for one in known]


def rows_of(text):
    """Read CSV text into rows by path."""
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text))}


def test_laion_scores_a_folder_from_cached_vectors(trained_folder, vta):
    """Import, score, filter, sort: the whole way of a published head, with its own numbers."""
    file = published("sac+logos+ava1-l14-linearMSE.pth")
    paths = add_vectors(trained_folder, L14, ratings(768).astype(np.float32))
    ran = vta("heads", "import", file, "--name", "laion", cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert f"reads {L14}: shortest side 224 px, centre 224 px, bicubic" in ran.err
    assert "unit length" in ran.err
    assert "about 1 to 10, unbounded" in ran.err
    assert Path(ran.out.strip()).is_file()
    scored = vta("score", *SOURCES, "--model", "laion", cwd=trained_folder)
    assert scored.code == 0, scored.err
    rows = rows_of(scored.out)
    found = [float(rows[path]["score"]) for path in paths]
    wanted = [1.6555, 2.3593, 3.0698, 3.6725, 4.2380, 4.7010, 5.0731, 5.3654, 5.5767, 5.7468]
    assert found == pytest.approx(wanted, abs=2e-3)  # the store keeps float16
    others = [row for path, row in rows.items() if path not in paths]
    assert all(row["score"] == "" and row["reason"] == "not-embedded" for row in others)
    kept = vta("filter", *SOURCES, "--model", "laion", "--threshold", "5.3", cwd=trained_folder)
    assert kept.code == 0, kept.err
    assert sorted(kept.out.split()) == sorted(paths[7:])
    shelves = trained_folder / "shelves"
    ran = vta(
        "sort", *SOURCES, "-m", "laion", "--to", shelves, "--by", "bracket", cwd=trained_folder
    )
    assert ran.code == 0, ran.err
    assert len({path.parent for path in shelves.rglob("*.jpg")}) > 3
    both = vta("score", "pics", "-m", "laion", "-m", "taste", cwd=trained_folder)
    assert both.out.startswith("path,laion,taste,reason\n")


@pytest.mark.parametrize(("mark", "alias"), [("32", "CLIP_ViTB_32"), ("16", "CLIP_ViTB_16")])
def test_narrow_laion_heads_score_vectors_of_the_backbone_that_was_named(
    trained_folder, here, mark, alias
):
    """512 columns: B/32 on its published rating vectors, B/16 by its own affine map."""
    file = published(f"sa_0_4_vit_b_{mark}_linear.pth")
    rows = ratings(512).astype(np.float32)
    paths = add_vectors(trained_folder, f"open_clip:ViT-B-{mark}-quickgelu/openai", rows)
    ran = here("heads", "import", file, "-b", alias, "--name", "laion", cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert "note: this file is likely" not in ran.err
    assert "224 px" in ran.err
    scored = here("score", *SOURCES, "-m", "laion", cwd=trained_folder)
    found = [float(rows_of(scored.out)[path]["score"]) for path in paths]
    (layer,) = read_published(file).layers
    wanted = rows @ layer.weight[0].astype(np.float64) + float(layer.bias[0])
    assert found == pytest.approx(wanted, abs=1e-2)  # the store keeps float16
    if mark == "32":
        published_scores = [-1.469954, 0.272794, 1.990020, 3.611417, 5.087441,
                            6.392551, 7.668165, 8.915451, 9.916607, 11.005574]  # fmt: skip
        assert found == pytest.approx(published_scores, abs=1e-2)


def test_the_importer_asks_where_the_file_leaves_a_doubt(fresh, here):
    """B/32 or B/16, 336 or 224 pixels: misuse until the user says which."""
    file = published("sa_0_4_vit_b_32_linear.pth")
    ran = here("heads", "import", file, cwd=fresh)
    assert ran.code == 2
    assert "ambiguous-backbone" in ran.err
    assert "ViT-B-32-quickgelu/openai" in ran.err
    assert "ViT-B-16-quickgelu/openai" in ran.err
    assert not (fresh / ".vta").exists(), "a question makes no store"
    ran = here("heads", "import", file, "--backbone", "CLIP_ViTB_32", cwd=fresh)
    assert ran.code == 0, ran.err
    assert "note: this file is likely" not in ran.err
    ran = here("heads", "import", file, "-b", "CLIP_ViTB_16", "--name", "other", cwd=fresh)
    assert ran.code == 0
    assert "this file is likely for open_clip:ViT-B-32" in ran.err
    ran = here("heads", "import", file, "-b", "CLIP_ViTL_14", "--name", "wide", cwd=fresh)
    assert ran.code == 2
    assert "reads 512 columns, open_clip:ViT-L-14-quickgelu/openai gives 768" in ran.err
    save_city(fresh / "city.safetensors", 1)
    ran = here("heads", "import", "city.safetensors", cwd=fresh)
    assert ran.code == 2
    assert "336 px" in ran.err
    assert "224 px" in ran.err


def test_class_heads_have_a_column_a_class(trained_folder, here):
    """`score` is the chosen class, each class has its column, raw vectors are taken as they are."""
    save_city(trained_folder / "cc.safetensors", 3, seed=5)
    (trained_folder / "cc.config.json").write_text(
        json.dumps({"arch": "class", "labels": {"0": "Pass", "1": "JPEG", "2": "WEBP, lossy"}})
    )
    rows = np.random.default_rng(2).normal(size=(6, 5, 768)).astype(np.float32) * 4
    whole = add_vectors(trained_folder, L14_336, rows[:, 0])
    args = ("heads", "import", "cc.safetensors", "-b", "CLIP_ViTL_14@336")
    ran = here(*args, "--name", "plain", "--views", "whole", cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert here("score", "-m", "plain", cwd=trained_folder).code == 0
    ran = here(*args, "--score-class", "JPEG", "--score-class", "WEBP, lossy", cwd=trained_folder)
    assert "five tiles of 672 px" in ran.err
    assert f"vta embed SOURCE --backbone {L14_336} --views five-crop" in ran.err
    refused = here("score", "-m", "cc", cwd=trained_folder)
    assert refused.code == 1
    assert "needs five-crop vectors" in refused.err
    asked = here("score", "-m", "cc", "--views", "whole", cwd=trained_folder)
    assert asked.code == 0, asked.err
    paths = add_vectors(trained_folder, L14_336, rows)
    assert paths == whole
    most = here("score", "-m", "cc", "--pool", "max", cwd=trained_folder)
    assert rows_of(most.out)[paths[0]] != rows_of(asked.out)[paths[0]]
    assert ran.code == 0, ran.err
    assert "as the backbone gives them" in ran.err
    assert "five tiles" in ran.err
    scored = here("score", "-m", "cc", cwd=trained_folder)
    assert scored.code == 0, scored.err
    for path in paths:
        row = rows_of(scored.out)[path]
        shares = [float(row[f"score.{name}"]) for name in ("Pass", "JPEG", "WEBP, lossy")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert float(row["score"]) == max(shares[1:])
    why = here("explain", "-m", "cc", paths[0], cwd=trained_folder)
    assert why.code == 0, why.err
    assert "JPEG" in why.out
    for wrong in (("--labels", "A,B"), ("--score-class", "PNG")):
        ran = here(*args, "--name", "x", *wrong, cwd=trained_folder)
        assert ran.code == 2, wrong
    ran = here(*args, "--name", "named", "--labels", "A,B,C", cwd=trained_folder)
    assert ran.code == 0
    assert "probability of A, of the classes A, B, C" in ran.err
    ran = here("filter", "-m", "cc", "--threshold", "1.5", cwd=trained_folder)
    assert ran.code == 2
    assert "outside the scores" in ran.err


def test_which_of_several_spaces_is_asked_not_guessed(trained_folder, here):
    """Two sets of weights under one name: the score refuses until the head is tied to a space."""
    save_city(trained_folder / "city.safetensors", 1)
    args = ("heads", "import", "city.safetensors", "-b", L14_336)
    assert here(*args, cwd=trained_folder).code == 0
    ran = here("score", "-m", "city", cwd=trained_folder)
    assert ran.code == 1
    assert "missing-space" in ran.err
    assert "at 336 px" in ran.err
    assert f"vta embed SOURCE --backbone {L14_336}" in ran.err
    rows = np.random.default_rng(2).normal(size=(4, 768)).astype(np.float32)
    paths = add_vectors(trained_folder, L14_336, rows, weights="a" * 64)
    assert here("score", "-m", "city", cwd=trained_folder).code == 0
    add_vectors(trained_folder, L14_336, rows * 2, weights="a" * 64, precision="bf16")
    alone = here("score", "-m", "city", cwd=trained_folder)
    assert alone.code == 0, "one network in two precisions is one network"
    add_vectors(trained_folder, L14_336, rows * 2, weights="b" * 64)
    ran = here("score", "-m", "city", cwd=trained_folder)
    assert ran.code == 1
    assert "ambiguous-space" in ran.err
    with Store.open(trained_folder / ".vta", read_only=True) as store:
        name = next(s.name for s in store.spaces() if s.recipe.weights == "b" * 64)
        first = next(
            s.name
            for s in store.spaces()
            if s.recipe.weights == "a" * 64 and s.recipe.precision == "fp32"
        )
    args = ("heads", "import", "city.safetensors", "--replace", "--space")
    assert here(*args, name, cwd=trained_folder).code == 0
    other = here("score", "-m", "city", cwd=trained_folder)
    assert other.code == 0, other.err
    assert here(*args, first, cwd=trained_folder).code == 0
    again = here("score", "-m", "city", cwd=trained_folder)
    pick = [rows_of(ran.out)[paths[0]]["score"] for ran in (alone, other, again)]
    assert pick[0] == pick[2] != pick[1]
    ran = here(*args, "nowhere", cwd=trained_folder)
    assert ran.code == 2
    assert name in ran.err


def test_export_is_fit_for_publishing_and_comes_back(trained_folder, fresh, here):
    """A card, plain JSON, the head; no list of liked images; the same scores elsewhere."""
    ran = here("heads", "export", "taste", "pub", cwd=trained_folder)
    assert ran.code == 0, ran.err
    folder = trained_folder / "pub"
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "head.json", "head.safetensors",
    ]  # fmt: skip
    card = (folder / "README.md").read_text()
    known = json.loads((folder / "head.json").read_text())
    assert "12 liked and 12 disliked" in card
    assert f"{known['meta']['auc']:.3f}" in card
    assert f"`{known['recipes'][0]['backbone']}`" in card
    assert "pip install vta\n" in card, "its backbone needs no extra"
    assert "vta heads import" in card
    assert "TODO" in card
    assert known["promise"]["kind"] == "probability"
    with Store.open(trained_folder / ".vta", read_only=True) as store:
        labelled = load_head(store.heads_dir / "taste.safetensors").meta["labels"]["positive"]
    assert len(labelled) == 12
    for file in folder.iterdir():
        assert labelled[0].encode() not in file.read_bytes(), f"{file.name} tells what was liked"
    ran = here("heads", "export", "taste", "pub", cwd=trained_folder)
    assert ran.code == 2
    assert "not empty" in ran.err
    shutil.copytree(folder, fresh / "got")
    assert here("embed", "pics", cwd=fresh).code == 0
    ran = here("heads", "import", "got", cwd=fresh)
    assert ran.code == 0, ran.err
    mine = here("score", "pics", cwd=trained_folder)
    there = here("score", "pics", "-m", "taste", cwd=fresh)
    assert there.code == 0, there.err
    named = [
        {Path(p).name: row["score"] for p, row in rows_of(ran.out).items()} for ran in (mine, there)
    ]
    assert named[0] == named[1]
    ran = here("heads", "import", "got", "--backbone", "classic", "--name", "x", cwd=fresh)
    assert ran.code == 2
    assert "--backbone cannot change it" in ran.err


def test_card_of_an_imported_head_names_its_origin(fresh, here):
    """Licence, source, digest and doubts go with it; ours may be said instead."""
    file = published("sa_0_4_vit_b_32_linear.pth")
    assert here("heads", "import", file, "-b", "CLIP_ViTB_16", "--name", "v1", cwd=fresh).code == 0
    assert here("heads", "export", "v1", "pub", "--licence", "CC0", cwd=fresh).code == 0
    card = (fresh / "pub/README.md").read_text()
    assert "github.com/LAION-AI/aesthetic-predictor" in card
    assert "513 parameters" in card
    assert "likely for open_clip:ViT-B-32" in card
    assert "CC0" in card
    assert "pip install 'vta[nets]'" in card
    listed = here("heads", "list", cwd=fresh)
    assert "laion-v1" in listed.out
    assert "rating" in listed.out
    shown = json.loads(here("heads", "show", "v1", cwd=fresh).out)
    assert shown["published"]["licence"] == "MIT"
    assert shown["gives"]["bounded"] is False


def test_bad_use_of_import(fresh, here):
    """Each ends in one line with a remedy, and nothing is written."""
    (fresh / "text.pth").write_text("no head at all, but text")
    save_city(fresh / "city.safetensors", 1)
    cases = {
        ("nothing.pth",): "no-such-file",
        ("text.pth",): "unknown-head-file",
        ("city.safetensors", "--kind", "lion"): "unknown-kind",
        ("city.safetensors", "--kind", "laion-v1", "-b", L14): "head-unreadable",
        ("city.safetensors", "-b", "CLIP_ViTL_15"): "unknown-backbone",
        ("city.safetensors", "-b", L14, "--name", "a/b"): "bad-name",
        ("city.safetensors", "-b", L14, "--labels", "a"): "no-classes",
        ("city.safetensors", "-b", "timm:vit_tiny_patch16_224"): "unknown-preprocessing",
    }
    for args, slug in cases.items():
        ran = here("heads", "import", *args, cwd=fresh)
        assert ran.code in (1, 2), args
        assert f"error[{slug}]" in ran.err, (args, ran.err)
        assert "hint:" in ran.err
    assert not (fresh / ".vta").exists()
    assert here("heads", "import", "city.safetensors", "-b", L14, cwd=fresh).code == 0
    ran = here("heads", "import", "city.safetensors", "-b", L14, cwd=fresh)
    assert ran.code == 2
    assert "--replace" in ran.err


def test_a_head_with_nonsense_for_a_recipe_is_refused(fresh, here):
    """A stranger's head may say anything; it ends in an error that names it."""
    layer = Layer("affine", np.ones((1, 4)), np.zeros(1))
    for recipes in ((), ({"backbone": 3},), ({"backbone": "classic/1", "dim": 9},)):
        head = LayeredHead(
            (layer,), "plain", Promise("rating"), (4,), normalise=True, recipes=recipes
        )
        head.save(fresh / "odd.safetensors")
        ran = here("heads", "import", "odd.safetensors", cwd=fresh)
        assert ran.code == 1
        assert "error[head-unreadable]: the head odd.safetensors" in ran.err
    assert not (fresh / ".vta").exists()
