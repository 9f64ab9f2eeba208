"""Nearest images: of one image in a source, and of one image among the labels of a head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from vta_cli.errors import UnreadableImageError, UsageError
from vta_cli.images.keys import read_bytes
from vta_cli.images.reasons import is_outdated
from vta_cli.neighbors.search import top_k
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.remembered import judgements
from vta_cli.pipelines.score import Model
from vta_cli.pipelines.sources import Known, Source, known_refs, listed
from vta_cli.pipelines.spaces import SpaceRows, read_in
from vta_cli.pipelines.views import as_read
from vta_cli.store.space import Space
from vta_cli.store.store import Store

LABELLED = "labelled"
"""Title of neighbours that are not parted into liked and disliked."""


@dataclass(frozen=True)
class Near:
    """One neighbour: its paths, the mean cosine to the query, what was said of it if labelled."""

    paths: tuple[str, ...]
    similarity: float
    said: str = ""

    @property
    def path(self) -> str:
        """The first path where the image still lies; the first if there is none."""
        return next((path for path in self.paths if Path(path).exists()), self.paths[0])


@dataclass(frozen=True)
class Explanation:
    """Why an image got its score: the members' opinions and the nearest labelled images.

    Attributes
    ----------
    score : float
    members : dict of str to float
        Also classes, or the shares of bins, where the head gives these.
    near : dict of str to tuple of Near
        Of a head of yes and no the nearest ``liked`` and ``disliked`` images, of others the nearest
        ``labelled`` ones, most similar first; empty if the head does not remember its labels.
    said : str
        What the image itself was labelled when the head learnt from it; empty if it did not.
    """

    score: float
    members: dict[str, float]
    near: dict[str, tuple[Near, ...]]
    said: str = ""


def key_of_image(store: Store, image: str, spaces: Sequence[Space], named: Path | None) -> bytes:
    """Return the content key of one image file that has a vector in each of some spaces.

    `named` is the store's folder if the user named it: the command to run next has to name it too.

    Raises
    ------
    UsageError
        ``no-such-image``, ``unreadable-image`` or ``not-embedded``.
    """
    if not Path(image).is_file():
        raise UsageError("no-such-image", f"no image at {image}", hint="check the path")
    for batch in known_refs(store, listed([image])):
        for item in batch:
            entry = item.entry if isinstance(item, Known) else None
            if entry is None:
                continue
            if entry.key is not None:
                row = key_rows([entry.key])
                if not any(space.missing(row)[0] for space in spaces):
                    return entry.key
            if entry.reason and not is_outdated(entry.reason):
                raise _unreadable(image, entry.detail or entry.reason, named)
    _require_readable(image, named)
    of = " and ".join(dict.fromkeys(space.recipe.backbone for space in spaces))
    raise UsageError(
        "not-embedded",
        f"{image} has no vector of {of} in this store",
        hint=f"run: {read_in(Source([image], store=named), store, spaces).embed_line()}",
    )


def _require_readable(image: str, named: Path | None) -> None:
    """Raise ``unreadable-image`` if `vta embed` would skip the file, which it has not seen yet."""
    from vta_cli.images.decode import decode  # noqa: PLC0415 - only a missing vector needs Pillow

    try:
        decode(read_bytes(image))
    except UnreadableImageError as error:
        raise _unreadable(image, error.message, named) from error


def _unreadable(image: str, why: str, named: Path | None) -> UsageError:
    line = Source([image], store=named).embed_line()
    return UsageError(
        "unreadable-image",
        f"{image} cannot be read as an image: {why}",
        hint="get a sound copy or save it anew; if you have seen to it, run: "
        f"{line} --retry-skipped",
    )


def similar(
    store: Store,
    image: str,
    source: Source,
    spaces: Sequence[Space],
    n_nearest: int,
    *,
    look: bool = True,
) -> list[Near]:
    """Return the images of a source that are nearest to one, most similar first.

    The image itself and files with equal bytes are left out; of a source without specs also files
    that are gone, unless `look` is false.

    Raises
    ------
    UsageError
        As `key_of_image`, which gets the source's store.
    """
    query = key_of_image(store, image, spaces, source.store)
    look = look and not source.specs
    keys: dict[bytes, list[str]] = {}
    for batch in known_refs(store, source):
        for item in batch:
            if isinstance(item, Known) and item.entry is not None and item.entry.key is not None:
                if look and not Path(item.ref.path).exists():
                    continue
                keys.setdefault(item.entry.key, []).append(item.ref.path)
    keys.pop(query, None)
    return _nearest(spaces, query, list(keys), [tuple(paths) for paths in keys.values()], n_nearest)


def _nearest(
    spaces: Sequence[Space],
    query: bytes,
    keys: Sequence[bytes],
    paths: Sequence[tuple[str, ...]],
    n_nearest: int,
    said: Mapping[bytes, str] = MappingProxyType({}),
) -> list[Near]:
    places = [space.locate(key_rows(keys)) for space in spaces]
    at = np.flatnonzero(np.logical_and.reduce([place >= 0 for place in places]))
    if not at.size:
        return []
    asked = [SpaceRows(space, space.locate(key_rows([query]))) for space in spaces]
    rows = [SpaceRows(space, place[at]) for space, place in zip(spaces, places, strict=True)]
    index, similarity = top_k(asked, rows, min(n_nearest, len(at)))
    return [
        Near(paths[at[row]], float(value), said.get(keys[at[row]], ""))
        for row, value in zip(index[0], similarity[0], strict=True)
    ]


def explain(
    store: Store, image: str, model: Model, n_nearest: int, *, named: Path | None = None
) -> Explanation:
    """Say why an image gets its score; `named` as in `key_of_image`.

    Raises
    ------
    UsageError
        As `key_of_image`: the image needs the vectors that the head reads.
    """
    key = key_of_image(store, image, model.spaces, named)
    row = key_rows([key])
    blocks = [as_read(space.read(row)) for space in model.spaces]
    score, beside = model.taste.answer(blocks)
    found = beside | model.taste.members(blocks)
    members = {name: float(values[0]) for name, values in found.items()}
    said = judgements(model.taste.meta)
    known = store.catalogue.paths_of(list(said))
    near: dict[str, tuple[Near, ...]] = {}
    for title, wanted in _sides(said).items():
        rest = [one for one in said if one != key and (wanted is None or said[one] == wanted)]
        paths = [tuple(known.get(one, [one.hex()])) for one in rest]
        near[title] = tuple(_nearest(model.spaces, key, rest, paths, n_nearest, said))
    return Explanation(float(score[0]), members, near, said.get(key, ""))


def _sides(said: Mapping[bytes, str]) -> dict[str, str | None]:
    """Return the lists of neighbours to make, and which judgement each is of; None: all."""
    if not said:
        return {}
    if set(said.values()) <= {"positive", "negative"}:
        return {"liked": "positive", "disliked": "negative"}
    return {LABELLED: None}
