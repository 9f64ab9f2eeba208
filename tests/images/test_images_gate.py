import threading

import pytest

from vta_cli.images.gate import MemoryGate


def test_reservations_never_exceed_the_budget_and_all_get_their_turn():
    gate = MemoryGate(100)
    held, peak, done = 0, 0, []
    lock = threading.Lock()

    def work(size):
        nonlocal held, peak
        with gate.reserve(size):
            with lock:
                held += min(size, 100)
                peak = max(peak, held)
            threading.Event().wait(0.0005)
            with lock:
                held -= min(size, 100)
                done.append(size)

    sizes = [10, 60, 100, 5, 300, 33] * 5
    threads = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == sorted(sizes)
    assert peak <= 100


def test_an_error_inside_gives_the_memory_back():
    gate = MemoryGate(10)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.reserve(10):
            raise ZeroDivisionError
    with gate.reserve(10):
        pass
