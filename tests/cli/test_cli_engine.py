"""The options of networks are the same for every command that embeds."""

import json

import pytest
import small_nets
import typer
from typer.testing import CliRunner

from vta_cli.commands.engine import ENGINE, EngineOptions, with_engine_options
from vta_cli.commands.table import COMMANDS
from vta_cli.pipelines.lanes import Engine

OPTIONS = (
    "--weights", "--device", "--precision", "--batch-size", "--exact-decode", "--compile",
    "--offline",
)  # fmt: skip


@pytest.mark.parametrize("command", ["embed", "train", "label"])
def test_every_command_that_embeds_has_them_all(command, vta, tmp_path):
    assert command in COMMANDS
    shown = vta(command, "--help", cwd=tmp_path).out.replace(",", " ").split()
    assert set(OPTIONS) <= set(shown)


def test_what_is_asked_for_reaches_the_engine():
    seen = []
    app = typer.Typer()

    @app.command()
    @with_engine_options
    def work(source: str, engine: EngineOptions = ENGINE, last: int = 1) -> None:
        """Work."""
        seen.append((source, last, engine.engine()))

    words = "s --device cpu --precision bf16 --weights w --batch-size 3 --exact-decode --compile"
    for call in (words + " --offline --last 2", "s"):
        assert CliRunner().invoke(app, call.split()).exit_code == 0
    assert seen == [
        ("s", 2, Engine("cpu", "bf16", "w", 3, True, exact=True, compiled=True)),
        ("s", 1, Engine()),
    ]


def test_train_embeds_exactly_if_asked_to(fresh, vta):
    pytest.importorskip("open_clip", reason="the nets extra is not installed")
    small_nets.save_clip(fresh / "tiny")
    sides = ["--pos", "liked", "--neg", "disliked", "--head", "logistic"]
    words = ["-b", "open_clip:tiny", "--weights", fresh / "tiny"]
    ran = vta("train", *sides, *words, "--exact-decode", cwd=fresh)
    assert ran.code == 0, ran.err
    recipes = [json.loads(p.read_text()) for p in fresh.glob(".vta/spaces/*/recipe.json")]
    assert ["resize" in one["recipe"]["extra"] for one in recipes] == [False]
