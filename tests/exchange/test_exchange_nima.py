"""NIMA's Keras files: taken apart into a backbone and a head, together the whole network."""

import csv
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image
from published_files import run_here

from vta_cli.errors import BackboneError, HeadError
from vta_cli.exchange.published import read_published
from vta_cli.exchange.tensor_files import read_tensors
from vta_cli.heads.saved import load_head

h5py = pytest.importorskip("h5py")
pytest.importorskip("onnxruntime")

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED = (2, 4, 6, 12)


@pytest.fixture
def here(monkeypatch):
    """Return a function that runs `vta` in this process, which saves its start-up."""
    return partial(run_here, monkeypatch)


def random_weights(seed=0):
    """Return the arrays of a MobileNet with ten outputs, as Keras names and shapes them."""
    rng = np.random.default_rng(seed)
    found = {}

    def norm(name, width):
        found[f"{name}/gamma"] = rng.uniform(0.8, 1.6, width)
        found[f"{name}/beta"] = rng.normal(size=width, scale=0.3) + 0.3
        found[f"{name}/moving_mean"] = rng.normal(size=width, scale=0.1)
        found[f"{name}/moving_variance"] = rng.uniform(0.3, 1.0, width)

    found["conv1/kernel"] = rng.normal(size=(3, 3, 3, 32)) / 27**0.5
    norm("conv1_bn", 32)
    for at in range(1, 14):
        n_in, n_out = WIDTHS[at - 1], WIDTHS[at]
        found[f"conv_dw_{at}/depthwise_kernel"] = rng.normal(size=(3, 3, n_in, 1)) / 3
        norm(f"conv_dw_{at}_bn", n_in)
        found[f"conv_pw_{at}/kernel"] = rng.normal(size=(1, 1, n_in, n_out)) / n_in**0.5
        norm(f"conv_pw_{at}_bn", n_out)
    found["dense_1/kernel"] = rng.normal(size=(1024, 10)) / 16
    found["dense_1/bias"] = rng.normal(size=10)
    return {name: value.astype(np.float32) for name, value in found.items()}


def save_keras(path, weights, root=""):
    """Write the arrays where Keras 2 does: /LAYER/LAYER/WEIGHT:0."""
    with h5py.File(path, "w") as file:
        for name, value in weights.items():
            layer, weight = name.split("/")
            file[f"{root}{layer}/{layer}/{weight}:0"] = value


def reference(weights, pixels):
    """Run the network in torch with the padding of Keras 2.1; return ten shares a picture."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    tensors = {name: torch.from_numpy(value).double() for name, value in weights.items()}

    def normed(x, name):
        found = functional.batch_norm(
            x, tensors[f"{name}/moving_mean"], tensors[f"{name}/moving_variance"],
            tensors[f"{name}/gamma"], tensors[f"{name}/beta"], eps=1e-3,
        )  # fmt: skip
        return functional.relu6(found)

    x = torch.from_numpy(pixels.astype(np.float64) / 127.5 - 1).permute(0, 3, 1, 2)
    kernel = tensors["conv1/kernel"].permute(3, 2, 0, 1)
    x = normed(functional.conv2d(x, kernel, stride=2, padding=1), "conv1_bn")
    for at in range(1, 14):
        kernel = tensors[f"conv_dw_{at}/depthwise_kernel"].permute(2, 3, 0, 1)
        stride = 2 if at in STRIDED else 1
        x = functional.conv2d(x, kernel, stride=stride, padding=1, groups=len(kernel))
        x = normed(x, f"conv_dw_{at}_bn")
        kernel = tensors[f"conv_pw_{at}/kernel"].permute(3, 2, 0, 1)
        x = normed(functional.conv2d(x, kernel), f"conv_pw_{at}_bn")
    z = x.mean(dim=(2, 3)) @ tensors["dense_1/kernel"] + tensors["dense_1/bias"]
    return torch.softmax(z, 1).numpy()


def test_the_whole_network_from_the_file_to_the_score(fresh, here):
    """Import, embed, score: mean, sd and bins are those of the network in one piece."""
    weights = random_weights()
    save_keras(fresh / "nima.hdf5", weights)
    ran = here("heads", "import", "nima.hdf5", cwd=fresh)
    assert ran.code == 0, ran.err
    assert "squashed to 224 x 224 px, nearest" in ran.err
    assert "mean rating, 1 to 10, of a distribution over 10 bins" in ran.err
    net = fresh / "nima-mobilenet-nima.onnx"
    assert f"--backbone {net}" in ran.err
    some = [f"liked/l{index:02d}.jpg" for index in range(3)]
    ran = here("embed", *some, "--backbone", net, cwd=fresh)
    assert ran.code == 0, ran.err
    scored = here("score", *some, "--members", cwd=fresh)
    assert scored.code == 0, scored.err
    rows = list(csv.DictReader(io.StringIO(scored.out)))
    pixels = [
        np.asarray(Image.open(row["path"]).resize((224, 224), Image.Resampling.NEAREST))
        for row in rows
    ]
    wanted = reference(weights, np.stack(pixels))
    bins = np.array([[float(row[f"score.bin.{k}"]) for k in range(1, 11)] for row in rows])
    assert bins == pytest.approx(wanted, abs=2e-3)
    assert np.ptp(wanted.max(axis=1)) > 0.02, "pictures that all score alike would prove nothing"
    values = np.arange(1, 11)
    mean = wanted @ values
    sd = np.sqrt((wanted * (values - mean[:, None]) ** 2).sum(axis=1))
    assert [float(row["score"]) for row in rows] == pytest.approx(mean, abs=5e-3)
    assert [float(row["score.sd"]) for row in rows] == pytest.approx(sd, abs=5e-3)


def test_importing_twice_gives_the_same_network(fresh, here):
    """The same weights are the same file and so the same space; another file is not overwritten."""
    save_keras(fresh / "nima.hdf5", random_weights())
    (fresh / "nets").mkdir()
    args = ("heads", "import", "nima.hdf5", "--network-to", "nets")
    assert here(*args, cwd=fresh).code == 0
    first = (fresh / "nets/nima-mobilenet-nima.onnx").read_bytes()
    assert here(*args, "--name", "again", cwd=fresh).code == 0
    assert (fresh / "nets/nima-mobilenet-nima.onnx").read_bytes() == first
    heads = [load_head(path) for path in (fresh / ".vta/heads").iterdir()]
    assert heads[0].recipes == heads[1].recipes
    assert (
        heads[0].meta["published"]["n_parameters"] == 3_228_864 + 10_250
    )  # Keras without top, and the last layer
    save_keras(fresh / "nima.hdf5", random_weights(seed=1))
    ran = here(*args, "--name", "third", cwd=fresh)
    assert ran.code == 1
    assert "file-exists" in ran.err
    assert (fresh / "nets/nima-mobilenet-nima.onnx").read_bytes() == first
    ran = here(*args, "--name", "x", "--backbone", "CLIP_ViTL_14", cwd=fresh)
    assert ran.code == 2
    assert "own network" in ran.err


def test_keras_files_are_read_wherever_the_layers_lie(tmp_path):
    """Whole models keep their weights one level deeper."""
    weights = random_weights()
    save_keras(tmp_path / "whole.h5", weights, root="model_weights/")
    found = read_tensors(tmp_path / "whole.h5")
    assert set(found) == set(weights)
    assert np.array_equal(found["dense_1/kernel"], weights["dense_1/kernel"])


def test_damaged_and_other_networks_are_refused(tmp_path):
    """Each ends in one of vta's errors."""
    from vta_cli.backbones.mobilenet_onnx import write

    weights = random_weights()
    del weights["conv_pw_7/kernel"]
    save_keras(tmp_path / "gap.h5", weights)
    network = read_published(tmp_path / "gap.h5").network
    with pytest.raises(BackboneError, match="conv_pw_7/kernel is missing"):
        write(network, tmp_path / "gap.onnx")
    assert not list(tmp_path.glob("*.onnx"))
    weights = random_weights()
    weights["dense_1/kernel"] = weights["dense_1/kernel"][:, :5]
    save_keras(tmp_path / "five.h5", weights)
    with pytest.raises(HeadError, match="10 bins"):
        read_published(tmp_path / "five.h5")
    data = (tmp_path / "five.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 3])
    with pytest.raises(HeadError, match="HDF5"):
        read_published(tmp_path / "cut.h5")
    (tmp_path / "secret").write_bytes(bytes(40))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 40)]
        file.create_dataset("conv_pw_13/conv_pw_13/kernel:0", (10,), "<f4", external=outside)
    with pytest.raises(HeadError, match="another file"):
        read_published(tmp_path / "outside.h5")
