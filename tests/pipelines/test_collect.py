"""What `vta store gc` drops: vectors whose images are gone, and never all of them."""

import numpy as np
import pytest

from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action, Item, plan
from vta_cli.backbones.classic_recipe import recipe
from vta_cli.errors import StoreError
from vta_cli.pipelines import mounts
from vta_cli.pipelines.collect import collect
from vta_cli.pipelines.lanes import key_rows
from vta_cli.store.catalogue import Entry
from vta_cli.store.store import Store

RECIPE = recipe()
KEYS = [bytes([number]) * 32 for number in range(4)]


@pytest.fixture
def store(tmp_path):
    """A store of four images, two of them at hand, and what it says it has."""
    with Store.open(tmp_path / "store", create=True) as opened:
        paths = [tmp_path / f"{number}.jpg" for number in range(4)]
        for path in paths[:2]:
            path.write_bytes(b"x")
        opened.catalogue.record(
            Entry(str(path), 1, 1, key) for path, key in zip(paths, KEYS, strict=True)
        )
        with opened.space(RECIPE).writer() as writer:
            writer.append(key_rows(KEYS), np.ones((4, RECIPE.dim), np.float32))
        yield opened


def lacking(store):
    return store.space(RECIPE).missing(key_rows(KEYS)).tolist()


def test_only_what_is_gone_is_dropped_and_only_when_told(store):
    would = collect(store, dry_run=True)
    assert lacking(store) == [False] * 4
    report = collect(store, dry_run=False)
    assert (report.n_paths_gone, report.n_rows, report.own_catalogue) == (2, 2, False)
    assert report == would
    assert lacking(store) == [False, False, True, True]
    assert store.catalogue.count() == 2


def test_a_disk_that_is_not_mounted_costs_no_vector(store, tmp_path):
    for path in tmp_path.glob("*.jpg"):
        path.unlink()
    with pytest.raises(StoreError) as caught:
        collect(store, dry_run=False)
    assert caught.value.slug == "nothing-would-stay"
    assert lacking(store) == [False] * 4


def test_one_of_several_disks_that_is_not_mounted_costs_no_vector(store, tmp_path, monkeypatch):
    """Its place is known from fstab and empty, or one of those where systems mount disks."""
    disk = tmp_path / "my disk"
    listed = tmp_path / "fstab"
    name = str(disk).replace(" ", "\\040")
    listed.write_text(f"# no\nUUID=1 {name} ext4 defaults 0 2\nUUID=2 none swap sw 0 0\n")
    monkeypatch.setattr(mounts, "FSTAB", listed)
    usual = "/media/nobody/no-such-disk/3.jpg"
    store.catalogue.record(
        [Entry(str(disk / "sub" / "2.jpg"), 1, 1, KEYS[2]), Entry(usual, 1, 1, KEYS[3])]
    )
    for ready in (None, disk.mkdir):
        if ready:
            ready()
        found = collect(store, dry_run=True)
        assert (found.n_paths_gone, found.n_rows, found.n_away) == (2, 0, 2)
        assert str(disk) in found.away
    (disk / "lost+found").mkdir()  # mounted, and the image is not there
    found = collect(store, dry_run=False)
    assert (found.n_paths_gone, found.n_rows, found.n_away) == (3, 1, 1)
    assert lacking(store) == [False, False, True, False]


def test_what_vta_has_moved_is_not_gone(store, tmp_path):
    """Also not after two moves, and before the new places were embedded."""
    for start, end in (("", "a"), ("a", "b")):
        item = Item(str(tmp_path / start / "1.jpg"), "1.jpg")
        steps = plan([item], tmp_path / end, Action.MOVE)
        assert execute(steps, store.journal_dir, command="").done == 1
    assert collect(store, dry_run=False).n_paths_gone == 2
    assert lacking(store) == [False, False, True, True]
    # once the new place is known the old one need not be
    store.catalogue.record([Entry(str(tmp_path / "b" / "1.jpg"), 1, 1, KEYS[1])])
    assert collect(store, dry_run=False).n_paths_gone == 1
    assert store.catalogue.count() == 2
    assert lacking(store) == [False, False, True, True]
    (tmp_path / "b" / "1.jpg").unlink()
    assert collect(store, dry_run=False).n_paths_gone == 1
    assert lacking(store) == [False, True, True, True]


def test_a_file_that_cannot_be_looked_at_is_not_gone(store, tmp_path):
    """As one that may not be read, or on a disk that fails."""
    unseen = tmp_path / ("x" * 1000)  # the system refuses to look for it
    store.catalogue.record([Entry(str(unseen), 1, 1, KEYS[2])])
    assert collect(store, dry_run=False).n_paths_gone == 2
    assert lacking(store) == [False, False, False, True]


def test_it_says_when_the_images_of_other_machines_are_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr("vta_cli.store.catalogue_file.is_remote", lambda _path: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Store.open(tmp_path / "store", create=True) as opened:
        assert collect(opened, dry_run=True).own_catalogue
