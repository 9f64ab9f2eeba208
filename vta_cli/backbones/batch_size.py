"""How many pictures go through a network at once: found while it works, by time and memory.

Rows do not depend on their batch-mates, so the size decides speed alone; it moves values by the
rounding of the arithmetic at most, since other sizes may take other kernels.
"""

from collections.abc import Callable

PASSES = 3
"""Full batches that are timed at each size; the fastest counts, since the first warms up."""
GAIN = 1.05
"""A doubled batch has to be so much faster a picture, or it is not worth its memory."""


class BatchSize:
    """A size that doubles while that pays, and never again exceeds what did not fit.

    Parameters
    ----------
    start, most : int
        Equal if the size is settled from the beginning.
    has_room : callable
        Tells whether memory may hold twice what the passes took so far; asked before each doubling.
    """

    def __init__(self, start: int, most: int, has_room: Callable[[], bool] = lambda: True) -> None:
        self.size = start
        self._most = most
        self._has_room = has_room
        self._times: list[float] = []
        self._smaller: float | None = None

    def ran(self, n_pictures: int, seconds: float) -> None:
        """Count a pass of `n_pictures` that took the device so long, and grow if that pays."""
        if self.size == self._most and self._smaller is None:
            return  # settled
        if n_pictures != self.size:
            return
        self._times.append(seconds)
        if len(self._times) < PASSES:
            return
        each, self._times = min(self._times) / self.size, []
        if self._smaller is not None and self._smaller < each * GAIN:
            self.settle(self.size // 2)
        elif self.size * 2 <= self._most and self._has_room():
            self._smaller, self.size = each, self.size * 2
        else:
            self.settle(self.size)

    def settle(self, size: int) -> None:
        """Stay at this size: nothing larger pays, or fits."""
        self.size = self._most = size
        self._times, self._smaller = [], None
