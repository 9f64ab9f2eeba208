"""Bounds the memory that all decoding threads of a process hold at one time."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryGate:
    """Admits work in the order of arrival as long as its declared bytes fit the budget.

    Parameters
    ----------
    budget_bytes : int
        Sum of the reservations that may be held together.

    Notes
    -----
    First come, first served: a large picture waits for room and is not overtaken for ever by
    small ones. A thread holds one reservation at a time, so there is no deadlock.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._free = budget_bytes
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, n_bytes: int) -> Iterator[None]:
        """Hold `n_bytes` while the block runs; more than the budget counts as all of it."""
        wanted = min(n_bytes, self.budget_bytes)
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(lambda: self._queue[0] is ticket and self._free >= wanted)
                self._free -= wanted
            finally:  # an interrupt while waiting must not leave the ticket at the head
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
