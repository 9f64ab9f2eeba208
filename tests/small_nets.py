"""Small networks with random weights, saved as users have them: files and folders on disk."""

import json

import numpy as np

CLIP_PX = 32
CLIP_CONFIG = {
    "model_cfg": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": CLIP_PX, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32,
        },
        "text_cfg": {
            "context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1,
        },
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.3, 0.35],
        "interpolation": "bicubic", "resize_mode": "shortest",
    },
}  # fmt: skip


def pictures(n, px, seed=0):
    """Return n pictures of noise over a gradient, (px, px, 3) uint8 each."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 120, px, dtype=np.uint8)[:, None, None]
    return [ramp + rng.integers(0, 130, (px, px, 3), dtype=np.uint8) for _ in range(n)]


def save_clip(folder, seed=0, config=CLIP_CONFIG):
    """Save a tiny CLIP as open_clip publishes it: a config and safetensors. Returns the network."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    net = open_clip.CLIP(**config["model_cfg"]).eval()
    save_file(net.state_dict(), folder / "open_clip_model.safetensors")
    return net


def save_timm(file, name="test_vit", seed=0, n_classes=0):
    """Save a tiny timm network with random weights. Returns the network."""
    import timm
    import torch
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    net = timm.create_model(name, num_classes=n_classes).eval()
    _spread_norms(net)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    return net


def _spread_norms(net):
    """Give batch norms statistics of their own, so that training mode would show in the output."""
    import torch

    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -1, 1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)


ONNX_PX = 8
ONNX_TOML = """\
tensor = "maps"
pool = "mean"
crop_px = 8
scale = 255.0
mean = [0.5, 0.4, 0.3]
std = [0.25, 0.3, 0.35]
"""


def save_onnx(file, batch=1, seed=0, toml=ONNX_TOML, *, rigid=False, mixing=False):
    """Save a small convolution with an inner tensor `maps` (5 channels) as ONNX. Returns weights.

    `batch` is the fixed first axis of the input, or a name for a free one. `rigid` reshapes with
    fixed numbers on the way, so that no other batch passes; `mixing` averages over the batch.
    """
    import onnx
    from onnx import helper, numpy_helper

    file.parent.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(seed).normal(size=(5, 3, 3, 3)).astype(np.float32)
    constants = [numpy_helper.from_array(weights, "w")]
    nodes = [helper.make_node("Conv", ["picture", "w"], ["maps_0"])]
    last = "maps_0"
    if rigid:
        constants.append(numpy_helper.from_array(np.array([1, 5, 6, 6]), "shape"))
        nodes.append(helper.make_node("Reshape", [last, "shape"], ["maps_1"]))
        last = "maps_1"
    if mixing:
        constants.append(numpy_helper.from_array(np.array([0]), "axis"))
        nodes.append(helper.make_node("ReduceMean", [last, "axis"], ["average"], keepdims=1))
        nodes.append(helper.make_node("Sub", [last, "average"], ["maps_2"]))
        nodes.append(helper.make_node("Add", ["maps_2", "maps_2"], ["maps_3"]))
        nodes.append(helper.make_node("Add", ["maps_3", "average"], ["maps_4"]))
        last = "maps_4"
    nodes += [
        helper.make_node("Relu", [last], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Softmax", ["pooled"], ["answer"], axis=1),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", kind, [batch, 3, ONNX_PX, ONNX_PX])],
        [helper.make_tensor_value_info("answer", kind, [batch, 5, 1, 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, file)
    if toml:
        file.with_suffix(".toml").write_text(toml)
    return weights
