"""The page about labels: complete, and its example runs."""

import re
from pathlib import Path
from typing import get_args

import pytest

from vta_cli.labels.records import Kind
from vta_cli.labels.registry import MERGES, READERS

PAGE = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_its_row(name):
    assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_has_its_row_and_its_merge(kind):
    assert re.search(rf"^\| `{kind}` \|", PAGE, re.MULTILINE)
    assert kind in MERGES


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "ratings.csv").write_text("path,score\na.jpg,2\nb.jpg,4\n", encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["2 1", "4 1"]
    assert lines[2].startswith("[3.] ('1 image with several scores, of which the mean counts: ")
