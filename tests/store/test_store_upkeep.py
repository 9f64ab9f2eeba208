"""check, compact, gc, info: what they find, move, merge and drop."""

import json
import os

import numpy as np
import pytest
from store_making import DIM, files_below, fill, keys_of, recipe, shards_dir, vectors_of

from vta_cli.errors import StoreError
from vta_cli.records import ImageRef
from vta_cli.store import check as check_module
from vta_cli.store.catalogue import Entry
from vta_cli.store.check import check
from vta_cli.store.compact import compact
from vta_cli.store.gc import gc
from vta_cli.store.info import info
from vta_cli.store.shard import verify_shard
from vta_cli.store.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "s", create=True) as opened:
        yield opened


def holds(store, *numbers):
    """Assert that exactly these vectors are in the store, and right."""
    space = store.space(recipe())
    assert sorted(map(bytes, space.keys())) == sorted(map(bytes, keys_of(*numbers)))
    assert (space.read(keys_of(*numbers)) == vectors_of(*numbers)).all()


def damage(path, *, at=-1):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def one_data_file(store, shard, suffix):
    return next(p for p in shards_dir(store).iterdir()
                if p.name.startswith(shard) and p.suffix == suffix)  # fmt: skip


# check


def test_a_sound_store_is_clean(store):
    fill(store.space(recipe()), *range(10), seal_every=4)
    report = check(store)
    assert report.clean
    assert (report.shards, report.rows, report.orphans, report.temps) == (3, 10, 0, 0)
    assert report.bytes == sum(
        p.stat().st_size for p in shards_dir(store).iterdir() if p.suffix != ".json"
    )


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("at", [0, 70, -1])
def test_flipped_bits_are_found_and_healed(store, suffix, at):
    """Wherever the bit is: the shard goes to quarantine, the next embed fills the gap."""
    names = fill(store.space(recipe()), *range(10), seal_every=5)
    damage(one_data_file(store, names[0], suffix), at=at)
    before = files_below(store.path)
    report = check(store)
    assert [problem.rows for problem in report.problems] == [5]
    assert names[0] in report.problems[0].file
    assert report.shards == 1
    assert files_below(store.path) == before

    repaired = check(store, repair=True)
    assert len(repaired.quarantined) == 3
    assert all((store.path / name).exists() for name in repaired.quarantined)
    assert sorted(files_below(store.path).values()) == sorted(before.values())
    assert check(store).clean
    holds(store, *range(5, 10))
    fill(store.space(recipe()), *range(5))
    holds(store, *range(10))
    assert check(store).clean


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".json"])
@pytest.mark.parametrize("length", [0, 40, -1])
def test_cut_files_count_as_absent(store, suffix, length):
    """Readers do not see the shard; embedding again works at once, with or without a repair."""
    names = fill(store.space(recipe()), *range(10), seal_every=5)
    file = shards_dir(store) / f"{names[0]}.json"
    if suffix != ".json":
        file = one_data_file(store, names[0], suffix)
    os.truncate(file, length if length >= 0 else file.stat().st_size - 1)
    holds(store, *range(5, 10))
    fill(store.space(recipe()), *range(5))
    holds(store, *range(10))
    report = check(store, repair=True)
    assert len(report.problems) == 1
    assert check(store).clean
    holds(store, *range(10))


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".json"])
def test_missing_files_count_as_absent(store, suffix):
    """Whatever part of a shard is deleted."""
    names = fill(store.space(recipe()), *range(10), seal_every=5)
    if suffix == ".json":
        (shards_dir(store) / f"{names[0]}.json").unlink()
    else:
        one_data_file(store, names[0], suffix).unlink()
    holds(store, *range(5, 10))
    report = check(store)
    assert report.clean == (suffix == ".json")
    assert report.orphans == (2 if suffix == ".json" else 0)
    fill(store.space(recipe()), *range(5))
    holds(store, *range(10))


def test_a_damaged_key_file_does_not_hide_its_keys_for_ever(store):
    """The checksum fails when the keys are loaded; the shard is then as if absent."""
    names = fill(store.space(recipe()), 1, 2)
    damage(one_data_file(store, names[0], ".parquet"), at=100)
    space = store.space(recipe())
    assert space.missing(keys_of(1, 2)).all()
    assert space.n_rows == 0
    fill(space, 1, 2)
    holds(store, 1, 2)


def test_damage_met_while_reading_is_named(store):
    """A vector file whose header lies is an error with a remedy, not other numbers."""
    names = fill(store.space(recipe()), 1, 2)
    file = one_data_file(store, names[0], ".npy")
    file.write_bytes(file.read_bytes().replace(b"(2, 1, 8)", b"(1, 2, 8)"))
    with pytest.raises(StoreError) as caught:
        store.space(recipe()).read(keys_of(1))
    assert caught.value.slug == "shard-damaged"
    assert names[0] in caught.value.message
    assert "check --repair" in caught.value.hint


def test_what_another_process_removes_meanwhile_is_not_damaged(store, monkeypatch):
    fill(store.space(recipe()), *range(10), seal_every=4)
    compact(store)
    seen = []

    def verify(medium, space, marker):
        if not seen:
            assert compact(store, grace_s=0.0).removed == 3
        seen.append(marker.shard)
        verify_shard(medium, space, marker)

    monkeypatch.setattr(check_module, "verify_shard", verify)
    report = check(store, repair=True)
    assert (report.problems, report.quarantined, len(seen)) == ((), (), 4)


def test_leftovers_are_counted_and_moved_when_old(store):
    """Young ones may belong to a writer at work; nothing is ever deleted."""
    names = fill(store.space(recipe()), 1)
    folder = shards_dir(store)
    (folder / f".{names[0]}.json.00.tmp").write_bytes(b"half")
    (folder / f"{'0' * 24}-{'1' * 16}.npy").write_bytes(b"data")
    young = check(store, repair=True)
    assert young.clean
    assert (young.orphans, young.temps, young.quarantined) == (1, 1, ())
    assert (young.orphan_bytes, young.temp_bytes) == (4, 4)
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    old = check(store, repair=True)
    assert sorted((store.path / name).read_bytes() for name in old.quarantined) == [
        b"data",
        b"half",
    ]
    assert check(store).orphans == check(store).temps == 0
    holds(store, 1)


def test_quarantine_keeps_all_that_comes(store):
    """The same shard damaged twice: both are kept."""
    for _ in range(2):
        names = fill(store.space(recipe()), 1, 2)
        damage(one_data_file(store, names[0], ".npy"))
        check(store, repair=True)
    assert info(store).quarantine_files == 6
    assert check(store).clean


def test_a_space_without_a_recipe_is_a_problem(store):
    fill(store.space(recipe()), 1)
    (shards_dir(store).parent / "recipe.json").unlink()
    report = check(store)
    assert [problem.file for problem in report.problems] == ["recipe.json"]
    fill(store.space(recipe()), 2)
    assert check(store).clean


def test_a_shard_of_another_shape_is_refused(store):
    """Someone copied shards between spaces."""
    fill(store.space(recipe()), 1)
    other = recipe("fake/2", dim=4)
    with store.space(other).writer() as writer:
        writer.append(keys_of(1), vectors_of(1, dim=4))
    for file in shards_dir(store, other).iterdir():
        (shards_dir(store) / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StoreError) as caught:
        store.space(recipe())
    assert caught.value.slug == "wrong-shape"
    assert not check(store, repair=True).clean
    assert check(store).clean
    assert store.space(recipe()).n_rows == 0


# compact


def test_compaction_keeps_every_vector(store):
    """Many small shards become one; the old ones stay for the grace period, then go."""
    fill(store.space(recipe()), *range(30), seal_every=3)
    old = store.space(recipe())
    rows = old.locate(keys_of(*range(30)))
    report = compact(store)
    assert (report.merged, report.written, report.removed, report.waiting) == (10, 1, 0, 10)
    assert (old.take(rows) == vectors_of(*range(30))).all()
    new = store.space(recipe())
    assert new.n_shards == 1
    holds(store, *range(30))
    assert check(store).clean
    assert check(store).replaced == 10
    assert info(store).spaces[0].replaced_bytes == report.waiting_bytes > 0

    swept = compact(store, grace_s=0)
    assert (swept.merged, swept.removed, swept.waiting) == (0, 10, 0)
    assert len(list(shards_dir(store).iterdir())) == 3
    holds(store, *range(30))
    old.refresh()
    assert (old.read(keys_of(*range(30))) == vectors_of(*range(30))).all()


def test_compaction_is_idle_where_nothing_is_small(store):
    """A second one changes nothing."""
    fill(store.space(recipe()), *range(30), seal_every=3)
    compact(store, grace_s=0)
    before = files_below(store.path)
    assert compact(store, grace_s=0).written == 0
    assert files_below(store.path) == before


def test_compaction_respects_the_target(store):
    """Groups end at the target size."""
    fill(store.space(recipe()), *range(40), seal_every=4)
    one = store.space(recipe()).markers[0].data_bytes
    compact(store, target_bytes=one * 4, grace_s=0)
    assert store.space(recipe()).n_shards in {3, 4}
    holds(store, *range(40))


def test_compaction_merges_copies_dtypes_and_skips(store):
    """Doubled keys are kept once, wide shards stay wide, skips survive unless they are void."""
    skipped, void = (bytes(row) for row in keys_of(50, 1))
    fill(store.space(recipe()), 1, 2, 3)
    fill(store.space(recipe()), 3, 4)
    with store.space(recipe()).writer() as writer:
        writer.append_skips([(skipped, "broken", "cut"), (void, "broken", "cut")])
    for number in (5, 6):
        with store.space(recipe()).writer() as writer:
            writer.append(keys_of(number), vectors_of(number) * 1e6)
    compact(store, grace_s=0)
    space = store.space(recipe())
    assert sorted(m.dtype for m in space.markers) == ["float16", "float32"]
    assert space.n_rows == 6
    assert (space.read(keys_of(1, 2, 3, 4)) == vectors_of(1, 2, 3, 4)).all()
    assert (space.read(keys_of(5, 6)) == vectors_of(5, 6) * 1e6).all()
    assert dict(space.skips()) == {skipped: ("broken", "cut")}
    assert check(store).clean


def test_damaged_shards_are_not_merged(store):
    """A flipped bit must not get a fresh checksum."""
    names = fill(store.space(recipe()), *range(9), seal_every=3)
    damage(one_data_file(store, names[1], ".npy"))
    report = compact(store, grace_s=0)
    assert report.written == 0
    assert names[1] in report.problems[0]
    check(store, repair=True)
    assert compact(store, grace_s=0).written == 1
    holds(store, 0, 1, 2, 6, 7, 8)


def test_what_a_damaged_merger_replaced_is_kept(store):
    """Nothing is removed before what stands in for it has been read whole."""
    fill(store.space(recipe()), *range(9), seal_every=3)
    compact(store)
    merged = store.space(recipe()).markers[0].shard
    damage(one_data_file(store, merged, ".npy"))
    report = compact(store, grace_s=0)
    assert (report.removed, report.waiting) == (0, 3)
    assert report.problems
    check(store, repair=True)
    holds(store, *range(9))


def test_a_merger_with_damaged_keys_gives_way_to_what_it_replaced(store):
    """Readers go back to the small shards by themselves."""
    fill(store.space(recipe()), *range(9), seal_every=3)
    compact(store)
    damage(one_data_file(store, store.space(recipe()).markers[0].shard, ".parquet"), at=60)
    holds(store, *range(9))
    assert store.space(recipe()).n_shards == 1  # until its keys are loaded


def test_upkeep_of_a_read_only_store_is_refused(store):
    fill(store.space(recipe()), 1, 2, seal_every=1)
    before = files_below(store.path)
    closed = Store.open(store.path, read_only=True)
    for work in (
        lambda: compact(closed),
        lambda: check(closed, repair=True),
        lambda: gc(closed, keys_of(), dry_run=False),
    ):
        with pytest.raises(StoreError) as caught:
            work()
        assert caught.value.slug == "store-read-only"
    assert check(closed).clean
    assert gc(closed, keys_of()).rows == 2
    assert info(closed).spaces[0].rows == 2
    assert files_below(store.path) == before


# gc


def test_gc_drops_only_what_nobody_keeps(store):
    """Dry first; dropped keys are missing, the others untouched, in every space."""
    other = recipe("fake/2", dim=4)
    fill(store.space(recipe()), *range(10), seal_every=5)
    with store.space(other).writer() as writer:
        writer.append(keys_of(1, 2), vectors_of(1, 2, dim=4))
        writer.append_skips([(bytes(keys_of(3)[0]), "broken", ""), (bytes(keys_of(4)[0]), "b", "")])
    before = files_below(store.path)
    keep = keys_of(0, 1, 2, 4)
    dry = gc(store, keep)
    assert files_below(store.path) == before
    assert (dry.rows, dry.skips, dry.kept_rows, dry.dry_run) == (6, 1, 6, True)
    wet = gc(store, keep, dry_run=False)
    assert (wet.rows, wet.skips, wet.kept_rows, wet.shards) == (6, 1, 6, dry.shards)
    holds(store, 0, 1, 2, 4)
    assert (store.space(other).read(keys_of(1, 2)) == vectors_of(1, 2, dim=4)).all()
    assert set(store.space(other).skips()) == {bytes(keys_of(4)[0])}
    compact(store, grace_s=0)
    holds(store, 0, 1, 2, 4)
    assert check(store).clean
    assert check(store).replaced == 0
    assert gc(store, keep).rows == 0


def test_dropped_images_can_come_back(store):
    """The same work has the same shard name; it must not stay replaced for ever."""
    for grace in (3600, 0):
        fill(store.space(recipe()), 1, 2)
        gc(store, keys_of(), dry_run=False)
        compact(store, grace_s=grace)
        assert store.space(recipe()).missing(keys_of(1, 2)).all()
        fill(store.space(recipe()), 1, 2)
        holds(store, 1, 2)
        compact(store, grace_s=grace)
        holds(store, 1, 2)
    assert check(store).clean


def test_emptying_a_store_leaves_nothing(store):
    """Not even the empty shards that stood in for the dropped ones."""
    fill(store.space(recipe()), *range(6), seal_every=2)
    gc(store, keys_of(), dry_run=False)
    compact(store, grace_s=0)
    compact(store, grace_s=0)
    assert list(shards_dir(store).iterdir()) == []


def test_generations_of_replacement_do_not_come_back_to_life(store):
    """Merged, dropped, merged again within the grace period: dropped keys stay dropped."""
    fill(store.space(recipe()), *range(8), seal_every=2)
    compact(store)
    gc(store, keys_of(*range(6)), dry_run=False)
    fill(store.space(recipe()), 20, 21, seal_every=1)
    compact(store)
    gc(store, keys_of(0, 1, 20), dry_run=False)
    holds(store, 0, 1, 20)
    compact(store, grace_s=0)
    holds(store, 0, 1, 20)
    assert check(store).clean
    assert check(store).replaced == 0


# info


def test_info_counts(store):
    store.pin("classic")
    fill(store.space(recipe()), *range(6), seal_every=2)
    with store.space(recipe()).writer() as writer:
        writer.append_skips(
            [(bytes([n]) * 32, "broken" if n else "too-large", "") for n in range(3)]
        )
    store.catalogue.record([Entry("/p/a", 1, 1, bytes(32))])
    report = info(store)
    assert (report.id, report.preset, report.catalogue_entries) == (store.id, "classic", 1)
    space = report.spaces[0]
    assert (space.rows, space.shards, space.damaged) == (6, 4, 0)
    assert dict(space.skips) == {"broken": 2, "too-large": 1}
    assert space.recipe == recipe()
    assert space.dtypes == ("float16",)
    assert store.catalogue.lookup([ImageRef("/p/a", "a", 1, 1)])[0] is not None


def test_markers_of_unknown_fields_are_read(store):
    """A marker is checked by its own sum, so later fields need no new format."""
    from blake3 import blake3

    name = fill(store.space(recipe()), 1)[0]
    file = shards_dir(store) / f"{name}.json"
    body = json.loads(file.read_text()) | {"later": 1}
    del body["blake3"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["blake3"] = blake3(text.encode()).hexdigest()
    file.write_text(json.dumps(body))
    holds(store, 1)
    body["format"] = 2
    del body["blake3"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    file.write_text(json.dumps(body | {"blake3": blake3(text.encode()).hexdigest()}))
    with pytest.raises(StoreError) as caught:
        store.space(recipe())
    assert caught.value.slug == "store-newer"


def test_compaction_of_wide_rows_is_exact(store):
    """Float32 rows pass through without rounding."""
    wide = (np.random.default_rng(0).standard_normal((4, DIM)) * 1e5).astype(np.float32)
    for row in range(4):
        with store.space(recipe()).writer() as writer:
            writer.append(keys_of(row), wide[row : row + 1])
    compact(store, grace_s=0)
    assert (store.space(recipe()).read(keys_of(*range(4)))[:, 0] == wide).all()
