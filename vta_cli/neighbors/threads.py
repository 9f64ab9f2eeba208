"""Work spread over the cores, each with a matrix library of its own.

The products of the joins are small: one library call spread over all cores spends its time in
handing out and waiting (measured on two cores: five times the CPU, no less time). Here each call
keeps to one core, and the cores get calls of their own; numpy releases the interpreter meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import threadpoolctl

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Crew(Protocol):
    """Applies a function to items, some at a time, and gives the results in order."""

    def __call__(self, work: Callable[[_In], _Out], items: Iterable[_In], /) -> Iterator[_Out]:
        """Return ``work(item)`` of each item."""


def alone(work: Callable[[_In], _Out], items: Iterable[_In], /) -> Iterator[_Out]:
    """Do one item after the other in this thread."""
    return map(work, items)


@contextmanager
def crew() -> Iterator[Crew]:
    """Give as many workers as the matrix library had threads, and hold it to one thread a call.

    So ``OMP_NUM_THREADS`` and the like mean what they always mean. The library's setting is put
    back at the end.
    """
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    n_workers = max([1, *(int(library["num_threads"]) for library in controller.info())])
    if n_workers == 1:
        yield alone
        return
    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="join")

    def together(work: Callable[[_In], _Out], items: Iterable[_In], /) -> Iterator[_Out]:
        return pool.map(work, items)

    with controller.limit(limits=1):
        try:
            yield together
        finally:
            pool.shutdown(cancel_futures=True)
