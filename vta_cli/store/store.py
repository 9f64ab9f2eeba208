"""A store: a folder that holds the spaces, the catalogue, heads and the journal."""

import json
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vta_cli.errors import StoreError, UsageError
from vta_cli.records import Recipe
from vta_cli.store.layout import (
    FORMAT,
    HEADS,
    JOURNAL,
    LABELS,
    PRESET_FILE,
    SPACES,
    STORE_FILE,
    TEMP_SUFFIX,
    only_own,
)
from vta_cli.store.marker import newer_error
from vta_cli.store.medium import LocalMedium, Medium, reading_errors, storage_errors
from vta_cli.store.recipefile import DamagedRecipeError, read_recipe
from vta_cli.store.space import Space

if TYPE_CHECKING:
    from vta_cli.store.catalogue import Catalogue


class Store:
    """An open store; made by `Store.open`, closed by `close` or as a context manager.

    Attributes
    ----------
    path : Path
        The store's folder.
    id : str
        Random name given when the store was made, 32 hex digits.
    preset : str or None
        Preset that the store is pinned to.
    read_only : bool
        Nothing is written, not even to the catalogue.
    problems : list of str
        Sentences about what was found damaged and is ignored.
    """

    def __init__(
        self,
        path: Path,
        medium: Medium,
        head: dict[str, Any],
        *,
        read_only: bool,
    ) -> None:
        self.path = path
        self.id = str(head["id"])
        self.exclusive_create = bool(head.get("exclusive_create", True))
        self.read_only = read_only
        self.medium = medium
        self.problems: list[str] = []
        self.preset = self._read_preset()
        self._catalogue: Catalogue | None = None
        self._noted: list[list[str]] = []

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = False,
        read_only: bool = False,
        medium: Medium | None = None,
    ) -> Self:
        """Open a store.

        Parameters
        ----------
        path : Path
            The store's folder.
        create : bool
            Make the store if there is none; several processes may do so at once.
        read_only : bool
            Promise to write nothing; works on a read-only file system.
        medium : Medium, optional
            Where the bytes live, if not in that folder.

        Raises
        ------
        UsageError
            ``no-such-store`` if there is none and `create` is false; ``not-a-store`` for a file, or
            a folder that is something else.
        StoreError
            ``store-newer`` if a newer vta made it, ``store-damaged`` if `store.json` is not
            readable, ``disk-full`` or ``store-read-only`` if it cannot be made.
        """
        path = Path(path).absolute()
        keeper = medium or LocalMedium(path)
        if path.exists() and not path.is_dir():
            raise UsageError(
                "not-a-store",
                f"{path} is a file, not a store",
                hint="give a folder with --store",
            )
        content = keeper.read(STORE_FILE)
        if content is None:
            with reading_errors(path):
                names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
            if not only_own(names):
                raise UsageError(
                    "not-a-store",
                    f"folder {path} is not a store and not empty",
                    hint="give a store, or a folder that does not exist yet, with --store",
                )
            if read_only or not create:
                raise UsageError(
                    "no-such-store",
                    f"there is no store at {path}",
                    hint="run `vta embed` to make one, or say where it is with --store",
                )
            content = _make(path, keeper)
        return cls(path, keeper, _parse(path, content), read_only=read_only)

    @property
    def heads_dir(self) -> Path:
        """Folder of the saved heads; may not exist yet."""
        return self.path / HEADS

    @property
    def labels_dir(self) -> Path:
        """Folder of the journals of judgements; may not exist yet."""
        return self.path / LABELS

    @property
    def journal_dir(self) -> Path:
        """Folder of the journal of arrangements; may not exist yet."""
        return self.path / JOURNAL

    @property
    def catalogue(self) -> "Catalogue":
        """The catalogue, opened on first use."""
        if self._catalogue is None:
            from vta_cli.store.catalogue import Catalogue  # noqa: PLC0415 - loads sqlite3

            self._catalogue = Catalogue.of_store(self.path, self.id, read_only=self.read_only)
        return self._catalogue

    def pin(self, preset: str) -> None:
        """Pin the store to a preset, for good.

        Where it is pinned already, by this or another process, that pin stays: look at `preset`
        afterwards.

        Raises
        ------
        StoreError
            ``store-read-only`` or ``disk-full`` if it cannot be written.
        """
        self.require_writable()
        body = json.dumps({"format": FORMAT, "preset": preset}).encode()
        if self._read_preset() is None:
            created = self.medium.create(PRESET_FILE, body)
            if not created and self._read_preset() is None:
                self.medium.put(PRESET_FILE, [body])  # over half a file that a crash left
        self.preset = self._read_preset()

    def spaces(self) -> list[Space]:
        """Return the spaces that have been written to, by name."""
        found = []
        for name in self.medium.folders(SPACES):
            try:
                recipe = read_recipe(self.medium, name)
            except DamagedRecipeError as error:
                self._note(str(error))
                continue
            if recipe is not None:
                found.append(self.space(recipe))
        return found

    def space(self, recipe: Recipe) -> Space:
        """Return the space of a recipe, freshly listed; it appears on disk with its first shard."""
        made = Space(self.medium, recipe, root=self.path, read_only=self.read_only)
        # its list and not the space, whose keys and maps nobody may want any more
        self._noted.append(made.problems)
        return made

    def find_space(self, digest: str) -> Space | None:
        """Return the space whose recipe has this digest, None if there is none.

        Raises
        ------
        StoreError
            ``store-damaged`` if the space is there but its recipe is not readable.
        """
        for name in self.medium.folders(SPACES):
            if name.endswith(f"-{digest[:12]}"):
                try:
                    recipe = read_recipe(self.medium, name)
                except DamagedRecipeError as error:
                    raise StoreError(
                        "store-damaged",
                        str(error),
                        hint="run `vta embed` with the same backbone: it writes the recipe again",
                    ) from error
                if recipe is not None and recipe.digest == digest:
                    return self.space(recipe)
        return None

    def require_writable(self) -> None:
        """Raise `StoreError` (``store-read-only``) if the store was opened for reading only."""
        if self.read_only:
            raise StoreError(
                "store-read-only",
                f"store {self.path} was opened for reading only",
                hint="give another store with --store",
            )

    def notes(self) -> list[str]:
        """Return what was found wrong and worked around, in the spaces and catalogue too."""
        found = [*self.problems]
        for problems in self._noted:
            found.extend(problems)
        if self._catalogue is not None:
            found.extend(self._catalogue.notes)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Close the catalogue; vectors handed out stay valid."""
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_preset(self) -> str | None:
        content = self.medium.read(PRESET_FILE)
        try:
            return None if content is None else str(json.loads(content)["preset"])
        except (ValueError, KeyError, TypeError):
            self._note(f"{self.path / PRESET_FILE} is not readable: the store counts as unpinned")
            return None

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _make(path: Path, medium: Medium) -> bytes:
    """Write `store.json`, or find that another process was faster; return what stands there."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    head = {
        "format": FORMAT,
        "id": secrets.token_hex(16),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "exclusive_create": _honours_exclusive_create(medium),
    }
    content = json.dumps(head, indent=1).encode()
    medium.create(STORE_FILE, content)
    return medium.read(STORE_FILE) or content


def _honours_exclusive_create(medium: Medium) -> bool:
    """Probe whether creating a name twice fails; where it does not, races cost double work."""
    probe = f".probe.{secrets.token_hex(6)}{TEMP_SUFFIX}"
    try:
        medium.create(probe, b"1")
        return not medium.create(probe, b"2")
    finally:
        medium.delete(probe)


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        head = json.loads(content)
        version = int(head["format"])
        head["id"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "store-damaged",
            f"{path / STORE_FILE} is not readable: {error}",
            hint="remove that one file and run `vta embed`: it is written anew, vectors are kept",
        ) from error
    if version > FORMAT:
        raise newer_error(f"store {path}", version)
    if not isinstance(head, dict):
        raise StoreError("store-damaged", f"{path / STORE_FILE} is not readable")
    return head
