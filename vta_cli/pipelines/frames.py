"""What the process and its workers say to each other: JSON in frames, arrays in shared memory.

Nothing that runs code crosses: no pickle. A `Desk` is the memory that a worker and its master both
see; it has no name, so no crash can leave it behind, and `/dev/shm` may be as small as it likes.
"""

import json
import mmap
import os
import socket
import struct
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

DESK_BYTES = 2**26
"""Size of a worker's shared memory [bytes]; only the pages that are written take memory."""
_HEAD_BYTES = 64  # the number of the file under work, the wish to stop; then arrays, aligned
_LENGTH = struct.Struct("<I")
_NONE = 2**32 - 1

Placed = tuple[int, list[int], str]
"""Where an array lies on a desk: offset [bytes], shape, type."""


def send(channel: socket.socket, message: Any) -> None:
    """Send one JSON value; undecodable bytes in file names (surrogates) survive.

    Raises
    ------
    EOFError
        If the other side is gone.
    """
    data = json.dumps(message).encode("ascii")
    try:
        channel.sendall(_LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise EOFError from error


def receive(channel: socket.socket) -> Any:
    """Wait for one JSON value.

    Raises
    ------
    EOFError
        If the other side is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return json.loads(_exactly(channel, length))


def _exactly(channel: socket.socket, n_bytes: int) -> bytes:
    parts: list[bytes] = []
    while n_bytes:
        try:
            part = channel.recv(min(n_bytes, 2**20))
        except OSError as error:
            raise EOFError from error
        if not part:
            raise EOFError
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def unnamed_memory(n_bytes: int) -> int:
    """Return the descriptor of so many bytes of memory that other processes can be given."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("vta")
    else:  # macOS: a file that is deleted as soon as it is open
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.ftruncate(number, n_bytes)
    return number


class Desk:
    """Memory that a worker writes arrays to and its master reads them from.

    Parameters
    ----------
    number : int
        Descriptor, as of `unnamed_memory`; stays the caller's to close.
    """

    def __init__(self, number: int) -> None:
        self._memory = mmap.mmap(number, DESK_BYTES)
        self._end = _HEAD_BYTES

    @property
    def at(self) -> int | None:
        """Place, in the request, of the file that the worker is at; None between two requests."""
        (place,) = _LENGTH.unpack_from(self._memory)
        return None if place == _NONE else int(place)

    @at.setter
    def at(self, place: int | None) -> None:
        _LENGTH.pack_into(self._memory, 0, _NONE if place is None else place)

    @property
    def halted(self) -> bool:
        """Whether the master wants no more than what is done."""
        return bool(self._memory[_LENGTH.size])

    def halt(self) -> None:
        """Ask the worker to stop behind the file that it is at."""
        self._memory[_LENGTH.size] = 1

    def clear(self) -> None:
        """Forget what lies here."""
        self._end = _HEAD_BYTES

    def put(self, array: NDArray[Any]) -> Placed:
        """Copy an array to the desk.

        Raises
        ------
        MemoryError
            If there is no room; masters ask for no more than fits.
        """
        start, self._end = self._end, self._end + -(-array.nbytes // 64) * 64
        if self._end > DESK_BYTES:
            raise MemoryError(f"{array.nbytes} bytes do not fit on a worker's desk")
        place = np.frombuffer(self._memory, array.dtype, array.size, start)
        place[:] = array.reshape(-1)
        return start, list(array.shape), array.dtype.str

    def copied(self, end: int) -> NDArray[np.uint8]:
        """Return what lies here up to `end`, so that the desk can be used again."""
        copy = np.empty(end, np.uint8)
        copy[:] = np.frombuffer(self._memory, np.uint8, end)  # without the interpreter's lock
        return copy

    @property
    def end(self) -> int:
        """Where the next array would be put."""
        return self._end

    def close(self) -> None:
        """Give the mapping back."""
        self._memory.close()


def taken(copy: NDArray[np.uint8], placed: Placed) -> NDArray[Any]:
    """Return an array out of `Desk.copied`, as a view."""
    start, shape, kind = placed
    n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
    return copy[start : start + n_bytes].view(kind).reshape(shape)
