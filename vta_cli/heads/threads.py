"""One thread for products of matrices while heads are applied.

On pieces of a few hundred rows threads mostly wait for each other, which costs three times what it
gains. And a product that is cut for several threads gives rows beside the cuts other bits.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from threadpoolctl import ThreadpoolController


class _Guard:
    """The number of threads is the process's: the first to come sets it, the last resets it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._limit: Any = None

    @cached_property
    def _controller(self) -> ThreadpoolController:
        return ThreadpoolController()

    def enter(self) -> None:
        with self._lock:
            if not self._n_inside:
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._n_inside += 1

    def leave(self) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limit.restore_original_limits()


_GUARD = _Guard()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy's library to one thread; may be nested, and used by several threads at once."""
    _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave()
