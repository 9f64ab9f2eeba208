"""A second `vta dedupe` compares only what is new, and says what a first one would say."""

import os
import shutil

import numpy as np
import pytest

from vta_cli.backbones.classic_recipe import recipe
from vta_cli.pipelines import dedupe as dedupe_module
from vta_cli.pipelines import dedupe_memory
from vta_cli.pipelines.dedupe import dedupe
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.store.catalogue import Entry
from vta_cli.store.compact import compact
from vta_cli.store.pairs import read_pairs
from vta_cli.store.store import Store

AT = 0.96
RECIPE = recipe()


def key(number):
    return number.to_bytes(4, "big") * 8


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A store of sixty images in groups of three near-copies, and how to add more of them."""
    monkeypatch.setattr(dedupe_memory, "FEWEST", 1)
    folder = tmp_path / "pics"
    folder.mkdir()

    def add(numbers, *, seed=0):
        with Store.open(tmp_path / "store", create=True) as store:
            entries = []
            for number in numbers:
                path = folder / f"{number:03d}.jpg"
                path.write_bytes(b"x")
                stat = path.stat()
                entries.append(
                    Entry(str(path), 1, stat.st_mtime_ns, key(number), read_ns=2**62)
                )  # fmt: skip
            store.catalogue.record(entries)
            rng = np.random.default_rng(seed)
            with store.space(RECIPE).writer() as writer:
                for number in numbers:
                    base = np.random.default_rng(number // 3).standard_normal(RECIPE.dim)
                    vector = base + 0.05 * rng.standard_normal(RECIPE.dim)
                    writer.append(key_rows([key(number)]), vector[None].astype(np.float32))

    add(range(60))
    return tmp_path, add


def run(folder, *, threshold=AT, margin=None, fresh=False, read_only=False, keep="first"):
    """Return the groups, and how many images an earlier run had compared."""
    with Store.open(folder / "store", read_only=read_only) as store:
        report = dedupe(
            store, Source([str(folder / "pics")]), [store.space(RECIPE)], Silent(),
            threshold=threshold, margin=margin, fresh=fresh, keep=keep,
        )  # fmt: skip
    rows = [(m.group, m.ref.path, round(m.similarity, 6), m.keep) for m in report.members]
    return rows, report.n_remembered


def agree(folder, n_remembered, **how):
    found, n = run(folder, **how)
    assert n == n_remembered
    before = files(folder)
    assert found == run(folder, fresh=True, read_only=True, **how)[0]
    assert files(folder) == before
    return found


def files(folder):
    return {path: path.read_bytes() for path in (folder / "store/pairs").glob("*")}


def test_only_what_is_new_is_compared(library, monkeypatch):
    """New images, none, other keepers: always the groups of a comparison of all with all."""
    folder, add = library
    assert len(agree(folder, 0)) == 60
    agree(folder, 60)
    agree(folder, 60, keep="oldest")
    add(range(58, 70), seed=1)  # two of them are known, and known they stay
    asked = []
    real = dedupe_module.group_rows

    def watched(*words, **how):
        asked.append(how["before"])
        return real(*words, **how)

    monkeypatch.setattr(dedupe_module, "group_rows", watched)
    assert len(agree(folder, 60)) > 60
    assert len(asked[0][0]) == 60
    assert agree(folder, 70)


def test_images_that_vanish_leave_their_pairs(library):
    folder, add = library
    run(folder)
    for number in (0, 4, 59):
        (folder / f"pics/{number:03d}.jpg").unlink()
    add([100, 101], seed=2)
    rows = agree(folder, 57)
    assert {path[-7:] for _, path, _, _ in rows}.isdisjoint({"000.jpg", "004.jpg", "059.jpg"})
    agree(folder, 59)


def test_another_question_has_a_memory_of_its_own(library):
    folder, _ = library
    run(folder)
    agree(folder, 0, threshold=0.97)
    agree(folder, 0, margin=0.01)
    agree(folder, 60, margin=9.0)  # wide enough to lose nothing: the same question
    agree(folder, 60, margin=0.01)
    assert len(files(folder)) == 3


def test_other_vectors_are_compared_anew(library):
    """Vectors that were written again are others, even in the same place."""
    folder, add = library
    run(folder)
    shutil.rmtree(folder / "store/spaces")
    add(range(60), seed=5)
    agree(folder, 0)
    add(range(60, 66), seed=5)
    with Store.open(folder / "store") as store:
        compact(store, grace_s=0)
    agree(folder, 0)
    agree(folder, 66)


def test_a_damaged_memory_is_none(library):
    folder, _ = library
    want, _ = run(folder)
    (path,) = files(folder)
    whole = path.read_bytes()
    way = whole.rindex(b"PK\x01\x02") + 10  # of packing: one that there is none of
    for damaged in (
        b"", b"nonsense", whole[:-40], whole[:200] + b"\xff" * 64 + whole[264:],
        whole[:way] + b"\x63" + whole[way + 1 :],
    ):  # fmt: skip
        path.write_bytes(damaged)
        assert read_pairs(path, 1) is None
        assert run(folder, read_only=True) == (want, 0)
    path.write_bytes(whole)
    assert read_pairs(path, 2) is None
    assert run(folder, read_only=True) == (want, 60)


def test_what_cannot_be_kept_is_no_error(library, monkeypatch):
    folder, _ = library

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vta_cli.store.pairs.np.savez", full)
    assert len(run(folder)[0]) == 60
    assert not files(folder)


def test_the_memories_used_last_are_kept(library, monkeypatch):
    """Use counts, not age; what a killed run left behind goes after a day."""
    folder, _ = library
    monkeypatch.setattr("vta_cli.store.pairs.MOST_FILES", 2)
    run(folder, threshold=0.96)
    run(folder, threshold=0.97)
    first, second = sorted(files(folder), key=lambda path: path.stat().st_mtime_ns)
    old, young = (first.with_name(f".{name}.tmp") for name in ("old", "young"))
    for path in (first, second, old, young):
        path.touch()
        os.utime(path, (1e9, 1e9))
    os.utime(young)
    run(folder, threshold=0.96)
    run(folder, threshold=0.98)
    assert first.exists()
    assert not second.exists()
    assert young.exists()
    assert not old.exists()
