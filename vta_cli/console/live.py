"""Bars on a terminal, drawn by rich; imported only where there is one."""

import atexit
import threading
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from vta_cli.console.look import Look
from vta_cli.console.progress import span


class _Counts(ProgressColumn):
    """Done, total, rate and the time that is left, in words that fit beside a short bar."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        done = int(task.completed)
        words = f"{done:,}/{int(task.total):,} {unit}" if task.total else f"{done:,} {unit}"
        speed = task.finished_speed or task.speed
        if speed:
            words += f"  {speed:,.1f}/s" if speed < 100 else f"  {speed:,.0f}/s"
        if task.time_remaining and not task.finished:
            words += f"  {span(task.time_remaining)} left"
        return Text(words, no_wrap=True)


class Bars:
    """All stages of a run as bars below one another; they vanish when they are done."""

    def __init__(self, stream: TextIO, look: Look) -> None:
        self._console = Console(file=stream, no_color=not look.colour, highlight=False)
        self._progress: Progress | None = None
        self._n_open = 0
        self._lock = threading.RLock()
        atexit.register(self._stop)  # a terminal must get its cursor back

    def stage(self, name: str, total: int | None, unit: str) -> "BarStage":
        """Add a bar; the first one starts the drawing."""
        with self._lock:
            if self._progress is None:
                self._progress = self._start()
            self._n_open += 1
            task = self._progress.add_task(name, total=total, unit=unit)
            return BarStage(self, self._progress, task)

    def _start(self) -> Progress:
        progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _Counts(),
            console=self._console,
            transient=True,
            redirect_stdout=False,  # stdout belongs to the data
            redirect_stderr=False,
            speed_estimate_period=20.0,
            refresh_per_second=8,
        )
        progress.start()
        return progress

    def write(self, line: str) -> None:
        """Write a line above the bars."""
        self._console.print(Text.from_ansi(line.rstrip("\n")), soft_wrap=True)

    def closed(self) -> None:
        """Take notice of the end of a stage; the last one stops the drawing."""
        with self._lock:
            self._n_open -= 1
            if self._n_open == 0:
                self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class BarStage:
    """One bar."""

    def __init__(self, bars: Bars, progress: Progress, task: TaskID) -> None:
        self._bars, self._progress, self._task = bars, progress, task
        self._open = True

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self._progress.advance(self._task, n)

    def set_total(self, total: int) -> None:
        """Tell the number of units, once it is known."""
        self._progress.update(self._task, total=total)

    def close(self) -> None:
        """Take the bar away."""
        if self._open:
            self._open = False
            self._progress.remove_task(self._task)
            self._bars.closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
