"""Where weights are found, and what happens when they are nowhere."""

import os
import subprocess
import sys
import threading

import pytest

from vta_cli.backbones import fetch, registry
from vta_cli.backbones.weights import locate, whereabouts
from vta_cli.errors import BackboneError, UsageError

VIT = registry.resolve("CLIP_ViTL_14@336")
DINO = registry.resolve("DINO_ViTS_8")
RESNET = registry.resolve("DINO_ResNet50")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A user without any cache or setting."""
    settings = ("VTA_WEIGHTS", "VTA_OFFLINE", "HF_HUB_OFFLINE")
    caches = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME")
    for name in (*settings, *caches):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def put(file, data=b"weights"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def put_in_hub(hub, repo, name, data=b"weights", revision="abc"):
    base = hub / ("models--" + repo.replace("/", "--"))
    return put(base / "snapshots" / revision / name, data)


def found(spec, weights=None):
    here = locate(spec, None if weights is None else str(weights))
    return here and (here.source, os.path.relpath(here.path, os.environ["HOME"]))


def test_nothing_is_found_in_an_empty_home():
    assert locate(VIT) is None
    assert whereabouts(VIT) == "not here"


def test_classic_needs_none():
    assert locate(registry.resolve("classic")).digest == "none"


def test_the_digest_is_of_the_bytes_alone(tmp_path):
    one = locate(DINO, str(put(tmp_path / "a.safetensors", b"same")))
    two = locate(DINO, str(put(tmp_path / "sub" / "b.pth", b"same")))
    other = locate(DINO, str(put(tmp_path / "c.pth", b"other")))

    assert one.digest == two.digest != other.digest
    assert len(one.digest) == 64


@pytest.mark.parametrize("setting", ["default", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"])
def test_the_hub_cache_is_searched_where_its_client_keeps_it(home, monkeypatch, setting):
    hub = {
        "default": home / ".cache" / "huggingface" / "hub",
        "XDG_CACHE_HOME": home / "xdg" / "huggingface" / "hub",
        "HF_HOME": home / "hf" / "hub",
        "HF_HUB_CACHE": home / "hubcache",
    }[setting]
    values = {"XDG_CACHE_HOME": "xdg", "HF_HOME": "hf", "HF_HUB_CACHE": "hubcache"}
    if setting in values:
        monkeypatch.setenv(setting, str(home / values[setting]))
    file = put_in_hub(hub, VIT.repo, "open_clip_model.safetensors")

    assert locate(VIT).path == str(file)
    assert whereabouts(VIT) == "cache"


def test_the_revision_of_main_comes_first(home):
    hub = home / ".cache" / "huggingface" / "hub"
    put_in_hub(hub, DINO.repo, "model.safetensors", b"old", "aaa")
    wanted = put_in_hub(hub, DINO.repo, "model.safetensors", b"main", "bbb")
    put_in_hub(hub, DINO.repo, "model.safetensors", b"newest", "ccc")
    put(hub / "models--timm--vit_small_patch8_224.dino" / "refs" / "main", b"bbb")

    assert locate(DINO).path == str(wanted)


def test_a_snapshot_without_weights_does_not_count(home):
    put_in_hub(home / ".cache" / "huggingface" / "hub", DINO.repo, "config.json")

    assert locate(DINO) is None


def test_the_torch_hub_cache_is_searched_for_the_publishers_file(home):
    put(home / ".cache" / "torch" / "hub" / "checkpoints" / "dino_resnet50_pretrain.pth")

    assert found(RESNET) == ("cache", ".cache/torch/hub/checkpoints/dino_resnet50_pretrain.pth")


def test_the_users_file_beats_the_cache(home):
    put_in_hub(home / ".cache" / "huggingface" / "hub", DINO.repo, "model.safetensors")
    mine = put(home / "mine.pth")

    assert found(DINO, mine) == ("file", "mine.pth")


def test_the_environment_stands_in_for_the_option(home, monkeypatch):
    monkeypatch.setenv("VTA_WEIGHTS", str(put(home / "mine.pth")))
    other = put(home / "other.pth")

    assert found(DINO) == ("file", "mine.pth")
    assert found(DINO, other) == ("file", "other.pth")


@pytest.mark.parametrize(
    "name",
    [
        "vit_small_patch8_224.dino.safetensors",
        "DINO_ViTS_8.pth",
        "dino_deitsmall8_pretrain.pth",
        "model.safetensors",
        "vit_small_patch8_224.dino/model.safetensors",
        "models--timm--vit_small_patch8_224.dino/snapshots/x/model.safetensors",
    ],
)
def test_a_folder_is_searched_for_the_names_that_weights_have(home, name):
    put(home / "weights" / name)
    put(home / "weights" / "unrelated.safetensors")

    assert found(DINO, home / "weights") == ("file", f"weights/{name}")


def test_own_names_beat_general_ones_and_safetensors_beats_torch_files(home):
    put(home / "w" / "model.safetensors")
    put(home / "w" / "DINO_ViTS_8.pth")
    assert found(DINO, home / "w") == ("file", "w/DINO_ViTS_8.pth")

    put(home / "w" / "DINO_ViTS_8.safetensors")
    assert found(DINO, home / "w") == ("file", "w/DINO_ViTS_8.safetensors")


def test_one_folder_serves_several_backbones(home):
    put(home / "w" / "DINO_ViTS_8.pth")
    put(home / "w" / "CLIP_ViTL_14@336.safetensors")

    assert found(DINO, home / "w") == ("file", "w/DINO_ViTS_8.pth")
    assert found(VIT, home / "w") == ("file", "w/CLIP_ViTL_14@336.safetensors")
    assert found(RESNET, home / "w") is None


def test_files_are_given_by_name(home):
    one, two = put(home / "one.bin"), put(home / "two.bin")
    text = f"DINO_ViTS_8={one},{VIT.name}={two}"

    assert found(DINO, text) == ("file", "one.bin")
    assert found(VIT, text) == ("file", "two.bin")
    assert found(RESNET, text) is None


def test_a_folder_given_by_name_may_hold_any_one_file(home):
    put(home / "w" / "whatever.safetensors")

    assert found(DINO, home / "w") is None
    assert found(DINO, f"DINO_ViTS_8={home / 'w'}") == ("file", "w/whatever.safetensors")
    put(home / "w" / "second.safetensors")
    with pytest.raises(UsageError, match="holds no weights"):
        found(DINO, f"DINO_ViTS_8={home / 'w'}")


def test_paths_with_commas_and_equal_signs_are_paths(home):
    assert found(DINO, put(home / "a,b=c" / "d.pth")) == ("file", "a,b=c/d.pth")


def test_a_file_of_another_family_is_not_taken(home):
    assert found(DINO, put(home / "net.onnx")) is None


@pytest.mark.parametrize("text", ["gone.pth", "DINO_ViTS_8=gone.pth", "here.pth,gone.pth"])
def test_a_place_that_does_not_exist_is_misuse(home, monkeypatch, text):
    monkeypatch.chdir(home)
    put(home / "here.pth")
    with pytest.raises(UsageError, match=r"gone\.pth") as caught:
        locate(DINO, text)
    assert caught.value.slug == "no-such-weights"


def test_data_beside_an_onnx_file_counts_in_its_digest(home):
    file = put(home / "net.onnx")
    spec = registry.resolve(f"onnx:{file}")
    before = locate(spec).digest
    put(home / "net.onnx.data", b"tensors")

    assert locate(spec).digest != before


@pytest.mark.parametrize("switch", ["VTA_OFFLINE", "HF_HUB_OFFLINE", "argument"])
def test_offline_asks_nobody(monkeypatch, switch):
    def asked(*args, **kwargs):
        pytest.fail("the network was asked")

    monkeypatch.setattr(fetch, "_probe", asked)
    if switch != "argument":
        monkeypatch.setenv(switch, "1")
    offline = True if switch == "argument" else None
    with pytest.raises(BackboneError) as caught:
        fetch.obtain(DINO, None, offline)
    assert caught.value.slug == "weights-missing"
    assert not fetch.within_reach(DINO, offline)


def assert_three_ways(error):
    assert "--weights" in error.hint
    assert "cache" in error.hint
    assert "--backbone classic" in error.hint


def test_an_unreachable_hub_is_one_error_with_three_ways_out(monkeypatch):
    import huggingface_hub

    calls = []

    def refuse(url, timeout):
        calls.append(timeout)
        raise ConnectionError("connection refused")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    with pytest.raises(BackboneError, match="connection refused") as caught:
        fetch.obtain(DINO, None, None)
    assert caught.value.slug == "weights-unreachable"
    assert_three_ways(caught.value)
    assert calls == [fetch.CONNECT_LIMIT_S]
    assert not fetch.within_reach(DINO)


def test_a_hub_that_never_answers_is_given_up(monkeypatch):
    import huggingface_hub

    release = threading.Event()
    monkeypatch.setattr(fetch, "PROBE_LIMIT_S", 0.05)
    monkeypatch.setattr(
        huggingface_hub, "get_hf_file_metadata", lambda url, timeout: release.wait()
    )
    try:
        with pytest.raises(BackboneError, match="no answer within"):
            fetch.obtain(DINO, None, None)
    finally:
        release.set()


def test_the_first_file_that_the_hub_has_is_fetched_and_digested(home, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    file = put(home / "downloaded", b"from the hub")

    def metadata(url, timeout):
        if url.endswith("open_clip_model.safetensors"):
            raise EntryNotFoundError("404")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda repo, name, etag_timeout: (
            str(file)
            if (repo, name) == (VIT.repo, "open_clip_pytorch_model.safetensors")
            else pytest.fail(f"asked for {repo} {name}")
        ),
    )
    weights = fetch.obtain(VIT, None, None)

    assert (weights.path, weights.source) == (str(file), "cache")
    assert weights.digest == locate(DINO, f"DINO_ViTS_8={file}").digest


def test_weights_without_a_repository_must_be_given():
    with pytest.raises(BackboneError, match="no repository") as caught:
        fetch.obtain(RESNET, None, None)
    assert "dino_resnet50_pretrain.pth" in caught.value.hint
    assert "--backbone classic" in caught.value.hint


def test_missing_weights_are_told_before_torch_is_imported():
    code = (
        "import sys\n"
        "from vta_cli.backbones import registry as r\n"
        "try: r.load(r.resolve('CLIP_ViTB_32'), offline=True)\n"
        "except r.BackboneError as error: print(error.slug, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["weights-missing", "False"]
