"""Progress: plain lines by a clock of the test's own, bars on a terminal, never on stdout."""

import io
import subprocess
import sys
import threading

import pytest
from console_streams import Terminal

from vta_cli.commands.common import progress as of_this_run
from vta_cli.console.progress import ConsoleProgress, span, status
from vta_cli.pipelines.progress import Progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def progress(stream, clock):
    return ConsoleProgress(stream, interval_s=5.0, clock=clock)


def test_it_is_what_pipelines_ask_for(progress):
    asked: Progress = progress  # the type checker holds this to it
    with asked.stage("x", 1) as stage:
        stage.set_total(2)
        stage.advance()


def test_a_line_every_few_seconds_with_counts_rate_and_end(progress, stream, clock):
    with progress.stage("embedding", 1000) as stage:
        for _ in range(20):
            clock.now += 1.0
            stage.advance(20)

    assert stream.getvalue().splitlines() == [
        "embedding: 100 of 1,000 images (10 %), 20.0 a second, 45 s left",
        "embedding: 200 of 1,000 images (20 %), 20.0 a second, 40 s left",
        "embedding: 300 of 1,000 images (30 %), 20.0 a second, 35 s left",
        "embedding: 400 of 1,000 images (40 %), 20.0 a second, 30 s left",
        "embedding: 400 images, 20.0 a second, 20 s",
    ]


def test_short_stages_say_nothing(progress, stream, clock):
    with progress.stage("quick", 10) as stage:
        clock.now += 1.0
        stage.advance(10)

    assert stream.getvalue() == ""


def test_a_total_may_come_late(progress, stream, clock):
    with progress.stage("scan", unit="files") as stage:
        clock.now += 6.0
        stage.advance(3000)
        stage.set_total(4000)
        clock.now += 6.0
        stage.advance(0)

    assert stream.getvalue().splitlines()[:2] == [
        "scan: 3,000 files, 500 a second",
        "scan: 3,000 of 4,000 files (75 %), 250 a second, 4 s left",
    ]


def test_a_stage_ends_once(progress, stream, clock):
    with progress.stage("x", 10) as stage:
        clock.now += 6.0
        stage.advance(10)
        stage.close()

    assert len(stream.getvalue().splitlines()) == 2


def test_notes_and_warnings_show_what_they_are(progress, stream):
    progress.note("7 files: a\n\udcff")
    progress.warn("careful")

    assert stream.getvalue().splitlines() == ["7 files: a\\n\\udcff", "warning: careful"]


def test_quiet_keeps_warnings(stream, clock):
    progress = ConsoleProgress(stream, quiet=True, clock=clock)
    with progress.stage("x", 10) as stage:
        clock.now += 60.0
        stage.advance(10)
        stage.set_total(3)
    progress.note("note")
    progress.warn("careful")

    assert stream.getvalue() == "warning: careful\n"


def test_threads_may_count_together(progress, stream, clock):
    with progress.stage("x", 4000) as stage:
        threads = [
            threading.Thread(target=lambda: [stage.advance() for _ in range(1000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.now += 10.0
        stage.advance(0)

    assert "4,000 of 4,000" in stream.getvalue()


def test_a_closed_stderr_stops_nobody(clock):
    stream = io.StringIO()
    progress = ConsoleProgress(stream, interval_s=0.0, clock=clock)
    stage = progress.stage("x")
    stream.close = None
    progress._stream = io.TextIOWrapper(io.BytesIO())
    progress._stream.detach()

    progress.note("nobody hears this")
    stage.close()


def test_a_terminal_gets_bars_that_vanish(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = ConsoleProgress(terminal)
    with (
        progress.stage("embedding", 10) as stage,
        progress.stage("sealing", unit="shards") as other,
    ):
        stage.advance(3)
        stage.set_total(20)
        other.advance()
        progress.note("half [bold]way")
    progress.note("over")

    shown = terminal.text()
    assert "embedding" in shown
    assert "half [bold]way" in shown
    assert shown.rstrip().endswith("over")
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") == 1  # the cursor is back


def test_an_interrupted_stage_gives_the_terminal_back(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()

    def interrupted():
        with ConsoleProgress(terminal).stage("x", 10) as stage:
            stage.advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.text().count("\x1b[?25h") == 1


def test_stdout_stays_clean_and_rich_is_not_needed_without_a_terminal():
    program = (
        "import sys; from vta_cli.console.progress import ConsoleProgress\n"
        "p = ConsoleProgress(interval_s=0.0)\n"
        "with p.stage('x', 3) as s:\n"
        "    s.advance(3)\n"
        "p.note('note')\n"
        "assert not {'rich', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout == b""
    assert b"x: 3 of 3 images" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (200_000, "2 d 7 h")],
)
def test_spans_of_time(seconds, words):
    assert span(seconds) == words


def test_nothing_is_foretold_before_anything_is_known():
    assert status("x", 0, 100, "images", 0.0) == "x: 0 of 100 images (0 %)"
    assert "left" not in status("x", 1, 100, "images", 0.5)
    assert "left" not in status("x", 100, 100, "images", 50.0)


def test_quiet_of_the_command_line_keeps_warnings(capsys):
    """What -q of every command leaves: no stages, no notes, all warnings."""
    told = of_this_run(quiet=True)
    with told.stage("embed", 1) as stage:
        stage.advance()
    told.note("by the way")
    told.warn("t.safetensors is of other labels")
    assert capsys.readouterr().err == "warning: t.safetensors is of other labels\n"
