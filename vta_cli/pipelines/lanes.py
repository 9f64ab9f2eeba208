"""Which backbones a run uses, and one lane for each: its space, its writer, its open batch.

A backbone's network is loaded when the first image needs it, never before: a run that finds all
vectors in the store imports no torch.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vta_cli.backbones.protocol import Ahead, Backbone, BackboneSpec, Telling, is_exact
from vta_cli.backbones.registry import (
    at_hand,
    expand,
    expected_recipe,
    load,
    locate_weights,
    resolve,
)
from vta_cli.errors import BackboneError, UsageError
from vta_cli.images.tiling import View
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.views import (
    all_views,
    choose_view,
    join_pin,
    split_pin,
    whole_recipes,
    with_view,
)
from vta_cli.records import KEY_BYTES, Keys, Pixels, Recipe, Vectors
from vta_cli.store.space import Space
from vta_cli.store.store import Store
from vta_cli.store.writer import ShardWriter

EMBEDDED_DEFAULT = "classic"
"""Preset that needs no weights."""
FIRST_CHOICES = ("vta1", "clip")
"""Presets that a new store gets if their weights are at hand; nothing is fetched unasked."""
DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
VECTORS_AT_ONCE = 32
"""Finished rows handed to the writer together."""


@dataclass(frozen=True)
class Engine:
    """How networks are run: what decides speed and, by `precision`, the recipe."""

    device: str = "auto"
    precision: str = "auto"
    weights: str | None = None
    batch_size: int | None = None
    offline: bool | None = None
    exact: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse names that no backbone knows, whether or not this run's backbones look at them.

        Raises
        ------
        UsageError
            ``no-such-device`` or ``unknown-precision``.
        """
        if not DEVICE.fullmatch(self.device):
            raise UsageError(
                "no-such-device",
                f"there is no device {self.device!r}",
                hint="use auto, cpu, cuda, cuda:N or mps",
            )
        if self.precision not in PRECISIONS:
            raise UsageError(
                "unknown-precision",
                f"there is no precision {self.precision!r}",
                hint=f"use {', '.join(PRECISIONS)}",
            )


@dataclass(frozen=True)
class Choice:
    """The backbones of a run, and the sentence that explains the choice (empty if asked for)."""

    specs: tuple[BackboneSpec, ...]
    pin: str
    why: str = ""
    view: View = "whole"


def choose(
    store: Store, preset: str, backbones: Sequence[str], engine: Engine, views: str = "auto"
) -> Choice:
    """Decide the backbones of a run, and what they are shown of a picture.

    Explicit backbones win, then an explicit preset, then what the store is pinned to; for a new
    store the CLIP preset if its weights are at hand, else the built-in classic backbone. Likewise
    the views: as asked for, else those of the pin, else ``whole``.

    Raises
    ------
    UsageError
        For unknown names.
    """
    view = choose_view(views, store.preset)
    chosen = _choose_backbones(store, preset, backbones, engine)
    return replace(chosen, pin=join_pin(chosen.pin, view), view=view)


def _choose_backbones(
    store: Store, preset: str, backbones: Sequence[str], engine: Engine
) -> Choice:
    if backbones:
        specs = tuple(resolve(name) for name in backbones)
        return Choice(specs, "+".join(spec.name for spec in specs))
    if preset != "auto":
        return Choice(tuple(expand([], preset)), preset)
    if store.preset is not None:
        return Choice(tuple(pinned(store.preset)), split_pin(store.preset)[0])
    for name in FIRST_CHOICES:
        specs = tuple(expand([], name))
        if all(at_hand(spec, engine.weights)[0] for spec in specs):
            return Choice(specs, name, f"preset {name}: its weights are at hand")
    why = (
        f"preset {EMBEDDED_DEFAULT}: built in, needs no weights "
        f"(CLIP's are not at hand; `vta backbones` lists what else there is)"
    )
    return Choice(tuple(expand([], EMBEDDED_DEFAULT)), EMBEDDED_DEFAULT, why)


def pinned(pin: str) -> list[BackboneSpec]:
    """Read the backbones of a pin: the name of a preset, or backbone names joined by ``+``."""
    pin, _ = split_pin(pin)
    if "+" in pin or ":" in pin or "/" in pin:
        return [resolve(name) for name in pin.split("+")]
    return expand([], pin)


@dataclass
class Lane:
    """One backbone of a run with its space in the store.

    `recipe` is None until it is known; for a network whose weights are not here yet that takes
    loading it. With `keeps` the network stays loaded from one run to the next, until `release`.
    """

    store: Store
    spec: BackboneSpec
    engine: Engine
    progress: Progress
    view: View = "whole"
    recipe: Recipe | None = None
    keeps: bool = False
    n_embedded: int = 0
    _backbone: Backbone | None = None
    _trouble: BackboneError | None = None
    _space: Space | None = None
    _writer: ShardWriter | None = None
    _claimed: set[bytes] = field(default_factory=set)
    _keys: list[bytes] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _pixels: list[Pixels] = field(default_factory=list)
    _vectors: list[Vectors] = field(default_factory=list)
    _begun: deque[Callable[[], Vectors]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        weights = locate_weights(self.spec, self.engine.weights)
        recipes = [space.recipe for space in self.store.spaces()]
        named = {is_exact(recipe) for recipe in recipes if recipe.backbone == self.spec.name}
        if self.engine.exact or named == {True}:  # a store of exact vectors goes on with them
            self.spec = replace(self.spec, exact=True)
        known = whole_recipes(recipes)
        found = expected_recipe(
            self.spec, weights, self.engine.precision, known, device=self.engine.device
        )
        self.recipe = None if found is None else with_view(found, self.view)

    @property
    def backbone(self) -> Backbone:
        """The loaded backbone; loads it on first use.

        Raises
        ------
        BackboneError
            ``weights-mismatch`` if it makes other vectors than the lane's space holds.
        """
        with self._lock:
            if self._trouble is not None:
                raise self._trouble
            if self._backbone is None:
                if self.spec.family != "classic":
                    self.progress.note(f"loading {self.spec.name}")
                engine, precision = self.engine, self.engine.precision
                if precision == "auto" and self.recipe is not None:
                    precision = self.recipe.precision  # the run was planned by it
                loaded = load(
                    self.spec,
                    weights=engine.weights,
                    device=engine.device,
                    precision=precision,
                    offline=engine.offline,
                    batch_size=engine.batch_size,
                    compiled=engine.compiled,
                )
                try:
                    self._adopt(with_view(loaded.recipe, self.view))
                except BackboneError as error:
                    loaded.close()
                    self._trouble = error
                    raise
                self._backbone = loaded
                if isinstance(loaded, Telling):
                    for note in loaded.notes:
                        self.progress.note(note)
                elif engine.compiled:
                    self.progress.note(f"{self.spec.name} has nothing to compile")
            return self._backbone

    def _adopt(self, recipe: Recipe) -> None:
        """Take the loaded backbone's word over the expectation, if their vectors are of one kin.

        While weights are not at hand, those are expected that the store's vectors were made with.
        Where others were fetched, all was planned by the wrong space, and its writer is open.
        """
        if self.recipe is not None and self.recipe.digest != recipe.digest:
            if self.recipe.kin() != recipe.kin():
                raise BackboneError(
                    "weights-mismatch",
                    f"{self.spec.name} was loaded with other weights ({recipe.weights[:12]}) than "
                    f"the store's vectors were made with ({self.recipe.weights[:12]})",
                    hint="give the file of then with --weights; or run the same again, and all "
                    "images are embedded anew with the weights that are here now",
                )
            self._space = None
        self.recipe = recipe

    @property
    def space(self) -> Space:
        """The space of this lane's recipe."""
        if self.recipe is None:
            _ = self.backbone
        if self._space is None:
            if self.recipe is None:  # pragma: no cover - a loaded backbone always has one
                raise UsageError("no-recipe", f"{self.spec.name} has no recipe")
            self._space = self.store.space(self.recipe)
        return self._space

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Tell for each key whether the space lacks it; True for all of an unknown recipe."""
        if self.recipe is None:
            return np.ones(len(keys), np.bool_)
        return self.space.missing(keys)

    def claim(self, key: bytes, keys: Keys) -> bool:
        """Take on the key if it is neither in the space nor claimed in this run."""
        with self._lock:
            if key in self._claimed:
                return False
        lacking = bool(self.space.missing(keys)[0])
        if not lacking:
            return False
        with self._lock:
            if key in self._claimed:
                return False
            self._claimed.add(key)
            return True

    @property
    def n_wanted(self) -> int:
        """Pictures that make one batch; 0 before the network is loaded, and without batches."""
        loaded = self._backbone
        return 0 if loaded is None or loaded.threads else loaded.batch_size

    def open(self) -> None:
        """Open the writer; vectors can be added until `close`."""
        self._writer = self.space.writer()

    def add_vectors(self, key: bytes, vectors: Vectors) -> None:
        """Append the finished vectors of an image, one for each reading, shape (n, dim)."""
        self._keys.append(key)
        self._counts.append(len(vectors))
        self._vectors.append(vectors)
        if len(self._keys) >= VECTORS_AT_ONCE:
            self.flush()

    def add_pixels(self, key: bytes, shown: Sequence[Pixels]) -> None:
        """Put the readings of an image into the open batch; a full batch is run at once."""
        self._keys.append(key)
        self._counts.append(len(shown))
        self._pixels.extend(shown)
        size = self.backbone.batch_size
        while len(self._pixels) >= size:  # exactly full: a rest of a few would cost a whole run
            self._run(size)
            self._write()

    def flush(self) -> None:
        """Run the open batch and hand its rows to the writer."""
        if self._pixels:
            self._run(len(self._pixels))
        self._fetch(0)
        self._write()

    @contextmanager
    def _aligned(self) -> Iterator[None]:
        """Let go of what is open if anything is raised: no vector may come under another key."""
        try:
            yield
        except BaseException:
            self._keys, self._counts, self._pixels, self._vectors = [], [], [], []
            self._begun.clear()
            raise

    def _run(self, n_pictures: int) -> None:
        """Run the first pictures of the open batch."""
        with self._aligned():
            backbone, pictures = self.backbone, self._pixels[:n_pictures]
            if isinstance(backbone, Ahead) and backbone.n_ahead:
                self._begun.append(backbone.start(pictures))
                self._fetch(backbone.n_ahead)
            else:
                self._vectors.append(backbone.embed(pictures))
            del self._pixels[:n_pictures]

    def _fetch(self, n_left: int) -> None:
        """Wait for the batches begun first, until only `n_left` are under way."""
        with self._aligned():
            while len(self._begun) > n_left:
                self._vectors.append(self._begun.popleft()())

    def _write(self) -> None:
        """Hand the images to the writer of which all readings have vectors."""
        if not self._vectors or self._writer is None:
            return
        with self._aligned():
            vectors = np.concatenate(self._vectors)  # (m, dim), readings of images in order
            ends = np.cumsum(self._counts)
            n = int(np.searchsorted(ends, len(vectors), side="right"))
            n_done = int(ends[n - 1]) if n else 0
            keys, counts = self._keys[:n], self._counts[:n]
            del self._keys[:n], self._counts[:n]
            self._vectors = [vectors[n_done:]] if n_done < len(vectors) else []
            if n:
                rows = all_views(vectors[:n_done], counts, self.space.recipe.n_views)
                self._writer.append(key_rows(keys), rows)
                self.n_embedded += n

    def skip(self, key: bytes, reason: str, detail: str) -> None:
        """Record with the next shard that these bytes cannot be embedded."""
        if self._writer is not None:
            self._writer.append_skips([(key, reason, detail)])

    def close(self) -> None:
        """Run what is left, commit it, and let the network go unless the lane `keeps` it."""
        try:
            self.flush()
        finally:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.__exit__(None, None, None)
            self._claimed.clear()  # what was embedded is in the space now
            if not self.keeps:
                self.release()

    def release(self) -> None:
        """Let go of the network and its memory; it is loaded again when it is needed."""
        if self._backbone is not None:
            self._backbone.close()
            self._backbone = None


def key_rows(keys: Sequence[bytes]) -> Keys:
    """Return content keys as an array of shape (n, KEY_BYTES)."""
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
