"""The house rules: who imports whom, how long a module may be, what is never used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vta_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 600


def test_import_law_holds():
    """import-linter finds no import against the layers or the homes of third-party packages."""
    tool = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run(
        [tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_size(path):
    """No module outgrows what a reader can hold."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_says_what_it_owns(path):
    """Each module begins with a docstring; an `__init__` holds nothing else but the version."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    if path.name == "__init__.py" and path.parent != PACKAGE:
        assert len(tree.body) == 1


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_runs_code_from_files(path):
    """No pickle, no eval, no torch.load without weights_only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & {"pickle", "dill"}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in {"pickle", "dill"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and (node.func.value.id, node.func.attr) == ("torch", "load")
        ):
            assert any(
                kw.arg == "weights_only" and getattr(kw.value, "value", None) is True
                for kw in node.keywords
            )


def test_no_utils_module():
    """A helper lives in the room whose word it uses."""
    assert not [p for p in MODULES if p.stem in {"utils", "util", "helpers", "misc"}]
