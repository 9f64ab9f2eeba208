"""The page that tells how to add a head, followed to the letter in a copy of the package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/add-a-head.md"


def test_the_page_adds_a_head_that_keeps_the_contract(tmp_path):
    module, learner, kind = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    shutil.copytree(
        ROOT / "vta_cli", tmp_path / "vta_cli", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        ROOT / "tests/contracts", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "vta_cli/heads/robust.py").write_text(module)
    registry = tmp_path / "vta_cli/heads/registry.py"
    text = registry.read_text()
    text = text.replace("LEARNERS = {\n", "LEARNERS = {\n" + learner)
    text = text.replace('    "scores": ("ridge", "mlp"),\n', kind)
    registry.write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "tests/test_kind_contract.py", "-k", "robust or tables"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert text.count("robust") == 3  # both lines went in
