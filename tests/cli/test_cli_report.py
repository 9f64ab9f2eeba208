"""`vta report`: one file with the right bars, curves and pictures, and nothing from elsewhere."""

import errno
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vta_cli.heads.saved import load_head
from vta_cli.pages.charts import bars, lines, scatter
from vta_cli.pipelines.remembered import recall, remember
from vta_cli.pipelines.report import threshold_rates, write_whole


class Page(HTMLParser):
    """Collects sections with their tiles, charts, and whatever is loaded."""

    def __init__(self, text):
        super().__init__()
        self.charts, self.loaded, self.sections, self.tones = [], [], {}, {}
        self._heading, self._section = False, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "aria-label" in attrs:
            self.charts.append(attrs["aria-label"])
        self.loaded += [attrs[name] for name in ("src", "srcset") if name in attrs]
        assert tag not in ("script", "link", "iframe", "object")
        if tag == "h2":
            self._heading = True
        if tag == "figure" and attrs.get("class") != "chart":
            self.sections[self._section] = self.sections.get(self._section, 0) + 1
            self.tones.setdefault(self._section, []).append(attrs.get("class"))

    def handle_data(self, data):
        if self._heading:
            self._section, self._heading = data.strip(), False


def test_the_page_holds_histogram_curves_best_worst_and_mistakes(trained_folder, vta):
    ran = vta("report", "pics", "-n", 5, cwd=trained_folder)
    assert ran.code == 0, ran.err
    assert ran.out == "report.html\n"
    text = (trained_folder / "report.html").read_text()
    page = Page(text)
    assert page.charts == [
        "Scores of 24 images",
        "Out-of-fold scores of the labels",
        "Share of each side by threshold",
        "Ratios by threshold (line: 30 to 1)",
    ]
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.loaded)
    assert "://" not in re.sub(r"file://", "", text)
    assert page.sections["Best"] == page.sections["Worst"] == 5
    assert page.sections["Labelled images, out of fold"] == 5
    brackets = [name for name in page.sections if " to " in name]
    assert brackets
    shares = re.findall(r"([\d,]+) images?, [\d.]+%", text)
    assert sum(map(int, shares)) == 24
    best = text[text.index("<h2>Best") : text.index("<h2>Worst")]
    scores = [float(one) for one in re.findall(r"<b>([\d.]+)</b>", best)]
    assert scores == sorted(scores, reverse=True)
    ranked = vta("sort", "pics", cwd=trained_folder).out.splitlines()[1].split(",")
    assert ranked[1].rsplit("/", 1)[1] in best


def test_a_wrong_label_is_the_first_mistake_and_red(trained_folder, vta):
    names = sorted(path.name for path in (trained_folder / "pics").iterdir())
    rows = [f"pics/{name},{int(at % 2 == 0) if at != 7 else 1}" for at, name in enumerate(names)]
    (trained_folder / "wrong.csv").write_text("path,label\n" + "\n".join(rows))
    args = ("--labels", "wrong.csv", "--name", "wrong", "--preset", "classic")
    assert vta("train", *args, cwd=trained_folder).code == 0
    assert vta("report", "pics", "--model", "wrong", "-o", "w.html", cwd=trained_folder).code == 0
    text = (trained_folder / "w.html").read_text()
    mistakes = text[text.index("<h2>Largest mistakes") : text.index("<h2>Labelled images")]
    first = mistakes[mistakes.index("<figure") : mistakes.index("</figure>")]
    assert 'class="bad"' in first
    assert names[7] in first
    assert "labelled liked, found 0.0" in first


def test_scores_files_need_no_head_and_may_name_one(trained_folder, vta):
    (trained_folder / "s.csv").write_text(vta("score", "pics", cwd=trained_folder).out)
    assert vta("report", "s.csv", "-o", "plain.html", cwd=trained_folder).code == 0
    assert Page((trained_folder / "plain.html").read_text()).charts == ["Scores of 24 images"]
    args = ("report", "s.csv", "--model", "taste", "-o", "full.html")
    assert vta(*args, cwd=trained_folder).code == 0
    assert len(Page((trained_folder / "full.html").read_text()).charts) == 4


@pytest.mark.parametrize("kind", ["scores", "classes"])
def test_heads_of_other_kinds_show_what_they_know(trained_folder, vta, kind):
    names = sorted(path.name for path in (trained_folder / "pics").iterdir())
    words = ("disc", "square", "other")
    value = {"scores": lambda at: 10 * (at % 2) + at / 10, "classes": lambda at: words[at % 2]}
    rows = [f"pics/{name},{value[kind](at)}" for at, name in enumerate(names)]
    (trained_folder / "k.csv").write_text("path,label\n" + "\n".join(rows))
    args = ("--labels", "k.csv", "--kind", kind, "--name", kind, "--preset", "classic")
    ran = vta("train", *args, cwd=trained_folder)
    assert ran.code == 0, ran.err
    ran = vta("report", "pics", "--model", kind, "-o", "k.html", cwd=trained_folder)
    assert ran.code == 0, ran.err
    page = Page((trained_folder / "k.html").read_text())
    if kind == "scores":
        assert page.charts[1:] == ["The labels", "Labels (across), out-of-fold answers (up)"]
    text = (trained_folder / "k.html").read_text()
    assert "labelled 0, found" in text if kind == "scores" else "labelled disc, found disc" in text
    assert page.sections["Labelled images, out of fold"] == 24


def test_what_cannot_be_reported_is_refused(trained_folder, vta):
    (trained_folder / "empty.csv").write_text("path,score,reason\npics/x.jpg,,not-embedded\n")
    for args, slug in (
        (["empty.csv"], "no-scores"),
        (["pics", "-o", "pics"], "is-a-folder"),
        (["nowhere"], "no-such"),
        (["pics", "--model", "nobody"], "no-head"),
    ):
        ran = vta("report", *args, cwd=trained_folder)
        assert ran.code == 2, args
        assert slug in ran.err
        assert "Traceback" not in ran.err
    assert not (trained_folder / "report.html").exists()


def test_an_exported_head_keeps_its_labels_to_itself(trained_folder, vta):
    kept = recall(load_head(trained_folder / ".vta/heads/taste.safetensors").meta)
    assert kept is not None
    assert len(kept.keys) == 24
    assert vta("heads", "export", "taste", "card", cwd=trained_folder).code == 0
    assert "oof" not in load_head(trained_folder / "card/head.safetensors").meta
    assert "oof" not in json.loads(vta("heads", "show", cwd=trained_folder).out)


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    """The page takes its name when it is whole, and the error names it."""
    page = tmp_path / "r.html"
    write_whole(page, "old")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"No space.*r\.html"):
        write_whole(page, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("r.html", "old")]


def test_rates_count_what_each_threshold_keeps_and_cuts():
    found = np.array([0.1, 0.3, 0.3, 0.8])
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    limits, rates = threshold_rates(found, truth)
    assert len(limits) == 101
    at = {limit: int(np.argmin(np.abs(limits - limit))) for limit in (0.0, 0.2, 0.5, 1.0)}
    assert [rates["liked kept"][at[x]] for x in at] == [1.0, 1.0, 0.5, 0.0]
    assert [rates["disliked kept"][at[x]] for x in at] == [1.0, 0.5, 0.0, 0.0]
    for side in ("liked", "disliked"):
        assert rates[f"{side} kept"] + rates[f"{side} cut"] == pytest.approx(np.ones(101))


def test_nonsense_in_a_head_is_nothing():
    keys = np.arange(64, dtype=np.uint8).reshape(2, 32)
    found = remember(keys, np.array([1, 0]), {keys[1].tobytes(): 0.25})
    kept = recall(found)
    assert (kept.truth.tolist(), kept.found.tolist()) == ([0.0], [0.25])
    assert kept.keys.tolist() == [keys[1].tolist()]
    assert remember(keys, np.array([1, 0]), {}) == {}
    good = found["oof"]
    for bad in (
        None, [], {"oof": 1}, {"oof": {}}, {"oof": good | {"keys": ["zz"]}},
        {"oof": good | {"keys": ["00"]}}, {"oof": good | {"truth": [1, 2]}},
        {"oof": good | {"found": [None]}}, {"oof": good | {"found": [float("nan")]}},
        {"oof": {"keys": [], "truth": [], "found": []}},
    ):  # fmt: skip
        assert recall(bad or {}) is None, bad


def test_charts_draw_to_scale_and_escape_names():
    drawn = bars("a < b", {"<x>": np.array([1.0, 4.0]), "y": np.array([0.0, 2.0])}, 0, 1)
    heights = [float(one) for one in re.findall(r'<rect[^>]* height="([\d.]+)"', drawn)]
    assert heights[0] * 4 == pytest.approx(heights[1], abs=0.3)
    assert heights[2] * 2 == pytest.approx(heights[1], abs=0.3)
    assert "<x>" not in drawn
    assert "a &lt; b" in drawn
    curve = lines("t", np.array([0.0, 1.0]), {"up": np.array([0.0, 9.0])}, y_high=3.0, level=1.5)
    (start, end) = re.search(r'points="([^"]+)"', curve)[1].split()
    assert float(start.split(",")[1]) > float(end.split(",")[1]) == 10.0  # cut at the top
    points = scatter("t", np.arange(5000.0), np.arange(5000.0), 0.0, 5000.0)
    assert points.count("<circle") == 2000
    assert bars("none", {"": np.zeros(3)}, 0, 1).count("<rect") == 0


def test_files_that_are_gone_leave_tiles_with_names_alone(trained_folder, vta):
    (trained_folder / "s.csv").write_text("path,score\n/nowhere/a.jpg,0.5\n/nowhere/b.jpg,0.7\n")
    assert vta("report", "s.csv", cwd=trained_folder).code == 0
    assert "no picture" in (trained_folder / "report.html").read_text()
