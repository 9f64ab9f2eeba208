"""Our tables of named networks say what the libraries say, but for DINO's resize to 256."""

from dataclasses import replace

import pytest

from vta_cli.backbones import registry
from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.errors import UsageError

CLIP = [spec for spec in registry.specs() if spec.family == "open_clip"]
TIMM = [spec for spec in registry.specs() if spec.family == "timm"]
DINO = ("timm:vit_small_patch8_224.dino", "timm:vit_base_patch8_224.dino")


def bare(spec):
    return BackboneSpec(name=spec.name, family=spec.family)


@pytest.mark.parametrize("spec", CLIP, ids=lambda spec: spec.label)
def test_open_clip_agrees(spec):
    from vta_cli.backbones.open_clip import from_library

    theirs = from_library(bare(spec))
    for field in ("dim", "preprocess", "mean", "std", "pool", "repo"):
        assert getattr(spec, field) == getattr(theirs, field), field


@pytest.mark.parametrize("spec", TIMM, ids=lambda spec: spec.label)
def test_timm_agrees(spec):
    from vta_cli.backbones.timm import from_library

    if spec.name == "timm:resnet50.dino":
        pytest.skip("timm has no such tag; the file is the DINO project's")
    theirs = from_library(bare(spec))
    look = theirs.preprocess
    if spec.name in DINO:
        assert look.resize_px == 248
        look = replace(look, resize_px=256)
    assert spec.preprocess == look
    for field in ("mean", "std", "repo", "files"):
        assert getattr(spec, field) == getattr(theirs, field), field
    assert spec.licence.lower() == theirs.licence.lower()


@pytest.mark.parametrize("spec", TIMM, ids=lambda spec: spec.label)
def test_timm_architectures_have_our_dim_and_pooling(spec):
    import timm
    import torch

    arch = spec.label.partition(".")[0]
    with torch.device("meta"):  # shapes only: the largest has half a billion parameters
        net = timm.create_model(arch, num_classes=0)
    px = spec.preprocess.crop_px

    assert net.num_features == spec.dim
    pool = getattr(net, "global_pool", None)
    if isinstance(pool, str):
        assert pool == spec.pool
    else:
        assert spec.pool == "avg"
    size = net.pretrained_cfg["input_size"][1]
    assert size == px or spec.name.endswith(("_384", "_475"))  # the tag's size, not the default's


def test_quickgelu_mismatches_of_any_tag_are_refused():
    from vta_cli.backbones.open_clip import from_library

    with pytest.raises(UsageError) as caught:
        from_library(registry.resolve("open_clip:ViT-B-32/metaclip_400m"))
    assert caught.value.slug == "quickgelu-mismatch"
    assert "open_clip:ViT-B-32-quickgelu/metaclip_400m" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("open_clip:ViT-B-33/openai-x", "open_clip:ViT-B-32"),
        ("open_clip:ViT-B-32/laion2b_s34b", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
        ("timm:resnet18.a1_in2k", "timm:resnet18.a1_in1k"),
        ("timm:resnett18", "timm:resnet18"),
    ],
)
def test_names_that_the_library_does_not_know_get_the_nearest(name, near):
    with pytest.raises(UsageError) as caught:
        registry.load(registry.resolve(name), offline=True)
    assert caught.value.slug == "unknown-backbone"
    assert near in caught.value.hint


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("timm:resnet18.a1_in1k", ("shortest", 235, 224)),
        ("timm:dm_nfnet_f0.dm_in1k", ("squash", 192, 192)),
        ("open_clip:ViT-B-16-SigLIP/webli", ("squash", 224, 224)),
    ],
)
def test_free_names_take_the_librarys_own_preprocessing(name, shape):
    spec = registry.resolve(name)
    module = __import__(f"vta_cli.backbones.{spec.family}", fromlist=["from_library"])
    look = module.from_library(spec).preprocess

    assert (look.mode, look.resize_px, look.crop_px) == shape
