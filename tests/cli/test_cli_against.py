"""`vta dedupe NEW --against LIBRARY`: what the library has already, and only that is looked for."""

import csv
import io
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

OLD = 1_700_000_000


def rows_of(text):
    """Read CSV text into tuples of group, folder/name and whether it is kept."""
    rows = csv.DictReader(io.StringIO(text))
    return [
        (int(row["group"]), "/".join(Path(row["path"]).parts[-2:]), row["keep"] in {"1", "true"})
        for row in rows
    ]


def said(ran, slug):
    """Check that a command ended with this one error."""
    assert ran.code == 2, ran.err
    assert f"error[{slug}]: " in ran.err, ran.err


@pytest.fixture
def folders(trained_folder, vta):
    """Return a folder with pics/ (the library, two equal files in it) and new/."""
    pics, new = trained_folder / "pics", trained_folder / "new"
    new.mkdir()
    shutil.copy(pics / "p00.jpg", pics / "twin.jpg")
    shutil.copy(pics / "p00.jpg", new / "a-same.jpg")
    for name, source, side in (
        ("b-near", "pics/p04.jpg", 90),
        ("c-fresh", "liked/l05.jpg", 96),
        ("d-fresh-small", "liked/l05.jpg", 88),
        ("e-alone", "disliked/d01.jpg", 96),
    ):
        with Image.open(trained_folder / source) as image:
            image.resize((side, side)).save(new / f"{name}.jpg", quality=88)
    for path in new.iterdir():
        os.utime(path, (OLD, OLD))
    assert vta("embed", "pics", "new", cwd=trained_folder).code == 0
    return trained_folder


ASK = ["dedupe", "new", "--against", "pics", "-t", "0.975", "--keep", "largest"]
ROWS = [
    (0, "pics/p00.jpg", True),
    (0, "new/a-same.jpg", False),
    (1, "pics/p04.jpg", True),
    (1, "new/b-near.jpg", False),
    (2, "new/c-fresh.jpg", True),
    (2, "new/d-fresh-small.jpg", False),
]


def test_copies_of_the_library_and_among_the_new_are_found(folders, vta):
    """Equal bytes, a scaled picture, and two new ones; the library's twins are not looked at."""
    ran = vta(*ASK, cwd=folders)
    assert ran.code == 0, ran.err
    assert rows_of(ran.out) == ROWS
    assert "5 new images against 25, 3 groups" in ran.err
    assert "1 exact and 2 near copies besides the keepers, 2 of them of the library" in ran.err
    # a path of both sides is new: the folder may lie inside the library
    inside = vta("dedupe", "new", "--against", ".", *ASK[4:], cwd=folders)
    assert {row[1] for row in rows_of(inside.out) if row[2]} == {
        "pics/p00.jpg", "pics/p04.jpg", "liked/l05.jpg", "disliked/d01.jpg",
    }  # fmt: skip


def test_only_new_images_are_arranged(folders, vta):
    """Duplicates go aside, what is new is copied, and the library stays as it is."""
    before = sorted(p.name for p in (folders / "pics").iterdir())
    dry = vta(*ASK, "--move-to", "aside", "--dry-run", cwd=folders)
    assert dry.code == 0, dry.err
    assert not (folders / "aside").exists()
    assert vta(*ASK, "--copy-to", "fresh", cwd=folders).code == 0
    assert sorted(p.name for p in (folders / "fresh").iterdir()) == ["c-fresh.jpg", "e-alone.jpg"]
    assert vta(*ASK, "--link-to", "links", "--which", "duplicates", cwd=folders).code == 0
    moved = ["a-same.jpg", "b-near.jpg", "d-fresh-small.jpg"]
    assert sorted(p.name for p in (folders / "links").iterdir()) == moved
    assert vta(*ASK, "--move-to", "aside", cwd=folders).code == 0
    assert sorted(p.name for p in (folders / "aside").iterdir()) == moved
    assert sorted(p.name for p in (folders / "pics").iterdir()) == before
    assert vta("undo", cwd=folders).code == 0
    assert len(list((folders / "new").iterdir())) == 5


def test_keep_chooses_among_the_new_only(folders, vta):
    """The first by path, or the older one, may be the smaller; the library's image stays one."""
    os.utime(folders / "new/d-fresh-small.jpg", (OLD - 9, OLD - 9))
    assert vta("embed", "new", cwd=folders).code == 0
    rows = rows_of(vta(*ASK[:-1], "oldest", cwd=folders).out)
    assert rows[:4] == ROWS[:4]
    assert rows[4:] == [(2, "new/d-fresh-small.jpg", True), (2, "new/c-fresh.jpg", False)]


def test_against_the_rest_of_the_store(folders, vta):
    """Every other image the store knows, but none that is no longer there."""
    ask = ["dedupe", "new", "--against-store", *ASK[4:]]
    ran = vta(*ask, cwd=folders)
    assert ran.code == 0, ran.err
    assert {row[1] for row in rows_of(ran.out) if row[2]} == {
        "pics/p00.jpg", "pics/p04.jpg", "liked/l05.jpg", "disliked/d01.jpg",
    }  # fmt: skip
    # a folder that was renamed is not a copy of what it was
    (folders / "new").rename(folders / "newer")
    assert vta("embed", "newer", cwd=folders).code == 0
    ran = vta("dedupe", "newer", *ask[2:], cwd=folders)
    assert {row[1].split("/")[0] for row in rows_of(ran.out) if row[2]} == {
        "pics", "liked", "disliked",
    }  # fmt: skip
    assert "left out of the library: 5 gone-or-changed" in ran.err
    # nor is one of them kept, and the files that there are taken aside for it
    ran = vta("dedupe", *ask[3:], "--keep", "first", cwd=folders)
    assert {row[1].split("/")[0] for row in rows_of(ran.out)} <= {
        "pics", "newer", "liked", "disliked",
    }  # fmt: skip
    assert "left out: 5 gone-or-changed" in ran.err
    ran = vta("filter", "--threshold", "0", "--copy-to", "out", cwd=folders)
    assert ran.code == 1, ran.err
    assert "5 of" in ran.err
    assert "vta store gc --run" in ran.err


def test_margin_tells_the_recall_of_both(folders, vta):
    """The share of pairs found is told for the library and for the new ones."""
    assert "recall" not in vta(*ASK, cwd=folders).err
    ran = vta(*ASK, "--margin", "0", cwd=folders)
    assert ran.code == 0, ran.err
    assert rows_of(ran.out) == ROWS
    assert "random images have with the library (recall 1.0000)" in ran.err
    assert "random images have (recall 1.0000)" in ran.err


def test_what_is_not_embedded_is_told(folders, vta):
    """On either side, and an error where nothing is left."""
    for name in ("pics/later.jpg", "new/later.jpg"):
        shutil.copy(folders / "liked/l01.jpg", folders / name)
        os.utime(folders / name, (OLD + 77, OLD + 77))
    ran = vta(*ASK, cwd=folders)
    assert rows_of(ran.out) == ROWS
    assert "left out: 1 not-embedded" in ran.err
    assert "left out of the library: 1 not-embedded" in ran.err
    (folders / "other").mkdir()
    shutil.copy(folders / "liked/l01.jpg", folders / "other/x.jpg")
    ran = vta("dedupe", "new", "--against", "other", cwd=folders)
    said(ran, "not-embedded")
    assert "vta embed other" in ran.err
    said(vta("dedupe", "other", "--against", "new", cwd=folders), "not-embedded")


def test_a_link_between_the_sides_is_no_copy(folders, vta):
    """A file and the links to it are one file, on whichever side they are."""
    (folders / "new/z-link.jpg").symlink_to("../pics/p01.jpg")
    (folders / "pics/z-link.jpg").symlink_to("../new/e-alone.jpg")
    assert vta("embed", "pics", "new", cwd=folders).code == 0
    ran = vta(*ASK, cwd=folders)
    assert rows_of(ran.out) == ROWS
    assert "left out: 1 same-file" in ran.err
    assert "left out of the library: 1 same-file" in ran.err


def test_what_cannot_be_meant_is_refused(folders, vta):
    """Each with its own words."""
    said(vta("dedupe", "--against", "pics", cwd=folders), "no-source")
    said(vta(*ASK, "--against-store", cwd=folders), "two-libraries")
    said(vta("dedupe", "new", "--against", "new", cwd=folders), "no-library")
    said(vta("dedupe", "new", "--against", "nowhere", cwd=folders), "no-such-source")
    said(vta("dedupe", "-", "--against", "-", cwd=folders), "stdin-twice")
    said(vta(*ASK, "--move-to", "new/aside", cwd=folders), "output-inside-source")


def test_fresh_has_no_part_in_a_comparison_with_a_library(folders, vta):
    said(vta(*ASK, "--fresh", cwd=folders), "fresh-against")
