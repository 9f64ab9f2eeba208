"""One folder of pictures with a filled store, made once, and the command line in this process."""

import shutil
from pathlib import Path

import pytest
from label_pictures import make_folder
from sitting import until
from typer.testing import CliRunner

from vta_cli.cli import app
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_load import Inputs
from vta_cli.pipelines.sources import Source
from vta_cli.store.store import Store


@pytest.fixture(scope="session")
def stocked(tmp_path_factory):
    """Return a folder as `make_folder` makes it; whoever changes it takes a copy."""
    return make_folder(tmp_path_factory.mktemp("stocked") / "work")


@pytest.fixture(scope="session")
def told():
    """Return a function that runs `vta` here, which saves the start of a process."""

    def run(*args):
        return CliRunner().invoke(app, [str(arg) for arg in args])

    return run


@pytest.fixture
def here(stocked, monkeypatch):
    """Stand in a folder with pics/ (24), liked/ and disliked/ (12 each), all with vectors."""
    monkeypatch.chdir(stocked)
    return stocked


@pytest.fixture
def folder(here, tmp_path, monkeypatch):
    """Stand in a copy of it, for tests that change files."""
    root = shutil.copytree(here, tmp_path / "work")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def sit(here, tmp_path):
    """Return a function that begins a sitting where one stands; all are closed in the end.

    Journal and head are the test's own; the head is named as the test's folder.
    """
    begun = []

    def begin(*, labelled=True, wait=True, **plan):
        store = Store.open(Path.cwd() / ".vta")
        sides = [(Source(["liked"]), 1), (Source(["disliked"]), 0)] if labelled else []
        given = {"journal": tmp_path / "j.jsonl", "name": tmp_path.name, "rater": "ann"}
        session = Session(
            store, Inputs(Source(["pics"]), sides), Plan(**{**given, "every": 0, **plan})
        )
        begun.append((session, store))
        session.start()
        if wait:
            until(lambda: session.loader.loading.step == "done")
        return session

    yield begin
    for session, store in begun:
        session.close()
        store.close()
