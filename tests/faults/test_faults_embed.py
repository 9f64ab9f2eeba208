"""Embedding that is killed, interrupted, doubled or out of disk: nothing sealed is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def start(*args, cwd):
    """Start `vta` without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "vta_cli", *map(str, args)],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "VTA_OFFLINE": "1"},
    )  # fmt: skip


@pytest.fixture
def many(fresh):
    """Return a folder with 144 distinct small pictures."""
    template = (fresh / "pics/p00.jpg").read_bytes()
    for index in range(120):
        # bytes after the end of the picture: another key, the same pixels
        extra = fresh / "pics" / f"extra{index:03d}.jpg"
        extra.write_bytes(template + index.to_bytes(4, "big"))
        os.utime(extra, (1_700_000_000, 1_700_000_000))
    return fresh


def wait_for(path, process):
    """Wait until `path` exists or the process ends; polls the event, asserts no time."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("moment", range(4))
def test_kill_at_any_moment(moment, many, vta):
    """After SIGKILL the next run completes, and the store is clean."""
    process = start("embed", "pics", "--preset", "classic", "-q", cwd=many)
    if moment:
        wait_for(many / ".vta/catalogue", process)
        # how far it got differs from run to run; any moment has to be survivable
        time.sleep(random.Random(moment).random() * moment * 0.4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = vta("embed", "pics", "--preset", "classic", cwd=many)
    assert again.code == 0, again.err
    assert "144 images" in again.err
    last = vta("embed", "pics", cwd=many)
    assert "144 were in the store; 0 files opened" in last.err
    checked = vta("store", "check", cwd=many)
    assert checked.code == 0, checked.err
    assert "clean" in checked.err


def test_ctrl_c_commits_and_goes_on(many, vta):
    """SIGINT ends with 130 and keeps what was done; the next run does only the rest."""
    process = start("embed", "pics", "--preset", "classic", cwd=many)
    wait_for(many / ".vta/catalogue", process)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode in {130, 0}, err
    assert "Traceback" not in err
    again = vta("embed", "pics", cwd=many)
    assert again.code == 0
    assert "144 images" in again.err


def test_two_embeds_at_once(many, vta):
    """Two writers into one new store both succeed, and every vector is there once."""
    first = start("embed", "pics", "--preset", "classic", cwd=many)
    second = start("embed", "pics", "--preset", "classic", cwd=many)
    outcomes = [process.communicate() for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outcomes
    assert "144 were in the store; 0 files opened" in vta("embed", "pics", cwd=many).err
    assert vta("store", "check", cwd=many).code == 0
    assert vta("store", "compact", "--grace", "0", cwd=many).code == 0
    assert "144 were in the store; 0 files opened" in vta("embed", "pics", cwd=many).err


def test_full_disk_is_an_error_and_loses_nothing(many, vta, tmp_path):
    """A store on a full disk: one line, exit code 1; with room again the run completes."""
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", small],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        ran = vta("embed", "pics", "--preset", "classic", "--store", small / "s", cwd=many)
        assert ran.code == 1, ran.err
        assert "error[disk-full]" in ran.err
        assert "Traceback" not in ran.err
        checked = vta("store", "check", "--store", small / "s", cwd=many)
        assert checked.code == 0
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        again = vta("embed", "pics", "--store", small / "s", cwd=many)
        assert again.code == 0, again.err
        assert "144 images" in again.err
    finally:
        subprocess.run(["umount", small], check=False)


def test_flipped_byte_heals(fresh, vta):
    """A damaged shard is found, taken aside, and the next embed fills the gap."""
    assert vta("embed", "pics", "--preset", "classic", cwd=fresh).code == 0
    shard = max((fresh / ".vta/spaces").rglob("*.npy"), key=lambda p: p.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.chmod(0o644)
    shard.write_bytes(bytes(data))
    checked = vta("store", "check", cwd=fresh)
    assert checked.code == 1
    assert vta("store", "check", "--repair", cwd=fresh).code == 0
    assert list((fresh / ".vta").rglob("quarantine/*"))
    healed = vta("embed", "pics", cwd=fresh)
    assert "vectors added" in healed.err
    assert vta("store", "check", cwd=fresh).code == 0


def test_lost_catalogue_costs_hashing_only(fresh, vta):
    """Without the catalogue files are read again, but nothing is embedded again."""
    assert vta("embed", "pics", "--preset", "classic", cwd=fresh).code == 0
    shutil.rmtree(fresh / ".vta/catalogue")
    again = vta("embed", "pics", cwd=fresh)
    assert again.code == 0
    assert "added" not in again.err
    assert "24 images" in again.err


def test_read_only_store_scores(trained_folder, vta):
    """A store on a read-only file system can be scored."""
    store = trained_folder / ".vta"
    mounted = subprocess.run(["mount", "--bind", store, store], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", store], check=True)
        ran = vta("score", "pics", cwd=trained_folder)
        assert ran.code == 0, ran.err
        assert len(ran.out.splitlines()) == 25
        refused = vta("embed", Path("pics/p00.jpg"), cwd=trained_folder)
        assert "Traceback" not in refused.err
    finally:
        subprocess.run(["umount", store], check=False)
