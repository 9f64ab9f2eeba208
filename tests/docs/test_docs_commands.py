"""Documents that are run: every command documented, every command line in them understood."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from vta_cli.cli import app
from vta_cli.commands.table import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = ROOT / "docs/cli.md"


def command_lines():
    """Yield each `vta ...` line of the code blocks of all pages."""
    for page in PAGES:
        if page == GENERATED:
            continue
        fenced = False
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("```"):
                fenced = not fenced
            text = re.sub(r"^\$ ", "", line.strip())
            if (fenced or line.startswith("    ")) and text.startswith("vta "):
                words = shlex.split(re.split(r"\s#|[|>]", text)[0])
                yield pytest.param(words[1:], id=f"{page.name}:{number} {' '.join(words)}")


@pytest.mark.parametrize("words", list(command_lines()))
def test_command_line_of_a_document_is_understood(words):
    """The parser takes each command line that a document shows."""
    group = typer.main.get_command(app)
    context = group.make_context("vta", list(words), resilient_parsing=False)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    child = command.make_context(name, list(rest), parent=context)
    if hasattr(command, "commands"):
        verb, leaf, rest = command.resolve_command(child, [*child._protected_args, *child.args])
        leaf.make_context(verb, list(rest), parent=child)


def test_cli_page_is_up_to_date():
    """docs/cli.md is what the commands say of themselves."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate_cli", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_helps(name):
    """Each command has a section, a docstring with an example, and help for every option."""
    assert f"## vta {name}\n" in GENERATED.read_text(encoding="utf-8")
    command = typer.main.get_command(app).get_command(
        typer.Context(typer.main.get_command(app)), name
    )
    leaves = getattr(command, "commands", None) or {name: command}
    for leaf in leaves.values():
        assert leaf.help
        for param in leaf.params:
            if param.param_type_name == "option":
                assert param.help, f"{name} {param.name}"


def test_no_page_links_to_nothing():
    """Files that a page names in backticks exist; a part in capitals stands for a name."""
    named = re.compile(r"`((?:docs|configs|benchmarks|tests|vta_cli)/[a-z0-9_./-]+\.[a-z]+)`")
    for page in PAGES:
        for name in named.findall(page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
