"""Small stores for tests: recipes, keys and vectors that follow from a seed, media that fail."""

import errno
import os

import numpy as np

from vta_cli.records import Preprocess, Recipe
from vta_cli.store.medium import LocalMedium
from vta_cli.store.store import Store

DIM = 8


def recipe(name="fake/1", *, dim=DIM, n_views=1):
    """Return a recipe of vectors nobody made."""
    return Recipe(
        backbone=name,
        weights="none",
        dim=dim,
        preprocess=Preprocess("native", 64, 0),
        n_views=n_views,
        view="whole" if n_views == 1 else "five-crop",
    )


def keys_of(*numbers):
    """Return the keys numbered so: shape (n, 32), spread like digests."""
    rows = [np.random.default_rng(n).integers(0, 256, 32, dtype=np.uint8) for n in numbers]
    return np.array(rows, np.uint8).reshape(-1, 32)


def vectors_of(*numbers, dim=DIM, n_views=1):
    """Return the vectors of the keys numbered so: (n, n_views, dim), exact in float16."""
    rows = [
        np.random.default_rng(1000 + n).integers(-512, 512, (n_views, dim)) / 256 for n in numbers
    ]
    return np.array(rows, np.float32).reshape(-1, n_views, dim)


def fill(space, *numbers, seal_every=None):
    """Write the vectors numbered so and return the names of the shards."""
    names = []
    step = seal_every or max(len(numbers), 1)
    with space.writer() as writer:
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            writer.append(keys_of(*part), vectors_of(*part))
            names.append(writer.seal())
    return names


def shards_dir(store, a_recipe=None):
    """Return the folder of the shards of a space."""
    return store.path / "spaces" / (a_recipe or recipe()).space_name / "shards"


def files_below(path):
    """Return every file below a folder with its content, for "nothing has changed"."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


class Stepped(LocalMedium):
    """A medium that calls `before(step number)` ahead of every single step that changes the disk.

    It syncs nothing: a process that dies does not lose what the system holds for the disk.
    """

    def __init__(self, root, before):
        super().__init__(root)
        self.before = before
        self.steps = 0

    def _step(self):
        self.before(self.steps)
        self.steps += 1

    def write_temp(self, path, parts):
        """Count two steps: before the file exists, and with half of it written."""
        self._step()
        content = b"".join(bytes(part) for part in parts)
        path.write_bytes(content[: len(content) // 2])
        self._step()
        path.write_bytes(content)

    def rename(self, source, target):
        self._step()
        super().rename(source, target)

    def link(self, source, target):
        self._step()
        return super().link(source, target)

    def sync_folder(self, folder):
        self._step()

    def unlink(self, path):
        self._step()
        super().unlink(path)


class Forgetful(LocalMedium):
    """A medium that ignores that a name is taken, as some object servers do."""

    def create(self, name, data):
        """Overwrite, and say that the name was free."""
        self.put(name, [data])
        return True


class Linkless(LocalMedium):
    """A file system without hard links."""

    def link(self, source, target):
        """Refuse as FAT does."""
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def open_on(path, medium):
    """Open or make a store on a medium of one's own."""
    return Store.open(path, create=True, medium=medium)
