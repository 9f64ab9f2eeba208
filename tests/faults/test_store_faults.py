"""Writers that die, media that lie, disks that fill up: the store stays right."""

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from store_making import (
    Forgetful,
    Linkless,
    Stepped,
    fill,
    keys_of,
    open_on,
    recipe,
    shards_dir,
    vectors_of,
)

from vta_cli.errors import StoreError
from vta_cli.store.check import check
from vta_cli.store.compact import compact
from vta_cli.store.gc import gc
from vta_cli.store.medium import LocalMedium
from vta_cli.store.shard import list_shards
from vta_cli.store.store import Store

FIRST, SECOND = range(4), range(4, 8)
ALL_KEYS = keys_of(*range(40))


@pytest.fixture
def no_sync(monkeypatch):
    """Save the time of syncing: a process that dies does not lose what the system holds."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def rows_are_right(store):
    """Assert that each key that the store says it has reads as its vector; return the numbers."""
    space = store.space(recipe())
    here = np.flatnonzero(~space.missing(ALL_KEYS)).tolist()
    assert (space.read(keys_of(*here)) == vectors_of(*here)).all()
    assert len(space.keys()) == len(here)
    return here


def in_a_process_that_dies(path, step, work):
    """Run `work(store)` in a forked process that dies, as by SIGKILL, before the given step.

    Returns whether it died; False if the work had fewer steps.
    """
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):

            def before(number):
                if number == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            work(open_on(path, Stepped(path, before)))
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_between_any_two_steps_of_a_commit(tmp_path, no_sync):
    """From nothing to two shards: what had been sealed before is there, and the next run heals."""

    def work(store):
        fill(store.space(recipe()), *FIRST, *SECOND, seal_every=4)

    step, seen = 0, set()
    while True:
        path = tmp_path / str(step)
        died = in_a_process_that_dies(path, step, work)
        with Store.open(path, create=True) as store:
            here = rows_are_right(store)
            assert here in ([], [*FIRST], [*FIRST, *SECOND])
            seen.add(len(here))
            assert check(store).clean
            work(store)
            assert rows_are_right(store) == [*FIRST, *SECOND]
            report = check(store, repair=True, grace_s=-10)
            assert report.clean
            assert check(store).orphans == check(store).temps == 0
            assert rows_are_right(store) == [*FIRST, *SECOND]
        if not died:
            break
        step += 1
    assert seen == {0, 4, 8}
    assert step > 25


@pytest.mark.parametrize("upkeep", ["compact", "gc"])
def test_killed_between_any_two_steps_of_upkeep(tmp_path, no_sync, upkeep):
    """Compaction and collection: every vector that is to stay is there at any moment."""
    keep = list(FIRST)

    def work(store):
        if upkeep == "gc":
            gc(store, keys_of(*keep), dry_run=False)
        compact(store, grace_s=0)

    with Store.open(tmp_path / "whole", create=True) as store:
        fill(store.space(recipe()), *FIRST, *SECOND, seal_every=3)
    step = 0
    while True:
        path = tmp_path / str(step)
        shutil.copytree(tmp_path / "whole", path)
        died = in_a_process_that_dies(path, step, work)
        with Store.open(path) as store:
            here = rows_are_right(store)
            assert set(keep) <= set(here) <= {*FIRST, *SECOND}
            if upkeep == "compact":
                assert here == [*FIRST, *SECOND]
            assert check(store).clean
            work(store)
            assert rows_are_right(store) == (keep if upkeep == "gc" else [*FIRST, *SECOND])
            check(store, repair=True, grace_s=-10)
            work(store)
            files = list_shards(store.medium, recipe().space_name)
            assert not files.replaced
            assert len(files.items) == 3
        if not died:
            break
        step += 1
    assert step > 15


def test_half_a_marker_without_hard_links(tmp_path):
    """Where the marker has to be written in place, half of one is no marker."""
    store = open_on(tmp_path / "s", Linkless(tmp_path / "s"))
    name = fill(store.space(recipe()), *FIRST)[0]
    assert rows_are_right(store) == [*FIRST]
    marker = shards_dir(store) / f"{name}.json"
    whole = marker.read_bytes()
    for length in range(0, len(whole), 37):
        marker.write_bytes(whole[:length])
        assert rows_are_right(store) == []
    fill(store.space(recipe()), *FIRST)
    assert rows_are_right(store) == [*FIRST]
    check(store, repair=True)
    assert rows_are_right(store) == [*FIRST]


def test_a_store_without_hard_links_is_whole(tmp_path):
    """Creating, replaying and racing work there as well."""
    path = tmp_path / "s"
    assert open_on(path, Linkless(path)).exclusive_create
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(
            lambda _: fill(open_on(path, Linkless(path)).space(recipe()), *range(12), seal_every=4),
            range(4),
        ))  # fmt: skip
    with Store.open(path) as store:
        assert rows_are_right(store) == [*range(12)]
        assert check(store).clean


def test_a_medium_that_ignores_conditions(tmp_path):
    """Many writers of the same and of overlapping work, where creating always says yes."""
    path = tmp_path / "s"
    assert not open_on(path, Forgetful(path)).exclusive_create

    def write(number):
        store = open_on(path, Forgetful(path))
        fill(store.space(recipe()), *range(12), seal_every=4)
        fill(store.space(recipe()), *range(number, number + 6))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with Store.open(path) as store:
        assert rows_are_right(store) == [*range(12)]
        assert check(store).clean
        compact(store, grace_s=0)
        assert rows_are_right(store) == [*range(12)]


_MANY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from store_making import keys_of, recipe, vectors_of
from vta_cli.store.store import Store
start, stop, seal = map(int, sys.argv[3:6])
with Store.open(Path(sys.argv[2]), create=True) as store:
    with store.space(recipe()).writer() as writer:
        for number in range(start, stop):
            writer.append(keys_of(number), vectors_of(number))
            if number % seal == seal - 1:
                writer.seal()
                print(number + 1, flush=True)
"""


def start_writer(path, start, stop, seal):
    """Start a process that writes vectors and prints how far it has committed."""
    here = os.path.dirname(sys.modules["store_making"].__file__)
    return subprocess.Popen(
        [sys.executable, "-c", _MANY, here, str(path), str(start), str(stop), str(seal)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_writers_in_several_processes(tmp_path):
    """Overlapping work by four processes, one of which makes the store: all succeed."""
    running = [start_writer(tmp_path / "s", start, start + 20, 5) for start in (0, 0, 10, 20)]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    for process in running:
        process.stdout.close()
    with Store.open(tmp_path / "s") as store:
        assert rows_are_right(store) == [*range(40)]
        assert check(store).clean


@pytest.mark.parametrize("moment", range(4))
def test_sigkill_of_a_writer(tmp_path, moment):
    """Whatever was reported as committed is there; the next run completes."""
    process = start_writer(tmp_path / "s", 0, 100_000, 2)
    committed = 0
    for line in process.stdout:
        committed = int(line)
        if committed >= 6 * moment + 2:
            break
    # any moment has to be survivable, so let it differ from run to run
    time.sleep(random.random() * 0.03)
    process.kill()
    committed = max([committed, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    with Store.open(tmp_path / "s") as store:
        space = store.space(recipe())
        assert committed > 0
        assert (space.read(keys_of(*range(committed))) == vectors_of(*range(committed))).all()
        assert check(store).clean
        fill(space, *range(40))
        assert set(range(40)) <= set(rows_are_right(store))


def test_readers_survive_a_compaction_at_any_time(tmp_path):
    """A reader that listed the space before reads on; one that comes later reads the merger."""
    path = tmp_path / "s"
    with Store.open(path, create=True) as store:
        fill(store.space(recipe()), *range(12), seal_every=2)
        early = store.space(recipe())
        rows = early.locate(keys_of(*range(12)))

        def look(step):
            del step
            assert (early.take(rows) == vectors_of(*range(12))).all()
            with Store.open(path) as other:
                assert rows_are_right(other) == [*range(12)]

        compact(open_on(path, Stepped(path, look)))
        early.refresh()
        assert (early.read(keys_of(*range(12))) == vectors_of(*range(12))).all()


def test_removal_beside_a_writer_of_the_same_shard(tmp_path, no_sync):
    """The writer commits anew what is being removed, between any two steps of the removal."""
    for moment in range(12):
        path = tmp_path / str(moment)
        with Store.open(path, create=True) as store:
            fill(store.space(recipe()), *FIRST)
            gc(store, keys_of(), dry_run=False)
        busy = []

        def commit_again(step, *, path=path, moment=moment, busy=busy):
            if step == moment and not busy:
                busy.append(1)
                fill(Store.open(path).space(recipe()), *FIRST)

        compact(open_on(path, Stepped(path, commit_again)), grace_s=0)
        with Store.open(path) as store:
            if busy:
                assert rows_are_right(store) == [*FIRST]
            assert check(store).clean


@pytest.mark.parametrize("pause", range(1, 7))
def test_writer_beside_a_removal_of_the_same_shard(tmp_path, no_sync, pause):
    """A removal stops at a step, the writer runs up to any step of its own, the removal ends."""
    with Store.open(tmp_path / "whole", create=True) as store:
        fill(store.space(recipe()), *FIRST)
        gc(store, keys_of(), dry_run=False)
    moment, met = 0, True
    while met:
        path = tmp_path / str(moment)
        shutil.copytree(tmp_path / "whole", path)
        paused, goes_on = threading.Event(), threading.Event()

        def stop(step, *, paused=paused, goes_on=goes_on):
            if step == pause:
                paused.set()
                goes_on.wait(10)

        removal = threading.Thread(
            target=compact, args=(open_on(path, Stepped(path, stop)),), kwargs={"grace_s": 0}
        )
        removal.start()
        paused.wait(10)
        met = False

        def let_it_end(step, *, moment=moment, goes_on=goes_on, removal=removal):
            nonlocal met
            if step == moment:
                met = True
                goes_on.set()
                removal.join()

        fill(open_on(path, Stepped(path, let_it_end)).space(recipe()), *FIRST)
        goes_on.set()
        removal.join()
        with Store.open(path) as store:
            assert rows_are_right(store) == [*FIRST]
            assert check(store).clean
        moment += 1
    assert moment > 10


# Disks.


class Failing(LocalMedium):
    """A disk that refuses from a certain write on."""

    def __init__(self, root, code, allowed):
        super().__init__(root)
        self.code = code
        self.allowed = allowed

    def write_temp(self, path, parts):
        """Write half of the content, then fail, once the allowance is spent."""
        if self.allowed == 0:
            path.write_bytes(b"half")
            raise OSError(self.code, os.strerror(self.code))
        self.allowed -= 1
        super().write_temp(path, parts)


@pytest.mark.parametrize(
    ("code", "slug"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "store-read-only"),
        (errno.EACCES, "store-read-only"),
        (errno.EIO, "store-io"),
    ],
)
def test_a_disk_that_fails(tmp_path, code, slug):
    """Nothing is half committed, no temporary file stays, the rows can be sealed later."""
    path = tmp_path / "s"
    with Store.open(path, create=True) as store:
        fill(store.space(recipe()), *FIRST)
    for allowed in range(4):
        medium = Failing(path, code, allowed)
        writer = open_on(path, medium).space(recipe()).writer()
        writer.append(keys_of(*SECOND), vectors_of(*SECOND))
        if allowed == 3:
            writer.seal()
            break
        with pytest.raises(StoreError) as caught:
            writer.seal()
        assert caught.value.slug == slug
        assert caught.value.exit_code == 1
        assert caught.value.hint
        assert writer.rows_buffered == len(SECOND)
        with Store.open(path) as store:
            assert rows_are_right(store) == [*FIRST]
            assert check(store).temps == 0
    with Store.open(path) as store:
        assert rows_are_right(store) == [*FIRST, *SECOND]


def write_one(space, error=None):
    """Write a row and leave the writer, by way of an error if one is given."""
    with space.writer() as writer:
        writer.append(keys_of(1), vectors_of(1))
        if error is not None:
            raise error


def test_leaving_a_writer_on_a_full_disk(tmp_path):
    """The error of the disk is not lost, and does not hide the one that was on its way."""
    path = tmp_path / "s"
    Store.open(path, create=True)
    space = open_on(path, Failing(path, errno.ENOSPC, 0)).space(recipe())
    with pytest.raises(StoreError) as caught:
        write_one(space)
    assert caught.value.slug == "disk-full"
    with pytest.raises(KeyboardInterrupt) as caught:
        write_one(space, KeyboardInterrupt())
    assert any("1 row was not committed" in note for note in caught.value.__notes__)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, where the tests may mount one."""
    point = tmp_path / "disk"
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", point], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield point
    subprocess.run(["umount", "-l", point], check=True)


def test_a_disk_that_is_really_full(small_disk):
    """What was sealed stays, the rest is refused by name, and the store can still be read."""
    wide = recipe(dim=4096)
    numbers = range(500)
    store = Store.open(small_disk / "s", create=True)
    writer = store.space(wide).writer(max_bytes=1 << 17)

    def write_all():
        with writer:
            for number in numbers:
                writer.append(keys_of(number), vectors_of(number, dim=4096))

    with pytest.raises(StoreError) as caught:
        write_all()
    assert caught.value.slug == "disk-full"
    space = store.space(wide)
    kept = [n for n in numbers if not space.missing(keys_of(n))[0]]
    assert len(kept) == writer.rows_committed > 50
    assert (space.read(keys_of(*kept)) == vectors_of(*kept, dim=4096)).all()
    assert check(store).clean
    assert check(store).temps == 0


def test_a_read_only_file_system(small_disk):
    """Reading works, with or without saying so; writing is refused by name."""
    from vta_cli.records import ImageRef
    from vta_cli.store.catalogue import Entry

    with Store.open(small_disk / "s", create=True) as store:
        fill(store.space(recipe()), *FIRST)
        store.catalogue.record([Entry("/p/a", 1, 1, bytes(32))])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for read_only in (True, False):
        with Store.open(small_disk / "s", read_only=read_only) as store:
            assert rows_are_right(store) == [*FIRST]
            assert store.catalogue.lookup([ImageRef("/p/a", "a", 1, 1)])[0] is not None
            store.catalogue.record([Entry("/p/b", 1, 1, bytes(32))])
            assert check(store).clean
            with pytest.raises(StoreError) as caught:
                store.space(recipe()).writer()  # before any work is done
            assert caught.value.slug == "store-read-only"
    with pytest.raises(StoreError) as caught:
        Store.open(small_disk / "t", create=True)
    assert caught.value.slug == "store-read-only"


def test_a_limit_on_file_size(tmp_path):
    """The system's own refusal in the middle of a write leaves nothing behind."""
    wide = recipe(dim=4096)
    store = Store.open(tmp_path / "s", create=True)
    writer = store.space(wide).writer()
    writer.append(keys_of(*range(20)), vectors_of(*range(20), dim=4096))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(StoreError) as caught:
            writer.seal()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.slug == "store-io"
    assert check(store).temps == 0
    writer.seal()
    assert not np.any(store.space(wide).missing(keys_of(*range(20))))
