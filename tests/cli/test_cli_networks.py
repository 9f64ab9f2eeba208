"""Random-weight nets of both network families go the whole way: embed, train, score."""

import csv
import io
import json

import pytest

torch = pytest.importorskip("torch", reason="the nets extra is not installed")


def whole_way(folder, vta, backbone, weights):
    """Embed, train and score with local weights; return the scores."""
    words = ["-b", backbone, "--weights", weights]
    ran = vta("embed", "pics", *words, cwd=folder, timeout=600)
    assert ran.code == 0, ran.err
    assert "24 vectors added" in ran.err
    trained = vta("train", "--pos", "liked", "--neg", "disliked", *words, cwd=folder, timeout=600)
    assert trained.code == 0, trained.err
    scored = vta("score", "pics", cwd=folder)
    assert scored.code == 0, scored.err
    return [float(row["score"]) for row in csv.DictReader(io.StringIO(scored.out))]


def test_timm_network_from_a_local_file(fresh, vta):
    """A small timm net saved as a file is used as it is; the colours are told apart."""
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = timm.create_model("resnet10t", pretrained=False)
    save_file(net.state_dict(), fresh / "net.safetensors")
    scores = whole_way(fresh, vta, "timm:resnet10t", fresh / "net.safetensors")
    assert len(scores) == 24
    assert sum(scores[::2]) > sum(scores[1::2])
    # a head refuses a store without its space, and says what to run
    ran = vta("embed", "pics", "--preset", "classic", "--store", "other", cwd=fresh)
    assert ran.code == 0, ran.err
    refused = vta(
        "score", "pics", "--store", "other", "-m", ".vta/heads/taste.safetensors", cwd=fresh
    )
    assert refused.code == 1
    assert "error[missing-space]" in refused.err
    assert "timm:resnet10t" in refused.err
    # other weights are another space
    torch.manual_seed(1)
    save_file(timm.create_model("resnet10t").state_dict(), fresh / "net.safetensors")
    again = vta(
        "embed", "pics", "-b", "timm:resnet10t", "--weights", fresh / "net.safetensors", cwd=fresh
    )
    assert "24 vectors added" in again.err


def test_open_clip_network_from_a_local_folder(fresh, vta):
    """A small open_clip net in a folder with its config is used as it is."""
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    config = {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 64,
            "patch_size": 8,
            "head_width": 32,
        },
        "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }
    folder = fresh / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    net = open_clip.CLIP(**config)
    save_file(net.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    )
    scores = whole_way(fresh, vta, "open_clip:tiny", folder)
    assert len(scores) == 24


def test_weights_that_cannot_be_had(fresh, vta):
    """Without weights and network: one line with the ways out, no traceback, no waiting."""
    ran = vta("embed", "pics", "--preset", "vta1", cwd=fresh)
    assert ran.code == 1
    assert "error[" in ran.err
    assert "--weights" in ran.err
    assert "Traceback" not in ran.err
