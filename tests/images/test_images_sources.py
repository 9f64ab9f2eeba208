import io
import itertools
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vta_cli.errors import UsageError
from vta_cli.images.sources import KINDS, scan
from vta_cli.records import ImageRef, Skip


def plant(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (len(name) + 1))
    return root


def rels(found):
    return [one.rel for one in found if isinstance(one, ImageRef)]


def skips(found):
    return {Path(one.path).name: one.reason for one in found if isinstance(one, Skip)}


def slug_of(*specs, **options):
    with pytest.raises(UsageError) as caught:
        scan(specs, **options)
    return caught.value.slug


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_every_file_below_it_whatever_its_suffix(here):
    plant(here, "b.JPG", "a/x.png", "a/deep/er/y", "c.txt", "z z.webp")
    found = list(scan(["."]))
    assert rels(found) == ["a/deep/er/y", "a/x.png", "b.JPG", "c.txt", "z z.webp"]
    one = found[1]
    status = os.stat(here / "a/x.png")
    times = status.st_mtime_ns, status.st_ctime_ns
    assert one == ImageRef(str(here / "a/x.png"), "a/x.png", status.st_size, *times)


NAMES = st.text(
    st.sampled_from("aA0-./ !~éé€\U0001f600\udcff\udc80".replace("/", "").replace(".", "-")),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=25))
def test_the_order_is_that_of_the_paths_bytes(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("order")
    for parts in trees:
        try:
            plant(root, "/".join(parts))
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue  # one name is a folder in another path
    expected = sorted(
        os.fsencode(os.path.join(folder, name))
        for folder, _, names in os.walk(root)
        for name in names
    )
    assert [os.fsencode(one.path) for one in scan([str(root)])] == expected


def test_a_folder_sorts_as_if_it_ended_in_a_slash(here):
    plant(here, "a/c.jpg", "a-b.jpg", "a0.jpg", "a.jpg", "a b/x", "A/x")
    assert rels(scan(["."])) == ["A/x", "a b/x", "a-b.jpg", "a.jpg", "a/c.jpg", "a0.jpg"]


def test_hidden_names_and_stores_are_left_out(here):
    plant(here, "a.jpg", ".b.jpg", ".c/d.jpg", "box/store.json", "box/spaces/s/v.npy", "box/e.jpg")
    plant(here, "notastore/store.json", ".vta/store.json", ".vta/spaces/v.npy")
    assert rels(scan(["."])) == ["a.jpg", "notastore/store.json"]
    assert rels(scan(["."], hidden=True)) == [".b.jpg", ".c/d.jpg", "a.jpg", "notastore/store.json"]
    assert slug_of("box") == "source-is-store"


def test_excluded_roots_are_left_out_of_every_kind(here):
    plant(here, "a.jpg", "out/b.jpg", "out/sub/c.jpg", "outer/d.jpg")
    (here / "list.txt").write_text("a.jpg\nout/sub/c.jpg\n")
    exclude = [Path("out"), here / "list.txt"]
    assert rels(scan(["."], exclude=exclude)) == ["a.jpg", "outer/d.jpg"]
    assert rels(scan(["**/*.jpg"], exclude=exclude)) == ["a.jpg", "outer/d.jpg"]
    assert rels(scan(["list.txt"], exclude=exclude)) == ["a.jpg"]
    assert rels(scan(["out/b.jpg", "out"], exclude=exclude)) == []


class TestSymbolicLinks:
    @pytest.fixture
    def tree(self, here):
        plant(here, "real/a.jpg", "real/sub/b.jpg", "else/where.jpg")
        (here / "real/sub/up").symlink_to(here / "real")
        (here / "real/file-link.jpg").symlink_to(here / "else/where.jpg")
        (here / "real/folder-link").symlink_to(here / "else")
        (here / "real/dangling").symlink_to("nowhere")
        (here / "real/itself").symlink_to("itself")
        return here / "real"

    def test_files_is_the_default(self, tree):
        found = list(scan([str(tree)]))
        assert rels(found) == ["a.jpg", "file-link.jpg", "sub/b.jpg"]
        assert skips(found) == {"dangling": "missing-file", "itself": "missing-file"}

    def test_follow_enters_each_folder_once(self, tree):
        found = list(scan([str(tree)], symlinks="follow"))
        assert rels(found) == ["a.jpg", "file-link.jpg", "folder-link/where.jpg", "sub/b.jpg"]

    def test_skip_takes_none(self, tree):
        assert [one.rel for one in scan([str(tree)], symlinks="skip")] == ["a.jpg", "sub/b.jpg"]

    def test_what_the_user_names_is_followed_under_every_policy(self, tree, here):
        (here / "alias").symlink_to(tree)
        specs = ["alias", "real/file-link.jpg"]
        for policy in ("files", "follow", "skip"):
            assert {"sub/b.jpg", "file-link.jpg"} <= set(rels(scan(specs, symlinks=policy)))


def test_special_files_and_empty_files(here):
    plant(here, "a.jpg")
    (here / "empty.jpg").touch()
    os.mkfifo(here / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        found = list(scan(["."]))
    assert rels(found) == ["a.jpg", "empty.jpg"]
    assert skips(found) == {"pipe.jpg": "not-a-file", "socket.jpg": "not-a-file"}


def test_a_folder_that_cannot_be_read_is_skipped_by_name(here, monkeypatch):
    plant(here, "a/x.jpg", "closed/y.jpg", "z.jpg")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(scan(["."]))
    assert rels(found) == ["a/x.jpg", "z.jpg"]
    assert found[1] == Skip(str(here / "closed") + "/", "no-permission", "Permission denied")


def test_a_file_that_vanishes_during_the_walk_is_a_skip(here, monkeypatch):
    monkeypatch.setattr("vta_cli.images.walk.RUN_FILES", 1)
    plant(here, "a.jpg", "b.jpg")
    stream = scan(["."])
    assert next(stream).rel == "a.jpg"
    (here / "b.jpg").unlink()
    assert [one.reason for one in stream] == ["missing-file"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg", "b.jpg"]),
        ("shots/*.jpg", ["1.jpg", "[x].jpg"]),
        ("shots/**/*.jpg", ["1.jpg", "[x].jpg", "deep/2.jpg", "deep/er/3.jpg"]),
        ("shots/**", ["1.jpg", "4.JPG", "[x].jpg", "deep/2.jpg", "deep/er/3.jpg"]),
        ("**/er/*", ["shots/deep/er/3.jpg"]),
        ("shots/?.*", ["1.jpg", "4.JPG"]),
        ("shots/[!14[].*", None),
        ("shots/[0-9].[Jj][Pp][Gg]", ["1.jpg", "4.JPG"]),
        ("shots/[[]x].jpg", ["[x].jpg"]),
        ("shots/[x].jpg", ["[x].jpg"]),  # exists as it is written
        ("[1]/*.jpg", ["6.jpg"]),  # so does its folder
        ("shots/de*", ["deep/2.jpg", "deep/er/3.jpg"]),
        ("*/deep/*.jpg", ["shots/deep/2.jpg"]),
        ("shots/.h*/*.jpg", [".hid/5.jpg"]),
    ],
)
def test_globs(here, pattern, expected):
    plant(here, "a.jpg", "b.jpg", "c.png", "shots/1.jpg", "shots/4.JPG", "shots/[x].jpg")
    plant(here, "shots/deep/2.jpg", "shots/deep/er/3.jpg", "shots/.hid/5.jpg")
    plant(here, "[1]/6.jpg")
    if expected is None:
        assert slug_of(pattern) == "no-such-source"
    else:
        assert rels(scan([pattern])) == expected
        assert rels(scan([str(here / pattern)])) == expected


def test_a_glob_tells_of_no_broken_thing_that_it_does_not_match(here):
    plant(here, "a.jpg", "b.jpg")
    (here / "broken.jpg").symlink_to("nowhere")
    assert rels(scan(["a*.jpg"])) == ["a.jpg"]
    assert slug_of("z*.jpg") == "no-such-source"
    assert [one.reason for one in scan(["br*.jpg"])] == ["missing-file"]


def test_letters_that_descend_are_no_pattern(here):
    with pytest.raises(UsageError) as caught:
        scan([f"{here}/[z-a]*.jpg"])
    assert caught.value.slug == "bad-glob"


def test_a_glob_agrees_with_the_standard_library(here):
    import glob

    letters = ["a", "b1", "c.d", "e f"]
    for parts in itertools.product(letters, repeat=3):
        plant(here, "/".join(parts) + ".jpg")
    for pattern in ("*/*/*.jpg", "**/b1/*.jpg", "a/**/*f.jpg", "*/[ab]*/?.jpg", "**/c.d.jpg"):
        got = [os.path.relpath(one.path) for one in scan([pattern])]
        assert sorted(got) == sorted(glob.glob(pattern, recursive=True))


def test_home_is_expanded(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    plant(here, "pics/a.jpg")
    assert rels(scan(["~/pics"])) == rels(scan(["~/pics/*.jpg"])) == ["a.jpg"]


def test_one_file(here):
    plant(here, "sub/a.jpg")
    status = os.stat("sub/a.jpg")
    times = status.st_mtime_ns, status.st_ctime_ns
    assert list(scan(["sub/a.jpg"])) == [ImageRef(str(here / "sub/a.jpg"), "a.jpg", 10, *times)]


def test_standard_input_holds_lines_or_nul_ended_paths(here):
    plant(here, "b.jpg", "sub/a.jpg", "new\nline.jpg", " blank .jpg")
    lines = io.BytesIO(b"sub/a.jpg\r\n\nb.jpg\n blank .jpg\n" + os.fsencode(here / "b.jpg"))
    assert rels(scan(["-"], stdin=lines)) == [" blank .jpg", "b.jpg", "sub/a.jpg"]
    nul = io.BytesIO(b"new\nline.jpg\0b.jpg\0")
    assert rels(scan(["-"], stdin=nul)) == ["b.jpg", "new\nline.jpg"]


def test_names_of_any_bytes_survive_lists(here):
    name = b"bad \xff\xfe.jpg"
    (here / os.fsdecode(name)).write_bytes(b"x")
    assert [os.fsencode(one.rel) for one in scan(["-"], stdin=io.BytesIO(name))] == [name]
    (here / "l.csv").write_bytes(b"path\n" + name + b"\n")
    assert [os.fsencode(one.rel) for one in scan(["l.csv"])] == [name]
    assert os.fsencode(next(scan(["bad*"])).rel) == name


def test_entries_of_a_list_count_from_its_folder_then_from_here(here):
    plant(here, "lists/near.jpg", "near.jpg", "far.jpg", "up.jpg")
    text = f"near.jpg\nfar.jpg\n../up.jpg\n{here}/far.jpg\ngone.jpg\nlists\n"
    (here / "lists/all.txt").write_text(text)
    found = list(scan(["lists/all.txt"]))
    assert [(os.path.relpath(one.path), one.rel) for one in found if isinstance(one, ImageRef)] == [
        ("far.jpg", "far.jpg"),
        ("lists/near.jpg", "near.jpg"),
        ("up.jpg", "up.jpg"),
    ]
    assert skips(found) == {"gone.jpg": "missing-file", "lists": "not-a-file"}


@pytest.mark.parametrize(
    "text",
    [
        "path,score\na.jpg,1\nsub/b.jpg,2\n",
        "id,File\n1,a.jpg\n2,sub/b.jpg\n",
        "id,image_path\n1,a.jpg\n2,sub/b.jpg\n",
        "score;x\n".replace(";", ",").replace("score", "image") + 'a.jpg,1\n"sub/b.jpg",2\n',
        "a.jpg,1\nsub/b.jpg,2\n",
        "name,label\na.jpg,1\nsub/b.jpg,0\n\n",
        "\ufeffpath\r\na.jpg\r\nsub/b.jpg\r\n",
        "image,path\nwrong.jpg,a.jpg\nwrong.jpg,sub/b.jpg\n",
        "score;path\n0,5;a.jpg\n2;sub/b.jpg\n",
        "a;b.jpg\na.jpg\nsub/b.jpg\n".replace("a;b.jpg", "name;of it"),
        "rater,left,right,winner\nme,a.jpg,sub/b.jpg,right\nme,sub/b.jpg,a.jpg,right\n",
        "Winner;Loser\nsub/b.jpg;a.jpg\n",
        "left,number\na.jpg,1\nsub/b.jpg,2\n",
    ],
)
def test_csv_lists(here, text):
    plant(here, "a.jpg", "sub/b.jpg")
    (here / "list.csv").write_bytes(text.encode())
    found = list(scan(["list.csv"]))
    assert rels(found) == ["a.jpg", "sub/b.jpg"]
    assert skips(found) == {}


def test_several_specs_are_merged_and_no_path_comes_twice(here):
    plant(here, "a/1.jpg", "a/2.jpg", "b/1.jpg", "c.jpg")
    (here / "list.txt").write_text("c.jpg\na/2.jpg\n")
    found = list(scan(["b", "list.txt", "a", "a/1.jpg", "c.jpg", "./a", "**/1.jpg"]))
    assert [os.path.relpath(one.path) for one in found] == [
        "a/1.jpg",
        "a/2.jpg",
        "b/1.jpg",
        "c.jpg",
    ]


def test_no_specs_give_nothing():
    assert list(scan([])) == []


def test_what_does_not_exist_is_misuse_at_the_call(here):
    plant(here, "pictures/holiday.jpg")
    with pytest.raises(UsageError) as caught:
        scan(["pictures", "picturse"])
    assert caught.value.slug == "no-such-source"
    assert "did you mean pictures" in caught.value.hint
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="does not exist either"):
        scan(["nowhere/at/all"])
    assert slug_of("pictures/*.png") == "no-such-source"
    assert slug_of("nofolder/*.png") == "no-such-source"


@pytest.mark.parametrize("spec", ["s3://bucket/x/*", "https://host/a.jpg", "a.tar", "b.PARQUET"])
def test_kinds_that_are_not_read_say_so(here, spec):
    assert slug_of(spec) == "unknown-source-kind"


def test_a_folder_is_a_folder_whatever_its_name(here):
    for name in ("list.txt", "[1]", "x.tar", "table.csv"):
        plant(here, f"{name}/a.jpg")
        assert rels(scan([name])) == ["a.jpg"]


def test_a_broken_csv_is_misuse(here):
    (here / "bad.csv").write_text('path\n"unclosed\n')
    assert slug_of("bad.csv") == "bad-list"


def test_every_kind_opens_by_name():
    import importlib

    for kind in KINDS:
        module, _, attribute = kind.opener.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute))
