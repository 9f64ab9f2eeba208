"""Batches in pieces that fit, and what counts as running out of memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.backbones.batches import in_pieces, is_out_of_memory, stack
from vta_cli.errors import BackboneError


class Cramped:
    """A forward pass that has room for `room` pictures and counts its calls."""

    def __init__(self, room):
        self.room = room
        self.sizes = []

    def __call__(self, piece):
        self.sizes.append(len(piece))
        if len(piece) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return piece.reshape(len(piece), -1)[:, :2].astype(np.float32)


def batch(n):
    return np.arange(n * 12, dtype=np.uint8).reshape(n, 2, 2, 3)


@given(n=st.integers(1, 40), size=st.integers(1, 64), room=st.integers(1, 64))
def test_every_row_comes_once_and_in_order_whatever_fits(n, size, room):
    forward = Cramped(room)
    vectors, worked = in_pieces(forward, batch(n), size, name="net")

    assert np.array_equal(vectors, batch(n).reshape(n, -1)[:, :2])
    assert worked <= size
    assert worked == size or worked <= room


def test_the_size_that_worked_is_remembered():
    forward = Cramped(3)
    _, size = in_pieces(forward, batch(16), 16, name="net")
    assert forward.sizes == [16, 8, 4, 2, 2, 2, 2, 2, 2, 2, 2]

    forward.sizes.clear()
    in_pieces(forward, batch(4), size, name="net")
    assert forward.sizes == [2, 2]


def test_memory_is_given_back_before_each_new_try():
    freed = []
    in_pieces(Cramped(1), batch(4), 4, name="net", after_failure=lambda: freed.append(1))

    assert len(freed) == 2


def test_one_picture_that_does_not_fit_is_an_error_with_a_remedy():
    with pytest.raises(BackboneError, match="mynet") as caught:
        in_pieces(Cramped(0), batch(3), 2, name="mynet")
    assert caught.value.slug == "out-of-memory"
    assert "--device cpu" in caught.value.hint


def test_other_errors_pass_through_at_once():
    calls = []

    def broken(piece):
        calls.append(len(piece))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        in_pieces(broken, batch(4), 4, name="net")
    assert calls == [4]


def test_out_of_memory_is_recognised_by_class_and_words():
    import torch

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 3 GB)"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("invalid argument"))
    assert not is_out_of_memory(KeyboardInterrupt("out of memory"))


def test_pictures_that_were_not_preprocessed_are_refused():
    good = np.zeros((4, 4, 3), np.uint8)
    assert stack([good, good], 4).shape == (2, 4, 4, 3)
    for bad in (good[:3], good[..., :1], good.astype(np.float32)):
        with pytest.raises(ValueError, match="expected"):
            stack([good, bad], 4)
