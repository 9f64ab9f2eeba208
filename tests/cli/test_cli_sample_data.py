"""The real commands on the real sample data beside the checkout, where it is present."""

import csv
import io
import os
import tarfile
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from vta_cli.store.store import Store
from vta_cli.words import counted

GIB = 2**30
PEAK = """
import atexit, os, re
def tell():
    # of this program alone: ru_maxrss would count what the process that started it had in memory
    with open("/proc/self/status") as status, open(os.environ["PEAK_FILE"], "w") as file:
        file.write(str(int(re.search("VmHWM:[^0-9]+([0-9]+)", status.read())[1]) * 1024))
atexit.register(tell)
"""


@pytest.fixture
def nasty(shared_data, tmp_path):
    """Return the unpacked folder of nasty files and its manifest by file name."""
    folder = tmp_path / "nasty"
    folder.mkdir()
    with tarfile.open(
        shared_data / "nasty/nasty.tar", encoding="utf-8", errors="surrogateescape"
    ) as tar:
        tar.extractall(folder, filter="data")
    files = {p.name: p for p in folder.rglob("*") if p.is_file()}
    with (shared_data / "nasty/manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expect = {os.fsdecode(unquote_to_bytes(row["file"])): row for row in rows}
    assert set(expect) == set(files)
    return folder, files, expect


def test_nasty_files_end_as_their_manifest_says(nasty, tmp_path, vta):
    """One run over all of them: exit 0, every file told, no traceback, bounded memory."""
    folder, files, expect = nasty
    # the manifest was written without a HEIF decoder: hide the one that may be installed
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "pillow_heif.py").write_text("raise ImportError('hidden by the test')\n")
    # and let that process alone say at its end how much memory it had
    (hidden / "sitecustomize.py").write_text(PEAK)
    ran = vta(
        "embed", folder, "--preset", "classic", "--store", tmp_path / "s",
        cwd=tmp_path, env={"PYTHONPATH": str(hidden), "PEAK_FILE": str(tmp_path / "peak")},
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    assert int((tmp_path / "peak").read_text()) < 2 * GIB
    with Store.open(tmp_path / "s", read_only=True) as store:
        reasons = {Path(e.path).name: e.reason for e in store.catalogue.entries()}
    assert set(reasons) == set(files)
    wrong = {
        name: (row["expect"], reasons[name])
        for name, row in expect.items()
        if (row["expect"] == "decode" and reasons[name] is not None)
        or (row["expect"] == "reject" and reasons[name] is None)
    }
    assert wrong == {}
    counts = Counter(reason for reason in reasons.values() if reason)
    side_files = counts.pop("side-file", 0)  # a Word document, which never claimed to be an image
    assert f"{counts.total()} files skipped" in ran.err
    assert f"{counted(side_files, 'side file')} passed over" in ran.err
    for reason, count in counts.items():
        assert f"  {count} {reason}, e.g. " in ran.err


def test_portraits_with_the_built_in_backbone(shared_data, tmp_path, vta):
    """Train on the labelled portraits, score the others, filter a band of them."""
    portraits = shared_data / "portraits"
    store = ["--store", tmp_path / "s"]
    ran = vta("embed", portraits / "unlabelled", "--preset", "classic", *store, cwd=tmp_path)
    assert ran.code == 0, ran.err
    trained = vta(
        "train", "--pos", portraits / "positive", "--neg", portraits / "negative", *store,
        cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert "AUC" in trained.out
    scored = vta("score", portraits / "unlabelled", *store, cwd=tmp_path)
    rows = list(csv.DictReader(io.StringIO(scored.out)))
    assert len(rows) == 300
    assert all(row["reason"] == "" for row in rows)
    in_band = [row for row in rows if 0.6 <= float(row["score"]) <= 0.9]
    kept = vta(
        "filter", portraits / "unlabelled", "--band", "0.6", "0.9", "--copy-to", "out", *store,
        cwd=tmp_path,
    )  # fmt: skip
    assert kept.code == 0, kept.err
    assert len(list((tmp_path / "out").iterdir())) == len(in_band)
    with Store.open(tmp_path / "s", read_only=True) as opened:
        from vta_cli.pipelines.score import load_model

        # 0.91 is what a plain HOG reaches on these labels in five folds
        assert load_model(opened, None).taste.meta["auc"] > 0.91


def test_portraits_with_a_real_pretrained_network(shared_data, tmp_path, vta):
    """The same with SqueezeNet as an ONNX file; the reference AUC is 0.94 over all labels."""
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    portraits = shared_data / "portraits"
    env = {"VTA_WEIGHTS": str(shared_data / "weights/squeezenet_fp16_onnx")}
    words = ["-b", "onnx:squeezenet", "--store", tmp_path / "s"]
    trained = vta(
        "train", "--pos", portraits / "positive", "--neg", portraits / "negative", *words,
        cwd=tmp_path, env=env, timeout=600,
    )  # fmt: skip
    assert trained.code == 0, trained.err
    ran = vta("embed", portraits / "unlabelled", "--store", tmp_path / "s", cwd=tmp_path, env=env)
    assert ran.code == 0, ran.err
    scored = vta("score", portraits / "unlabelled", "--store", tmp_path / "s", cwd=tmp_path)
    assert len(scored.out.splitlines()) == 301
    with Store.open(tmp_path / "s", read_only=True) as opened:
        from vta_cli.pipelines.score import load_model

        assert load_model(opened, None).taste.meta["auc"] > 0.9
