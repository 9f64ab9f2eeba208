"""What every backbone family promises, on small networks with random weights."""

import json

import numpy as np
import pytest
import small_nets

from vta_cli.backbones import registry
from vta_cli.records import Recipe

CASES = {
    "classic": ("classic", None),
    "open_clip": ("open_clip:tiny", small_nets.save_clip),
    "timm-transformer": (
        "timm:test_vit",
        lambda at, seed: small_nets.save_timm(at / "test_vit.safetensors", seed=seed),
    ),
    "timm-batch-norm": (
        "timm:test_resnet",
        lambda at, seed: small_nets.save_timm(at / "test_resnet.pth", "test_resnet", seed=seed),
    ),
    "onnx": ("onnx:tiny", lambda at, seed: small_nets.save_onnx(at / "tiny.onnx", seed=seed)),
    "onnx-rigid": (
        "onnx:tiny",
        lambda at, seed: small_nets.save_onnx(at / "tiny.onnx", seed=seed, rigid=True),
    ),
    "onnx-mixing": (
        "onnx:tiny",
        lambda at, seed: small_nets.save_onnx(at / "tiny.onnx", "n", seed=seed, mixing=True),
    ),
}


def test_every_family_of_the_registry_has_a_case():
    covered = {registry.resolve(name).family for name, _ in CASES.values()}

    assert set(registry.FAMILIES) == covered


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """Return (spec, weights, a function that makes other weights, pictures) of one family."""
    name, save = CASES[request.param]
    folder = tmp_path_factory.mktemp("weights")
    if save:
        save(folder, 0)
    spec = registry.resolve(name)
    backbone = registry.load(spec, weights=str(folder), device="cpu")
    px = backbone.recipe.preprocess.crop_px or 96
    backbone.close()
    return spec, folder, save, small_nets.pictures(5, px)


@pytest.fixture(scope="module")
def backbone(case):
    spec, folder, _, _ = case
    loaded = registry.load(spec, weights=str(folder), device="cpu")
    yield loaded
    loaded.close()


def close(a, b):
    return np.allclose(a, b, rtol=1e-5, atol=1e-5 * float(np.abs(b).max()))


def test_rows_are_finite_float32_and_tell_pictures_apart(case, backbone):
    vectors = backbone.embed(case[3])

    assert vectors.shape == (5, backbone.recipe.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    assert (distances[~np.eye(5, dtype=bool)] > 1e-4).all()


def test_a_row_does_not_depend_on_its_batch_mates(case, backbone):
    pictures = case[3]
    together = backbone.embed(pictures)
    alone = np.concatenate([backbone.embed([picture]) for picture in pictures])

    assert close(together, alone)


def test_rows_follow_the_order_of_the_pictures(case, backbone):
    pictures = case[3]
    order = [3, 0, 4, 1, 2]

    assert close(backbone.embed([pictures[i] for i in order]), backbone.embed(pictures)[order])


def test_the_same_pictures_give_the_same_bits(case, backbone):
    assert np.array_equal(backbone.embed(case[3]), backbone.embed(case[3]))


def test_small_batches_change_nothing(case, backbone):
    spec, folder, _, pictures = case
    narrow = registry.load(spec, weights=str(folder), device="cpu", batch_size=2)

    assert close(narrow.embed(pictures), backbone.embed(pictures))
    assert narrow.recipe == backbone.recipe


def test_no_pictures_give_no_rows(backbone):
    assert backbone.embed([]).shape == (0, backbone.recipe.dim)


def test_the_recipe_survives_json(backbone):
    recipe = backbone.recipe

    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.digest == recipe.digest


def test_loading_twice_gives_the_same_recipe_and_rows(case, backbone):
    spec, folder, _, pictures = case
    again = registry.load(spec, weights=str(folder), device="cpu")

    assert again.recipe.digest == backbone.recipe.digest
    assert np.array_equal(again.embed(pictures), backbone.embed(pictures))


def test_other_weights_give_another_recipe(case, backbone, tmp_path):
    spec, _, save, pictures = case
    if save is None:
        pytest.skip("this family has no weights")
    save(tmp_path, 1)
    other = registry.load(spec, weights=str(tmp_path), device="cpu")

    assert other.recipe.digest != backbone.recipe.digest
    assert other.recipe.kin() != backbone.recipe.kin()
    assert not np.allclose(other.embed(pictures), backbone.embed(pictures), rtol=1e-2)


def test_the_recipe_is_expected_as_it_turns_out(case, backbone):
    spec, folder, _, _ = case
    found = registry.locate_weights(spec, str(folder))

    # free names need the store's memory of the last time
    expected = registry.expected_recipe(spec, found, "auto", [backbone.recipe], device="cpu")
    assert expected == backbone.recipe


def test_pictures_of_another_shape_are_refused(case, backbone):
    if backbone.recipe.preprocess.mode == "native":
        pytest.skip("this family takes any shape")
    with pytest.raises(ValueError, match="expected"):
        backbone.embed([np.zeros((3, 5, 3), np.uint8)])
