"""What holds for every kind of published head, and what importing one costs."""

import json
import subprocess
import sys

import numpy as np
import pytest
from published_files import city_tensors, save_city

from vta_cli.backbones.registry import resolve
from vta_cli.exchange.published import KINDS, _resolve, read_published
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.layers import collapse

HEAVY = ("torch", "timm", "open_clip", "sklearn", "lightgbm", "onnx", "onnxruntime", "h5py")

PROBE = """
import json, sys
sys.argv = ["vta", *json.loads(sys.argv[1])]
from vta_cli.cli import app
try:
    app()
except SystemExit as end:
    assert not end.code, end.code
print("PROBE" + json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def stack(names, sizes):
    """Return random tensors of linear layers."""
    rng = np.random.default_rng(0)
    found = {}
    for name, n_from, n_to in zip(names, sizes[:-1], sizes[1:], strict=True):
        found[f"{name}weight"] = rng.normal(size=(n_to, n_from)).astype(np.float32)
        found[f"{name}bias"] = rng.normal(size=n_to).astype(np.float32)
    return found


def nima():
    """Return the two arrays by which NIMA's file is told, and its last layer."""
    return {
        "conv_pw_13/kernel": np.ones((1, 1, 1024, 1024), np.float32),
        "dense_1/kernel": np.eye(1024, 10, dtype=np.float32),
        "dense_1/bias": np.zeros(10, np.float32),
    }


MLP = (1024, 128, 64, 16, 1)
SAMPLES = {
    "laion-v1": lambda: stack([""], (768, 1)),
    "laion-v2": lambda: stack([f"layers.{k}." for k in (0, 2, 4, 6, 7)], (768, *MLP)),
    "ap-v2.5": lambda: stack([f"scoring_head.{k}." for k in (0, 2, 4, 6, 8)], (1152, *MLP)),
    "nima-idealo": nima,
    "city": lambda: city_tensors(2),
}


def test_every_kind_has_a_sample():
    """A new kind is held to what follows."""
    assert set(SAMPLES) == set(KINDS)


@pytest.mark.parametrize("kind", SAMPLES)
def test_tensors_tell_one_kind_and_no_other(kind):
    """No file can be taken for another kind."""
    tensors = SAMPLES[kind]()
    assert [other for other, (tell, _) in KINDS.items() if _resolve(tell)(tensors)] == [kind]


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_says_all_that_a_user_must_know(kind):
    """Backbones that vta knows, widths that fit them, a licence, a source, and finite scores."""
    tensors = SAMPLES[kind]()
    found = _resolve(KINDS[kind][1])(*([tensors, {}] if kind == "city" else [tensors]))
    assert found.kind == kind
    assert found.licence
    assert found.source.startswith("github.com/")
    assert bool(found.choices) != (found.network is not None)
    for choice in found.choices:
        spec = resolve(choice.backbone)
        assert spec.name == choice.backbone
        assert spec.dim in (None, found.dim)
        assert spec.preprocess or choice.preprocess
    head = LayeredHead(
        collapse(found.layers), found.output, found.promise, (found.dim,),
        normalise=found.normalise,
    )  # fmt: skip
    rows = np.random.default_rng(1).normal(size=(3, found.dim))
    assert np.isfinite(head.score([rows])).all()


@pytest.mark.slow  # loads open_clip for its tables
def test_siglip_is_seen_as_open_clip_shows_it():
    """The preprocessing written here for a network that vta has no table of is the library's."""
    open_clip = pytest.importorskip("open_clip")
    found = read_ap25()
    (choice,) = found.choices
    name, _, tag = choice.backbone.partition(":")[2].partition("/")
    config = open_clip.get_model_config(name)
    looks = open_clip.get_pretrained_cfg(name, tag)
    assert config["embed_dim"] == found.dim
    shape = choice.preprocess
    assert config["vision_cfg"]["image_size"] == shape.crop_px == shape.resize_px
    assert (looks["resize_mode"], looks["interpolation"]) == (shape.mode, shape.interpolation)


def read_ap25():
    """Return the sample of Aesthetic Predictor V2.5, read."""
    return _resolve(KINDS["ap-v2.5"][1])(SAMPLES["ap-v2.5"]())


def test_importing_a_head_needs_no_network_package(tmp_path):
    """Not torch for torch files, nor anything else that a head is not."""
    save_city(tmp_path / "city.safetensors", 1)
    args = ["heads", "import", "city.safetensors", "-b", "CLIP_ViTL_14"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(args)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tops = set(json.loads(done.stdout.rsplit("PROBE", 1)[1]))
    assert not tops & {*HEAVY, "scipy", "PIL"}
    assert read_published(tmp_path / "city.safetensors").kind == "city"
