"""Worker processes: the same vectors as threads, and no fault of theirs is a fault of the run."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.small_nets import ONNX_TOML, save_onnx
from vta_cli.backbones import registry
from vta_cli.backbones.protocol import BackboneSpec
from vta_cli.backbones.registry import resolve
from vta_cli.errors import BackboneError
from vta_cli.pipelines import lanes as lanes_module
from vta_cli.pipelines import staff
from vta_cli.pipelines.crew import Crew
from vta_cli.pipelines.embed import embed
from vta_cli.pipelines.frames import DESK_BYTES, Desk, unnamed_memory
from vta_cli.pipelines.lanes import Engine, Lane
from vta_cli.pipelines.progress import Silent
from vta_cli.pipelines.sources import Source
from vta_cli.records import Preprocess, Recipe
from vta_cli.store.store import Store

DEADLINE_S = 60
TWO = ("--workers", "2")


def run(folder, place, names, workers):
    """Embed a folder; return the report and what the store then holds."""
    with Store.open(place, create=True) as store:
        lanes = [Lane(store, resolve(name), Engine(device="cpu"), Silent()) for name in names]
        report = embed(store, Source([str(folder)]), lanes, Silent(), workers=workers)
        entries = sorted(store.catalogue.entries(), key=lambda entry: entry.path)
        keys = np.unique(np.array([list(e.key) for e in entries if not e.reason], np.uint8), axis=0)
        rows = [lane.space.read(keys).tobytes() for lane in lanes]
        missing = [bool(lane.space.missing(keys).any()) for lane in lanes]
    assert not any(missing)
    return report, entries, rows


def seen(entries):
    """Return what the catalogue says of files, without the moment of reading."""
    return [(e.path, e.key, e.width, e.height, e.format, e.reason, e.detail) for e in entries]


@pytest.fixture(scope="module")
def mixed(drawn, tmp_path_factory):
    """Return a folder with pictures, copies, side files, bad files and an ill-named one."""
    folder = tmp_path_factory.mktemp("mixed") / "pics"
    shutil.copytree(drawn / "pics", folder)
    shutil.copy(folder / "p00.jpg", folder / "copy.jpg")
    shutil.copy(folder / "p01.jpg", os.fsencode(folder) + b"/not\xfftext.jpg")
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 broken")
    (folder / "also-bad.jpg").write_bytes(b"\xff\xd8 broken")
    (folder / "notes.txt").write_text("nobody says that this is a picture")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    return folder


@pytest.fixture(scope="module")
def in_threads(mixed, tmp_path_factory):
    """Return the names of two backbones, and what threads make of the folder."""
    pytest.importorskip("onnxruntime")
    place = tmp_path_factory.mktemp("threads")
    save_onnx(place / "net.onnx")
    (place / "net.toml").write_text(ONNX_TOML)
    names = ["classic", f"onnx:{place / 'net.onnx'}"]
    return names, run(mixed, place / "s", names, 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_makes_the_same_vectors(workers, mixed, in_threads, tmp_path):
    """Bit for bit, with the same entries, counts and skips."""
    names, (report, entries, rows) = in_threads
    other, others, other_rows = run(mixed, tmp_path / "s", names, workers)
    assert other_rows == rows
    assert seen(others) == seen(entries)
    for field in ("n_files", "n_images", "n_known", "n_opened", "embedded", "skips"):
        assert getattr(other, field) == getattr(report, field)
    assert (report.n_images, report.skips.total(), report.n_side_files) == (26, 3, 1)


def test_a_torch_network_gets_the_same_views(drawn, tmp_path):
    """Torch's resize in a worker gives the bytes that it gives here."""
    pytest.importorskip("timm")
    from tests.small_nets import save_timm

    weights = tmp_path / "net.safetensors"
    save_timm(weights)
    found = []
    for workers in (0, 2):
        with Store.open(tmp_path / f"s{workers}", create=True) as store:
            engine = Engine(device="cpu", weights=str(weights))
            lane = Lane(store, resolve("timm:test_vit"), engine, Silent())
            embed(store, Source([str(drawn / "pics")]), [lane], Silent(), workers=workers)
            keys = np.array([list(e.key) for e in store.catalogue.entries()], np.uint8)
            found.append(lane.space.read(keys[np.lexsort(keys.T)]))
    np.testing.assert_array_equal(*found)


CRASHING = """
import os, signal
from pathlib import Path

import numpy as np

from vta_cli.records import Preprocess, Recipe

RECIPE = Recipe("crashing", "none", 3, Preprocess("native", 4096, 0))


class Backbone:
    recipe, threads, batch_size, resize = RECIPE, True, 4, None

    def embed(self, batch):
        for pixels in batch:
            if pixels.shape[:2] == (13, 13):
                os.kill(os.getpid(), signal.SIGSEGV)
            if pixels.shape[:2] == (17, 17) and not Path(ONCE).exists():
                Path(ONCE).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if pixels.shape[:2] == (19, 19):
                raise RuntimeError("no idea what this is")
        return np.array([p.reshape(-1, 3).mean(axis=0) for p in batch], np.float32)

    def close(self):
        pass


def load(spec=None, **options):
    return Backbone()
"""


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    """Register a backbone that ends its process, or fails, at pictures of certain sizes."""
    name = f"crashing_{abs(hash(str(tmp_path)))}"
    source = f"ONCE = {str(tmp_path / 'once')!r}\n{CRASHING}"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.setitem(registry.FAMILIES, "crashing", f"{name}:load")
    monkeypatch.setattr(staff, "NUMPY", {"crashing"})
    recipe = Recipe("crashing", "none", 3, Preprocess("native", 4096, 0))
    load = importlib.import_module(name).load
    monkeypatch.setattr(lanes_module, "load", load)
    monkeypatch.setattr(lanes_module, "locate_weights", lambda *_: None)
    monkeypatch.setattr(lanes_module, "expected_recipe", lambda *_, **__: recipe)
    spec = BackboneSpec(name="crashing", family="crashing", dim=3, preprocess=recipe.preprocess)
    return lambda store: Lane(store, spec, Engine(), Silent())


@pytest.fixture
def sized(tmp_path):
    """Return a function that makes a folder with pictures of such sides, in order."""

    def make(*sides):
        folder = tmp_path / "sized"
        folder.mkdir()
        for number, side in enumerate(sides):
            noise = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{number:03d}.png")
        return folder

    return make


def test_a_picture_that_ends_its_worker_is_skipped(crashing, sized, tmp_path):
    """It is tried twice; all others, before and behind it, get their vectors."""
    folder = sized(8, 9, 13, 17, 10, 13, 11)
    shutil.copy(folder / "002.png", folder / "009.png")
    with Store.open(tmp_path / "s", create=True) as store:
        lane = crashing(store)
        report = embed(store, Source([str(folder)]), [lane], Silent(), workers=2)
        assert report.embedded == {"crashing": 5}
        assert report.skips == {"decode-failed": 3}
        assert "SIGSEGV" in report.examples["decode-failed"].detail
        assert (tmp_path / "once").exists()
        again = embed(store, Source([str(folder)]), [crashing(store)], Silent(), workers=2)
        assert (again.n_opened, again.n_known, again.skips) == (0, 5, report.skips)


def test_hostile_files_are_skipped_for_the_same_reasons(crashing, shared_data, tmp_path):
    """The files that break decoders break neither a worker nor the run."""
    with tarfile.open(shared_data / "nasty" / "nasty.tar") as archive:
        archive.extractall(tmp_path / "nasty", filter="data")
    found = []
    for workers in (0, 2):
        with Store.open(tmp_path / f"s{workers}", create=True) as store:
            source = Source([str(tmp_path / "nasty")])
            embed(store, source, [crashing(store)], Silent(), workers=workers)
            found.append(seen(sorted(store.catalogue.entries(), key=lambda entry: entry.path)))
    assert found[0] == found[1]
    assert len(found[0]) > 50


def test_a_failing_backbone_ends_the_run_with_its_words(crashing, sized, tmp_path):
    """An exception in a worker is one in the run, and leaves no process behind."""
    source, before = Source([str(sized(8, 19))]), descendants(os.getpid())
    with Store.open(tmp_path / "s", create=True) as store:
        lane = crashing(store)
        with pytest.raises(BackboneError, match="no idea what this is"):
            embed(store, source, [lane], Silent(), workers=1)
    assert descendants(os.getpid()) == before


def test_without_workers_threads_do_the_work(drawn, tmp_path, monkeypatch):
    """Where no process can be started the run goes on."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    report, _, _ = run(drawn / "pics", tmp_path / "s", ["classic"], 2)
    assert report.embedded == {"classic/1": 24}


def test_few_pictures_start_no_process(drawn, tmp_path, monkeypatch):
    """Left to itself, a small run stays in one process, and a large one does not."""
    hired, before = [], descendants(os.getpid())

    class Counted(Crew):
        def __init__(self, *args):
            hired.append(args)
            super().__init__(*args)

    monkeypatch.setattr(staff, "Crew", Counted)
    monkeypatch.setattr(staff, "processors", lambda: 2)
    run(drawn / "pics", tmp_path / "few", ["classic"], None)
    assert not hired
    monkeypatch.setattr(staff, "FEW_IMAGES", 24)
    report, _, _ = run(drawn / "pics", tmp_path / "many", ["classic"], None)
    assert [args[0] for args in hired] == [2]
    assert report.embedded == {"classic/1": 24}
    assert descendants(os.getpid()) == before


def test_a_halted_crew_hands_out_what_is_done(drawn):
    """The wish reaches a worker between two files: it is asked while the second is chosen."""
    paths = sorted(str(path) for path in (drawn / "pics").iterdir())[:4]
    crew = Crew(1, [])
    try:
        assert crew.wait()
        assert [desk.at for desk in crew._desks] == [None]  # no file is to blame for its end
        asked = []

        def choose(place, content):
            asked.append((place, content.key is not None))
            if len(asked) == 8:
                crew.halt()
            return []

        whole = crew.open(paths, choose, [])
        assert [(look.width, look.height) for _, look in whole] == [(96, 96)] * 4
        assert asked == [(place, True) for place in range(4)]
        assert crew.open(paths, choose, []) == []
        assert crew.open(paths, choose, []) == []
        assert len(asked) == 8
    finally:
        crew.close()


def test_a_desk_holds_what_fits():
    """Arrays come back equal; one that is too large is refused, not cut."""
    number = unnamed_memory(DESK_BYTES)
    desk = Desk(number)
    os.close(number)
    assert desk.at == 0
    desk.at = None
    assert desk.at is None
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    placed = desk.put(pixels), desk.put(np.ones((2, 3), np.float32))
    copy = desk.copied(desk.end)
    desk.clear()
    desk.put(np.zeros(999, np.uint8))
    from vta_cli.pipelines.frames import taken

    np.testing.assert_array_equal(taken(copy, placed[0]), pixels)
    np.testing.assert_array_equal(taken(copy, placed[1]), np.ones((2, 3), np.float32))
    with pytest.raises(MemoryError, match="do not fit"):
        desk.put(np.zeros(DESK_BYTES, np.uint8))
    desk.close()


# From here on: real processes that are killed from outside. They are found by their parents.

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def descendants(pid):
    """Return the processes that come from `pid`, the nearest first; zombies are none."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents.setdefault(int(parent), []).append(int(stat.parent.name))
    found, wave = [], [pid]
    while wave:
        wave = [child for one in wave for child in parents.get(one, [])]
        found += wave
    return found


def until(condition):
    """Poll an event, which comes when it comes."""
    end = time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def alive(pids):
    """Return those that still run."""
    running = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.append(pid)
    return running


@pytest.fixture
def busy(fresh):
    """Start `vta embed` on many pictures with two workers; return it when they are up."""
    template = (fresh / "pics/p00.jpg").read_bytes()
    for index in range(150):
        (fresh / "pics" / f"extra{index:03d}.jpg").write_bytes(template + index.to_bytes(4, "big"))
    process = subprocess.Popen(
        [sys.executable, "-m", "vta_cli", "embed", "pics", "--preset", "classic", "-q", *TWO],
        cwd=fresh, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "VTA_OFFLINE": "1"},
    )  # fmt: skip
    until(lambda: len(descendants(process.pid)) == 3 or process.poll() is not None)
    yield process, descendants(process.pid)
    process.kill()
    process.communicate()


@needs_proc
def test_ctrl_c_ends_all_and_keeps_what_is_done(busy, fresh, vta):
    """SIGINT to the whole group, as a terminal sends it."""
    process, children = busy
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode in {130, 0}, err
    assert "Traceback" not in err
    assert not alive(children)
    again = vta("embed", "pics", cwd=fresh)
    assert "174 images" in again.err
    assert vta("store", "check", cwd=fresh).code == 0


@needs_proc
def test_workers_end_with_a_killed_master(busy):
    """SIGKILL leaves the master no word to say."""
    process, children = busy
    process.kill()
    process.communicate()
    until(lambda: not alive(children))


@needs_proc
@pytest.mark.parametrize("which", ["worker", "nursery"])
def test_a_killed_worker_is_replaced(which, busy, fresh, vta):
    """As by the system when memory runs out: no picture is lost, and none is blamed."""
    process, children = busy
    os.kill(children[0 if which == "nursery" else 1], signal.SIGKILL)
    if which == "nursery":
        os.kill(children[2], signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "174 images" in err
    assert "skipped" not in err
    assert not alive(children)


def test_a_script_without_a_guard(drawn, tmp_path):
    """The user's script is not run again in the workers, and need not be importable."""
    script = tmp_path / "my script.py"
    script.write_text(
        textwrap.dedent(f"""
            print("once")
            from vta_cli.backbones.registry import resolve
            from vta_cli.pipelines.embed import embed
            from vta_cli.pipelines.lanes import Engine, Lane
            from vta_cli.pipelines.progress import Silent
            from vta_cli.pipelines.sources import Source
            from vta_cli.store.store import Store
            with Store.open({str(tmp_path / "s")!r}, create=True) as store:
                lane = Lane(store, resolve("classic"), Engine(), Silent())
                source = Source([{str(drawn / "pics")!r}])
                report = embed(store, source, [lane], Silent(), workers=2)
            print(report.embedded)
        """)
    )
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    done = subprocess.run(
        [sys.executable, "-P", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["once", "{'classic/1': 24}"], done.stderr
