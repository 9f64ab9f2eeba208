"""The worker processes of `vta embed`, from their master's side: start, ask, replace, end them.

A worker that dies (out of memory, a decoder that crashes) is replaced. The file it was at is tried
once more, alone; if that ends a second worker, the file is reported as unreadable.
"""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vta_cli.errors import BackboneError
from vta_cli.pipelines.frames import DESK_BYTES, Desk, receive, send, taken, unnamed_memory
from vta_cli.pipelines.opening import Content, Look

BOOT = """\
import json, sys
said = json.loads(sys.argv[1])
sys.path[:] = said.pop("path")
from vta_cli.pipelines.worker import nurse
nurse(**said)
"""
"""The program that workers are forked from. It finds the packages that its master finds, and runs
nothing of the master's script, so that needs no guard against running twice."""

ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB", "NUMEXPR")
}
"""Each worker has one core; libraries with a thread for every core would fight for them."""

START_S = 60.0
END_S = 5.0
"""How long workers may take to start, if someone waits for them, and to end [s]."""
LIVES = 3
"""Workers that may vanish without a file to blame before the crew is given up."""

Choose = Callable[[int, Content], list[int] | None]
"""From a file's place in the request and its content to the numbers of the readings wanted of it:
none, if its header is enough, and None, if there is nothing to look at."""

Opened = tuple[Content, Look | None]


class CrewLostError(Exception):
    """The workers cannot be used (any more); the master has to do the work itself."""


class _DiedError(Exception):
    """A worker ended while it was asked."""

    def __init__(self, at: int | None, contents: list[Content], code: int | None) -> None:
        super().__init__(at, code)
        self.at, self.contents, self.code = at, contents, code


@dataclass
class _Worker:
    pid: int
    channel: socket.socket
    desk: Desk

    def ask(self, paths: Sequence[str], choose: Choose, readings: Sequence[Any]) -> list[Opened]:
        """Have files opened; see `Crew.open`."""
        contents: list[Content] = []
        try:
            send(self.channel, {"paths": paths})
            contents = [_content(said) for said in self._heard()["contents"]]
            wanted = [choose(place, content) for place, content in enumerate(contents)]
            send(self.channel, {"wanted": wanted, "readings": readings})
            told = self._heard()
        except EOFError as error:
            raise _DiedError(self.desk.at, contents, None) from error
        copy = self.desk.copied(told["end"])
        looks: list[Look | None] = []
        for said in told["looks"]:
            looks.append(None)
            if said is not None:
                shown = [taken(copy, placed) for placed in said.pop("shown")]
                looks[-1] = Look(**said, shown=shown)  # type: ignore[arg-type]
        return list(zip(contents, looks, strict=False))  # fewer looks if it was told to halt

    def _heard(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = receive(self.channel)
        if "error" in told:
            error = told["error"]
            raise BackboneError(error["slug"], error["message"], hint=error["hint"])
        return told

    def close(self) -> None:
        self.channel.close()
        self.desk.close()


class Crew:
    """Worker processes that open files; begun at once, of use when they are `ready`.

    Parameters
    ----------
    n_workers : int
        Processes. As many threads may call `open` at once.
    modules : sequence of str
        What they need to have imported.
    """

    def __init__(self, n_workers: int, modules: Sequence[str]) -> None:
        self.n_workers, self._modules = n_workers, list(modules)
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._nursery: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lifeline, self._end = os.pipe()
        self._lock_number = unnamed_memory(0)
        self._talk = threading.Lock()
        self._settled = threading.Event()
        self._lost = self._closed = self._halted = False
        self._pids: list[int] = []
        self._desks: list[Desk] = []
        self._n_vanished = 0
        self._hiring = threading.Thread(target=self._hire, name="vta-crew", daemon=True)
        self._hiring.start()

    @property
    def pids(self) -> list[int]:
        """The workers that were ever started."""
        return list(self._pids)

    @property
    def alive(self) -> bool:
        """Whether workers are there, or may still come."""
        return not (self._lost or self._closed)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def ready(self) -> bool:
        """Whether `open` would be answered now."""
        return self._settled.is_set() and not self._lost

    def wait(self) -> bool:
        """Wait until the workers are ready, or have failed to become so; tell which."""
        return self._settled.wait(START_S) and not self._lost

    def halt(self) -> None:
        """Have requests answered as soon as the files under work are done; may be short then."""
        self._halted = True
        for desk in self._desks:
            with contextlib.suppress(ValueError):  # closed: its worker is gone
                desk.halt()

    def _hire(self) -> None:
        """Start the nursery and all workers; runs in a thread of its own."""
        try:
            for _ in range(self.n_workers):
                self._idle.put(self._fork())
        except CrewLostError:
            self._give_up()
        self._settled.set()

    def _give_up(self) -> None:
        self._lost = True
        self._idle.put(None)  # whoever takes it passes it on

    def _fork(self) -> _Worker:
        """Have a new worker made; start the nursery if there is none."""
        with self._talk:
            for _ in range(2):
                try:
                    return self._forked(self._control or self._start())
                except (EOFError, OSError, ValueError):  # the nursery is gone, or never came up
                    self._stop_nursery()
            raise CrewLostError

    def _start(self) -> socket.socket:
        """Start the nursery and wait until it is ready to fork.

        Raises
        ------
        EOFError, OSError
            If it does not come up.
        """
        if self._closed or not sys.executable or getattr(sys, "frozen", False):
            raise EOFError
        self._control, theirs = socket.socketpair()
        with theirs:
            passed = theirs.fileno(), self._lifeline, self._lock_number
            path = list(map(str, sys.path))
            said = {
                "path": path, "control": passed[0], "lifeline": passed[1], "lock": passed[2],
                "modules": self._modules,
            }  # fmt: skip
            self._nursery = subprocess.Popen(
                [sys.executable, "-P", "-c", BOOT, json.dumps(said)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what there is to say is said by their master
                pass_fds=passed,
                env=os.environ | ONE_THREAD,
                process_group=0,  # Ctrl-C is the master's to answer
            )
        receive(self._control)
        return self._control

    def _forked(self, control: socket.socket) -> _Worker:
        number = unnamed_memory(DESK_BYTES)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(control, [b"+"], [theirs.fileno(), number])
                send(control, {"do": "fork"})
                self._pids.append(receive(control)["pid"])
                self._desks.append(Desk(number))
                self._desks[-1].at = None  # at no file yet, so that its end is no file's fault
                if self._halted:
                    self.halt()
                return _Worker(self._pids[-1], ours, self._desks[-1])
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(number)

    def _stop_nursery(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._nursery is not None:
            try:
                self._nursery.wait(END_S if self._closed else 0)
            except subprocess.TimeoutExpired:
                self._nursery.kill()
                self._nursery.wait()
            self._nursery = None

    def open(self, paths: Sequence[str], choose: Choose, readings: Sequence[Any]) -> list[Opened]:
        """Have files read, hashed and looked at by one worker.

        Parameters
        ----------
        paths : sequence of str
        choose : callable
            Called for each file in order, when all are read; again for a file that is tried again.
        readings : sequence
            What the numbers mean that `choose` returns, in the words of `worker`; may grow
            meanwhile. Arrays of all files together have to fit into `frames.DESK_BYTES`.

        Returns
        -------
        list of (Content, Look or None)
            One for each path; after `halt` perhaps of the first ones only.

        Raises
        ------
        CrewLostError
            If there are no workers.
        BackboneError
            If a backbone in a worker fails.
        """
        return self._open(paths, choose, readings, first=0, again=False)

    def _open(
        self, paths: Sequence[str], choose: Choose, readings: Sequence[Any], first: int, *,
        again: bool,
    ) -> list[Opened]:  # fmt: skip
        if not paths or self._halted:
            return []
        try:
            return self._ask(paths, lambda place, seen: choose(first + place, seen), readings)
        except _DiedError as death:
            at, died = death.at, death
        if at is None:  # nobody's fault
            self._n_vanished += 1
            if self._n_vanished >= LIVES:
                self._give_up()
            return self._open(paths, choose, readings, first, again=again)
        if again:
            return [_unreadable(died)]
        opened: list[Opened] = []
        for start, end in ((0, at), (at, at + 1), (at + 1, len(paths))):
            alone = start == at
            opened += self._open(paths[start:end], choose, readings, first + start, again=alone)
            if len(opened) < end:  # halted
                break
        return opened

    def _ask(self, paths: Sequence[str], choose: Choose, readings: Sequence[Any]) -> list[Opened]:
        worker = None if self._lost else self._idle.get()
        if worker is None:
            self._idle.put(None)
            raise CrewLostError
        try:
            opened = worker.ask(paths, choose, readings)
        except _DiedError as death:
            death.code = self._buried(worker)
            try:
                self._idle.put(self._fork())
            except CrewLostError:
                self._give_up()
            raise
        except BackboneError:
            self._idle.put(worker)
            raise
        except BaseException:  # in the middle of a talk: it is of no more use
            worker.close()
            raise
        self._idle.put(worker)
        return opened

    def _buried(self, worker: _Worker) -> int | None:
        """Let go of a dead worker; return its exit code, negative for a signal."""
        worker.close()
        with self._talk, contextlib.suppress(EOFError, OSError, ValueError):
            if self._control is not None:
                socket.send_fds(self._control, [b"+"], [])
                send(self._control, {"do": "reap", "pid": worker.pid})
                return int(receive(self._control)["code"])
        return None

    def close(self) -> None:
        """End all workers, whatever they are at."""
        self._closed = True
        os.close(self._end)  # each of them watches the other end
        self._give_up()
        nursery = self._nursery
        if nursery is not None and not self._settled.is_set():
            nursery.kill()  # it would go on with its imports
        self._hiring.join()
        with self._talk:
            self._stop_nursery()
        os.close(self._lifeline)
        os.close(self._lock_number)
        while not self._idle.empty():
            worker = self._idle.get()
            if worker is not None:
                worker.close()


def _content(said: Mapping[str, Any]) -> Content:
    key = said["key"]
    return Content(**{**said, "key": None if key is None else bytes.fromhex(key)})


def _unreadable(death: _DiedError) -> Opened:
    """Return the outcome of a file that ended two workers."""
    why = "its process ended"
    if death.code is not None and death.code < 0:
        why = f"killed by {signal.Signals(-death.code).name}"
    content = death.contents[0] if death.contents else Content(time.time_ns())
    detail = f"the decoder crashed, twice ({why})"
    if content.key is None:
        return replace(content, reason="decode-failed", detail=detail), None
    return content, Look(reason="decode-failed", detail=detail)
