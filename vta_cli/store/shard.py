"""Shards as readers see them: which exist, their keys, their vectors as a memory map."""

import mmap
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from vta_cli.errors import StoreError
from vta_cli.records import KEY_BYTES, Keys
from vta_cli.store.layout import marker_name, shard_of_marker, shards_folder
from vta_cli.store.marker import DamagedMarkerError, DataFile, Marker
from vta_cli.store.medium import Item, Medium
from vta_cli.store.widen import Half

MAX_OPEN_MAPS = 128
"""Maps kept open at once: each holds a file descriptor, of which a process often has only 1,024."""

_HEAL = (
    "run the command again; if that does not help, `vta store check --repair` sets the shard "
    "aside and `vta embed` makes it anew"
)


class DamagedShardError(Exception):
    """A data file is not what the marker says; the shard counts as absent."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What stands in a space's shard folder.

    Attributes
    ----------
    live : tuple of Marker
        Shards that readers see, by name.
    replaced : tuple of Marker
        Whole shards that a live or replaced one stands in for.
    damaged : mapping of str to str
        Marker file name to what is wrong with it or with its data.
    items : mapping of str to Item
        All files of the folder.
    """

    live: tuple[Marker, ...]
    replaced: tuple[Marker, ...]
    damaged: dict[str, str]
    items: dict[str, Item]


MarkerCache = dict[str, tuple[Item, Marker]]
"""Markers read before, by file name, with the listing entry that they were read under."""


def list_shards(
    medium: Medium,
    space: str,
    *,
    cache: MarkerCache | None = None,
    distrust: Collection[str] = (),
) -> Listing:
    """List the shards of a space, from their markers and the sizes of their data files.

    Parameters
    ----------
    medium : Medium
        Where the store lies.
    space : str
        Name of the space.
    cache : dict, optional
        Markers read before; unchanged ones are not read again. Updated in place.
    distrust : collection of str
        Digests of markers whose data turned out damaged: they count as absent.

    Raises
    ------
    StoreError
        ``store-newer`` if a newer vta wrote a marker here.
    """
    folder = shards_folder(space)
    names, items = _list_files(medium, folder)
    whole: list[Marker] = []
    damaged: dict[str, str] = {}
    known = cache if cache is not None else {}
    for name in names:
        try:
            marker = _read_marker(medium, f"{folder}/{name}", items[name], known)
            _check_sizes(marker, items, distrust)
        except (DamagedMarkerError, DamagedShardError) as error:
            damaged[name] = str(error)
        else:
            whole.append(marker)
    for name in known.keys() - items.keys():
        del known[name]
    replaced = {digest for marker in whole for _, digest in marker.replaces}
    return Listing(
        live=tuple(marker for marker in whole if marker.digest not in replaced),
        replaced=tuple(marker for marker in whole if marker.digest in replaced),
        damaged=damaged,
        items=items,
    )


def load_keys(medium: Medium, space: str, marker: Marker) -> Keys:
    """Return the keys of a shard, verified against the marker's checksum.

    Raises
    ------
    DamagedShardError
        If the key file is missing or differs from what was committed.
    """
    from vta_cli.store.keyfile import decode_keys  # noqa: PLC0415 - pyarrow costs 250 ms

    if marker.keys is None:
        return np.empty((0, KEY_BYTES), np.uint8)
    content = verified_view(medium, space, marker.keys)
    try:
        keys = decode_keys(content)
    except ValueError as error:
        raise DamagedShardError(f"{marker.keys.file}: {error}") from error
    if len(keys) != marker.rows:
        raise DamagedShardError(f"{marker.keys.file} has {len(keys)} keys, not {marker.rows}")
    return keys


def verified_view(medium: Medium, space: str, file: DataFile) -> memoryview:
    """Return the content of a data file whose size and checksum are right.

    Raises
    ------
    DamagedShardError
        If they are not, or the file is missing.
    """
    content = _sized_view(medium, space, file)
    if blake3(content).hexdigest() != file.blake3:
        raise DamagedShardError(f"{file.file} does not match its checksum")
    return content


def map_vectors(medium: Medium, space: str, marker: Marker) -> Half:
    """Return the vectors of a shard without reading them: shape (rows, n_views, dim).

    The checksum is not verified here, since that would read everything; the shape is.

    Raises
    ------
    DamagedShardError
        If the file is missing, cut, or has another header than the marker says.
    """
    shape = (marker.rows, marker.n_views, marker.dim)
    if marker.vectors is None:
        return np.empty(shape, np.float16)
    content = _sized_view(medium, space, marker.vectors)
    try:
        header, found, offset = _npy_header(content)
    except ValueError as error:
        raise DamagedShardError(f"{marker.vectors.file}: {error}") from error
    if found != shape or header != np.dtype(marker.dtype):
        raise DamagedShardError(f"{marker.vectors.file} holds {header}{found}, not {shape}")
    count = marker.rows * marker.n_views * marker.dim
    if len(content) != offset + count * header.itemsize:
        raise DamagedShardError(f"{marker.vectors.file} is cut")
    array: Half = np.frombuffer(content, header, count, offset).reshape(shape)
    return array


def verify_shard(medium: Medium, space: str, marker: Marker) -> None:
    """Read a shard's data files whole.

    Raises
    ------
    DamagedShardError
        If a byte differs from what was committed.
    """
    for file in marker.data_files:
        verified_view(medium, space, file)
    load_keys(medium, space, marker)
    map_vectors(medium, space, marker)


class VectorMaps:
    """The memory maps of a space's shards: the least recently used are closed.

    Parameters
    ----------
    medium : Medium
    space : str
        Name of the space.
    """

    def __init__(self, medium: Medium, space: str) -> None:
        self._medium = medium
        self._space = space
        self._open: OrderedDict[str, Half] = OrderedDict()

    def get(self, marker: Marker) -> Half:
        """Return the vectors of a shard, shape (rows, n_views, dim).

        Raises
        ------
        StoreError
            ``shard-damaged`` if the file is missing or not what the marker says.
        """
        vectors = self._open.get(marker.digest)
        if vectors is None:
            try:
                vectors = map_vectors(self._medium, self._space, marker)
            except DamagedShardError as error:
                raise StoreError(
                    "shard-damaged",
                    f"shard {marker.shard} of space {self._space} is damaged: {error}",
                    hint=_HEAL,
                ) from error
            self._open[marker.digest] = vectors
            while len(self._open) > MAX_OPEN_MAPS:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(marker.digest)
        return vectors

    def release(self, marker: Marker) -> None:
        """Let go of the pages read from a shard, so that a long scan stays small in memory.

        Pages of a map count as the process's own until they are dropped; the system keeps them
        in its cache either way.
        """
        vectors = self._open.get(marker.digest)
        base: Any = vectors
        while isinstance(base, np.ndarray):
            base = base.base
        content = base.obj if isinstance(base, memoryview) else None
        if isinstance(content, mmap.mmap):
            content.madvise(mmap.MADV_DONTNEED)

    def clear(self) -> None:
        """Close all maps that nobody else holds."""
        self._open.clear()


def _list_files(medium: Medium, folder: str) -> tuple[list[str], dict[str, Item]]:
    """Return the markers' names, and all files of a listing that is later than the names.

    Data come before their marker, so those of every marker named are in the later listing. If a
    marker went away in between, its replacement may be too young for the names: once more.
    """
    while True:
        names = sorted(item.name for item in medium.listing(folder) if shard_of_marker(item.name))
        items = {item.name: item for item in medium.listing(folder)}
        if all(name in items for name in names):
            return names, items


def _read_marker(medium: Medium, path: str, item: Item, cache: MarkerCache) -> Marker:
    before = cache.get(item.name)
    if before is not None and before[0] == item:
        return before[1]
    content = medium.read(path)
    if content is None:
        raise DamagedMarkerError(f"marker {item.name} vanished while it was read")
    marker = Marker.from_bytes(content, name=item.name)
    if marker_name(marker.shard) != item.name:
        raise DamagedMarkerError(f"marker {item.name} speaks of shard {marker.shard}")
    cache[item.name] = (item, marker)
    return marker


def _check_sizes(marker: Marker, items: dict[str, Item], distrust: Collection[str]) -> None:
    if marker.digest in distrust:
        raise DamagedShardError(f"data of shard {marker.shard} are damaged")
    for file in marker.data_files:
        item = items.get(file.file)
        if item is None:
            raise DamagedShardError(f"{file.file} is missing")
        if item.size_bytes != file.size_bytes:
            raise DamagedShardError(
                f"{file.file} has {item.size_bytes} bytes, not {file.size_bytes}",
            )


def _sized_view(medium: Medium, space: str, file: DataFile) -> memoryview:
    try:
        content = medium.view(f"{shards_folder(space)}/{file.file}")
    except OSError as error:
        raise DamagedShardError(f"{file.file} cannot be read: {error.strerror}") from error
    if len(content) != file.size_bytes:
        raise DamagedShardError(f"{file.file} has {len(content)} bytes, not {file.size_bytes}")
    return content


def _npy_header(content: memoryview) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read an .npy header by numpy's own reader: dtype, shape, offset of the data [bytes]."""
    import io  # noqa: PLC0415 - with the reader below it is all that this function needs

    start = io.BytesIO(content[: 1 << 16])
    version = np.lib.format.read_magic(start)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"npy version {version}")
    shape, fortran, dtype = read(start)
    if fortran:
        raise ValueError("columns first")
    return dtype, shape, start.tell()
