"""What the documents promise of the files: the five-line reader, the names, format 1 for ever."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from store_making import fill, keys_of, recipe, vectors_of

from vta_cli.store.catalogue import Catalogue
from vta_cli.store.check import check
from vta_cli.store.compact import compact
from vta_cli.store.gc import gc
from vta_cli.store.store import Store

DOCUMENT = Path(__file__).parents[2] / "docs" / "store-format.md"
FORMAT_1 = Path(__file__).parent / "format_1"


def reader():
    """Return the code of the document's reader."""
    block = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.group(1).strip().splitlines()) == 5
    return block.group(1)


def test_the_five_line_reader_reads(tmp_path):
    """Live rows come out, replaced ones do not, skips do no harm."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), *range(9), seal_every=2)
        with store.space(recipe()).writer() as writer:
            writer.append_skips([(bytes(32), "broken", "")])
        for upkeep in (lambda: None, lambda: gc(store, keys_of(*range(5)), dry_run=False),
                       lambda: compact(store)):  # fmt: skip
            upkeep()
            scope = {"SPACE": tmp_path / "spaces" / recipe().space_name}
            exec(compile(reader(), str(DOCUMENT), "exec"), scope)
            keys = store.space(recipe()).keys()
            assert set(scope["vectors"]) == {bytes(key) for key in keys}
            for number in range(5):
                row = scope["vectors"][bytes(keys_of(number)[0])]
                assert (row == vectors_of(number)[0]).all()


def test_every_field_is_documented(tmp_path):
    """The document names each field of each JSON file and each column of the catalogue."""
    with Store.open(tmp_path, create=True) as store:
        store.pin("classic")
        fill(store.space(recipe()), 1)
    text = DOCUMENT.read_text(encoding="utf-8")
    for file in tmp_path.rglob("*.json"):
        for field in json.loads(file.read_text()):
            assert f"`{field}`" in text, field
    catalogue = Catalogue(tmp_path / "c.sqlite")
    for row in catalogue._connection.execute("PRAGMA table_info(files)"):
        assert f"`{row[1]}`" in text, row[1]
    catalogue.close()


@pytest.fixture
def old_store(tmp_path):
    """Return a copy of a store that was written when format 1 was new."""
    for file in FORMAT_1.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(FORMAT_1)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    with Store.open(tmp_path) as store:
        yield store


def test_format_1_is_read_for_ever(old_store):
    """Vectors, mixed dtypes, skips, replacements and the pin of a store made long ago."""
    assert old_store.id == "0123456789abcdef0123456789abcdef"
    assert old_store.preset == "classic"
    space = old_store.spaces()[0]
    assert space.recipe == recipe()
    assert (space.read(keys_of(1, 2, 3, 4)) == vectors_of(1, 2, 3, 4)).all()
    assert (space.read(keys_of(5)) == vectors_of(5) * np.float32(1e6)).all()
    assert space.missing(keys_of(6))[0]
    assert dict(space.skips()) == {bytes(keys_of(7)[0]): ("broken", "cut")}
    report = check(old_store)
    assert report.clean
    assert report.replaced == 2
    fill(space, 6)
    compact(old_store, grace_s=0)
    assert (old_store.spaces()[0].read(keys_of(6, 1)) == vectors_of(6, 1)).all()
