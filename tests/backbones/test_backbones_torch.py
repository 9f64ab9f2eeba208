"""The torch families on small networks with random weights: right values, clear refusals."""

import json
import shutil
import warnings

import numpy as np
import pytest
import small_nets
import timm
import torch
from torch import nn

from vta_cli.backbones import registry
from vta_cli.backbones.device import resolve_device, resolve_precision
from vta_cli.backbones.netrun import TorchBackbone
from vta_cli.errors import BackboneError, UsageError
from vta_cli.records import Preprocess, Recipe


def load(name, weights=None, **choices):
    weights = None if weights is None else str(weights)
    return registry.load(registry.resolve(name), weights=weights, device="cpu", **choices)


def normalised(pictures, recipe):
    """Return what torchvision's ToTensor and Normalize make of the pictures."""
    from torchvision.transforms import Compose, Normalize, ToTensor

    see = Compose([ToTensor(), Normalize(recipe.extra["mean"], recipe.extra["std"])])
    return torch.stack([see(picture) for picture in pictures])


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(np.abs(theirs).max()))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    return folder, small_nets.save_clip(folder)


def test_clip_gives_the_projected_embedding_as_it_is(clip):
    folder, net = clip
    backbone = load(f"open_clip:{folder}")
    pictures = small_nets.pictures(4, small_nets.CLIP_PX)
    with torch.inference_mode():
        theirs = net.encode_image(normalised(pictures, backbone.recipe), normalize=False).numpy()

    assert_close(backbone.embed(pictures), theirs)
    assert not np.allclose(np.linalg.norm(theirs, axis=1), 1, rtol=0.01)


def test_a_folder_of_open_clip_tells_its_recipe_before_it_is_loaded(clip):
    folder, _ = clip
    spec = registry.resolve(f"open_clip:{folder}")
    expected = registry.expected_recipe(spec, registry.locate_weights(spec), "auto", device="cpu")

    assert expected == load(f"open_clip:{folder}").recipe
    assert expected.dim == 24
    assert expected.preprocess == Preprocess("shortest", 32, 32, "bicubic")


def test_a_clip_folder_may_come_by_weights_under_a_name_of_ones_own(clip):
    folder, _ = clip
    pictures = small_nets.pictures(2, small_nets.CLIP_PX)
    mine = load("open_clip:mine", folder)

    assert mine.recipe.backbone == "open_clip:mine"
    assert np.array_equal(mine.embed(pictures), load(f"open_clip:{folder}").embed(pictures))


def test_another_activation_is_another_recipe(clip, tmp_path):
    folder, _ = clip
    config = json.loads(json.dumps(small_nets.CLIP_CONFIG))
    config["model_cfg"]["quick_gelu"] = False
    small_nets.save_clip(tmp_path / "tiny", config=config)
    quick, plain = load(f"open_clip:{folder}"), load(f"open_clip:{tmp_path / 'tiny'}")
    pictures = small_nets.pictures(2, small_nets.CLIP_PX)

    assert quick.recipe.weights == plain.recipe.weights
    assert quick.recipe.digest != plain.recipe.digest
    assert not np.allclose(quick.embed(pictures), plain.embed(pictures), rtol=1e-3)


def test_only_the_image_tower_is_kept(clip):
    folder, net = clip
    backbone = load(f"open_clip:{folder}")
    kept = sum(weight.numel() for weight in backbone._net.parameters())

    assert kept == sum(weight.numel() for weight in net.visual.parameters())


def test_clip_weights_for_a_built_in_name_must_fit_it(clip):
    folder, _ = clip
    with pytest.raises(BackboneError, match="do not fit open_clip:RN50-quickgelu") as caught:
        load("CLIP_ResNet50x1", folder / "open_clip_model.safetensors")
    assert caught.value.slug == "weights-mismatch"


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"model_cfg": {"embed_dim": 3}}', '{"model_cfg": {}}']
)
def test_a_bad_clip_config_is_named(clip, tmp_path, text):
    folder, _ = clip
    (tmp_path / "model.safetensors").symlink_to(folder / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(BackboneError, match=r"open_clip_config\.json") as caught:
        load(f"open_clip:{tmp_path}")
    assert caught.value.slug == "bad-network-config"


@pytest.mark.parametrize("family", ["open_clip:ViT-B-32-quickgelu", "timm:test_vit"])
def test_torchscript_programs_are_refused_unread(tmp_path, family):
    file = tmp_path / "program.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(file))
    with pytest.raises(BackboneError, match=r"program\.pt") as caught:
        load(family, file)
    assert caught.value.slug == "weights-are-a-program"


class Danger:
    def __reduce__(self):
        return (exec, ("import os; os.environ['VTA_TEST_RAN'] = 'yes'",))


@pytest.mark.parametrize("family", ["open_clip:ViT-B-32-quickgelu", "timm:test_vit"])
def test_a_weight_file_runs_no_code(tmp_path, monkeypatch, family):
    import os

    monkeypatch.delenv("VTA_TEST_RAN", raising=False)
    file = tmp_path / "evil.pth"
    torch.save({"state_dict": {"weight": Danger()}}, file)
    with pytest.raises(BackboneError) as caught:
        load(family, file)
    assert caught.value.slug == "weights-unreadable"
    assert "VTA_TEST_RAN" not in os.environ


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("family", ["open_clip:ViT-B-32-quickgelu", "timm:test_vit"])
@pytest.mark.parametrize("data", [b"", b"not weights at all", b"PK\x03\x04"])
def test_files_that_are_no_weights_are_named(tmp_path, ending, family, data):
    file = tmp_path / f"junk{ending}"
    file.write_bytes(data)
    with pytest.raises(BackboneError, match="junk") as caught:
        load(family, file)
    assert caught.value.slug == "weights-unreadable"


TIMM_NETS = ["test_vit", "test_vit2", "test_convnext", "test_efficientnet", "test_resnet"]


@pytest.mark.parametrize("name", TIMM_NETS)
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_timm_gives_the_pooled_features(tmp_path, name, ending):
    net = small_nets.save_timm(tmp_path / f"weights{ending}", name)
    backbone = load(f"timm:{name}", tmp_path / f"weights{ending}")
    pictures = small_nets.pictures(2, backbone.recipe.preprocess.crop_px)
    with torch.inference_mode():
        theirs = net(normalised(pictures, backbone.recipe)).numpy()

    assert_close(backbone.embed(pictures), theirs)


@pytest.mark.parametrize("n_classes", [7, 1000, 1001])
def test_a_classifier_in_the_file_is_left_out(tmp_path, n_classes):
    net = small_nets.save_timm(tmp_path / "w.safetensors", "test_convnext", n_classes=n_classes)
    backbone = load("timm:test_convnext", tmp_path / "w.safetensors")
    pictures = small_nets.pictures(2, backbone.recipe.preprocess.crop_px)
    with torch.inference_mode():
        x = normalised(pictures, backbone.recipe)
        theirs = net.forward_head(net.forward_features(x), pre_logits=True).numpy()

    assert_close(backbone.embed(pictures), theirs)


def test_the_publishers_key_names_are_understood(tmp_path):
    # ConvNeXt's authors and torch hub's files call the parts differently from timm
    net = small_nets.save_timm(tmp_path / "x.pth", "test_convnext", n_classes=1000)
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"model": state}, tmp_path / "theirs.pth")
    backbone = load("timm:test_convnext", tmp_path / "theirs.pth")
    pictures = small_nets.pictures(2, backbone.recipe.preprocess.crop_px)

    ours = load("timm:test_convnext", tmp_path / "x.pth").embed(pictures)
    assert np.array_equal(backbone.embed(pictures), ours)


def test_dino_resnet_loads_from_the_dino_projects_own_file(tmp_path):
    # their file has torchvision's key names and no classifier
    from torchvision.models import resnet50

    torch.manual_seed(0)
    net = resnet50(weights=None).eval()
    net.fc = nn.Identity()
    torch.save(net.state_dict(), tmp_path / "dino_resnet50_pretrain.pth")
    backbone = load("DINO_ResNet50", tmp_path)
    pictures = small_nets.pictures(1, 224)
    with torch.inference_mode():
        theirs = net(normalised(pictures, backbone.recipe)).numpy()

    assert_close(backbone.embed(pictures), theirs)
    assert backbone.recipe.backbone == "timm:resnet50.dino"
    assert backbone.recipe.preprocess.resize_px == 256


@pytest.mark.parametrize("missing", ["blocks.0.attn.qkv.weight", "norm.weight"])
def test_a_file_that_lacks_a_parameter_is_refused(tmp_path, missing):
    net = small_nets.save_timm(tmp_path / "x.pth", "test_vit")
    state = net.state_dict()
    del state[missing]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(BackboneError, match=missing.replace(".", r"\.")) as caught:
        load("timm:test_vit", tmp_path / "x.pth")
    assert caught.value.slug == "weights-mismatch"


def test_weights_of_another_network_are_refused(tmp_path):
    small_nets.save_timm(tmp_path / "x.safetensors", "test_resnet")
    with pytest.raises(BackboneError, match="do not fit timm:test_vit") as caught:
        load("timm:test_vit", tmp_path / "x.safetensors")
    assert caught.value.slug == "weights-mismatch"


def fake(net, *, precision="fp32", batch_size=8, compiled=False):
    recipe = Recipe(
        "timm:fake", "none", 3, Preprocess("squash", 4, 4), precision,
        extra={"mean": [0.0] * 3, "std": [1.0] * 3},
    )  # fmt: skip
    return TorchBackbone(net, recipe, torch.device("cpu"), batch_size, compiled=compiled)


class Means(nn.Module):
    """Mean of each channel; runs out of memory above `room` pictures, is noisy while training."""

    def __init__(self, room=100):
        super().__init__()
        self.room = room
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.training or torch.is_grad_enabled() or self.weight.requires_grad:
            raise AssertionError("not in inference mode")
        return x.mean((2, 3)) * self.weight


def test_networks_run_in_inference_mode():
    net = Means().train()
    pictures = small_nets.pictures(3, 4)
    means = np.stack([picture.reshape(-1, 3).mean(0) / 255 for picture in pictures])

    np.testing.assert_allclose(fake(net).embed(pictures), means, rtol=1e-5)


def test_out_of_memory_halves_the_batch_for_good():
    backbone = fake(Means(room=3), batch_size=16)
    pictures = small_nets.pictures(16, 4)
    means = np.stack([picture.reshape(-1, 3).mean(0) / 255 for picture in pictures])

    np.testing.assert_allclose(backbone.embed(pictures), means, rtol=1e-5)
    assert backbone.batch_size == 2


def test_out_of_memory_with_one_picture_ends_in_an_error():
    with pytest.raises(BackboneError, match="timm:fake") as caught:
        fake(Means(room=0)).embed(small_nets.pictures(2, 4))
    assert caught.value.slug == "out-of-memory"


def test_values_that_are_not_finite_are_refused():
    net = Means()
    net.weight.data.fill_(float("inf"))
    with pytest.raises(BackboneError) as caught:
        fake(net, precision="bf16").embed(small_nets.pictures(2, 4))
    assert caught.value.slug == "not-finite"
    assert "--precision fp32" in caught.value.hint


def test_a_network_of_another_width_is_refused():
    class Wide(Means):
        def forward(self, x):
            return super().forward(x).repeat(1, 2)

    with pytest.raises(BackboneError) as caught:
        fake(Wide()).embed(small_nets.pictures(2, 4))
    assert caught.value.slug == "wrong-dim"


def convolution():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_network_gives_the_same_rows_for_batches_of_any_size():
    plain, compiled = fake(convolution()), fake(convolution(), batch_size=4, compiled=True)
    if compiled.notes:
        pytest.skip(compiled.notes[0])  # a compiler is there and does not suit torch
    assert compiled.recipe == plain.recipe
    pictures = small_nets.pictures(7, 4)  # one full batch, and a rest that is padded
    np.testing.assert_allclose(
        compiled.embed(pictures), plain.embed(pictures), rtol=1e-4, atol=1e-6
    )
    assert compiled.start(pictures[:1])().shape == (1, 3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # nothing compiled anew


def test_without_a_compiler_the_network_runs_as_it_is_and_says_so(monkeypatch):
    def missing(*_args, **_options):
        raise RuntimeError("InvalidCxxCompiler: no working compiler\n\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", missing)
    backbone = fake(convolution(), compiled=True)
    assert backbone.notes == ("timm:fake runs uncompiled: InvalidCxxCompiler: no working compiler",)
    pictures = small_nets.pictures(3, 4)
    assert np.array_equal(backbone.embed(pictures), fake(convolution()).embed(pictures))


@pytest.mark.filterwarnings("ignore:bf16 on a CPU", "ignore:fp16 on a CPU")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_near_and_its_kin_says_so(tmp_path, precision):
    small_nets.save_timm(tmp_path / "test_vit.safetensors")
    full = load("timm:test_vit", tmp_path)
    low = load("timm:test_vit", tmp_path, precision=precision)
    pictures = small_nets.pictures(3, 160)
    a, b = full.embed(pictures), low.embed(pictures)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    assert b.dtype == np.float32
    assert low.recipe.precision == precision
    assert low.recipe.digest != full.recipe.digest
    assert low.recipe.kin() == full.recipe.kin()
    assert not np.array_equal(a, b)
    assert cosine.min() > 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("precision", "cosine"), [("fp32", 0.999999), ("bf16", 0.99), ("fp16", 0.999)]
)
@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_a_cuda_device_agrees_with_the_processor(tmp_path, name, precision, cosine):
    small_nets.save_timm(tmp_path / f"{name}.safetensors", name)
    spec = registry.resolve(f"timm:{name}")
    cpu = registry.load(spec, weights=str(tmp_path), device="cpu")
    gpu = registry.load(spec, weights=str(tmp_path), device="cuda", precision=precision)
    pictures = small_nets.pictures(9, 160)
    a, b = cpu.embed(pictures), gpu.embed(pictures)
    alone = np.concatenate([gpu.embed([picture]) for picture in pictures])

    assert (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1) == pytest.approx(
        1, abs=1 - cosine
    )
    np.testing.assert_allclose(b, alone, rtol=0, atol=(1 - cosine) * float(np.abs(b).max()) * 10)


def test_devices_and_precisions():
    cpu = torch.device("cpu")
    assert resolve_device("cpu") == cpu
    assert resolve_precision("auto", cpu) == "fp32"
    with pytest.warns(UserWarning, match="slower"):
        assert resolve_precision("bf16", cpu) == "bf16"
    for wrong in ("cuda:99", "mps", "tpu", ""):
        if wrong == "mps" and torch.backends.mps.is_available():
            continue
        with pytest.raises(UsageError) as caught:
            resolve_device(wrong)
        assert caught.value.slug == "no-such-device"


def test_an_accelerator_is_preferred_with_what_it_can_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    for bf16, precision in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)  # noqa: B023
        assert resolve_precision("auto", torch.device("cuda")) == precision
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_closing_lets_the_network_go(tmp_path):
    import gc
    import weakref

    small_nets.save_timm(tmp_path / "test_vit.safetensors")
    backbone = load("timm:test_vit", tmp_path)
    ref = weakref.ref(next(backbone._net.parameters()))
    backbone.close()
    gc.collect()

    assert ref() is None


def test_the_timm_zoo_has_the_small_nets():
    # the tests above stand on these
    assert set(TIMM_NETS) <= set(timm.list_models("test_*"))
