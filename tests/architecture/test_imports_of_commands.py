"""What each verb costs: the heavy packages that it must not import, in a fresh interpreter."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "open_clip", "sklearn", "lightgbm", "onnxruntime")
SCIPY = ("scipy",)

PROBE = """
import json, sys
sys.argv = ["vta", *json.loads(sys.argv[1])]
from vta_cli.cli import app
code = 0
try:
    app()
except SystemExit as end:
    code = end.code or 0
tops = sorted({name.split(".")[0] for name in sys.modules})
sys.stderr.write("\\nPROBE" + json.dumps([code, tops]))
"""


def modules_after(args, cwd, env=None):
    """Run `vta ARGS` in a fresh interpreter; return its exit code and top-level modules."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([str(a) for a in args])],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **(env or {})},
    )
    assert "PROBE" in run.stderr, run.stderr
    code, tops = json.loads(run.stderr.rsplit("PROBE", 1)[1])
    return code, set(tops), run


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--version"]])
def test_help_imports_the_parser_alone(args, tmp_path):
    """`vta --help` needs neither numpy nor rich nor any room."""
    code, tops, _ = modules_after(args, tmp_path)
    assert code == 0
    assert not tops & {*HEAVY, *SCIPY, "numpy", "pyarrow", "PIL", "rich", "faiss", "blake3"}


@pytest.mark.parametrize(
    "verb",
    ["embed", "train", "label", "score", "sort", "filter", "dedupe", "undo", "heads", "store"],
)
def test_help_of_a_verb_imports_no_room(verb, tmp_path):
    """`vta VERB --help` costs the parser and that verb's own file."""
    code, tops, _ = modules_after([verb, "--help"], tmp_path)
    assert code == 0
    assert not tops & {*HEAVY, *SCIPY, "PIL", "pyarrow", "rich", "faiss"}


@pytest.mark.parametrize(
    "args",
    [
        ["embed", "pics"],
        ["score", "pics"],
        ["score", "pics", "--format", "jsonl", "--members"],
        ["sort", "pics", "--top", "3"],
        ["filter", "pics", "--threshold", "0.5"],
        ["filter", "pics", "--band", "0", "1", "--copy-to", "out"],
        ["dedupe", "pics"],
        ["store", "info"],
        ["store", "check"],
        ["heads", "list"],
        ["backbones"],
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_cached_work_imports_nothing_heavy(args, request):
    """On cached vectors no verb imports a network package, scikit-learn or LightGBM."""
    # what leaves a journal gets a folder of its own
    arranges = "--copy-to" in args
    folder = request.getfixturevalue("trained_folder" if arranges else "trained_once")
    code, tops, run = modules_after(args, folder)
    assert code == 0, run.stderr
    assert not tops & set(HEAVY)
    if args[0] != "embed":
        assert not tops & {*SCIPY, "PIL"}
