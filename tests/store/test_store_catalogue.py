"""The catalogue believes what is unchanged, and only that."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vta_cli.records import ImageRef
from vta_cli.store.catalogue import Catalogue, Entry
from vta_cli.store.catalogue_file import catalogue_path, is_remote

LONG_AGO = 1_500_000_000_000_000_123


@pytest.fixture
def catalogue(tmp_path):
    opened = Catalogue(tmp_path / "c" / "files.sqlite")
    yield opened
    opened.close()


def entry(path, key=b"k", **other):
    """Return an entry of an old file."""
    values = {
        "size_bytes": 10, "mtime_ns": LONG_AGO, "width": 640, "height": 480, "format": "JPEG",
    } | other  # fmt: skip
    return Entry(path=path, key=key.ljust(32, b"\0") if key else None, **values)


def ref(path, size=10, mtime=LONG_AGO):
    """Return what a source says of a file."""
    return ImageRef(path, path, size, mtime)


def test_known_files_are_found_in_the_order_asked(catalogue):
    """Every field comes back, whatever the order of the batch."""
    entries = [entry(f"/p/{n:04d}.jpg", key=b"%d" % n, size_bytes=n) for n in range(2000)]
    entries.append(entry("/p/bad.jpg", key=None, width=None, reason="truncated", detail="cut"))
    catalogue.record(entries)
    order = np.random.default_rng(0).permutation(len(entries))
    found = catalogue.lookup(
        [ref(entries[i].path, entries[i].size_bytes) for i in order] + [ref("/p/none.jpg")],
    )
    assert found == [*(entries[i] for i in order), None]


def test_columns_say_what_entries_say(catalogue):
    """Contents and pages are the same knowledge by columns, whatever bytes a name holds."""
    entries = [entry(f"/p/{n:05d}.jpg", key=b"%032d" % n, size_bytes=n) for n in range(5000)]
    entries.append(entry("/p/bad.jpg", key=None, reason="truncated", detail="cut"))
    entries.append(entry(os.fsdecode(b"/p/\xff\n.jpg")))
    assert list(catalogue.pages()) == []
    catalogue.record(entries)
    refs = [ref(each.path, each.size_bytes) for each in entries]
    found = catalogue.contents([*refs, ref("/p/00001.jpg", 99), ref("/none")])
    assert plain(found) == [
        *((each.key or bytes(32), each.reason or "", each.detail) for each in entries), None, None,
    ]  # fmt: skip
    assert list(rows_of(catalogue)) == [
        (each.path, each.size_bytes, each.mtime_ns, each.key or bytes(32), each.reason or "")
        for each in catalogue.entries()
    ]


def plain(contents):
    """Return contents as one tuple a file, None for what is not known."""
    return [
        (key.tobytes(), *contents.why(at)) if known else None
        for at, (known, key) in enumerate(zip(contents.known, contents.keys, strict=True))
    ]


def rows_of(catalogue):
    for page in catalogue.pages():
        keys = [key.tobytes() for key in page.keys]
        reasons = page.reasons or [""] * len(keys)
        sizes, mtimes = page.sizes_bytes.tolist(), page.mtimes_ns.tolist()
        yield from zip(page.paths, sizes, mtimes, keys, reasons, strict=True)


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A catalogue of 50 files that was closed, with its file of columns."""
    monkeypatch.setattr("vta_cli.store.catalogue.COLUMNS_ROWS", 40)
    monkeypatch.setattr("vta_cli.store.catalogue._PAGE", 16)
    path = tmp_path / "files.sqlite"
    made = Catalogue(path)
    made.record(entry(f"/p/{n:02d}.jpg", key=b"%032d" % n) for n in range(49))
    made.record([entry("/p/bad.jpg", key=None, reason="truncated")])
    made.close()
    return path


def test_the_file_of_columns_says_what_the_database_says(closed):
    beside = closed.with_suffix(".arrow")
    with contextlib.closing(Catalogue(closed, read_only=True)) as opened:
        by_columns = list(rows_of(opened))
    beside.unlink()
    with contextlib.closing(Catalogue(closed, read_only=True)) as opened:
        assert list(rows_of(opened)) == by_columns
    assert len(by_columns) == 50
    assert not beside.exists()  # a reader writes nothing


@pytest.mark.parametrize("change", ["record", "forget"])
def test_columns_of_an_older_moment_are_not_believed(closed, change):
    before = closed.with_suffix(".arrow").read_bytes()
    with contextlib.closing(Catalogue(closed)) as opened:
        if change == "record":
            opened.record([entry("/p/new.jpg", key=b"n" * 32)])
        else:
            opened.forget(["/p/07.jpg"])
        wanted = list(rows_of(opened))
    assert closed.with_suffix(".arrow").read_bytes() != before
    closed.with_suffix(".arrow").write_bytes(before)
    with contextlib.closing(Catalogue(closed, read_only=True)) as opened:
        assert list(rows_of(opened)) == wanted
    assert len(wanted) == (51 if change == "record" else 49)


def test_damaged_columns_cost_nothing_but_time(closed):
    beside = closed.with_suffix(".arrow")
    with contextlib.closing(Catalogue(closed, read_only=True)) as opened:
        wanted = list(rows_of(opened))
    whole = beside.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-20]):
        beside.write_bytes(damaged)
        with contextlib.closing(Catalogue(closed, read_only=True)) as opened:
            assert list(rows_of(opened)) == wanted


ODD = os.fsdecode(b"/p/3\xff.jpg")


@pytest.fixture
def hundred(tmp_path, monkeypatch):
    """A closed catalogue of a hundred files of many kinds, with its columns in small batches."""
    monkeypatch.setattr("vta_cli.store.catalogue.COLUMNS_ROWS", 40)
    monkeypatch.setattr("vta_cli.store.catalogue.COLUMNS_REFS", 1)
    monkeypatch.setattr("vta_cli.store.catalogue._PAGE", 16)
    path = tmp_path / "files.sqlite"
    made = Catalogue(path)
    made.record(
        entry(f"/p/{n:02d}.jpg", key=b"%032d" % n, size_bytes=n, ctime_ns=5 * (n % 2))
        for n in range(97)
    )
    made.record([entry("/p/7bad.jpg", key=None, reason="truncated", detail="cut"), entry(ODD)])
    made.record([entry("/p/5fresh.jpg", key=b"f" * 32, mtime_ns=LONG_AGO * 2)])  # not believed
    made.close()
    return path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_scan_of_columns_says_what_look_ups_say(hundred, data):
    """Whatever came, went or changed since, and in whatever order files are asked for."""
    names = [f"/p/{n:02d}.jpg" for n in range(97)] + [
        "/p/7bad.jpg",
        "/p/5fresh.jpg",
        ODD,
        "/a",
        "/z",
    ]
    some = data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    if data.draw(st.booleans()):
        some.sort(key=os.fsencode)
    if data.draw(st.booleans()):
        some = [name for name in sorted(names, key=os.fsencode) if name not in some[:3]] or some
    refs = [
        ImageRef(
            name, name,
            int(name[3:5]) if name[3:5].isdigit() and name[5] == "." else 10,
            (2 if "fresh" in name else 1) * LONG_AGO + data.draw(st.sampled_from([0, 0, 0, 1])),
            data.draw(st.sampled_from([0, 5, 5, 6])),
        )
        for name in some
    ]  # fmt: skip
    ctime = data.draw(st.booleans())
    with contextlib.closing(Catalogue(hundred, read_only=True)) as opened:
        by_columns = opened.contents(refs, ctime=ctime)
        opened._distrusted = True  # of the columns alone: the database is open
        by_rows = opened.contents(refs, ctime=ctime)
        one_by_one = [opened.lookup([each])[0] for each in refs]
    assert plain(by_columns) == plain(by_rows)
    if not ctime:
        assert by_rows.known.tolist() == [each is not None for each in one_by_one]


def test_a_whole_scan_needs_no_row_of_the_database(hundred, monkeypatch):
    """What the columns know is not asked of the database, not even for what is new or gone."""
    with contextlib.closing(Catalogue(hundred, read_only=True)) as opened:
        monkeypatch.setattr(opened, "_match", None)
        refs = [ref(f"/p/{n:02d}.jpg", n) for n in range(97) if n != 30]
        refs.insert(50, ref("/p/50new.jpg"))
        known = opened.contents(refs).known
    assert np.flatnonzero(~known).tolist() == [50]


def test_a_large_scan_without_columns_leaves_them_behind(hundred):
    """As after an update of vta, or where somebody deleted the file."""
    beside = hundred.with_suffix(".arrow")
    whole = beside.read_bytes()
    beside.unlink()
    refs = [ref(f"/p/{n:02d}.jpg", n) for n in range(97)]
    with contextlib.closing(Catalogue(hundred)) as opened:
        assert opened.contents(refs).known.all()
    assert beside.read_bytes() == whole


def test_damaged_columns_leave_a_scan_to_the_database(hundred):
    beside = hundred.with_suffix(".arrow")
    whole = beside.read_bytes()
    refs = [ref(f"/p/{n:02d}.jpg", n) for n in range(97)]
    middle = whole.index(b"/p/40.jpg")
    for damaged in (
        b"", b"nonsense", whole[: len(whole) // 2],
        whole[: middle - 400] + b"\xff" * 300 + whole[middle - 100 :],
    ):  # fmt: skip
        beside.write_bytes(damaged)
        with contextlib.closing(Catalogue(hundred, read_only=True)) as opened:
            assert opened.contents(refs).known.all()


def test_the_time_of_change_is_asked_for_only_by_who_reads_again(catalogue):
    """An edit that sets the mtime back is told, and so is a file of which no ctime was kept."""
    catalogue.record([entry("/p/a", ctime_ns=7), entry("/p/b")])
    here = [
        ImageRef(path, path, 10, LONG_AGO, ctime)
        for path, ctime in (("/p/a", 7), ("/p/a", 8), ("/p/a", 0), ("/p/b", 7))
    ]
    for each, believed in zip(here, [True, False, True, True], strict=True):
        assert catalogue.contents([each], ctime=True).known.tolist() == [believed]
        assert catalogue.contents([each]).known.all()
        assert catalogue.lookup([each]) != [None]


def old_table(path):
    """Make the database as vta made it before there was a `ctime_ns`."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE files (path BLOB PRIMARY KEY NOT NULL, size_bytes INTEGER NOT NULL, "
            "mtime_ns INTEGER NOT NULL, trusted INTEGER NOT NULL, key BLOB, width INTEGER, "
            "height INTEGER, format TEXT, reason TEXT, detail TEXT) WITHOUT ROWID;"
        )
        connection.execute(
            "INSERT INTO files VALUES (?,?,?,?,?,?,?,?,?,?)",
            (b"/p/a", 10, LONG_AGO, 1, b"k".ljust(32, b"\0"), 640, 480, "JPEG", None, None),
        )
        connection.commit()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_catalogue_of_an_older_vta_goes_on(tmp_path, read_only):
    path = tmp_path / "files.sqlite"
    old_table(path)
    before = path.read_bytes()
    for _ in range(2):
        with contextlib.closing(Catalogue(path, read_only=read_only)) as opened:
            assert opened.lookup([ref("/p/a")]) == [entry("/p/a")]
            assert opened.contents([ref("/p/a")], ctime=True).known.all()
            opened.record([entry("/p/b", ctime_ns=3)])
            assert opened.count() == (1 if read_only else 2)
    assert not read_only or path.read_bytes() == before


@pytest.mark.parametrize("changed", [ref("/p/a", size=11), ref("/p/a", mtime=LONG_AGO + 1)])
def test_changed_files_are_unknown(catalogue, changed):
    """Another size or another time of change: it has to be read again."""
    catalogue.record([entry("/p/a")])
    assert catalogue.lookup([ref("/p/a"), changed]) == [entry("/p/a"), None]


def test_a_new_entry_takes_the_place_of_the_old(catalogue):
    """One path, one entry."""
    catalogue.record([entry("/p/a", key=b"old")])
    catalogue.record([entry("/p/a", key=b"new", size_bytes=11)])
    assert catalogue.lookup([ref("/p/a"), ref("/p/a", size=11)])[0] is None
    assert catalogue.count() == 1
    assert catalogue.paths_of([b"old".ljust(32, b"\0")]) == {}


def test_undecodable_names_survive(catalogue, tmp_path):
    """Any bytes that the system allows in a name come back the same."""
    raw = b"/p/\xff\xfe \xc3\xa9t\xc3\xa9\n.jpg"
    path = os.fsdecode(raw)
    catalogue.record([entry(path, detail=f"cannot read {path}")])
    found = catalogue.lookup([ref(path)])[0]
    assert os.fsencode(found.path) == raw
    assert [e.path for e in catalogue.entries()] == [path]
    assert catalogue.paths_of([found.key])[found.key] == [path]


@pytest.mark.parametrize(
    ("age_ns", "mtime_ns", "believed"),
    [
        (1_900_000_000, 1_700_000_000_000_000_000, False),  # whole seconds: FAT's steps of two
        (2_000_000_000, 1_700_000_000_000_000_000, True),
        (-5_000_000_000, 1_700_000_000_000_000_000, False),  # from the future
        (90_000_000, 1_700_000_000_123_456_789, False),
        (100_000_000, 1_700_000_000_123_456_789, True),
    ],
)
def test_files_changed_just_before_they_were_read_are_not_believed(
    catalogue, age_ns, mtime_ns, believed
):
    """They may have changed again within the same tick of the file system's clock."""
    one = entry("/p/a", mtime_ns=mtime_ns, read_ns=mtime_ns + age_ns)
    catalogue.record([one])
    assert (catalogue.lookup([ref("/p/a", mtime=mtime_ns)])[0] is not None) == believed
    assert [e.path for e in catalogue.entries()] == ["/p/a"]
    assert list(catalogue.paths_of([one.key])) == [one.key]


def test_without_a_time_of_reading_the_opening_counts(tmp_path):
    """A file changed after the opening is read again by the next run."""
    path = tmp_path / "pic.jpg"
    with_catalogue = Catalogue(tmp_path / "c.sqlite")
    path.write_bytes(b"x" * 10)
    stamp = path.stat().st_mtime_ns
    with_catalogue.record([entry(str(path), mtime_ns=stamp)])
    assert with_catalogue.lookup([ref(str(path), mtime=stamp)]) == [None]
    old = LONG_AGO
    with_catalogue.record([entry(str(path), mtime_ns=old)])
    assert with_catalogue.lookup([ref(str(path), mtime=old)]) != [None]


def test_entries_stream_in_byte_order(catalogue):
    """In the order of bytes, as sorted sources come."""
    names = ["/a/b/1", "/a/b/2", "/a/b-c/1", "/a/b0", "/a/b", "/z", "/a/B", "/a/b/\udcff"]
    catalogue.record(entry(name) for name in names)
    order = sorted(names, key=os.fsencode)
    assert [e.path for e in catalogue.entries()] == order


def test_entries_run_over_many_pages_while_others_write(catalogue):
    """Reading holds no lock that a writer waits for."""
    catalogue.record(entry(f"/p/{n:06d}") for n in range(10_000))
    other = Catalogue(catalogue.path)
    seen = []
    for one in catalogue.entries():
        if len(seen) % 3000 == 0:
            other.record([entry(f"/a/{len(seen)}")])
        seen.append(one.path)
    assert seen == [f"/p/{n:06d}" for n in range(10_000)]
    assert catalogue.count() == 10_004
    other.close()


def test_paths_of_keys(catalogue):
    """Copies are listed together, sorted; many keys at once are no trouble."""
    catalogue.record(entry(f"/p/{n:04d}", key=b"%d" % (n // 2)) for n in range(3000))
    catalogue.record([entry("/p/none", key=None)])
    wanted = [(b"%d" % n).ljust(32, b"\0") for n in range(2000)]
    found = catalogue.paths_of(wanted)
    assert len(found) == 1500
    assert found[wanted[7]] == ["/p/0014", "/p/0015"]


def test_forgetting(catalogue):
    """Forgotten paths are gone, the others stay; unknown ones are no error."""
    catalogue.record(entry(f"/p/{n}") for n in range(10))
    catalogue.forget([f"/p/{n}" for n in range(5)] + ["/p/unknown"])
    assert [e.path for e in catalogue.entries()] == [f"/p/{n}" for n in range(5, 10)]


_path = st.text(st.sampled_from("ab/\u00e9"), min_size=1, max_size=6).map("/".__add__)


@settings(max_examples=30, deadline=None)
@given(held=st.lists(_path, max_size=60), asked=st.lists(_path, max_size=60))
def test_lookup_agrees_with_a_dict(tmp_path_factory, held, asked):
    """Sparse, dense, repeated, absent: the same as one by one."""
    catalogue = Catalogue(tmp_path_factory.mktemp("c") / "c.sqlite")
    truth = {path: entry(path, key=path.encode()[:32]) for path in held}
    catalogue.record(truth.values())
    batch = asked + held
    assert catalogue.lookup([ref(path) for path in batch]) == [truth.get(path) for path in batch]
    assert list(catalogue.entries()) == [truth[p] for p in sorted(truth, key=os.fsencode)]
    catalogue.close()


def test_thin_batches_are_found_too(catalogue):
    """A few refs among very many rows, so that reading whole ranges would not pay."""
    catalogue.record(entry(f"/p/{n:06d}") for n in range(30_000))
    wanted = [f"/p/{n:06d}" for n in range(0, 30_000, 17)]
    found = catalogue.lookup([ref(path) for path in wanted] + [ref("/p/x")])
    assert [e.path for e in found[:-1]] == wanted
    assert found[-1] is None


# What may befall the file.


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 400, b"SQLite format 3\0" + b"\7" * 9000]
)
def test_a_broken_file_is_set_aside(tmp_path, content):
    """It costs hashing again, never a run; the broken file is kept for whoever wants it."""
    path = tmp_path / "c.sqlite"
    path.write_bytes(content)
    catalogue = Catalogue(path)
    assert any("broken" in note for note in catalogue.notes)
    catalogue.record([entry("/p/a")])
    assert catalogue.lookup([ref("/p/a")]) == [entry("/p/a")]
    catalogue.close()
    kept = [p for p in tmp_path.iterdir() if ".broken-" in p.name]
    assert content in [p.read_bytes() for p in kept]
    assert Catalogue(path).notes == []


def test_a_file_that_breaks_while_it_is_open(tmp_path):
    """Pages overwritten behind SQLite's back are met in the middle of a run."""
    path = tmp_path / "c.sqlite"
    first = Catalogue(path)
    first.record(entry(f"/p/{n:05d}") for n in range(5000))
    first.close()
    catalogue = Catalogue(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    assert catalogue.lookup([ref("/p/00001")]) == [None]
    assert catalogue.notes
    catalogue.record([entry("/p/00001")])
    assert catalogue.lookup([ref("/p/00001")]) == [entry("/p/00001")]
    catalogue.close()


def test_read_only_reads_what_the_log_holds(tmp_path):
    """Nothing is written near the file, and what was only in the write-ahead log is seen."""
    writer = Catalogue(tmp_path / "c.sqlite")
    writer.record([entry("/p/a")])
    before = sorted(p.name for p in tmp_path.iterdir())
    reader = Catalogue(tmp_path / "c.sqlite", read_only=True)
    assert reader.lookup([ref("/p/a")]) == [entry("/p/a")]
    reader.record([entry("/p/b")])
    reader.forget(["/p/a"])
    assert reader.count() == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    reader.close()
    writer.close()
    after = Catalogue(tmp_path / "c.sqlite", read_only=True)
    assert after.lookup([ref("/p/a")]) == [entry("/p/a")]
    after.close()
    assert Catalogue(tmp_path / "none" / "c.sqlite", read_only=True).lookup([ref("/p/a")]) == [None]
    assert not (tmp_path / "none").exists()


def test_read_only_of_a_broken_file(tmp_path):
    """It counts as empty and stays as it is."""
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"garbage" * 1000)
    catalogue = Catalogue(path, read_only=True)
    assert catalogue.lookup([ref("/p/a")]) == [None]
    assert catalogue.notes
    assert [p.name for p in tmp_path.iterdir()] == ["c.sqlite"]


_WRITER = """
import sys
from pathlib import Path
from vta_cli.store.catalogue import Catalogue, Entry
name = sys.argv[2]
catalogue = Catalogue(Path(sys.argv[1]))
for start in range(0, 500, 20):
    some = range(start, start + 20)
    catalogue.record(Entry(f"/{name}/{n:04d}", 1, 1500000000000000000, bytes(32)) for n in some)
"""


@pytest.mark.parametrize("broken", [False, True])
def test_many_processes_at_once(tmp_path, broken):
    """All entries arrive, also where they all meet a broken file first."""
    path = tmp_path / "c.sqlite"
    if broken:
        path.write_bytes(b"garbage" * 1000)
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name], cwd=Path.cwd())
        for name in ("a", "b", "c")
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    catalogue = Catalogue(path)
    assert catalogue.count() == 1500
    assert len([p for p in tmp_path.iterdir() if p.name.endswith(".lock")]) <= 1
    assert sum(".broken-" in p.name and p.name[-1].isdigit() for p in tmp_path.iterdir()) == broken


def test_table_is_plain_sqlite(catalogue):
    """Anybody can look into it."""
    catalogue.record([entry("/p/a")])
    with sqlite3.connect(catalogue.path) as plain:
        row = plain.execute("SELECT path, width, height FROM files").fetchone()
    assert row == (b"/p/a", 640, 480)


_MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /mnt/nas rw - nfs4 nas:/export rw
41 22 0:36 / /mnt/my\\040share rw - cifs //win/share rw
42 22 0:37 / /mnt/ssh rw - fuse.sshfs me@host: rw
43 40 8:1 / /mnt/nas/local rw - xfs /dev/sdb rw
44 22 0:38 / /mnt/usb rw - fuse.ntfs-3g /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("/home/me", False), ("/mnt/nas/x", True), ("/mnt/nasty/x", False),
        ("/mnt/my share/x", True), ("/mnt/ssh", True), ("/mnt/nas/local/x", False),
        ("/mnt/usb/x", False),
    ],
)  # fmt: skip
def test_network_file_systems_are_recognised(path, remote):
    """SQLite's log does not work across machines."""
    assert is_remote(Path(path), _MOUNTS) == remote


def test_store_on_a_network_keeps_its_catalogue_here(tmp_path, monkeypatch):
    """Each machine has its own, under the store's id."""
    monkeypatch.setattr("vta_cli.store.catalogue_file.is_remote", lambda _: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = catalogue_path(tmp_path / "store", "abc")
    assert path.is_relative_to(tmp_path / "cache")
    assert "abc" in path.parts
    with_catalogue = Catalogue.of_store(tmp_path / "store", "abc")
    with_catalogue.record([replace(entry("/p/a"), read_ns=0)])
    assert path.exists()
    assert not (tmp_path / "store").exists()
