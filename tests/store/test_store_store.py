"""Opening, making, pinning: what a store is before anything is in it."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from store_making import fill, keys_of, recipe, vectors_of

from vta_cli.errors import StoreError, UsageError
from vta_cli.store.store import Store


def test_open_makes_a_store_once(tmp_path):
    """The same id comes back, and opening again needs no `create`."""
    with Store.open(tmp_path / "s", create=True) as made:
        again = Store.open(tmp_path / "s")
        assert again.id == made.id
        assert len(made.id) == 32
        assert made.exclusive_create
        assert made.spaces() == []
        assert made.preset is None


def test_absent_store_is_misuse(tmp_path):
    """A store that is not there is said so, and nothing is made."""
    with pytest.raises(UsageError) as caught:
        Store.open(tmp_path / "s")
    assert caught.value.slug == "no-such-store"
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError):
        Store.open(tmp_path / "s", create=True, read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_other_folders_are_refused(tmp_path, create):
    """A folder of pictures, or a file, never becomes a store."""
    (tmp_path / "cat.jpg").write_bytes(b"x")
    for path in (tmp_path, tmp_path / "cat.jpg"):
        with pytest.raises(UsageError) as caught:
            Store.open(path, create=create)
        assert caught.value.slug == "not-a-store"
        assert str(path) in caught.value.message
    assert [p.name for p in tmp_path.iterdir()] == ["cat.jpg"]


def test_what_a_dying_process_left_becomes_a_store(tmp_path):
    """A folder with nothing but the beginnings of a store is one to be made."""
    (tmp_path / "spaces").mkdir()
    (tmp_path / ".store.json.0123456789ab.tmp").write_bytes(b"{")
    assert Store.open(tmp_path, create=True).id


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": "x"}', b"7"])
def test_damaged_store_file(tmp_path, content):
    """A broken `store.json` is named, with what to do."""
    Store.open(tmp_path, create=True)
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path)
    assert caught.value.slug == "store-damaged"
    assert "store.json" in caught.value.message


def test_removing_a_damaged_store_file_keeps_the_vectors(tmp_path):
    """The remedy that the error names works."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), 1, 2)
        for folder in (store.heads_dir, store.labels_dir, store.journal_dir):
            folder.mkdir()
    (tmp_path / "store.json").unlink()
    with Store.open(tmp_path, create=True) as store:
        assert (store.space(recipe()).read(keys_of(1, 2)) == vectors_of(1, 2)).all()


def test_newer_formats_are_refused_by_name(tmp_path):
    """Neither a newer store nor a newer recipe or shard is misread."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), 1)
    file = tmp_path / "spaces" / recipe().space_name / "recipe.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 9}))
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path).spaces()
    assert caught.value.slug == "store-newer"
    file = tmp_path / "store.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 9}))
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path)
    assert caught.value.slug == "store-newer"
    assert "9" in caught.value.message


def test_first_pin_wins(tmp_path):
    """Later pins, also of stores opened before, read the first."""
    first = Store.open(tmp_path, create=True)
    second = Store.open(tmp_path)
    first.pin("classic")
    second.pin("vta7")
    assert (first.preset, second.preset) == ("classic", "classic")
    assert Store.open(tmp_path).preset == "classic"


def test_pinning_at_once_has_one_winner(tmp_path):
    """Of many that pin at the same time all read the same preset."""
    stores = [Store.open(tmp_path, create=True) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: pair[1].pin(f"preset-{pair[0]}"), enumerate(stores)))
    assert len({store.preset for store in stores}) == 1
    assert stores[0].preset.startswith("preset-")


def test_making_at_once_has_one_id(tmp_path):
    """Many that make the same store agree on what it is."""
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: Store.open(tmp_path / "s", create=True).id, range(8)))
    assert len(set(ids)) == 1


def test_spaces_are_found_by_digest(tmp_path):
    """Each recipe has its own space; an unknown digest has none."""
    one, two = recipe("fake/1"), recipe("fake/2", dim=4)
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(one), 1, 2)
        with store.space(two).writer() as writer:
            writer.append(keys_of(1), vectors_of(1, dim=4))
        assert [space.recipe for space in store.spaces()] == [one, two]
        found = store.find_space(two.digest)
        assert found is not None
        assert (found.read(keys_of(1)) == vectors_of(1, dim=4)).all()
        assert store.find_space(recipe("fake/3").digest) is None
        assert store.find_space(two.digest[:12] + "0" * 52) is None


def test_damaged_recipe_is_named_and_healed(tmp_path):
    """A space whose recipe is broken is left out with a note, until it is written to again."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), 1)
        file = tmp_path / "spaces" / recipe().space_name / "recipe.json"
        file.write_bytes(file.read_bytes()[:50])
        assert store.spaces() == []
        assert any(recipe().space_name in problem for problem in store.problems)
        with pytest.raises(StoreError) as caught:
            store.find_space(recipe().digest)
        assert caught.value.slug == "store-damaged"
        fill(store.space(recipe()), 2)
        assert store.find_space(recipe().digest).n_rows == 2


def test_opening_loads_no_heavy_package(tmp_path):
    """Opening a store and listing its spaces needs neither pyarrow nor anything heavier."""
    with Store.open(tmp_path, create=True) as store:
        fill(store.space(recipe()), 1)
    code = (
        "import sys, pathlib; from vta_cli.store.store import Store;"
        f"s = Store.open(pathlib.Path({str(tmp_path)!r})).spaces();"
        "assert s[0].n_rows == 1;"
        "print([m for m in ('pyarrow', 'torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
