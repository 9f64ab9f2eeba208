"""vta from Python: paths, Pillow images and arrays, with any kind of head."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from vta_cli.api import load_taste
from vta_cli.backbones.planning import classic_recipe
from vta_cli.backbones.registry import load, resolve
from vta_cli.errors import BackboneError, UnreadableImageError, UsageError
from vta_cli.heads.layered import LayeredHead
from vta_cli.records import Layer, Promise


@pytest.fixture
def pictures(trained_folder):
    """Return six pictures: liked and disliked ones in turn."""
    return sorted((trained_folder / "pics").iterdir())[:6]


def test_one_line_scores_like_the_command(trained_folder, pictures, vta):
    """`load_taste(store).score(paths)` gives what `vta score` writes, to the last digit."""
    scored = vta("score", "pics", cwd=trained_folder).out.splitlines()[1:7]
    found = load_taste(trained_folder / ".vta").score(pictures)
    assert [f"{one:.6g}" for one in found] == [line.split(",")[1] for line in scored]
    assert found[::2].min() > found[1::2].max()


def test_paths_pillow_images_and_arrays_are_one(trained_folder, pictures):
    """The same picture scores the same however it is given; a file of a head is enough."""
    taste = load_taste(trained_folder / ".vta/heads/taste.safetensors")
    by_path = taste.score(pictures)
    assert np.array_equal(by_path, taste.score([str(path) for path in pictures]))
    assert np.array_equal(by_path, taste.score([Image.open(path) for path in pictures]))
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    assert np.array_equal(by_path, taste.score(arrays))
    assert taste.promise.kind == "probability"
    assert list(taste.columns(pictures)) == ["score"]
    assert taste.score([]).shape == (0,)


def test_pillow_images_are_turned_and_laid_over_white(trained_folder, pictures, tmp_path):
    """A Pillow image means what its file means: orientation and alpha count."""
    taste = load_taste(trained_folder / ".vta")
    with Image.open(pictures[0]) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.resize((96, 64)).save(tmp_path / "turned.jpg", exif=exif)
        image.putalpha(90)
        image.save(tmp_path / "clear.png")
    for name in ("turned.jpg", "clear.png"):
        by_path = taste.score([tmp_path / name])
        assert np.array_equal(by_path, taste.score([Image.open(tmp_path / name)])), name


def test_a_row_does_not_depend_on_its_batch(trained_folder, pictures):
    """More than a batch at once, in another order, gives the same."""
    taste = load_taste(trained_folder / ".vta")
    many = [pictures[index % 6] for index in range(40)]
    assert np.array_equal(taste.score(many)[:6], taste.score(pictures))


def test_classes_come_with_their_columns(trained_folder, pictures):
    """A head of another kind returns what it promises."""
    recipe = classic_recipe()
    rng = np.random.default_rng(0)
    layer = Layer("affine", rng.normal(size=(2, recipe.dim)), np.zeros(2))
    head = LayeredHead(
        (layer,), "softmax", Promise("classes", names=("day", "night"), chosen=(1,)),
        (recipe.dim,), normalise=True, recipes=(recipe.to_json(),),
    )  # fmt: skip
    head.save(trained_folder / "light.safetensors")
    taste = load_taste(trained_folder / "light.safetensors")
    assert taste.promise.names == ("day", "night")
    columns = taste.columns(pictures)
    assert list(columns) == ["score", "score.day", "score.night"]
    assert columns["score.day"] + columns["score.night"] == pytest.approx(np.ones(6))
    backbone = load(resolve("classic"))
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    rows = backbone.embed(pixels).astype(np.float16).astype(np.float64)  # as a store keeps them
    z = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ layer.weight.T
    wanted = np.exp(z[:, 1]) / np.exp(z).sum(axis=1)
    assert taste.score(pictures) == pytest.approx(wanted, abs=1e-6)


def test_a_distribution_predicts_as_aisthetics_does(trained_folder, pictures, vta):
    """Mean and standard deviation are those of the shares, and the command writes the same."""
    recipe = classic_recipe()
    rng = np.random.default_rng(1)
    layer = Layer("affine", 3 * rng.normal(size=(10, recipe.dim)), np.zeros(10))
    values = tuple(range(1, 11))
    head = LayeredHead(
        (layer,), "softmax", Promise("distribution", 1, 10, values=values), (recipe.dim,),
        normalise=True, recipes=(recipe.to_json(),),
    )  # fmt: skip
    head.save(trained_folder / "votes.safetensors")
    taste = load_taste(trained_folder / "votes.safetensors")
    found = taste.predict(pictures[:3])
    wanted = ["image", "predictions", "mean_score_prediction", "sd_score_prediction"]
    assert [list(row) for row in found] == [wanted] * 3
    for row, path in zip(found, pictures, strict=False):
        shares = np.array(row["predictions"])
        assert row["image"] == str(path)
        assert shares.sum() == pytest.approx(1)
        mean = shares @ values
        assert row["mean_score_prediction"] == pytest.approx(mean)
        sd = np.sqrt(shares @ (np.array(values) - mean) ** 2)
        assert row["sd_score_prediction"] == pytest.approx(sd)
    in_memory = taste.predict([Image.open(path) for path in pictures[:3]])
    assert [one | {"image": ""} for one in found] == in_memory
    (trained_folder / "torn.jpg").write_bytes(b"no picture")
    sources = [f"pics/{path.name}" for path in pictures[:3]]
    options = ("--model", "votes.safetensors", "--format", "aisthetics")
    ran = vta("score", *sources, "torn.jpg", *options, cwd=trained_folder)
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [list(row) for row in rows] == [wanted] * 4
    for row, own in zip(rows, found, strict=False):
        assert row["predictions"] == pytest.approx(own["predictions"], rel=6e-6)  # six digits
        assert row["mean_score_prediction"] == pytest.approx(own["mean_score_prediction"], rel=6e-6)
        assert row["sd_score_prediction"] == pytest.approx(own["sd_score_prediction"], rel=6e-6)
    torn = {name: rows[3][name] for name in wanted[1:]}
    assert torn == dict.fromkeys(wanted[1:])
    with pytest.raises(UsageError, match="gives a probability"):
        load_taste(trained_folder / ".vta").predict(pictures)
    for more in (["--format", "aisthetics"], [*options, "--model", "taste"]):
        refused = vta("score", "pics", *more, cwd=trained_folder)
        assert refused.code == 2
        assert refused.out == ""


def test_bad_use(trained_folder, tmp_path, monkeypatch):
    """Errors name what is wrong."""
    taste = load_taste(trained_folder / ".vta")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "half.jpg").write_bytes((trained_folder / "liked/l00.jpg").read_bytes()[:900])
    for name in ("text.jpg", "half.jpg", "gone.jpg"):
        with pytest.raises(UnreadableImageError, match=name):
            taste.score([trained_folder / "liked/l00.jpg", tmp_path / name])
    with pytest.raises(UsageError, match="a list"):
        taste.score("half.jpg")
    with pytest.raises(UsageError, match="uint8"):
        taste.score([np.zeros((8, 8), np.uint8)])
    with pytest.raises(UsageError, match="no head named"):
        load_taste(trained_folder / ".vta", "nobody")


def test_an_imported_head_needs_the_network_it_names(fresh, monkeypatch, vta):
    """Without weights at hand the error names the backbone and the remedy."""
    weight = np.ones((1, 768), np.float32)
    save_file({"weight": weight, "bias": np.zeros(1, np.float32)}, fresh / "v1.safetensors")
    assert vta("heads", "import", "v1.safetensors", cwd=fresh).code == 0
    monkeypatch.setenv("VTA_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(fresh / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(fresh / "nothing"))
    monkeypatch.setenv("HOME", str(fresh / "nothing"))
    with pytest.raises(BackboneError, match="ViT-L-14-quickgelu"):
        load_taste(fresh / ".vta")
