"""What is written comes back, whatever the order, the number of shards and the dtype."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_making import DIM, fill, keys_of, recipe, shards_dir, vectors_of

from vta_cli.errors import StoreError
from vta_cli.store.keyindex import KeyIndex, as_keys
from vta_cli.store.space import Space
from vta_cli.store.store import Store
from vta_cli.store.widen import widen


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "s", create=True) as opened:
        yield opened


def test_round_trip_in_any_order(store):
    """Vectors follow their keys, over several shards, repeated keys included."""
    fill(store.space(recipe()), *range(50), seal_every=7)
    space = store.space(recipe())
    assert (space.n_rows, space.n_shards) == (50, 8)
    wanted = np.random.default_rng(0).integers(0, 50, 200).tolist()
    assert (space.read(keys_of(*wanted)) == vectors_of(*wanted)).all()
    assert space.read(keys_of()).shape == (0, 1, DIM)


def test_own_writer_is_seen_at_once_and_others_after_refresh(store):
    """Row numbers known before a refresh keep their meaning when shards were only added."""
    mine, other = store.space(recipe()), store.space(recipe())
    fill(mine, 1, 2)
    rows = mine.locate(keys_of(1, 2))
    assert (rows >= 0).all()
    assert other.missing(keys_of(1, 2)).all()
    other.refresh()
    assert not other.missing(keys_of(1, 2)).any()
    for number in range(3, 30):
        fill(other, number)
    mine.refresh()
    assert (mine.take(rows) == vectors_of(1, 2)).all()
    assert (mine.read(keys_of(*range(1, 30))) == vectors_of(*range(1, 30))).all()


def test_missing_and_read_of_absent_keys(store):
    """Absent keys are told; reading one is refused with its name."""
    space = store.space(recipe())
    assert space.missing(keys_of(1)).all()
    fill(space, 1, 3)
    assert space.missing(keys_of(1, 2, 3)).tolist() == [False, True, False]
    with pytest.raises(StoreError) as caught:
        space.read(keys_of(1, 2))
    assert caught.value.slug == "missing-vectors"
    assert keys_of(2).tobytes().hex()[:16] in caught.value.message


@pytest.mark.parametrize("block_rows", [1, 7, 1024])
def test_blocks_equal_take(store, block_rows):
    """Blocks cover the rows in the order given: in order, reversed, shuffled, with repeats."""
    fill(store.space(recipe()), *range(60), seal_every=13)
    space = store.space(recipe())
    rng = np.random.default_rng(1)
    for rows in (
        np.arange(60),
        np.arange(60)[::-1],
        rng.permutation(60),
        rng.integers(0, 60, 90),
        np.arange(20, 45),
        np.empty(0, np.int64),
    ):
        seen = np.zeros(len(rows), int)
        for part, vectors in space.blocks(rows, block_rows):
            assert len(vectors) <= block_rows
            assert (vectors == space.take(rows[part])).all()
            seen[part] += 1
        assert (seen == 1).all()


@pytest.mark.parametrize("n_views", [1, 3])
def test_reading_some_at_a_time_equals_take(store, n_views):
    """Any slice of any rows is what `take` gives: of one shard, of several, in any order."""
    space = store.space(recipe(n_views=n_views))
    with space.writer() as writer:
        for start in range(0, 40, 13):
            numbers = range(start, min(start + 13, 40))
            writer.append(keys_of(*numbers), np.repeat(vectors_of(*numbers), n_views, axis=1))
            writer.seal()
    random = np.random.default_rng(1)
    for rows in (np.arange(40), np.arange(14, 25), random.permutation(40), np.empty(0, np.int64)):
        whole = space.take(rows)
        with space.reading(rows) as stored:
            assert stored.shape == (whole[:, 0, :] if n_views == 1 else whole).shape
            for some in (slice(0, 3), slice(2, 30), slice(30, 99), slice(None)):
                wanted = whole[some]
                found = stored[some]
                assert (found == (wanted[:, 0, :] if n_views == 1 else wanted)).all()
    with pytest.raises(IndexError), space.reading(np.array([40])):
        pass


@pytest.mark.parametrize("row", [-1, 5])
def test_rows_out_of_range(store, row):
    """A row number that means nothing is never read as another row."""
    fill(store.space(recipe()), *range(5))
    with pytest.raises(IndexError):
        store.space(recipe()).take(np.array([0, row]))


def test_several_views(store):
    """Views keep their order."""
    five = recipe("five/1", n_views=5)
    with store.space(five).writer() as writer:
        writer.append(keys_of(1, 2), vectors_of(1, 2, n_views=5))
    assert (store.space(five).read(keys_of(2, 1)) == vectors_of(2, 1, n_views=5)).all()


def test_dtypes_mix_in_one_space(store):
    """Rows that half precision cannot hold are kept exactly, beside others."""
    large = vectors_of(2) * 1e6
    tiny = vectors_of(3) * 1e-9
    with store.space(recipe()).writer() as writer:
        writer.append(keys_of(1), vectors_of(1))
        writer.append(keys_of(2), large)
        writer.append(keys_of(4), vectors_of(4))
    with store.space(recipe()).writer() as writer:
        writer.append(keys_of(3), tiny)
    with store.space(recipe()).writer() as writer:
        writer.append(keys_of(5), vectors_of(5))
    space = store.space(recipe())
    assert sorted(marker.dtype for marker in space.markers) == [
        "float16",
        "float16",
        "float32",
        "float32",
    ]
    wanted = np.concatenate([vectors_of(5), tiny, vectors_of(4), large, vectors_of(1)])
    assert (space.read(keys_of(5, 3, 4, 2, 1)) == wanted).all()
    order = space.locate(keys_of(5, 3, 4, 2, 1))
    assert (np.concatenate([block for _, block in space.blocks(order, 2)]) == wanted).all()


def test_a_key_in_two_shards_is_read_once_and_the_same_by_all(store):
    """Two writers of the same key do harm to nobody."""
    fill(store.space(recipe()), 1, 2, 3)
    fill(store.space(recipe()), 3, 4)
    spaces = [store.space(recipe()) for _ in range(3)]
    for space in spaces:
        assert len(space.keys()) == 4
        assert sorted(map(bytes, space.keys())) == sorted(map(bytes, keys_of(1, 2, 3, 4)))
        assert (space.read(keys_of(1, 2, 3, 4)) == vectors_of(1, 2, 3, 4)).all()
    assert len({tuple(space.locate(keys_of(1, 2, 3, 4)).tolist()) for space in spaces}) == 1


def test_same_work_twice_is_stored_once(store):
    """A replay finds its shard there and adds nothing."""
    first = fill(store.space(recipe()), *range(20), seal_every=5)
    before = sorted(path.name for path in shards_dir(store).iterdir())
    assert fill(store.space(recipe()), *range(20), seal_every=5) == first
    assert sorted(path.name for path in shards_dir(store).iterdir()) == before


def test_skips_last_until_there_is_a_vector(store):
    """The latest reason counts; a vector makes the skip void, wherever it was written."""
    one, two, three = (bytes(row) for row in keys_of(1, 2, 3))
    space = store.space(recipe())
    with space.writer() as writer:
        writer.append_skips([(one, "broken", "cut"), (two, "broken", "cut")])
    with space.writer() as writer:
        writer.append_skips([(two, "too-large", "na\u00efve \udcff")])
        writer.append(keys_of(3), vectors_of(3))
    for seen in (space, store.space(recipe())):
        assert dict(seen.skips()) == {
            one: ("broken", "cut"),
            two: ("too-large", "na\u00efve \\udcff"),
        }
        assert seen.missing(keys_of(1, 2)).all()
    fill(space, 1)
    assert set(store.space(recipe()).skips()) == {two}
    assert three not in store.space(recipe()).skips()


def test_many_shards_need_few_files(store, monkeypatch):
    """More shards than memory maps are kept open: all are read."""
    monkeypatch.setattr("vta_cli.store.shard.MAX_OPEN_MAPS", 10)
    numbers = range(30)
    fill(store.space(recipe()), *numbers, seal_every=1)
    space = store.space(recipe())
    assert space.n_shards == 30
    assert (space.read(keys_of(*numbers)) == vectors_of(*numbers)).all()


def test_vectors_outlive_the_store(tmp_path):
    """What was handed out does not hang on anything that is closed."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), 1)
        vectors = store.space(recipe()).read(keys_of(1))
    assert (vectors == vectors_of(1)).all()


def test_a_store_keeps_the_notes_of_a_space_and_not_its_keys(store):
    """A long sitting opens the same space again and again."""
    fill(store.space(recipe()), 1)
    next(shards_dir(store).glob("*.json")).write_text("{")
    space = store.space(recipe())
    gone = weakref.ref(space)
    del space
    gc.collect()
    assert gone() is None
    assert any(recipe().space_name in note for note in store.notes())


# The index alone.

_key = st.binary(min_size=32, max_size=32)
# Keys that share their first eight bytes, to walk along runs of equal prefixes.
_alike = st.builds(lambda a, b: bytes(8) + a.to_bytes(1) + bytes(22) + b.to_bytes(1),
                   st.integers(0, 3), st.integers(0, 3))  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_key | _alike, max_size=40), st.lists(_key | _alike, max_size=40))
def test_index_agrees_with_a_dict(held, wanted):
    """First row of equal keys, -1 for absent ones, whatever the keys look like."""
    truth = {}
    for row, key in enumerate(held):
        truth.setdefault(key, row + 10)
    index = KeyIndex(_array(held), first_row=10)
    asked = wanted + held
    assert index.locate(_array(asked)).tolist() == [truth.get(key, -1) for key in asked]
    assert index.rows().tolist() == sorted(truth.values())
    assert len(index) == len(truth)


def test_only_whole_keys_are_keys():
    """Other shapes and types are refused rather than reshaped."""
    for wrong in (np.zeros((2, 31), np.uint8), np.zeros((2, 32), np.int64), np.zeros(64, np.uint8)):
        with pytest.raises(ValueError, match="keys are uint8"):
            as_keys(wrong)


def _array(keys):
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)


def test_space_says_what_it_ignores(store):
    """A damaged marker is a note, not an error."""
    name = fill(store.space(recipe()), 1)[0]
    fill(store.space(recipe()), 2)
    (shards_dir(store) / f"{name}.json").write_bytes(b"{}")
    space: Space = store.space(recipe())
    assert space.missing(keys_of(1, 2)).tolist() == [True, False]
    assert any(name in problem for problem in space.problems)


def test_every_half_is_read_back_exactly():
    """All 65,536, to the bit; of NaN only that they are NaN (signalling ones become quiet)."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    out = np.empty((len(halves), 1, 1), np.float32)
    widen(halves.reshape(out.shape), out)
    found, wanted = out.reshape(-1), halves.astype(np.float32)
    unknown = np.isnan(wanted)
    assert (np.isnan(found) == unknown).all()
    assert (found.view(np.uint32) == wanted.view(np.uint32))[~unknown].all()


@given(
    st.lists(st.integers(0, 60), max_size=60),
    st.booleans(),
    st.lists(st.integers(0, 45), max_size=4),
)
def test_keys_are_found_whether_or_not_they_stand_in_a_row(asked, repeats, starts):
    """Also in stretches of another order, one call after the other, with gaps."""
    stored = [*range(20, 40), *range(20), *([7, 9] if repeats else [])]
    index = KeyIndex(keys_of(*stored), first_row=100, starts=[0, 20, *starts])
    for wanted in (asked, sorted(asked), [*range(18)], [*range(18, 40)], [*range(5, 45)]):
        rows = index.locate(keys_of(*wanted)).tolist()
        assert rows == [100 + stored.index(n) if n in stored else -1 for n in wanted]
