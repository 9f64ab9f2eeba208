"""Files that were written a moment before they were embedded: their times cannot be gone by."""

import csv
import io
import os
import shutil
import time

import pytest

LATER_S = 3600
"""From now: a file of the future is always too new."""


@pytest.fixture(scope="module")
def new(drawn, vta, tmp_path_factory):
    """Return a folder of embedded pictures whose times the catalogue does not go by, and a head."""
    root = tmp_path_factory.mktemp("new") / "work"
    shutil.copytree(drawn, root)
    later = time.time() + LATER_S
    (root / "pics" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (root / "pics" / "note.txt").write_text("no image")
    for path in root.rglob("*.*"):
        os.utime(path, (later, later))
    assert vta("embed", "pics", "--preset", "classic", cwd=root).code == 0
    ran = vta("train", "--pos", "liked", "--neg", "disliked", cwd=root)
    assert ran.code == 0, ran.err
    assert "12 positive, 12 negative" in ran.out, ran.out
    assert "left out" not in ran.err
    return root


def rows_of(ran):
    assert ran.code == 0, ran.err
    return list(csv.DictReader(io.StringIO(ran.out)))


def test_new_files_are_scored_and_the_others_have_their_reasons(new, vta):
    rows = rows_of(vta("score", "pics", cwd=new))
    assert [row["reason"] for row in rows if not row["path"].endswith("broken.jpg")] == [""] * 24
    assert [row["reason"] for row in rows if row["reason"]] == ["truncated"]


def test_new_files_are_sorted_filtered_compared_and_reported(new, vta):
    assert len(rows_of(vta("sort", "pics", cwd=new))) == 24
    ran = vta("filter", "pics", "--threshold", "0.5", cwd=new)
    assert len(ran.out.splitlines()) == 12
    assert "of 24 scored" in ran.err
    ran = vta("dedupe", "pics", cwd=new)
    assert ran.err.startswith("24 images"), ran.err
    assert "not-embedded" not in ran.err
    assert "24 scored images" in vta("report", "pics", cwd=new).err
    near = rows_of(vta("similar", "pics/p00.jpg", "pics", "-n", "3", "--format", "csv", cwd=new))
    assert len(near) == 3


def test_new_labels_are_learnt_without_embedding(new, vta):
    ran = vta("train", "--pos", "liked", "--neg", "disliked", "--no-embed", "--name", "b", cwd=new)
    assert ran.code == 0, ran.err
    assert "12 positive, 12 negative" in ran.out


def test_a_copy_of_an_embedded_file_is_learnt_without_embedding(new, vta):
    """Its name is new and its content is not."""
    shutil.copytree(new / "liked", new / "copies", dirs_exist_ok=True)
    ran = vta("train", "--pos", "copies", "--neg", "disliked", "--no-embed", "--name", "c", cwd=new)
    assert ran.code == 0, ran.err
    assert "12 positive, 12 negative" in ran.out


def test_a_file_rewritten_within_its_time_stamp_is_not_taken_for_what_it_was(new, vta):
    path = new / "pics" / "p01.jpg"
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before[:-3] + b"\0" + before[-2:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        rows = rows_of(vta("score", "pics", cwd=new))
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    reasons = {row["path"].rsplit("/", 1)[-1]: row["reason"] for row in rows}
    assert reasons["p01.jpg"] == "not-embedded"
    assert reasons["p00.jpg"] == ""
