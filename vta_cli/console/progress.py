"""Progress on stderr: bars on a terminal, a plain line every few seconds elsewhere.

Standard output is never touched: it belongs to the data. rich is imported with the first stage on
a terminal, and not at all elsewhere.
"""

import importlib
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from vta_cli.console.look import Look, printable

INTERVAL_S = 5.0
"""Between two plain lines of a stage."""
SETTLED_S = 2.0
"""Before this a rate says little and no end is foretold."""


class ConsoleStage(Protocol):
    """One piece of counted work; a context manager that closes itself."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""

    def set_total(self, total: int) -> None:
        """Tell the number of units, once it is known."""

    def close(self) -> None:
        """End the stage."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ConsoleProgress:
    """What pipelines report to; stages may be advanced from any thread.

    Parameters
    ----------
    stream : text stream, optional
        Where to write; stderr if None.
    quiet : bool
        No stages and no notes; warnings stay.
    interval_s : float
        Between two plain lines of a stage [s].
    clock : callable
        A monotonic clock [s].
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._interval_s = interval_s
        self._clock = clock
        self._look = Look.of(self._stream)
        self._lock = threading.RLock()
        self._bars: Any = None

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> ConsoleStage:
        """Begin a counted piece of work; `total` may follow later."""
        if self._quiet:
            return _Hushed()
        if self._stream.isatty():
            if self._bars is None:
                live = importlib.import_module("vta_cli.console.live")
                self._bars = live.Bars(self._stream, self._look)
            bar: ConsoleStage = self._bars.stage(name, total, unit)
            return bar
        return _Lines(self._write, name, total, unit, self._interval_s, self._clock)

    def note(self, text: str) -> None:
        """Tell something that the user may want to know."""
        if not self._quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Tell something that the user should know."""
        self._write(text, self._look.style("warning:", "yellow") + " ")

    def _write(self, text: str, before: str = "") -> None:
        line = before + printable(text, self._stream) + "\n"
        with self._lock:
            if self._bars is not None:
                self._bars.write(line)
                return
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):  # stderr was closed: no reason to stop working
                return


class _Stage:
    """The part that all stages share: closing at the end of a block."""

    def close(self) -> None:
        """End the stage."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Hushed(_Stage):
    """Counts nothing."""

    def advance(self, n: int = 1) -> None:
        """Count nothing."""

    def set_total(self, total: int) -> None:
        """Remember nothing."""


class _Lines(_Stage):
    """A stage as plain lines; one that is over before the first line is due writes none."""

    def __init__(
        self,
        write: Callable[[str], None],
        name: str,
        total: int | None,
        unit: str,
        interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._write, self._clock, self._interval_s = write, clock, interval_s
        self._name, self._total, self._unit = name, total, unit
        self._done = 0
        self._start = self._last = clock()
        self._lock = threading.Lock()
        self._open = True

    def advance(self, n: int = 1) -> None:
        """Count `n` more units; write a line if one is due."""
        with self._lock:
            self._done += n
            now = self._clock()
            if now - self._last < self._interval_s:
                return
            self._last = now
            line = status(self._name, self._done, self._total, self._unit, now - self._start)
        self._write(line)

    def set_total(self, total: int) -> None:
        """Tell the number of units."""
        with self._lock:
            self._total = total

    def close(self) -> None:
        """Write what was done, if the stage was long enough to have written before."""
        with self._lock:
            wrote = self._last != self._start
            if not self._open or not wrote:
                self._open = False
                return
            self._open = False
            seconds = self._clock() - self._start
            line = f"{status(self._name, self._done, None, self._unit, seconds)}, {span(seconds)}"
        self._write(line)


def status(name: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """Return where a stage stands: counts, share, rate, time that is left.

    >>> status("embedding", 500, 2000, "images", 10.0)
    'embedding: 500 of 2,000 images (25 %), 50.0 a second, 30 s left'
    """
    if total:
        text = f"{name}: {done:,} of {total:,} {unit} ({100 * done // total} %)"
    else:
        text = f"{name}: {done:,} {unit}"
    if seconds <= 0 or not done:
        return text
    rate = done / seconds
    text += f", {rate:,.1f} a second" if rate < 100 else f", {rate:,.0f} a second"
    if total and total > done and seconds >= SETTLED_S:
        text += f", {span((total - done) / rate)} left"
    return text


def span(seconds: float) -> str:
    """Return a length of time in the two units that matter.

    >>> span(4000.0)
    '1 h 6 min'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
