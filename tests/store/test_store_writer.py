"""When a writer seals, what it refuses, and what it leaves behind."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from store_making import DIM, files_below, fill, keys_of, recipe, shards_dir, vectors_of

from vta_cli.errors import StoreError
from vta_cli.store.store import Store
from vta_cli.store.widen import narrow, widen
from vta_cli.store.writer import ShardWriter


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "s", create=True) as opened:
        yield opened


def test_nothing_appears_before_the_first_shard(store):
    """A writer that is given nothing writes nothing."""
    before = files_below(store.path)
    with store.space(recipe()).writer() as writer:
        writer.append(keys_of(), vectors_of())
        writer.append_skips([])
        assert writer.seal() is None
    assert files_below(store.path) == before


def test_rows_are_invisible_until_sealed(store):
    """A reader sees whole shards alone; leaving the context seals the rest."""
    with store.space(recipe()).writer() as writer:
        writer.append(keys_of(1), vectors_of(1))
        assert store.space(recipe()).missing(keys_of(1)).all()
        assert (writer.rows_buffered, writer.rows_committed) == (1, 0)
        name = writer.seal()
        assert (shards_dir(store) / f"{name}.json").exists()
        assert (writer.rows_buffered, writer.rows_committed) == (0, 1)
        writer.append(keys_of(2), vectors_of(2))
    assert writer.rows_committed == 2
    assert not store.space(recipe()).missing(keys_of(1, 2)).any()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_keeps_what_was_appended(store, error):
    """Rows appended are whole and true, so Ctrl-C commits them, and goes on as itself."""

    def write():
        with store.space(recipe()).writer() as writer:
            writer.append(keys_of(1, 2), vectors_of(1, 2))
            raise error

    with pytest.raises(error):
        write()
    assert (store.space(recipe()).read(keys_of(1, 2)) == vectors_of(1, 2)).all()


@pytest.mark.parametrize("spare", [0, 5])
@pytest.mark.parametrize("batch", [1, 4, 35])
def test_seals_by_size(store, spare, batch):
    """No shard is larger than asked, also when one batch is."""
    row_bytes = 32 + 2 * DIM
    with store.space(recipe()).writer(max_bytes=10 * row_bytes + spare) as writer:
        for start in range(0, 35, batch):
            part = range(start, min(start + batch, 35))
            writer.append(keys_of(*part), vectors_of(*part))
        assert writer.rows_committed == 30
    space = store.space(recipe())
    assert sorted(marker.rows for marker in space.markers) == [5, 10, 10, 10]
    assert (space.read(keys_of(*range(35))) == vectors_of(*range(35))).all()


def test_seals_by_time(store):
    """The clock runs from the first unsealed row."""
    now = [100.0]
    writer = ShardWriter(store.medium, recipe(), max_seconds=60, clock=lambda: now[0])
    writer.append(keys_of(1), vectors_of(1))
    now[0] = 159
    writer.append(keys_of(2), vectors_of(2))
    assert writer.rows_committed == 0
    now[0] = 160
    writer.append_skips([(bytes(32), "broken", "")])
    assert writer.rows_committed == 2
    now[0] = 219
    writer.append(keys_of(3), vectors_of(3))
    now[0] = 278
    writer.append(keys_of(4), vectors_of(4))
    assert writer.rows_committed == 2


def test_appended_arrays_may_be_reused(store):
    """The writer keeps copies."""
    for kind in (1.0, 1e6):
        keys, vectors = keys_of(int(kind)), vectors_of(1) * np.float32(kind)
        wanted = vectors.copy()
        with store.space(recipe()).writer() as writer:
            writer.append(keys, vectors)
            keys[:], vectors[:] = 0, 0
        assert (store.space(recipe()).read(keys_of(int(kind))) == wanted).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(store, bad):
    """The key is named and nothing of the batch is taken."""
    vectors = vectors_of(1, 2)
    vectors[1, 0, 3] = bad
    with store.space(recipe()).writer() as writer:
        with pytest.raises(StoreError) as caught:
            writer.append(keys_of(1, 2), vectors)
        assert writer.rows_buffered == 0
    assert caught.value.slug == "not-finite"
    assert keys_of(2).tobytes().hex() in caught.value.message
    assert store.spaces() == []


@pytest.mark.parametrize(
    "shape",
    [(2, DIM + 1), (1, DIM), (2, 2, DIM), (2,), (2, DIM, 1)],
)
def test_wrong_shapes_are_refused(store, shape):
    """Vectors that do not fit the keys or the recipe are never stored."""
    with store.space(recipe()).writer() as writer, pytest.raises(StoreError) as caught:
        writer.append(keys_of(1, 2), np.zeros(shape, np.float32))
    assert caught.value.slug == "wrong-shape"


def test_wrong_keys_are_refused(store):
    """Half a key is no key."""
    with store.space(recipe()).writer() as writer:
        with pytest.raises(ValueError, match="keys are uint8"):
            writer.append(np.zeros((2, 16), np.uint8), vectors_of(1, 2))
        with pytest.raises(ValueError, match="32 bytes"):
            writer.append_skips([(b"short", "broken", "")])


def test_read_only_store_has_no_writer(store):
    """It is refused before any work is done."""
    fill(store.space(recipe()), 1)
    before = files_below(store.path)
    with Store.open(store.path, read_only=True) as closed:
        with pytest.raises(StoreError) as caught:
            closed.space(recipe()).writer()
        assert caught.value.slug == "store-read-only"
        with pytest.raises(StoreError):
            closed.pin("classic")
        assert (closed.space(recipe()).read(keys_of(1)) == vectors_of(1)).all()
        assert closed.catalogue.count() == 0
    assert files_below(store.path) == before


def test_files_are_what_anybody_can_read(store):
    """Vectors by numpy.load, keys by pyarrow, the marker by json."""
    import pyarrow.parquet as pq

    name = fill(store.space(recipe()), 5, 6)[0]
    folder = shards_dir(store)
    marker = json.loads((folder / f"{name}.json").read_text())
    vectors = np.load(folder / marker["vectors"]["file"], mmap_mode="r", allow_pickle=False)
    assert vectors.dtype == np.float16
    assert (vectors == vectors_of(5, 6)).all()
    table = pq.read_table(folder / marker["keys"]["file"])
    assert table.column("key").to_pylist() == [bytes(row) for row in keys_of(5, 6)]
    assert marker["rows"] == 2
    body = json.loads((folder.parent / "recipe.json").read_text())
    assert body["recipe"]["backbone"] == "fake/1"
    assert body["digest"] == recipe().digest


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, (3, 1, 4), elements=st.floats(-(2.0**120), 2.0**120, width=32)))
def test_narrowing_is_rounding_or_refusal(vectors):
    """What comes back from half precision is within half its step of the row's scale."""
    half = narrow(vectors)
    if half is None:
        peak = np.abs(vectors).max(axis=-1)
        assert ((peak > 65504) | ((peak > 0) & (peak < 2.0**-14))).any()
        return
    back = np.empty(vectors.shape, np.float32)
    widen(half, back)
    assert (back == half.astype(np.float32)).all()
    assert np.isfinite(back).all()
    scale = np.abs(vectors).max(axis=-1, keepdims=True)
    assert (np.abs(back - vectors) <= scale * 2.0**-11).all()


def test_a_store_that_was_moved_is_not_begun_again_at_its_old_place(tmp_path):
    """Rows that lay there would be lost to it; they stay in the writer."""
    with Store.open(tmp_path / "here", create=True) as store:
        writer = store.space(recipe()).writer()
        writer.append(keys_of(1), vectors_of(1)[:, 0])
        (tmp_path / "here").rename(tmp_path / "there")
        with pytest.raises(StoreError) as caught:
            writer.seal()
        assert caught.value.slug == "store-io"
        assert not (tmp_path / "here").exists()
        (tmp_path / "there").rename(tmp_path / "here")
        assert writer.seal() is not None
        assert store.space(recipe()).n_rows == 1


def test_a_name_that_is_given_up_while_it_is_asked_for(store, monkeypatch):
    """As when `compact` removes a replaced shard: the next name is tried, and nothing fails."""
    real, asked = os.link, []

    def link(source, target):
        asked.append(target)
        if len(asked) == 1:
            raise FileExistsError
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    fill(store.space(recipe()), 1)
    assert len(asked) == 2
    assert not store.space(recipe()).missing(keys_of(1)).any()
