"""A batch grows while that pays a picture, and settles; the times are made up."""

import pytest

from vta_cli.backbones.batch_size import PASSES, BatchSize


def run(batch, seconds, passes=60):
    """Tell of full passes that take `seconds(n)`; return the sizes that were tried."""
    tried = []
    for _ in range(passes):
        tried.append(batch.size)
        batch.ran(batch.size, seconds(batch.size))
    return list(dict.fromkeys(tried))


def test_it_grows_to_where_the_device_is_full():
    batch = BatchSize(32, 512)
    # a fixed 10 ms a pass up to 128 pictures, then every picture counts
    assert run(batch, lambda n: 0.010 * max(1.0, n / 128)) == [32, 64, 128, 256]
    assert batch.size == 128


def test_it_stops_at_the_most():
    batch = BatchSize(32, 128)
    assert run(batch, lambda _n: 0.010) == [32, 64, 128]
    assert batch.size == 128


def test_it_does_not_grow_where_nothing_is_gained():
    batch = BatchSize(32, 512)
    assert run(batch, lambda n: n * 0.001) == [32, 64]
    assert batch.size == 32


def test_one_slow_pass_decides_nothing():
    batch = BatchSize(32, 512)
    times = iter([5.0, 0.01, 0.01, 0.01, 0.01, 5.0])
    for _ in range(2 * PASSES):
        batch.ran(batch.size, next(times))
    assert batch.size == 128


def test_passes_of_another_size_do_not_count():
    batch = BatchSize(32, 512)
    for _ in range(20):
        batch.ran(7, 0.001)
    assert batch.size == 32


def test_what_did_not_fit_is_not_tried_again():
    batch = BatchSize(32, 512)
    for _ in range(PASSES):
        batch.ran(32, 0.01)
    assert batch.size == 64
    batch.settle(16)
    assert run(batch, lambda _n: 0.010) == [16]


def test_without_room_it_stays():
    asked = []
    batch = BatchSize(32, 512, lambda: bool(asked.append(1)))
    assert run(batch, lambda _n: 0.010) == [32]
    assert len(asked) == 1


@pytest.mark.parametrize("size", [1, 16])
def test_a_size_that_was_asked_for_stays(size):
    batch = BatchSize(size, size)
    assert run(batch, lambda _n: 0.010) == [size]
