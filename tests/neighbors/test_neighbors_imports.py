"""Joining and grouping load numpy and nothing heavier."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "timm", "open_clip", "sklearn", "scipy", "faiss", "pyarrow", "PIL", "lightgbm"}


@pytest.mark.parametrize("module", ["join", "groups", "regroup", "search"])
def test_no_heavy_package_is_imported(module):
    code = f"import sys, vta_cli.neighbors.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert HEAVY.isdisjoint(loaded)
