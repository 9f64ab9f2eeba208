"""The columns in which `vta dedupe` holds a million images, beside a plain dictionary."""

import os
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.pipelines.dedupe import Images, by_content, own_paths
from vta_cli.records import ImageRef


def keys_of(contents):
    """Return made-up keys whose first bytes are alike, as those of digests never are."""
    return np.array([[7] * 30 + [value // 256, value % 256] for value in contents], np.uint8)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.randoms(), st.data())
def test_copies_are_those_of_a_dictionary(contents, random, data):
    order = list(range(len(contents)))
    random.shuffle(order)
    plain: dict[int, list[int]] = {}
    for place in order:
        plain.setdefault(contents[place], []).append(place)
    found = by_content(keys_of(contents), np.array(order))
    assert [found.of(index) for index in range(len(found))] == list(plain.values())
    assert found.first.tolist() == [places[0] for places in plain.values()]
    assert found.counts.tolist() == [len(places) for places in plain.values()]
    some = data.draw(st.permutations(range(len(found))).map(lambda all_: all_[::2]))
    part = found.only(np.array(some, np.int64))
    assert [part.of(index) for index in range(len(part))] == [found.of(index) for index in some]


def test_no_images_have_no_copies():
    none = Images.joined([])
    assert len(by_content(none.keys, np.arange(0))) == 0
    assert own_paths(none).tolist() == []


def test_links_to_a_file_that_is_there_are_no_copies(tmp_path):
    """A copy is; of two links to a file that is not among the images the first stays."""
    for name in ("real.jpg", "copy.jpg", "elsewhere"):
        (tmp_path / name).write_bytes(b"x")
    for name, target in (("a.jpg", "real.jpg"), ("b.jpg", "elsewhere"), ("c.jpg", "elsewhere")):
        (tmp_path / name).symlink_to(target)
    names = ["a.jpg", "b.jpg", "c.jpg", "copy.jpg", "real.jpg"]
    refs = [ImageRef(os.path.join(os.path.realpath(tmp_path), name), name, 1, 1) for name in names]
    images = Images(refs, keys_of([5] * 5), np.ones(5, np.int64))
    own = own_paths(images)
    assert [name for name, kept in zip(names, own, strict=True) if kept] == [
        "b.jpg", "copy.jpg", "real.jpg",
    ]  # fmt: skip
    assert images.only(own).refs == [refs[1], refs[3], refs[4]]


def test_one_file_by_two_mounts_is_no_copy_of_itself(tmp_path, monkeypatch):
    """Nor where letter case does not count; else it would be taken aside, and none would stay."""
    names = ["first/a.jpg", "second/a.jpg", "first/copy.jpg", "second/linked.jpg"]
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    os.link(tmp_path / names[3], tmp_path / "other name of it")  # two names: either may go
    refs = [ImageRef(str(tmp_path / name), name, 1, 1) for name in names]
    images = Images(refs, keys_of([5] * 4), np.ones(4, np.int64))
    assert own_paths(images).all()

    stat = Path.stat

    def mounted(path, **how):
        """Look at the second folder as at the first once more."""
        return stat(Path(str(path).replace("second/a", "first/a")), **how)

    monkeypatch.setattr(Path, "stat", mounted)
    assert own_paths(images).tolist() == [True, False, True, True]
