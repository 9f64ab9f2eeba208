"""Published heads: told by their tensors, and their scores are the published ones."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_files import city_tensors, published, ratings, save_city
from safetensors.numpy import save_file

from vta_cli.errors import HeadError, UsageError
from vta_cli.exchange.published import KINDS, read_published
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.layers import collapse, forward
from vta_cli.records import Layer


def head_of(found):
    """Return the head that an import would make, on vectors of one space."""
    return LayeredHead(
        collapse(found.layers),
        found.output,
        found.promise,
        (found.dim,),
        normalise=found.normalise,
    )


V1_L14 = [-2.457909, -0.137857, 1.895110, 3.584934, 5.099726,
          6.470104, 7.786990, 9.048001, 10.226408, 11.304426]  # fmt: skip
V1_B32 = [-1.469954, 0.272794, 1.990020, 3.611417, 5.087441,
          6.392551, 7.668165, 8.915451, 9.916607, 11.005574]  # fmt: skip
SAC = [1.6555, 2.3593, 3.0698, 3.6725, 4.2380, 4.7010, 5.0731, 5.3654, 5.5767, 5.7468]
AVA = [4.5126, 4.4763, 4.4919, 4.5959, 4.7054, 4.8433, 5.0039, 5.1479, 5.2309, 5.2664]
RELU = [4.3717, 4.1921, 4.0485, 4.0125, 3.9895, 4.0178, 4.1026, 4.2082, 4.2704, 4.3083]


@pytest.mark.parametrize(
    ("name", "width", "wanted", "tolerance"),
    [
        ("sa_0_4_vit_l_14_linear.pth", 768, V1_L14, 2e-6),
        ("sa_0_4_vit_b_32_linear.pth", 512, V1_B32, 2e-6),
        ("sac+logos+ava1-l14-linearMSE.pth", 768, SAC, 6e-5),
        ("ava+logos-l14-linearMSE.pth", 768, AVA, 6e-5),
        ("ava+logos-l14-reluMSE.pth", 768, RELU, 6e-5),
    ],
)
def test_scores_of_the_rating_vectors(name, width, wanted, tolerance):
    """The ten vectors that LAION published, ratings 0 to 9, score as the original code scores."""
    head = head_of(read_published(published(name)))
    found = head.score([ratings(width)])
    assert found == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("sa_0_4_vit_l_14_linear.pth", 1.513130),
        ("sac+logos+ava1-l14-linearMSE.pth", 4.883285),
        ("ava+logos-l14-linearMSE.pth", 5.468161),
        ("ava+logos-l14-reluMSE.pth", 4.456220),
    ],
)
def test_score_of_a_constant_vector(name, wanted):
    """All entries alike; any length is the same, since LAION's heads want unit vectors."""
    head = head_of(read_published(published(name)))
    rows = np.ones((2, 768), np.float32) * np.array([[768**-0.5], [37.0]], np.float32)
    assert head.score([rows]) == pytest.approx([wanted, wanted], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "norm", "bias"),
    [
        ("sac+logos+ava1-l14-linearMSE.pth", 17.995625, 5.236646),
        ("ava+logos-l14-linearMSE.pth", 12.459201, 5.298103),
    ],
)
def test_affine_layers_collapse_into_one_map(name, norm, bias):
    """Five layers without anything between are one map of 769 numbers, and score the same."""
    found = read_published(published(name))
    (layer,) = collapse(found.layers)
    assert float(np.linalg.norm(layer.weight)) == pytest.approx(norm, abs=1e-6)
    assert float(layer.bias[0]) == pytest.approx(bias, abs=1e-6)
    as_published = LayeredHead(found.layers, "plain", found.promise, (768,), normalise=True).score(
        [ratings(768)]
    )
    assert head_of(found).score([ratings(768)]) == pytest.approx(as_published, abs=2e-5)


def test_biases_and_backbones_of_laion_v1():
    """768 columns leave no doubt; 512 do, and the bias says which is likely."""
    found = read_published(published("sa_0_4_vit_l_14_linear.pth"))
    assert float(found.layers[0].bias[0]) == pytest.approx(3.529372, abs=1e-6)
    assert [c.backbone for c in found.choices] == ["open_clip:ViT-L-14-quickgelu/openai"]
    for mark, bias, likely in (("32", 3.421471, "B-32"), ("16", 3.150602, "B-16")):
        found = read_published(published(f"sa_0_4_vit_b_{mark}_linear.pth"))
        assert float(found.layers[0].bias[0]) == pytest.approx(bias, abs=1e-6)
        assert len(found.choices) == 2
        assert likely in found.choices[0].backbone
        assert "bias" in found.choices[0].why


@pytest.mark.parametrize(
    ("n_out", "dim", "n_parameters"),
    [(1, 768, 4_077_825), (2, 768, 4_077_858), (3, 768, 4_077_891), (1, 1024, 6_405_377)],
)
def test_parameters_of_city_heads(tmp_path, n_out, dim, n_parameters):
    """The widths are the published ones."""
    save_city(tmp_path / "h.safetensors", n_out, dim=dim)
    found = read_published(tmp_path / "h.safetensors")
    assert found.n_parameters == n_parameters
    assert head_of(found).n_parameters == n_parameters
    assert len(found.choices) == (2 if dim == 768 else 1)


@pytest.mark.parametrize("n_out", [1, 3])
def test_city_scores_as_torch_computes_them(tmp_path, n_out):
    """The residual network of the authors, rebuilt in torch, gives the same on raw vectors."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    tensors = save_city(tmp_path / "h.safetensors", n_out, seed=3)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.long = nn.Sequential(
                nn.Linear(1024, 1024), nn.LeakyReLU(0.1), nn.Linear(1024, 1024),
                nn.LeakyReLU(0.1), nn.Linear(1024, 1024),
            )  # fmt: skip

        def forward(self, x):
            return torch.relu(self.long(x) + x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Sequential(nn.Linear(768, 1024), Block())
            self.down = nn.Sequential(
                nn.Linear(1024, 128), nn.Linear(128, 64), nn.Dropout(0.1), nn.LeakyReLU(),
                nn.Linear(64, 32), nn.Linear(32, n_out),
            )  # fmt: skip

        def forward(self, x):
            z = self.down(self.up(x))
            return (torch.tanh(z) + 1) / 2 if n_out == 1 else torch.softmax(z, 1)

    net = Net().eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    rows = np.random.default_rng(1).normal(size=(300, 768)).astype(np.float32) * 3
    with torch.inference_mode():
        wanted = net(torch.from_numpy(rows)).numpy()
    score, beside = head_of(read_published(tmp_path / "h.safetensors")).answer([rows])
    if n_out == 1:
        assert score == pytest.approx(wanted[:, 0], abs=2e-6)
        assert beside == {}
    else:
        assert list(beside) == ["0", "1", "2"]
        assert np.stack(list(beside.values()), 1) == pytest.approx(wanted, abs=2e-6)
        assert score == pytest.approx(wanted[:, 0], abs=2e-6)
        assert np.ptp(wanted[:, 0]) > 0.1, "a constant would prove nothing"


def test_city_takes_names_from_the_file_beside(tmp_path):
    """The config names the classes; a wrong one is refused."""
    save_city(tmp_path / "h.safetensors", 2)
    side = tmp_path / "h.config.json"
    side.write_text(json.dumps({"arch": "class", "labels": {"1": "Bad", "0": "Pass"}}))
    assert read_published(tmp_path / "h.safetensors").promise.names == ("Pass", "Bad")
    for wrong in ({"arch": "score"}, {"labels": {"0": "a"}}, [1]):
        side.write_text(json.dumps(wrong))
        with pytest.raises(UsageError) as error:
            read_published(tmp_path / "h.safetensors")
        assert error.value.slug == "bad-side-file"
    side.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_published(tmp_path / "h.safetensors")


def test_ap25_in_bfloat16(tmp_path):
    """Five linear layers in bfloat16 on 1152 columns."""
    torch = pytest.importorskip("torch")
    sizes = (1152, 1024, 128, 64, 16, 1)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for at, (n_from, n_to) in enumerate(pairwise(sizes)):
        weight = torch.randn(n_to, n_from, generator=generator) / n_from**0.5
        state[f"scoring_head.{2 * at}.weight"] = weight.bfloat16()
        state[f"scoring_head.{2 * at}.bias"] = torch.randn(n_to, generator=generator).bfloat16()
    torch.save(state, tmp_path / "ap.pth")
    found = read_published(tmp_path / "ap.pth")
    assert (found.kind, found.dim, found.normalise) == ("ap-v2.5", 1152, True)
    x = torch.nn.functional.normalize(torch.randn(5, 1152, generator=generator).double())
    wanted = x
    for at in range(5):
        layer = f"scoring_head.{2 * at}"
        wanted = wanted @ state[f"{layer}.weight"].double().T + state[f"{layer}.bias"].double()
    assert head_of(found).score([x.float().numpy()]) == pytest.approx(
        wanted[:, 0].numpy(), abs=1e-4
    )


def test_unknown_and_wrong_files_are_refused(tmp_path):
    """Each refusal names the file and what to do."""
    with pytest.raises(UsageError, match="no file"):
        read_published(tmp_path / "nothing.pth")
    (tmp_path / "text").write_text("hello, this is no head at all")
    with pytest.raises(UsageError) as error:
        read_published(tmp_path / "text")
    assert error.value.slug == "unknown-head-file"
    save_file({"a": np.ones(3, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="known kinds") as error:
        read_published(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="no kind"):
        read_published(tmp_path / "a.safetensors", "laion-v9")
    for kind in KINDS:
        with pytest.raises(HeadError):
            read_published(tmp_path / "a.safetensors", kind)
    tensors = city_tensors(1)
    tensors["down.0.weight"] = tensors["down.0.weight"][:, :-1].copy()
    save_file(tensors, tmp_path / "cut.safetensors")
    with pytest.raises(HeadError, match="widths"):
        read_published(tmp_path / "cut.safetensors")
    tensors = city_tensors(1)
    tensors["up.0.bias"] = tensors["up.0.bias"].astype(np.float64)
    for wrong in (np.nan, 1e200):  # the latter is none of float32
        tensors["up.0.bias"][0] = wrong
        save_file(tensors, tmp_path / "nan.safetensors")
        with pytest.raises(HeadError, match="not finite"):
            read_published(tmp_path / "nan.safetensors")


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_collapse_changes_nothing_but_the_rounding(widths, seed):
    """Any stack of affine layers equals its product."""
    rng = np.random.default_rng(seed)
    layers = [
        Layer("affine", rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in pairwise(widths)
    ]
    x = rng.normal(size=(4, widths[0]))
    (one,) = collapse(layers)
    assert np.allclose(forward([one], x), forward(layers, x), atol=1e-9)
    bent = [*layers, Layer("relu")]
    assert collapse(bent) == tuple(bent)
