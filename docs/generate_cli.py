"""Writes docs/cli.md from the commands' own help: `python -m docs.generate_cli [--check]`."""

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "96"  # the parser wraps help to the terminal
os.environ["TERM"] = "dumb"
for _name in [name for name in os.environ if name.startswith("VTA_")]:
    del os.environ[_name]

from typer.main import get_command  # noqa: E402 - the environment has to be set first
from typer.testing import CliRunner  # noqa: E402

from vta_cli.cli import app  # noqa: E402
from vta_cli.commands.table import COMMANDS  # noqa: E402

TARGET = Path(__file__).parent / "cli.md"
HEAD = """# The command line

Generated from `--help` by `make docs`; `make lint` checks that it is up to date.

Data goes to stdout, all else to stderr.
Exit codes: 0 done, 1 failed, 2 misuse, 3 done but something was skipped and `--strict` was given, 130 interrupted with work committed.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    calls: list[tuple[str, ...]] = [()]
    root = get_command(app)
    for name in COMMANDS:
        calls.append((name,))
        command = root.get_command(None, name)  # type: ignore[attr-defined]  # it is a group
        calls.extend((name, verb) for verb in getattr(command, "commands", ()))
    for call in calls:
        result = CliRunner().invoke(app, [*call, "--help"], prog_name="vta", color=False)
        if result.exit_code:
            raise SystemExit(f"vta {' '.join(call)} --help failed: {result.output}")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        level = "##" if len(call) < 2 else "###"
        parts.append(f"{level} {' '.join(('vta', *call))}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page, or with --check compare it."""
    text = page()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            raise SystemExit("docs/cli.md is out of date: run `make docs`")
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
