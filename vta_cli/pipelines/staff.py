"""Who opens the files of a run: threads of this process or processes, how many, and told what.

The rule, with its measurements in `docs/decisions/embed-hot-path.md`: processes where the work per
picture holds the interpreter's lock or a device waits for it, threads where the network itself
fills the cores, or where there is too little to do.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import threadpoolctl

from vta_cli.backbones.planning import accelerator
from vta_cli.backbones.protocol import is_exact
from vta_cli.backbones.registry import FAMILIES, NUMPY
from vta_cli.images.views import Resize
from vta_cli.pipelines.crew import Crew
from vta_cli.pipelines.lanes import Lane
from vta_cli.pipelines.opening import Embed, Reading

FEW_IMAGES = 200
"""Below this, processes would hardly be there before the work is done."""
FEW_PROCESSORS = 4
"""Below this, threads feed a network on a device as well as processes do."""
WORKER_BYTES = 512 * 2**20
"""Free memory that a worker has to find [bytes]: itself, and a picture of 32 million pixels."""
FILES_AT_ONCE = 16
"""Files that a worker is given together, so that the talk costs little."""
GIVEN_BYTES = 32 * 2**20
"""Bytes of files that a worker is given together; one larger file goes alone."""
SHOWN_BYTES = 8 * 2**20
"""Bytes of views that a worker hands on together."""


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hire(lanes: Sequence[Lane], n_images: int, workers: int | None) -> Crew | None:
    """Start worker processes if they are worth it, or asked for, and can do the work.

    Parameters
    ----------
    lanes : sequence of Lane
        Open, so that their recipes are known.
    n_images : int
        Files to open.
    workers : int or None
        As the user wants it; 0 for threads, None for what is best.
    """
    if workers == 0 or any(bytes_shown(lane) is None for lane in lanes):
        return None
    if workers is None:
        if n_images < FEW_IMAGES or not _gains(lanes):
            return None
        workers = min(processors(), available_bytes() // WORKER_BYTES)
        if workers < 2:
            return None
    return Crew(workers, modules(lanes))


def _gains(lanes: Sequence[Lane]) -> bool:
    networks = [lane for lane in lanes if lane.spec.family not in NUMPY]
    if not networks:
        return True
    fed = all(accelerator(lane.engine.device) for lane in networks)
    return fed and processors() >= FEW_PROCESSORS


def available_bytes() -> int:
    """Return how much memory is free for new work; what the system tells, else 4 GiB."""
    found = [2**32]
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found = [int(line.split()[1]) * 1024]
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return max(0, min(found))


class _Held:
    """The matrix libraries that are held to one thread, by how many runs, and what they had."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def hold(self, library: Any) -> None:
        with self._lock:
            name = library.filepath
            if not self._runs.get(name):
                self._before[name] = library.num_threads
                library.set_num_threads(1)
            self._runs[name] = self._runs.get(name, 0) + 1

    def free(self, library: Any) -> None:
        with self._lock:
            name = library.filepath
            self._runs[name] -= 1
            if not self._runs[name]:
                library.set_num_threads(self._before[name])


_held = _Held()


@contextlib.contextmanager
def one_thread_each(families: Sequence[str]) -> Iterator[None]:
    """Hold numpy's matrix library to one thread while backbones of such families run on it.

    Threads of ours that each ask for all cores waste most of them, and sums come out otherwise in
    several threads than in a worker process. Networks keep theirs: that is another library.
    """
    on_numpy = [family in NUMPY for family in families]
    if not any(on_numpy):
        yield
        return
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    ours = [one for one in found if all(on_numpy) or "numpy" in one.filepath]
    with contextlib.ExitStack() as stack:
        for library in ours:
            _held.hold(library)
            stack.callback(_held.free, library)
        yield


def bytes_shown(lane: Lane) -> int | None:
    """Return what a worker process hands on of a picture [bytes]; None: it cannot do the work."""
    recipe = lane.recipe
    if recipe is None or lane.spec.family not in FAMILIES:
        return None
    if lane.spec.family in NUMPY:
        return 4 * recipe.n_views * recipe.dim
    return 3 * recipe.n_views * recipe.preprocess.crop_px**2 or None


def files_at_once(lanes: Sequence[Lane]) -> int:
    """Return how many files a worker is given together."""
    shown = sum(bytes_shown(lane) or 0 for lane in lanes)
    return max(1, min(FILES_AT_ONCE, SHOWN_BYTES // max(1, shown)))


def modules(lanes: Sequence[Lane]) -> list[str]:
    """Return what workers need to have imported."""
    wanted = {"vta_cli.pipelines.worker"}
    for lane in lanes:
        if lane.spec.family in NUMPY:
            wanted.add(FAMILIES[lane.spec.family].partition(":")[0])
        elif lane.recipe is not None and not is_exact(lane.recipe):
            wanted.add("vta_cli.backbones.resize")
    return sorted(wanted)


def reading_of(lane: Lane) -> Reading:
    """Return what a lane's backbone wants of a picture; loads it only when that is asked for."""

    def loaded() -> tuple[Resize | None, Embed | None]:
        backbone = lane.backbone
        return backbone.resize, backbone.embed if backbone.threads else None

    recipe = lane.space.recipe
    return Reading(recipe.preprocess, lane.view, is_exact(recipe), loaded)


def told(lane: Lane) -> dict[str, Any]:
    """Return `reading_of` in the words of `worker`, which makes it again there; loads a network."""
    reading, backbone = reading_of(lane), None
    resize, embed = reading.loaded()
    if embed is not None:
        backbone = {
            "load": FAMILIES[lane.spec.family],
            "spec": asdict(lane.spec),
            "precision": lane.engine.precision,
        }
    return {
        "preprocess": asdict(reading.preprocess),
        "view": reading.view,
        "exact": reading.exact,
        "resize": resize and f"{resize.__module__}:{resize.__qualname__}",
        "backbone": backbone,
    }
