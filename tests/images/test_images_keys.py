import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.errors import UnreadableImageError
from vta_cli.images.keys import key_of, read_bytes
from vta_cli.records import KEY_BYTES


def reason_of(path, **options):
    with pytest.raises(UnreadableImageError) as caught:
        read_bytes(str(path), **options)
    return caught.value.slug


def test_the_key_is_blake3():
    # test vector of the BLAKE3 specification: the digest of no bytes
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert key_of(b"").hex() == empty


@given(st.binary(), st.binary())
def test_keys_are_equal_exactly_where_bytes_are(one, other):
    assert len(key_of(one)) == KEY_BYTES
    assert key_of(one) == key_of(memoryview(one))
    assert (key_of(one) == key_of(other)) == (one == other)


def test_reads_what_the_file_holds(tmp_path):
    path = tmp_path / os.fsdecode(b"bad \xff name\n.jpg")
    path.write_bytes(b"content")
    assert read_bytes(str(path)) == b"content"
    assert read_bytes(str(path), max_bytes=7) == b"content"


def test_each_obstacle_has_its_reason(tmp_path, monkeypatch):
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(11))
    assert reason_of(file, max_bytes=10) == "too-large-file"
    assert reason_of(tmp_path / "none.jpg") == "missing-file"
    assert reason_of(file / "below.jpg") == "missing-file"
    assert reason_of("nul\0inside.jpg") == "missing-file"
    assert reason_of(tmp_path) == "not-a-file"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason_of(tmp_path / "loop") == "missing-file"

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert reason_of(file) == "no-permission"


def test_pipes_and_sockets_neither_hang_nor_pass(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert reason_of(tmp_path / "pipe") == "not-a-file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        assert reason_of(tmp_path / "s") == "not-a-file"
