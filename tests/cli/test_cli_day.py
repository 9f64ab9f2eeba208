"""A day's work through the real commands: embed, train, score, filter, sort, dedupe, undo."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest


def rows_of(text):
    """Read CSV text into dicts."""
    return list(csv.DictReader(io.StringIO(text)))


def test_four_commands_find_the_liked_pictures(fresh, vta):
    """The issue's four commands, word for word, on a folder with two kinds of pictures."""
    assert vta("embed", "pics/", cwd=fresh).code == 0
    trained = vta("train", "--pos", "liked/", "--neg", "disliked/", cwd=fresh)
    assert trained.code == 0, trained.err
    scored = vta("score", "pics/", cwd=fresh)
    assert scored.code == 0, scored.err
    rows = rows_of(scored.out)
    assert [Path(row["path"]).name for row in rows] == [f"p{i:02d}.jpg" for i in range(24)]
    scores = [float(row["score"]) for row in rows]
    liked, disliked = scores[::2], scores[1::2]
    assert min(liked) > max(disliked)
    assert all(0 <= score <= 1 for score in scores)
    low = (min(liked) + max(disliked)) / 2
    kept = vta("filter", "pics/", "--band", low, 1, "--copy-to", "out/", cwd=fresh)
    assert kept.code == 0, kept.err
    assert sorted(p.name for p in (fresh / "out").iterdir()) == [
        f"p{i:02d}.jpg" for i in range(0, 24, 2)
    ]


def test_second_embed_does_nothing(trained_folder, vta):
    """Unchanged files are not opened: unreadable ones are not even noticed."""
    before = {p: p.read_bytes() for p in (trained_folder / ".vta/spaces").rglob("*.json")}
    ran = vta("embed", "pics", cwd=trained_folder)
    assert ran.code == 0
    assert "24 were in the store; 0 files opened" in ran.err
    assert {p: p.read_bytes() for p in (trained_folder / ".vta/spaces").rglob("*.json")} == before


def test_copy_rename_and_edit(trained_folder, vta):
    """A copy costs no vector; an edited file is embedded again."""
    pics = trained_folder / "pics"
    shutil.copy(pics / "p00.jpg", pics / "copy.jpg")
    ran = vta("embed", "pics", cwd=trained_folder)
    assert "added" not in ran.err
    shutil.copy(trained_folder / "liked/l03.jpg", pics / "p01.jpg")  # an edit: other bytes
    (pics / "p03.jpg").write_bytes((pics / "p05.jpg").read_bytes() + b"\0")
    ran = vta("embed", "pics", cwd=trained_folder)
    assert "1 vector added" in ran.err
    scored = rows_of(vta("score", "pics", cwd=trained_folder).out)
    by_name = {Path(row["path"]).name: row["score"] for row in scored}
    assert by_name["copy.jpg"] == by_name["p00.jpg"]


def test_score_formats_agree(trained_folder, vta):
    """csv, jsonl and parquet hold the same rows; the store alone is a source too."""
    import pyarrow.parquet as pq

    table = rows_of(vta("score", "pics", cwd=trained_folder).out)
    lines = [
        json.loads(line)
        for line in vta("score", "pics", "--format", "jsonl", cwd=trained_folder).out.splitlines()
    ]
    assert vta("score", "pics", "-o", "s.parquet", cwd=trained_folder).code == 0
    parquet = pq.read_table(trained_folder / "s.parquet").to_pylist()
    for a, b, c in zip(table, lines, parquet, strict=True):
        assert a["path"] == b["path"] == c["path"]
        assert float(a["score"]) == pytest.approx(b["score"], abs=1e-6)
        assert float(a["score"]) == pytest.approx(c["score"], abs=1e-6)
    everything = [row["path"] for row in rows_of(vta("score", cwd=trained_folder).out)]
    assert sum(path.startswith(str(trained_folder)) for path in everything) == 48


def test_rows_without_a_score_have_a_reason(trained_folder, vta):
    """New and unreadable files appear with an empty score and the reason."""
    (trained_folder / "pics/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a jpeg")
    assert vta("embed", "pics", cwd=trained_folder).code == 0
    shutil.copy(trained_folder / "liked/l00.jpg", trained_folder / "pics/zz_new.jpg")
    ran = vta("score", "pics", cwd=trained_folder)
    rows = {Path(row["path"]).name: row for row in rows_of(ran.out)}
    assert ran.code == 0
    assert rows["broken.jpg"]["score"] == ""
    assert rows["broken.jpg"]["reason"]
    assert rows["zz_new.jpg"] | {"path": ""} == {
        "path": "", "score": "", "reason": "not-embedded",
    }  # fmt: skip
    assert vta("score", "pics", "--strict", cwd=trained_folder).code == 3


def test_sort_ranks_and_top(trained_folder, vta):
    """Rows come best first; --top takes numbers and shares; a scores file is a source."""
    ranked = rows_of(vta("sort", "pics", cwd=trained_folder).out)
    scores = [float(row["score"]) for row in ranked]
    assert scores == sorted(scores, reverse=True)
    assert [int(row["rank"]) for row in ranked] == list(range(1, 25))
    top = rows_of(vta("sort", "pics", "--top", "25%", cwd=trained_folder).out)
    assert [row["path"] for row in top] == [row["path"] for row in ranked[:6]]
    (trained_folder / "s.csv").write_text(vta("score", "pics", cwd=trained_folder).out)
    again = rows_of(vta("sort", "s.csv", "--top", "6", cwd=trained_folder).out)
    assert [row["path"] for row in again] == [row["path"] for row in ranked[:6]]
    link = ("--to", "best", "--link", "-o", "best.csv")
    ran = vta("sort", "pics", "--top", "3", *link, cwd=trained_folder)
    assert ran.code == 0, ran.err
    kept = rows_of((trained_folder / "best.csv").read_text())
    assert [row["path"] for row in kept] == [row["path"] for row in ranked[:3]]
    names = sorted(p.name for p in (trained_folder / "best").iterdir())
    assert [name[:5] for name in names] == ["0001_", "0002_", "0003_"]
    (trained_folder / "pics/deep").mkdir()
    (trained_folder / "pics" / Path(ranked[0]["path"]).name).rename(
        trained_folder / "pics/deep/first.jpg"
    )
    vta("embed", "pics", cwd=trained_folder)
    ran = vta("sort", "pics", "--top", "2", "--to", "deep", cwd=trained_folder)
    assert sorted(p.name[:5] for p in (trained_folder / "deep").iterdir()) == ["0001_", "0002_"]
    assert all(p.is_symlink() for p in (trained_folder / "best").iterdir())


def test_filter_prints_paths_and_moves_with_a_way_back(trained_folder, vta):
    """Paths go to stdout; a move is undone file by file."""
    listed = vta("filter", "pics", "--top", "5", cwd=trained_folder).out.splitlines()
    assert len(listed) == 5
    before = {p.name: p.read_bytes() for p in (trained_folder / "pics").iterdir()}
    dry = vta("filter", "pics", "--top", "5", "--move-to", "gone", "--dry-run", cwd=trained_folder)
    assert dry.code == 0
    assert not (trained_folder / "gone").exists()
    moved = vta("filter", "pics", "--top", "5", "--move-to", "gone", cwd=trained_folder)
    assert moved.code == 0, moved.err
    assert sorted(p.name for p in (trained_folder / "gone").iterdir()) == sorted(
        Path(path).name for path in listed
    )
    assert len(list((trained_folder / "pics").iterdir())) == 19
    back = vta("undo", cwd=trained_folder)
    assert back.code == 0, back.err
    assert {p.name: p.read_bytes() for p in (trained_folder / "pics").iterdir()} == before
    assert vta("undo", cwd=trained_folder).code == 2


def test_dedupe_finds_copies(trained_folder, vta):
    """Equal bytes and a re-encoded picture are found; the larger one stays."""
    from PIL import Image

    pics = trained_folder / "pics"
    shutil.copy(pics / "p00.jpg", pics / "same.jpg")
    with Image.open(pics / "p04.jpg") as image:
        image.resize((80, 80)).save(pics / "near.jpg", quality=85)
    assert vta("embed", "pics", cwd=trained_folder).code == 0
    ran = vta("dedupe", "pics", "--threshold", "0.999999", "--keep", "first", cwd=trained_folder)
    assert ran.code == 0, ran.err
    rows = rows_of(ran.out)
    to = ("--copy-to", "one", "--dry-run", "-o", "rows.csv")
    exact = ("--threshold", "0.999999", "--keep", "first")
    assert vta("dedupe", "pics", *exact, *to, cwd=trained_folder).code == 0
    assert rows_of((trained_folder / "rows.csv").read_text()) == rows
    assert {Path(row["path"]).name for row in rows} >= {"p00.jpg", "same.jpg"}
    keepers = {Path(row["path"]).name for row in rows if row["keep"] in {"1", "true", "True"}}
    assert "p00.jpg" in keepers
    assert "same.jpg" not in keepers


def test_dedupe_with_a_margin_tells_its_recall(trained_folder, vta):
    """A narrow margin finds the same copies here, and says which share it was measured to find."""
    shutil.copy(trained_folder / "pics" / "p00.jpg", trained_folder / "pics" / "same.jpg")
    assert vta("embed", "pics", cwd=trained_folder).code == 0
    plain = vta("dedupe", "pics", "--keep", "first", cwd=trained_folder)
    fast = vta("dedupe", "pics", "--keep", "first", "--margin", "0", cwd=trained_folder)
    assert fast.code == 0, fast.err
    assert "recall" not in plain.err
    assert "recall 1.0000" in fast.err
    assert fast.out == plain.out


def test_similar_and_explain(trained_folder, vta):
    """The nearest images of a liked picture are liked ones; explain names labelled neighbours."""
    near = rows_of(vta("similar", "pics/p00.jpg", "pics", "-n", "5", cwd=trained_folder).out)
    assert len(near) == 5
    assert all(int(Path(row["path"]).stem[1:]) % 2 == 0 for row in near)
    why = vta("explain", "pics/p00.jpg", cwd=trained_folder)
    assert why.code == 0, why.err
    assert "nearest liked" in why.out
    assert "/liked/l" in why.out
    assert "/disliked/d" in why.out.partition("nearest disliked")[2]
    assert "learnt from" not in why.out
    # a folder that was moved is named where it lies now, and a label of the image itself is told
    (trained_folder / "disliked").rename(trained_folder / "no")
    assert vta("embed", "no", cwd=trained_folder).code == 0
    why = vta("explain", "no/d00.jpg", cwd=trained_folder)
    assert "labelled  negative: taste learnt from this image" in why.out
    assert "/disliked/d" not in why.out
    assert "/no/d" in why.out.partition("nearest disliked")[2]


def test_names_with_odd_bytes_survive(trained_folder, vta):
    """A name that is not UTF-8 goes through score and a scores file and comes out the same."""
    import os

    source = os.fsencode(trained_folder / "liked/l00.jpg")
    odd = os.fsencode(trained_folder / "pics") + b'/caf\xe9 \n"x".jpg'
    shutil.copy(source, odd)
    assert vta("embed", "pics", cwd=trained_folder).code == 0
    assert vta("score", "pics", "-o", "s.csv", cwd=trained_folder).code == 0
    ran = vta("filter", "s.csv", "--threshold", "0", "--copy-to", "all", cwd=trained_folder)
    assert ran.code == 0, ran.err
    names = [name for _, _, files in os.walk(os.fsencode(trained_folder / "all")) for name in files]
    assert any(b"caf\xe9" in name for name in names)


def test_a_copy_of_the_same_run_is_not_said_to_have_been_in_the_store(fresh, vta):
    first = min((fresh / "pics").iterdir())
    (fresh / f"copy{first.suffix}").write_bytes(first.read_bytes())

    ran = vta("embed", str(first), f"copy{first.suffix}", "--store", "new", cwd=fresh)

    assert "2 images: 1 was in the store or equal another; 2 files opened" in ran.err


def test_stdin_and_lists(fresh, vta):
    """Paths on stdin and in a list are sources."""
    paths = "\n".join(str(p) for p in sorted((fresh / "pics").iterdir())[:3]) + "\n"
    ran = vta("embed", "-", cwd=fresh, stdin=paths.encode())
    assert ran.code == 0, ran.err
    assert "3 images" in ran.err
    (fresh / "list.txt").write_text(paths)
    assert "3 were in the store" in vta("embed", "list.txt", cwd=fresh).err
