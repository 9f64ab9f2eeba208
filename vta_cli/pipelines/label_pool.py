"""The images that the labelling page knows: keys, paths, labels, scores, and compact vectors.

Rows are only ever added. Arrays grow by doubling, so a reader that took a reference keeps a valid,
if older, view.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.views import one_vector
from vta_cli.records import Keys, Vectors
from vta_cli.store.space import Space

SKETCH_DIM = 768
"""Columns of the compact vectors of a large pool: a head is fitted and 100,000 images are rescored
within a second on them, and spaces of no more columns lose nothing."""
EXACT_FLOATS = 48_000_000
"""Pools of fewer floats (192 MB) keep all columns."""
BASIS_ROWS = 2_048
"""Rows on which the axes of a large pool are found."""
EMPTY_NORM = 1e-12


@dataclass(frozen=True)
class Sketch:
    """The way from the vectors of the spaces to compact ones: ``unit @ axes``, or all of `unit`.

    Attributes
    ----------
    dims : tuple of int
        Width of each space.
    axes : ndarray of shape (sum of dims, SKETCH_DIM), float32, or None
        Orthonormal columns; None where nothing is left out.
    """

    dims: tuple[int, ...]
    axes: NDArray[np.float32] | None

    @property
    def dim(self) -> int:
        """Columns of a compact vector."""
        return sum(self.dims) if self.axes is None else int(self.axes.shape[1])

    def rows(self, blocks: Sequence[Vectors]) -> NDArray[np.float32]:
        """Return compact vectors (n, dim) of raw blocks of shape (n, dim_i), one a space."""
        unit = unit_rows(blocks)
        return unit if self.axes is None else unit @ self.axes

    def widen(self, coef: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients on the spaces' unit columns of those on compact columns."""
        return coef if self.axes is None else self.axes.astype(np.float64) @ coef


def make_sketch(dims: Sequence[int], n_images: int, sample: NDArray[np.float32]) -> Sketch:
    """Decide how compact the vectors of a pool must be.

    Parameters
    ----------
    n_images : int
        Images expected.
    sample : ndarray of shape (m, sum of dims), float32
        Unit rows, from `unit_rows`; the axes are the principal ones of these.
    """
    total = sum(dims)
    if total <= SKETCH_DIM or n_images * total <= EXACT_FLOATS or len(sample) <= SKETCH_DIM:
        return Sketch(tuple(dims), None)
    with threadpool_limits(1):  # threads that wait for each other are slower than one
        values, vectors = np.linalg.eigh(sample @ sample.T)
    keep = slice(-SKETCH_DIM, None)
    axes = sample.T @ (vectors[:, keep] / np.sqrt(np.maximum(values[keep], 1e-9)))
    return Sketch(tuple(dims), np.ascontiguousarray(axes[:, ::-1], dtype=np.float32))


def unit_rows(blocks: Sequence[Vectors]) -> NDArray[np.float32]:
    """Return blocks side by side, each row of a block of unit length."""
    parts = []
    for block in blocks:
        norm = np.linalg.norm(block, axis=1, keepdims=True)
        parts.append(block / np.where(norm > EMPTY_NORM, norm, 1.0))
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return joined.astype(np.float32, copy=False)


def read_blocks(spaces: Sequence[Space], keys: Keys) -> list[Vectors]:
    """Return one vector of each key from each space; all keys must be there."""
    return [one_vector(space.read(keys)) for space in spaces]


class Pool:
    """Rows of images; every array has one entry a row.

    Attributes
    ----------
    keys, paths, rels : list
        Content key (bytes), a file that holds it, and how that file is called for people.
    sizes : list of (int, int)
        Width and height [px]; zeros where unknown.
    """

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.paths: list[str] = []
        self.rels: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self._row_of: dict[str, int] = {}
        self._label = np.full(64, -1, np.int8)
        self._askable = np.zeros(64, bool)
        self._has = np.zeros(64, bool)
        self._scores = np.full(64, np.nan)
        self._spread = np.zeros(64)
        self._vectors = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def label(self) -> NDArray[np.int8]:
        """1 liked, 0 disliked, -1 without a label."""
        return self._label[: len(self)]

    @property
    def askable(self) -> NDArray[np.bool_]:
        """Whether the image belongs to the source and can be shown."""
        return self._askable[: len(self)]

    @property
    def has(self) -> NDArray[np.bool_]:
        """Whether the vector is there."""
        return self._has[: len(self)]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Probability; NaN without a vector or a head."""
        return self._scores[: len(self)]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Disagreement of the head's committee."""
        return self._spread[: len(self)]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Compact vectors, shape (n, dim); zeros without one."""
        if not self._vectors.shape[1]:
            return np.zeros((len(self), 0), np.float32)
        return self._vectors[: len(self)]

    def row(self, key: str) -> int | None:
        """Return the row of a hexadecimal key, None if it is not of this pool."""
        return self._row_of.get(key)

    def hex(self, row: int) -> str:
        """Return the hexadecimal key of a row."""
        return self.keys[row].hex()

    def add(self, key: bytes, path: str, rel: str, size: tuple[int, int], *, askable: bool) -> int:
        """Take in an image; one that is known only becomes askable."""
        name = key.hex()
        row = self._row_of.get(name)
        if row is None:
            row = len(self.keys)
            self._grow(row + 1)
            self.keys.append(key)
            self.paths.append(path)
            self.rels.append(rel)
            self.sizes.append(size)
            self._row_of[name] = row
        self._askable[row] |= askable
        return row

    def _grow(self, n: int) -> None:
        if n <= len(self._label):
            return
        size = len(self._label) * 2
        for name, fill in (
            ("_label", -1), ("_askable", False), ("_has", False),
            ("_scores", np.nan), ("_spread", 0.0),
        ):  # fmt: skip
            old = getattr(self, name)
            new = np.full(size, fill, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        if self._vectors.shape[1]:  # a fit must not take zeros for vectors that are there
            self._vectors = _longer(self._vectors, size)

    def key_array(self, rows: NDArray[np.int64]) -> Keys:
        """Return the keys of rows, shape (n, KEY_BYTES)."""
        return key_rows([self.keys[row] for row in rows])

    def set_vectors(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Put in the compact vectors of rows."""
        if self._vectors.shape[1] != vectors.shape[1]:
            self._vectors = np.zeros((len(self._label), vectors.shape[1]), np.float32)
        self._vectors[rows] = vectors
        self._has[rows] = True

    def clear_labels(self) -> None:
        """Forget all labels; `label` is filled anew from the journal."""
        self._label[:] = -1


def _longer(rows: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    longer = np.zeros((n, rows.shape[1]), np.float32)
    longer[: len(rows)] = rows
    return longer
