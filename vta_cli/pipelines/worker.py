"""The worker processes of `vta embed`, from their own side: open files as they are told.

A *nursery* is started as a program of its own (nothing of the user's script runs again, whatever
it holds), imports what all workers need once, has a single thread, and forks one worker whenever
it is told to. All of them end when their master does, however it ends.
"""

import fcntl
import functools
import gc
import importlib
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any, NoReturn

import numpy as np

from vta_cli.backbones.protocol import Backbone, BackboneSpec
from vta_cli.errors import VtaError
from vta_cli.images.views import Resize
from vta_cli.pipelines.frames import Desk, receive, send
from vta_cli.pipelines.opening import Embed, Look, Reading, look, read
from vta_cli.records import Preprocess

SACRIFICE = "400"
"""Added to the system's measure of whom to kill when memory runs out, so that it is no master."""


def nurse(control: int, lifeline: int, lock: int, modules: Sequence[str]) -> None:
    """Fork workers on demand until the master is gone.

    Parameters
    ----------
    control : int
        Socket to the master. ``{"do": "fork"}`` comes with the worker's socket and desk, and is
        answered with its process id; ``{"do": "reap", "pid": n}`` with what ended it.
    lifeline : int
        Read end of a pipe that the master never writes to: its end is the master's.
    lock : int
        Descriptor that all workers share; whoever decodes a large picture locks it.
    modules : sequence of str
        Imported before the first fork, where all workers share their memory.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the master finishes its batch, and needs us for it
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # collections in the workers would else copy every page
    master = socket.socket(fileno=control)
    try:
        send(master, {"ready": os.getpid()})
        while True:
            _obey(master, lifeline, lock)
    except (EOFError, OSError):
        with suppress(ChildProcessError):
            while True:  # they see the end of the lifeline as well
                os.wait()


def _obey(master: socket.socket, lifeline: int, lock: int) -> None:
    told, given = receive_with_files(master)
    if told["do"] == "reap":
        try:
            _, status = os.waitpid(told["pid"], 0)
        except ChildProcessError:
            status = 0
        send(master, {"code": os.waitstatus_to_exitcode(status)})
        return
    channel, desk = given
    child = os.fork()
    if child == 0:
        master.close()
        _work(channel, desk, lifeline, lock)
    os.close(channel)
    os.close(desk)
    send(master, {"pid": child})


def receive_with_files(channel: socket.socket) -> tuple[Any, list[int]]:
    """Wait for one JSON value and the descriptors that come with its first byte.

    Raises
    ------
    EOFError
        If the other side is gone.
    """
    try:
        _, given, _, _ = socket.recv_fds(channel, 1, 2)
    except OSError as error:
        raise EOFError from error
    return receive(channel), given


def _work(channel: int, desk: int, lifeline: int, lock: int) -> NoReturn:
    """Serve until the master is gone. Never returns into the nursery's code."""
    code = 1
    try:
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(SACRIFICE)
        _serve(socket.socket(fileno=channel), Desk(desk), lock)
    except EOFError:
        code = 0
    finally:
        os._exit(code)  # no clean-up of what the nursery set up


def _watch(lifeline: int) -> None:
    """End the process when the master ends, even in the middle of a picture."""
    with suppress(OSError):
        os.read(lifeline, 1)
    os._exit(0)


def _serve(master: socket.socket, desk: Desk, lock: int) -> None:
    made: dict[str, Reading] = {}
    while True:
        told = receive(master)
        try:
            _open(told["paths"], master, desk, lock, made)
        except EOFError:
            raise
        except VtaError as error:
            said = {"slug": error.slug, "message": error.message, "hint": error.hint}
            send(master, {"error": said})
        except Exception as error:  # noqa: BLE001 - the master raises it
            message = f"{type(error).__name__}: {error}"
            send(master, {"error": {"slug": "worker-failed", "message": message, "hint": ""}})


def _open(
    paths: Sequence[str], master: socket.socket, desk: Desk, lock: int, made: dict[str, Reading]
) -> None:
    """Read and hash all files, hear what is wanted of each, and look at these."""
    contents, data = [], []
    for place, path in enumerate(paths):
        desk.at = place
        content, found = read(path)
        contents.append(asdict(content) | {"key": content.key.hex() if content.key else None})
        data.append(found)
    desk.at = None
    send(master, {"contents": contents})
    told = receive(master)
    desk.clear()
    looks: list[dict[str, Any] | None] = []
    for place, wanted in enumerate(told["wanted"]):
        if desk.halted:
            break
        desk.at = place
        looks.append(None)
        if wanted is not None:
            readings = [_reading(told["readings"][number], made) for number in wanted]
            looks[-1] = _said(look(data[place], readings, _locked(lock)), desk)
        data[place] = b""
    desk.at = None
    send(master, {"looks": looks, "end": desk.end})


def _said(found: Look, desk: Desk) -> dict[str, Any]:
    """Put the arrays on the desk and return the rest, with where they lie."""
    placed = [desk.put(np.asarray(shown)) for shown in found.shown]
    return vars(found) | {"shown": placed}


def _reading(said: Mapping[str, Any], made: dict[str, Reading]) -> Reading:
    """Make a reading of its description, once in the life of the worker."""
    name = repr(said)
    if name not in made:

        @functools.cache
        def loaded() -> tuple[Resize | None, Embed | None]:
            resize = _resolve(said["resize"]) if said["resize"] else None
            return resize, _loaded(**said["backbone"]) if said["backbone"] else None

        looks = Preprocess(**said["preprocess"])
        made[name] = Reading(looks, said["view"], said["exact"], loaded)
    return made[name]


def _loaded(load: str, spec: Mapping[str, Any], precision: str) -> Embed:
    backbone: Backbone = _resolve(load)(BackboneSpec(**spec), precision=precision, device="cpu")
    return backbone.embed


def _resolve(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


@contextmanager
def _locked(lock: int) -> Iterator[None]:
    """Hold the lock that all workers share; the system takes it from one that dies."""
    fcntl.lockf(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(lock, fcntl.LOCK_UN)
