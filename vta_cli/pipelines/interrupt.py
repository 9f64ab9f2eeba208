"""Ctrl-C and termination as a request: finish the batch, commit, then stop."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class StopRequest:
    """A context in which the first SIGINT or SIGTERM sets `requested`; the second one interrupts.

    Outside the main thread signals cannot be handled; the context then does nothing, and Ctrl-C
    raises `KeyboardInterrupt` in the main thread as always.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._then: list[Callable[[], None]] = []
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether someone asked to stop."""
        return self._event.is_set()

    def then(self, call: Callable[[], None]) -> None:
        """Have something called when someone asks to stop, in the midst of whatever is going on."""
        self._then.append(call)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._event.is_set():
            raise KeyboardInterrupt
        self._event.set()
        for call in self._then:
            call()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
