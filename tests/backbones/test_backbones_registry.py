"""Names, aliases, presets and expected recipes: all without loading a network."""

import subprocess
import sys
from dataclasses import replace

import pytest
import small_nets
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.backbones import planning, registry
from vta_cli.backbones.protocol import Weights, net_recipe
from vta_cli.errors import BackboneError, UsageError
from vta_cli.images.picture import shrink_for

NAMES = [spec.name for spec in registry.specs()]
ALIASES = [(alias, spec.name) for spec in registry.specs() for alias in spec.aliases]

VTA_NAMES = """
    DINO_ViTS_8 DINO_ViTB_8 DINO_ResNet50 CLIP_ViTL_14@336 CLIP_ViTL_14 CLIP_ViTB_16 CLIP_ViTB_32
    CLIP_ResNet50x64 CLIP_ResNet50x16 CLIP_ResNet50x4 CLIP_ResNet50x1 CLIP_ResNet101
    ConvNext_XL_Imagenet21k ConvNext_XL_384_Imagenet21k_ft_1k ConvNext_L_Imagenet21k
    ConvNext_L_384_Imagenet21k_ft_1k EffNet_L2_NS_475 EffNet_B7_NS_600
    EffNetV2_L_480_Imagenet21k_ft_1k EffNetV2_S_384_Imagenet21k_ft_1k BEiT_L_16_512 BEiT_L_16_384
    BEiT_L_16_224 DeiT3_L_16_384_Imagenet21k_ft_1k DeiT3_H_14_224_Imagenet21k_ft_1k
    DeiT3_L_16_224_Imagenet21k_ft_1k
""".split()  # noqa: SIM905 - easier to read than 26 quoted strings


def test_planning_imports_no_network_package():
    code = (
        "import sys\n"
        "from vta_cli.backbones import registry as r\n"
        "r.specs(); r.expand([], 'vta7')\n"
        "spec = r.resolve('clip_vitl_14')\n"
        "r.at_hand(spec); r.expected_recipe(spec, r.locate_weights(spec), 'auto')\n"
        "heavy = 'torch timm open_clip onnx onnxruntime huggingface_hub scipy sklearn'\n"
        "print([name for name in heavy.split() if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_names_and_aliases_are_unique():
    keys = [key.lower() for spec in registry.specs() for key in (spec.name, *spec.aliases)]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_resolves_to_itself(name):
    assert registry.resolve(name).name == name


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_each_alias_resolves_in_any_letter_case(alias, name):
    assert registry.resolve(alias).name == name
    assert registry.resolve(alias.upper()).name == name


def test_all_26_names_of_the_original_are_known():
    assert len(VTA_NAMES) == 26
    assert all(registry.resolve(name).dim for name in VTA_NAMES)


@pytest.mark.parametrize(
    ("preset", "dims"),
    [
        ("vta1", [768]),
        ("vta2", [768, 2048]),
        ("vta4", [768, 1024, 768, 2048]),
        ("vta7", [384, 768, 768, 1024, 768, 2048, 1024]),
    ],
)
def test_published_presets_have_their_columns_in_order(preset, dims):
    specs = registry.expand([], preset)

    assert [spec.dim for spec in specs] == dims
    assert sum(dims) == {"vta1": 768, "vta2": 2816, "vta4": 4608, "vta7": 6784}[preset]


def test_dino_is_resized_to_256_and_takes_the_class_token():
    for name in ("DINO_ViTS_8", "DINO_ViTB_8", "DINO_ResNet50"):
        look = registry.resolve(name).preprocess
        assert (look.resize_px, look.crop_px) == (256, 224)
    assert registry.resolve("DINO_ViTS_8").pool == "token"


@pytest.mark.parametrize("size", [(4000, 3000), (4032, 3024), (6000, 4000), (8256, 5504)])
def test_networks_of_a_preset_share_the_decode_of_a_camera_s_picture(size):
    known = [spec.preprocess for spec in registry.expand([], "vta7") if spec.preprocess]

    assert len(known) >= 5
    assert {shrink_for(size, preprocess, "whole") for preprocess in known} == {2}


def test_expand_takes_the_preset_first_and_each_backbone_once():
    names = ["timm:test_vit", "CLIP_ViTL_14@336", "timm:test_vit"]
    found = [spec.name for spec in registry.expand(names, "vta1")]

    assert found == ["open_clip:ViT-L-14-336-quickgelu/openai", "timm:test_vit"]


def test_a_preset_may_be_a_file_of_the_users(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('backbones = ["classic", "CLIP_ViTB_32"]')

    assert [spec.family for spec in registry.expand([], str(file))] == ["classic", "open_clip"]


@pytest.mark.parametrize("text", ["backbones = 3", "backbones = []", "other = 1", "= broken"])
def test_a_bad_preset_file_is_named(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"mine\.toml") as caught:
        registry.expand([], str(file))
    assert caught.value.slug == "bad-preset"


def test_unknown_presets_get_the_nearest():
    with pytest.raises(UsageError) as caught:
        registry.expand([], "vat7")
    assert caught.value.slug == "unknown-preset"
    assert "vta7" in caught.value.hint


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("CLIP_ViTL14@336", "open_clip:ViT-L-14-336-quickgelu/openai"),
        ("klassic", "classic/1"),
        ("dino_vits8", "timm:vit_small_patch8_224.dino"),
    ],
)
def test_unknown_names_get_the_nearest(wrong, near):
    with pytest.raises(UsageError) as caught:
        registry.resolve(wrong)
    assert caught.value.slug == "unknown-backbone"
    assert near in caught.value.hint


@given(st.text(max_size=40))
def test_any_text_resolves_or_is_refused_by_name(text):
    try:
        spec = registry.resolve(text)
    except UsageError as error:
        spec = error
    assert getattr(spec, "hint", "") or spec.family in registry.FAMILIES


def test_openai_weights_without_quickgelu_are_refused_with_the_right_name():
    with pytest.raises(UsageError) as caught:
        registry.resolve("open_clip:ViT-L-14-336/openai")
    assert caught.value.slug == "quickgelu-mismatch"
    assert "open_clip:ViT-L-14-336-quickgelu/openai" in caught.value.hint


def test_free_names_keep_their_spelling_and_know_their_repository():
    assert registry.resolve("timm:resnet18.a1_in1k").repo == "timm/resnet18.a1_in1k"
    assert registry.resolve("timm:test_vit").repo == ""
    free = registry.resolve("open_clip:ViT-B-32/laion2b-s34b-b79k")
    assert free.name == "open_clip:ViT-B-32/laion2b_s34b_b79k"
    assert "projection" in registry.resolve("timm:vit_base_patch16_clip_224.openai").notes


def test_onnx_files_may_be_named_bare_or_by_their_toml(tmp_path):
    file = tmp_path / "net.onnx"
    small_nets.save_onnx(file)
    for name in (f"onnx:{file}", str(file), str(file.with_suffix(".toml"))):
        spec = registry.resolve(name)
        # the name holds no place, so that a moved file keeps its vectors
        assert (spec.name, spec.path) == ("onnx:net", str(file))
    with pytest.raises(UsageError, match=r"gone\.onnx"):
        registry.resolve(f"onnx:{tmp_path / 'gone.onnx'}")


def test_a_named_network_tells_its_recipe_without_being_loaded():
    spec = registry.resolve("vit_base_patch8_224.dino")
    weights = Weights("somewhere", "ab" * 32, "file")
    recipe = registry.expected_recipe(spec, weights, "bf16")

    assert recipe.backbone == "timm:vit_base_patch8_224.dino"
    assert (recipe.weights, recipe.dim, recipe.precision) == ("ab" * 32, 768, "bf16")
    assert recipe.extra == {
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "pool": "token",
        "resize": "torch-uint8/jpeg-half/2",
    }  # fmt: skip


def test_auto_precision_on_an_accelerator_is_what_the_store_has(monkeypatch):
    spec = registry.resolve("CLIP_ViTB_32")
    weights = Weights("somewhere", "ab" * 32, "file")
    known = [net_recipe(spec, "ab" * 32, kind) for kind in ("fp32", "bf16")]
    monkeypatch.setattr(planning, "accelerator", lambda device: device != "cpu")

    assert registry.expected_recipe(spec, weights, "auto") is None
    assert registry.expected_recipe(spec, weights, "auto", known).precision == "bf16"
    assert registry.expected_recipe(spec, weights, "auto", known[:1]).precision == "fp32"
    assert registry.expected_recipe(spec, weights, "auto", device="cpu").precision == "fp32"
    other = [replace(recipe, weights="cd" * 32) for recipe in known]
    assert registry.expected_recipe(spec, weights, "auto", other) is None


def test_without_weights_the_store_is_believed_if_it_knows_one_kind():
    spec = registry.resolve("CLIP_ViTB_32")
    one = net_recipe(spec, "ab" * 32, "fp32")
    other = net_recipe(spec, "cd" * 32, "fp32")

    assert registry.expected_recipe(spec, None, "fp32", [one]) == one
    assert registry.expected_recipe(spec, None, "fp32", [one, other]) is None
    assert registry.expected_recipe(spec, None, "bf16", [one]) is None
    assert registry.expected_recipe(spec, None, "fp32", []) is None


def test_the_classic_backbone_is_always_at_hand():
    assert registry.at_hand(registry.resolve("classic")) == (True, "none needed")


def test_a_missing_extra_is_said_before_anything_fails(monkeypatch):
    monkeypatch.setitem(registry.PACKAGES, "timm", ("no_such_package",))
    spec = registry.resolve("DINO_ViTS_8")

    assert registry.at_hand(spec) == (False, "needs vta[nets]")
    with pytest.raises(BackboneError, match="no_such_package") as caught:
        registry.load(spec)
    assert caught.value.slug == "missing-extra"
    assert "pip install 'vta[nets]'" in caught.value.hint


@pytest.mark.parametrize(
    ("choice", "slug"),
    [
        ({"precision": "int4"}, "unknown-precision"),
        ({"device": "tpu"}, "unknown-device"),
        ({"batch_size": 0}, "bad-batch-size"),
    ],
)
def test_settings_that_do_not_exist_are_refused(choice, slug):
    with pytest.raises(UsageError) as caught:
        registry.load(registry.resolve("timm:test_vit"), **choice)
    assert caught.value.slug == slug
