"""From a path to its bytes, and from bytes to the content key. Knows nothing of image formats."""

import errno
import os
import stat

import blake3

from vta_cli.errors import UnreadableImageError

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read by default [bytes]: an uncompressed picture at the pixel limit fits."""

_REASON_OF_ERRNO = {
    errno.ENOENT: "missing-file",
    errno.ENOTDIR: "missing-file",
    errno.ELOOP: "missing-file",
    errno.EACCES: "no-permission",
    errno.EPERM: "no-permission",
    errno.EISDIR: "not-a-file",
    errno.ENXIO: "not-a-file",  # a socket, or a pipe that nobody writes to
}


def key_of(data: bytes | memoryview) -> bytes:
    """Return the content key: the BLAKE3 digest of the bytes, 32 bytes long.

    BLAKE3 is collision-proof and hashes 3.5 GB a second and core, ten times as many as SHA-256.
    """
    return blake3.blake3(data).digest()


def reason_of(error: OSError) -> str:
    """Return the skip reason for what the system said about a path."""
    return _REASON_OF_ERRNO.get(error.errno or 0, "io-error")


def read_bytes(path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole regular file.

    Parameters
    ----------
    path : str
        As Python's file functions give it; undecodable bytes as surrogates.
    max_bytes : int
        Files larger than this are refused before a byte is read.

    Raises
    ------
    UnreadableImageError
        ``missing-file``, ``no-permission``, ``not-a-file``, ``too-large-file`` or ``io-error``.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImageError("not-a-file", "not a regular file")
            if status.st_size > max_bytes:
                raise UnreadableImageError(
                    "too-large-file",
                    f"{status.st_size / 2**20:.0f} MiB, more than the limit of "
                    f"{max_bytes / 2**20:.0f} MiB",
                )
            return file.read()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            detail = error.strerror or str(error)
            raise UnreadableImageError(reason_of(error), detail) from error
        # a null character in the path: no such file can exist
        raise UnreadableImageError("missing-file", str(error)) from error


def _open_at_once(path: str, flags: int) -> int:
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever
    return os.open(path, flags | os.O_NONBLOCK)
