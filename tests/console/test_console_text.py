"""Errors, tables, histograms: what a person reads."""

import io
import re

import numpy as np
import pytest
from console_streams import Terminal
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from vta_cli.console.errors import render
from vta_cli.console.histogram import count_bars, two_sided
from vta_cli.console.look import Look, printable
from vta_cli.console.tables import render_table
from vta_cli.errors import UsageError

ASCII = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
PLAIN = Look(80)


class TestLook:
    def test_a_pipe_has_no_colours(self):
        assert Look.of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {}) == Look(
            80, colour=False, unicode=True
        )

    def test_a_terminal_has_unless_it_is_told_not_to(self):
        assert Look.of(Terminal(), {}).colour
        assert not Look.of(Terminal(), {"NO_COLOR": "1"}).colour
        assert Look.of(Terminal(), {"NO_COLOR": ""}).colour
        assert not Look.of(Terminal(), {"TERM": "dumb"}).colour

    @pytest.mark.parametrize(("encoding", "fancy"), [("ascii", False), ("latin-1", False)])
    def test_old_encodings_get_plain_characters(self, encoding, fancy):
        assert Look.of(Terminal(encoding), {}).unicode is fancy

    def test_a_stream_without_encoding_is_taken_for_ascii(self):
        assert not Look.of(io.StringIO(), {}).unicode


class TestPrintable:
    @settings(deadline=None)
    @given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
    def test_whatever_the_name_it_is_one_line_that_can_be_written(self, text):
        for stream in (ASCII, Terminal()):
            shown = printable(text, stream)
            shown.encode(stream.encoding)
            assert len(shown.splitlines()) <= 1
            assert "\x1b" not in shown

    def test_readable_names_stay(self):
        assert printable("Été à la plage 日本.jpg", Terminal()) == "Été à la plage 日本.jpg"
        assert printable("Été", ASCII) == "\\xc9t\\xe9"


class TestErrors:
    ERROR = UsageError("no-such-source", "there is no folder /pics/\udcff\n", hint="look again")

    def test_slug_message_and_remedy(self):
        assert render(self.ERROR, stream=ASCII) == (
            "error[no-such-source]: there is no folder /pics/\\udcff\\n\n  hint: look again"
        )

    def test_a_template_in_a_hint_can_be_copied(self):
        shown = render(UsageError("x", "y", hint="write:\n\na = 1\n"), stream=ASCII)
        assert shown == "error[x]: y\n  hint: write:\n\na = 1"

    def test_without_a_remedy_it_is_one_line(self):
        assert render(UsageError("x", "y"), stream=ASCII) == "error[x]: y"

    def test_colours_on_a_terminal(self, monkeypatch):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        assert render(self.ERROR, stream=Terminal()).startswith("\x1b[31merror[no-such-source]:")


class TestTables:
    def test_numbers_stand_below_one_another(self):
        table = render_table(("name", "n"), [("a", "1"), ("abcdef", "1,000")], "lr", PLAIN)

        assert table == "name        n\na           1\nabcdef  1,000"

    def test_wide_letters_count_double(self):
        table = render_table((), [("日本", "1"), ("abcd", "2")], "lr", PLAIN)

        assert [cell_len(line) for line in table.split("\n")] == [7, 7]

    def test_a_long_first_column_is_cut_and_a_last_one_wrapped(self):
        look = Look(40)
        cut = render_table(("", ""), [("x" * 60, "1")], "lr", look)
        wrapped = render_table((), [("a", "word " * 20)], "lw", look)

        assert all(cell_len(line) <= 40 for line in (cut + "\n" + wrapped).split("\n"))
        assert "…" in cut
        assert wrapped.count("word") == 20
        assert "..." in render_table((), [("x" * 60, "1")], "lr", Look(40, unicode=False))

    def test_without_rows(self):
        assert render_table(("a", "b"), [], "ll", PLAIN) == "a  b"
        assert render_table((), [], "", PLAIN) == ""


def counts_of(text):
    """Read the counts of a histogram back: (negative, positive) of each line."""
    found = []
    for line in text.split("\n")[1:]:
        left, middle = re.split(r" [┤|]", line, maxsplit=1)
        right = re.split(r"[├|]", middle, maxsplit=1)[1]
        numbers = [re.findall(r"[\d,]+", side) for side in (left, right)]
        found.append(tuple(int(n[0].replace(",", "")) if n else 0 for n in numbers))
    return found


class TestHistogram:
    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(st.floats(0, 1) | st.just(float("nan")), st.integers(0, 1)), max_size=60
        ),
        st.booleans(),
    )
    def test_every_score_is_counted_on_its_side(self, rows, unicode):
        scores, targets = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
        text = two_sided(scores, targets, Look(80, unicode=unicode))

        counts = counts_of(text)
        known = ~np.isnan(scores)
        assert sum(c[0] for c in counts) == np.sum(targets[known] == 0)
        assert sum(c[1] for c in counts) == np.sum(targets[known] == 1)
        assert all(cell_len(line) <= 80 for line in text.split("\n"))
        if not unicode:
            text.encode("ascii")

    def test_scores_stand_in_the_bin_that_names_them(self):
        text = two_sided([0.0, 0.3, 0.55, 1.0], [0, 0, 1, 1], PLAIN)

        assert counts_of(text) == [
            (1, 0), (0, 0), (0, 0), (1, 0), (0, 0), (0, 1), (0, 0), (0, 0), (0, 0), (0, 1),
        ]  # fmt: skip

    def test_bars_are_as_long_as_their_counts_and_none_is_lost(self):
        scores = [0.02] * 1000 + [0.07] * 500 + [0.12]
        lines = two_sided(scores, [0] * 1501, Look(80)).split("\n")[1:]
        top, half, least, *rest = (line.count("█") + 0.5 * line.count("▐") for line in lines)

        assert top >= 20
        assert half == pytest.approx(top / 2, abs=0.5)
        assert least == 0.5
        assert len(rest) == 17
        assert not any(rest)

    def test_ranges_other_than_one(self):
        text = two_sided([1, 5, 10], [0, 1, 1], PLAIN, low=0, high=10)

        assert counts_of(text)[1] == (1, 0)
        assert counts_of(text)[9] == (0, 1)
        assert "5.00" in text

    def test_marks_stand_beside_their_bins(self):
        scores = [0.95] * 100 + [0.05] * 100
        text = two_sided(
            scores, [1] * 100 + [0] * 100, PLAIN, marks=[(0.12, "left"), (0.92, "right")]
        )

        lines = text.split("\n")[1:]
        assert [n for n, line in enumerate(lines) if "left" in line] == [1]
        assert [n for n, line in enumerate(lines) if "right" in line] == [9]

    def test_the_bars_of_a_set_of_labels(self):
        # The bar lengths that CityClassifiers prints for its set of 22,736 images.
        text = count_bars({"0_reg": 7695, "1_chroma": 7596, "2_webp": 7445}, PLAIN)

        assert [line.count("█") for line in text.split("\n")] == [13, 13, 13]
        assert [
            line.count("#")
            for line in count_bars({"a": 3, "b": 1}, Look(unicode=False)).split("\n")
        ] == [30, 10]
        assert count_bars({"a": 0}, PLAIN) == "a  0"
