"""Score what the store holds: keys from the catalogue, vectors from the memory map, a head.

No image is opened. Rows come in source order, in blocks, in bounded memory.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.taste import Taste
from vta_cli.pipelines.lanes import key_rows
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.sources import Known, Source, known_refs
from vta_cli.records import ImageRef, Recipe, Skip
from vta_cli.store.space import Space
from vta_cli.store.store import Store

NOT_EMBEDDED = "not-embedded"
"""Reason of images that have no vector in a space that the head needs."""
BLOCK_ROWS = 1024
"""Rows scored together: they fit the cache for dims of hundreds to thousands."""
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Model:
    """A loaded head together with the spaces of this store that it reads."""

    name: str
    taste: Taste
    spaces: tuple[Space, ...]
    notes: tuple[str, ...] = ()


@dataclass
class ScoreBlock:
    """Scored images, in source order.

    Attributes
    ----------
    refs : list of ImageRef
    scores : dict of str to ndarray of shape (n,), float64
        One column per model (and member); NaN where there is no score.
    reasons : list of str
        Empty where there is a score.
    """

    refs: list[ImageRef]
    scores: dict[str, NDArray[np.float64]]
    reasons: list[str]


@dataclass
class ScoreReport:
    """Counts of a scoring run."""

    n_scored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def heads_of(store: Store) -> list[Path]:
    """Return the saved heads of a store, newest first."""
    if not store.heads_dir.is_dir():
        return []
    found = [path for path in store.heads_dir.iterdir() if path.suffix == SUFFIX]
    return sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name))


def load_model(store: Store, name: str | None) -> Model:
    """Load a head by name or file, or the newest of the store, and find its spaces.

    Raises
    ------
    UsageError
        If there is no such head.
    HeadError
        If the file is no head, or the store has no vectors of a backbone that it needs.
    """
    path = find_head(store, name)
    taste = Taste.load(path)
    found = [_find_space(store, Recipe.from_json(recipe), path.stem) for recipe in taste.recipes]
    notes = tuple(note for _, note in found if note)
    return Model(path.stem, taste, tuple(space for space, _ in found), notes)


def find_head(store: Store, name: str | None) -> Path:
    """Return the file of a head: by name, by path, or the newest of the store.

    Raises
    ------
    UsageError
        If there is no such head.
    """
    saved = heads_of(store)
    if name is None:
        if not saved:
            raise UsageError(
                "no-head",
                f"the store {store.path} has no head yet",
                hint="train one: vta train --pos LIKED --neg DISLIKED",
            )
        return saved[0]
    direct = Path(name)
    if direct.suffix == SUFFIX and direct.is_file():
        return direct
    for path in saved:
        if path.stem == name:
            return path
    names = ", ".join(path.stem for path in saved) or "none yet"
    raise UsageError("no-head", f"no head named {name!r} in {store.path}", hint=f"saved: {names}")


def _find_space(store: Store, recipe: Recipe, head: str) -> tuple[Space, str]:
    """Return the space of a recipe, or one that differs in arithmetic precision alone."""
    exact = store.find_space(recipe.digest)
    if exact is not None and exact.n_rows:
        return exact, ""
    for space in store.spaces():
        if space.n_rows and space.recipe.kin() == recipe.kin():
            note = (
                f"{head} was trained on {recipe.precision} vectors of {recipe.backbone}; "
                f"using the store's {space.recipe.precision} ones"
            )
            return space, note
    have = ", ".join(space.recipe.backbone for space in store.spaces()) or "nothing"
    raise HeadError(
        "missing-space",
        f"{head} needs vectors of {recipe.backbone} (weights {recipe.weights[:12]}), "
        f"which the store {store.path} lacks; it has {have}",
        hint=f"run: vta embed SOURCE --backbone {recipe.backbone}",
    )


def score(
    store: Store,
    source: Source,
    models: Sequence[Model],
    report: ScoreReport,
    progress: Progress,
    *,
    members: bool = False,
) -> Iterator[ScoreBlock]:
    """Score a source block by block.

    Parameters
    ----------
    models : sequence of Model
        One column each: ``score`` for a single one, else the models' names.
    report : ScoreReport
        Filled while the blocks are consumed.
    members : bool
        Also a column for each member of an ensemble, ``column.member``.

    Yields
    ------
    ScoreBlock
        At most `BLOCK_ROWS` images.
    """
    with progress.stage("score") as stage:
        for batch in known_refs(store, source):
            for start in range(0, len(batch), BLOCK_ROWS):
                block = _score_block(batch[start : start + BLOCK_ROWS], models, members=members)
                report.n_scored += sum(not reason for reason in block.reasons)
                report.reasons.update(reason for reason in block.reasons if reason)
                stage.advance(len(block.refs))
                yield block


def columns_of(models: Sequence[Model]) -> list[str]:
    """Return the score column of each model."""
    return ["score"] if len(models) == 1 else [model.name for model in models]


def _score_block(
    items: Sequence[Known | Skip], models: Sequence[Model], *, members: bool
) -> ScoreBlock:
    refs = [
        ImageRef(item.path, item.path, 0, 0) if isinstance(item, Skip) else item.ref
        for item in items
    ]
    reasons = [_reason(item) for item in items]
    usable = np.array([not reason for reason in reasons], dtype=bool)
    keys = key_rows([_key(item) for item, ok in zip(items, usable, strict=True) if ok])
    scores: dict[str, NDArray[np.float64]] = {}
    lacking = np.zeros(len(items), dtype=bool)
    for column, model in zip(columns_of(models), models, strict=True):
        rows = [space.locate(keys) for space in model.spaces]
        present = np.logical_and.reduce([row >= 0 for row in rows])
        at = np.flatnonzero(usable)[present]
        blocks = [
            space.take(row[present])[:, 0, :] for space, row in zip(model.spaces, rows, strict=True)
        ]
        results = {column: model.taste.score(blocks)}
        if members:
            results |= {f"{column}.{k}": v for k, v in model.taste.members(blocks).items()}
        for name, values in results.items():
            scores[name] = np.full(len(items), np.nan)
            scores[name][at] = values
        lacks = usable.copy()
        lacks[at] = False
        lacking |= lacks
    for index in np.flatnonzero(lacking):
        reasons[index] = NOT_EMBEDDED
    return ScoreBlock(refs, scores, reasons)


def _reason(item: Known | Skip) -> str:
    if isinstance(item, Skip):
        return item.reason
    if item.entry is None:
        return NOT_EMBEDDED
    return item.entry.reason or ""


def _key(item: Known | Skip) -> bytes:
    if isinstance(item, Skip) or item.entry is None or item.entry.key is None:
        raise HeadError("no-key", "an image without a key cannot be scored")
    return item.entry.key


def require_scores(report: ScoreReport, source: Source, *, name: str) -> None:
    """Refuse a run in which no image could be scored.

    Raises
    ------
    UsageError
        If the source was empty, or nothing of it is embedded.
    """
    if report.n_scored:
        return
    if report.reasons[NOT_EMBEDDED]:
        raise UsageError(
            "not-embedded",
            f"none of the {report.reasons[NOT_EMBEDDED]} images of {source.describe()} "
            f"has the vectors that {name} needs",
            hint=f"run: vta embed {' '.join(source.specs)}".rstrip(),
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.reasons.items()))
    raise UsageError(
        "no-images",
        f"no image to score in {source.describe()}" + (f": {reasons}" if reasons else ""),
        hint="name a folder with pictures",
    )
