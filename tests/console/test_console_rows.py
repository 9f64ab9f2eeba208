"""Rows written and read back: any file name, any score, any format."""

import csv
import errno
import gc
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vta_cli.console.rows import FORMATS, Column, open_rows, read_score_blocks, read_scores
from vta_cli.errors import UsageError

SCORES = [Column("path", "str"), Column("score", "float"), Column("reason", "str")]

file_names = st.one_of(
    st.binary(min_size=1, max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"_"))),
    st.text(alphabet=',"\n\r\té=%\udcff/a ', min_size=1, max_size=8),
    st.sampled_from(["file:///a%20b", "file://\udcff", "=1+1", "-rf", "@x", " ", "null", "a%FFb"]),
)


def rows_of(form, columns, *batches):
    out = io.BytesIO()
    with open_rows(form, columns, out) as writer:
        for batch in batches:
            writer.write(batch)
    return out.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            file_names,
            st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
            st.sampled_from(["", "not-embedded", "a, b"]),
        ),
        max_size=8,
    )
)
@example(rows=[("\udcff,\n", 0.1, "")])
def test_what_was_written_is_read_back(form, rows):
    if form == "jsonl" and not rows:
        return  # without a row JSON lines have no columns either
    half = len(rows) // 2
    batches = [
        {
            "path": [r[0] for r in part],
            "score": [r[1] for r in part],
            "reason": [r[2] for r in part],
        }
        for part in (rows[:half], rows[half:])
    ]
    data = rows_of(form, SCORES, *batches)

    back = list(read_scores(io.BytesIO(data)))

    assert [(path, reason) for path, _, reason in back] == [(r[0], r[2]) for r in rows]
    for (_, score, _), (_, wanted, _) in zip(back, rows, strict=True):
        assert (score is None) == (wanted is None)
        if score is not None:
            assert score == float(f"{wanted:.6g}")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_of_any_precision_and_nan(form, dtype):
    data = rows_of(
        form,
        SCORES,
        {
            "path": np.array(["a", "b", "c"]),
            "score": np.array([0.25, np.nan, 1], dtype),
            "reason": ["", "not-embedded", ""],
        },
    )

    assert list(read_scores(io.BytesIO(data))) == [
        ("a", 0.25, ""),
        ("b", None, "not-embedded"),
        ("c", 1.0, ""),
    ]


def test_csv_as_a_person_reads_it():
    data = rows_of(
        "csv",
        [*SCORES, Column("rank", "int"), Column("keep", "bool")],
        {
            "path": ["/a.jpg", '/with "all", of it\n', "/bytes\udcff", "=formula"],
            "score": [0.123456789, math.nan, 1e-7, math.inf],
            "reason": [None, "why", "", ""],
            "rank": [1, 2, None, 4],
            "keep": np.array([True, False, True, False]),
        },
    )

    assert data == (
        b"path,score,reason,rank,keep\n"
        b"/a.jpg,0.123457,,1,true\n"
        b'"/with ""all"", of it\n",,why,2,false\n'
        b"/bytes\xff,1e-07,,,true\n"
        b"=formula,,,4,false\n"
    )


def test_json_lines_as_a_person_reads_them():
    data = rows_of(
        "jsonl",
        [*SCORES, Column("100%", "int"), Column("keep", "bool")],
        {
            "path": ["/é\n", "/\udcff"],
            "score": [0.5, math.nan],
            "reason": ["", None],
            "100%": [1, None],
            "keep": [True, False],
        },
    )

    assert data.decode() == (
        '{"path": "/é\\n", "score": 0.5, "reason": "", "100%": 1, "keep": true}\n'
        '{"path": "/\\udcff", "score": null, "reason": null, "100%": null, "keep": false}\n'
    )
    assert json.loads(data.splitlines()[1])["path"] == os.fsdecode(b"/\xff")


def test_parquet_as_another_tool_reads_it():
    parquet = pytest.importorskip("pyarrow.parquet")
    data = rows_of(
        "parquet",
        [*SCORES, Column("rank", "int"), Column("keep", "bool")],
        {
            "path": ["/é, b", "/\udcff b", "file:///x"],
            "score": [0.5, None, 0.25],
            "reason": ["", "why", ""],
            "rank": [1, 2, 3],
            "keep": [True, False, True],
        },
    )

    assert parquet.read_table(io.BytesIO(data)).to_pydict() == {
        "path": ["/é, b", "file:///%FF%20b", "file://file%3A///x"],
        "score": [0.5, None, 0.25],
        "reason": ["", "why", ""],
        "rank": [1, 2, 3],
        "keep": [True, False, True],
    }


@settings(deadline=None)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"))))
def test_the_csv_module_agrees_about_quotes(values):
    data = rows_of("csv", [Column("only", "str")], {"only": values})

    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert rows == [["only"], *([value] for value in values)]


def test_columns_have_to_be_those_announced():
    with open_rows("csv", SCORES, io.BytesIO()) as writer:
        with pytest.raises(ValueError, match="columns"):
            writer.write({"path": ["a"], "score": [1.0]})
        with pytest.raises(ValueError, match="length"):
            writer.write({"path": ["a"], "score": [1.0, 2.0], "reason": [""]})


def test_an_unknown_format_is_named():
    with pytest.raises(UsageError, match="xml"):
        open_rows("xml", SCORES, io.BytesIO())


class TestFiles:
    """A file appears whole or not at all."""

    ROW: ClassVar = {"path": ["a"], "score": [1.0], "reason": [""]}

    @pytest.mark.parametrize("form", FORMATS)
    def test_it_appears_when_it_is_closed(self, tmp_path, form):
        target = tmp_path / "scores"
        with open_rows(form, SCORES, target) as writer:
            writer.write(self.ROW)
            assert not target.exists()

        assert list(read_scores(target)) == [("a", 1.0, "")]
        assert [path.name for path in tmp_path.iterdir()] == ["scores"]
        assert target.stat().st_mode & 0o777 == 0o666 & ~current_umask()

    @pytest.mark.parametrize("form", FORMATS)
    def test_after_an_error_the_old_one_stands(self, tmp_path, form):
        target = tmp_path / "scores"
        target.write_text("precious")

        def fail():
            with open_rows(form, SCORES, target) as writer:
                writer.write(self.ROW)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()

        gc.collect()  # pyarrow writes when it is collected
        assert target.read_text() == "precious"
        assert len(list(tmp_path.iterdir())) == 1

    def test_the_longest_name_in_any_script(self, tmp_path):
        target = tmp_path / ("\u611b" * 83 + ".csv")  # 253 bytes of 255
        with open_rows("csv", SCORES, target) as writer:
            writer.write(self.ROW)

        assert list(read_scores(target)) == [("a", 1.0, "")]

    def test_a_link_is_followed_not_replaced(self, tmp_path):
        (tmp_path / "real.csv").write_text("old")
        (tmp_path / "link.csv").symlink_to("real.csv")

        with open_rows("csv", SCORES, tmp_path / "link.csv") as writer:
            writer.write(self.ROW)

        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real.csv").read_text().endswith("a,1,\n")

    def test_a_device_is_written_to(self):
        with open_rows("csv", SCORES, Path("/dev/null")) as writer:
            writer.write(self.ROW)

        assert not Path("/dev/null").is_file()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_on(writer, batch):
    for _ in range(100):
        writer.write(batch)


@pytest.mark.parametrize("form", FORMATS)
def test_a_reader_that_goes_away_ends_the_writing(form):
    reading, writing = os.pipe()
    os.close(reading)
    paths = [f"{n * 2654435761 % 2**32:x}" for n in range(20_000)]  # nothing to compress
    batch = {"path": paths, "score": [0.5] * len(paths), "reason": [""] * len(paths)}

    with os.fdopen(writing, "wb") as out:
        writer = open_rows(form, SCORES, out)
        with pytest.raises(BrokenPipeError):
            write_on(writer, batch)
        writer.abort()
        writer.close()  # a second end is none
        # what closing flushes has no reader either
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


@pytest.mark.parametrize("form", FORMATS)
def test_pipes_do(form):
    data = rows_of(form, SCORES, {"path": ["\udcff"], "score": [0.5], "reason": [""]})
    program = (
        "import sys; from vta_cli.console.rows import *\n"
        "cols = [Column('path','str'), Column('score','float'), Column('reason','str')]\n"
        f"with open_rows({form!r}, cols, sys.stdout.buffer) as out:\n"
        "    for p, s, r in read_scores(sys.stdin.buffer):\n"
        "        out.write({'path': [p], 'score': [s], 'reason': [r]})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True
    )

    assert list(read_scores(io.BytesIO(done.stdout))) == [("\udcff", 0.5, "")]


def test_half_a_parquet_does_not_look_whole():
    out = io.BytesIO()
    writer = open_rows("parquet", SCORES, out)
    writer.write({"path": ["a"], "score": [1.0], "reason": [""]})
    writer.abort()
    del writer
    gc.collect()

    with pytest.raises(UsageError):
        list(read_scores(io.BytesIO(out.getvalue())))


class TestReading:
    """Scores files of people and of other tools."""

    def read(self, text, **options):
        data = text if isinstance(text, bytes) else text.encode()
        return list(read_scores(io.BytesIO(data), **options))

    def slug(self, text):
        with pytest.raises(UsageError) as caught:
            self.read(text)
        assert caught.value.hint
        return caught.value.slug

    def test_other_columns_and_orders(self):
        assert self.read("taste,score,file\n1,0.5,a\n") == [("a", 0.5, "")]
        assert self.read("taste,score,file\n1,0.5,a\n", column="taste") == [("a", 1.0, "")]

    def test_marks_and_line_ends_of_spreadsheets(self):
        assert self.read(b"\xef\xbb\xbfpath,score\r\na,0.5\r\n\r\nb,\r\n") == [
            ("a", 0.5, ""),
            ("b", None, ""),
        ]
        assert self.read(b'\xef\xbb\xbf{"path": "a", "score": 1}') == [("a", 1.0, "")]

    def test_what_is_missing_is_named(self, tmp_path):
        assert self.slug("a.jpg\nb.jpg\n") == "no-path-column"
        assert self.slug("") == "no-path-column"
        assert self.slug("path,liked\na,1\n") == "no-score-column"
        with pytest.raises(UsageError) as caught:
            list(read_scores(tmp_path / "none.csv"))
        assert caught.value.slug == "no-such-file"

    @pytest.mark.parametrize(
        "text",
        [
            "path,score\na,0.5\nb,high\n",
            "path,score\na,0.5\nb\n",
            '{"path": "a", "score": 0.5}\n{"score": 1}\n',
            '{"path": 7, "score": 1}\n',
            '{"path": "a", "score": 0.5}\n{"path": "b", "score": []}\n',
            '{"path": "a", "score": 0.5}\n{"path": "b"',
            b"PAR1 and nothing more",
        ],
    )
    def test_what_cannot_be_read_is_told(self, text):
        assert self.slug(text) == "bad-scores"

    def test_the_line_is_named(self):
        with pytest.raises(UsageError, match=r"line 3.*'high'"):
            self.read("path,score\na,0.5\nb,high\n")

    def test_many_rows_come_in_blocks(self):
        text = "path,score\n" + "".join(f"{n},{n}\n" for n in range(40_000))

        blocks = list(read_score_blocks(io.BytesIO(text.encode())))

        assert len(blocks) > 1
        assert [score for _, scores, _ in blocks for score in scores] == list(range(40_000))


def test_writing_text_imports_nothing_heavy():
    program = (
        "import io, sys; from vta_cli.console.rows import *\n"
        "with open_rows('csv', [Column('path','str')], io.BytesIO()) as out:\n"
        "    out.write({'path': ['a']})\n"
        "print(sorted({'pyarrow', 'numpy', 'rich', 'scipy', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b"[]\n"


class Names(list):
    """A column as the catalogue gives it: bytes in Arrow behind strings."""

    @property
    def arrow(self):
        import pyarrow as pa

        return pa.array([b"before", *map(os.fsencode, self)])[1:]


@pytest.mark.parametrize("path", ["/p/a.jpg", os.fsdecode(b"/p/\xff.jpg"), "/p/a, b", '/p/"', ""])
@pytest.mark.parametrize("column", [list, Names])
def test_large_batches_have_the_text_of_small_ones(path, column):
    """The numbers that are hard to round, small, large, whole and not there, among others."""
    random = np.random.default_rng(0)
    hard = [
        0.0,
        -0.0,
        1.0,
        0.1,
        0.5,
        1e-4,
        9.99999e-5,
        0.0999999999,
        0.12345650000000001,
        0.1234565,
    ]
    hard += [123456.5, 99999.95, 1e5, 1e20, 0.3, 2 / 3, -0.25, 0.9999995, 0.99999949, 1e-300]
    scores = np.concatenate([hard, random.random(3000), 10.0 ** random.uniform(-9, 9, 3000)])
    scores = np.concatenate([scores, np.arange(1, 2000, 2) / 2e6])  # halfway at the seventh digit
    names, reasons = [path + str(n) for n in range(len(scores))], [""] * len(scores)

    large = rows_of("csv", SCORES, batch(column(names), scores, reasons))

    pieces = [slice(at, at + 100) for at in range(0, len(scores), 100)]
    small = [batch(names[at], scores[at], reasons[at]) for at in pieces]
    assert large == rows_of("csv", SCORES, *small)
    scores[7] = np.nan
    with_gap = rows_of("csv", SCORES, batch(column(names), scores, reasons))
    assert with_gap.split(b"\n")[8].endswith(b"7,,") or '"' in path or "," in path


def batch(paths, scores, reasons):
    return {"path": paths, "score": scores, "reason": reasons}


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(form, tmp_path, monkeypatch):
    """What fails at the end, when all is written out at last, is cleared away too."""
    (tmp_path / "old").write_text("kept")

    def full(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    writer = open_rows(form, SCORES, tmp_path / "old")
    writer.write(batch(["a.jpg"], [0.5], [""]))
    with pytest.raises(OSError, match="No space"):
        writer.close()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old", "kept")]


def test_scores_that_a_european_spreadsheet_saved_again():
    """Semicolons part the cells, commas the decimals; what may be a thousand is refused."""
    text = b"path;score;reason\na.jpg;0,973;\nb.jpg;;not-embedded\nc.jpg;1;\n"
    assert list(read_scores(io.BytesIO(text))) == [
        ("a.jpg", 0.973, ""), ("b.jpg", None, "not-embedded"), ("c.jpg", 1.0, ""),
    ]  # fmt: skip
    with pytest.raises(UsageError) as caught:
        list(read_scores(io.BytesIO(b"path;score\na.jpg;5,431\n")))
    assert caught.value.slug == "ambiguous-comma"
