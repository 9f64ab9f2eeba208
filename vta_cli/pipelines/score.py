"""Score what the store holds: keys from the catalogue, vectors from the memory map, a head.

No image is opened. Rows come in source order, in blocks, in bounded memory.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError, UsageError
from vta_cli.heads.blocks import PIECE_ROWS, Block
from vta_cli.heads.pooling import Pool, Pooled
from vta_cli.heads.saved import Head, load_head
from vta_cli.heads.threads import one_thread
from vta_cli.images.tiling import View
from vta_cli.pipelines.progress import Progress
from vta_cli.pipelines.sources import NOT_EMBEDDED, Files, Source, files_of
from vta_cli.pipelines.views import as_read, with_view
from vta_cli.records import ImageRef, Recipe, Vectors
from vta_cli.store.space import Space, Stored
from vta_cli.store.store import Store

BLOCK_ROWS = 4096
"""Images looked up and written together; as many as a page of the catalogue has."""
BLOCK_NUMBERS = 3 << 17
"""Numbers read together, but for whole pieces of the heads: they stay in the processor's caches."""
SUFFIX = ".safetensors"
HEAD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,100}")
"""Names that a saved head may have: names of files everywhere."""
ANY_WEIGHTS = "any"
"""Weights digest of a recipe that names its backbone but not the file: heads of other tools do."""


@dataclass(frozen=True)
class Model:
    """A loaded head together with the spaces of this store that it reads."""

    name: str
    taste: Head
    spaces: tuple[Space, ...]
    notes: tuple[str, ...] = ()


@dataclass
class ScoreBlock:
    """Scored images, in source order.

    Attributes
    ----------
    files : Files
    scores : dict of str to ndarray of shape (n,), float64
        One column per model, followed by what its head says besides: ``score.CLASS`` for each
        class, ``score.sd`` of a distribution, members or bins on request. NaN where there is no
        score.
    reasons : list of str
        Empty where there is a score.
    texts : dict of str to list of str
        Columns of words, such as the ``route`` of an image.
    """

    files: Files
    scores: dict[str, NDArray[np.float64]]
    reasons: list[str]
    texts: dict[str, list[str]] = field(default_factory=dict)

    @property
    def paths(self) -> Sequence[str]:
        """The images' paths."""
        return self.files.paths

    @property
    def refs(self) -> list[ImageRef]:
        """The images' refs, made on request."""
        refs = self.files.refs
        return refs if isinstance(refs, list) else refs()


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


def load_model(
    store: Store, name: str | None, *, pool: Pool = "mean", views: View | None = None
) -> Model:
    """Load a head by name or file, or the newest of the store, and find its spaces.

    Parameters
    ----------
    name : str or None
    pool : {"mean", "median", "max", "min"}
        How the answers for several views of an image become one.
    views : {"whole", "five-crop"}, optional
        What the head is to be shown; by default what it was made for, or for a head of whole
        pictures five crops where the store has nothing else.

    Raises
    ------
    UsageError
        If there is no such head.
    HeadError
        If the file is no head, or the store has no vectors of a backbone that it needs.
    """
    path = find_head(store, name)
    taste = load_head(path)
    recipes = recipes_of(taste, path.stem)
    found = [_find_view(store, recipe, path.stem, views) for recipe in recipes]
    notes = tuple(note for _, note in found if note)
    spaces = tuple(space for space, _ in found)
    if any(space.recipe.n_views > 1 for space in spaces):
        taste = Pooled(taste, pool)
    elif pool != "mean":
        notes = (*notes, f"{path.stem} is shown one vector an image: --pool {pool} has no part")
    return Model(path.stem, taste, spaces, notes)


def recipes_of(head: Head, name: str) -> list[Recipe]:
    """Return the recipes of the vectors that a head reads, in block order.

    Raises
    ------
    HeadError
        If what the head says of them is no recipe, or does not fit its widths: heads may come
        from anyone.
    """
    try:
        found = [Recipe.from_json(data) for data in head.recipes]
    except (TypeError, KeyError, ValueError):
        found = []
    if [recipe.dim for recipe in found] != list(head.dims):
        raise HeadError(
            "head-unreadable",
            f"the head {name} does not say which vectors it reads",
            hint="train it again, or import it again",
        )
    return found


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


def _find_view(store: Store, recipe: Recipe, head: str, views: View | None) -> tuple[Space, str]:
    """Return the space of a recipe, with another view of the pictures where that is allowed.

    A head of whole pictures may be shown tiles unasked, as published class heads are. The other way
    round it must be asked for: a head of tiles has learnt from details that whole pictures lack.
    """
    first = views or recipe.view
    try:
        space, note = _find_space(store, with_view(recipe, first), head)
    except HeadError as error:
        if views is not None or first != "whole" or error.slug != "missing-space":
            raise
        try:
            space, note = _find_space(store, with_view(recipe, "five-crop"), head)
        except HeadError:
            raise error from None
    if space.recipe.view != recipe.view:
        shown = f"{head} was made for {recipe.view} views; it is shown {space.recipe.view} ones"
        note = f"{note}; {shown}" if note else shown
    return space, note


def _find_space(store: Store, recipe: Recipe, head: str) -> tuple[Space, str]:
    """Return the space of a recipe, or one that differs in arithmetic precision alone."""
    if recipe.weights == ANY_WEIGHTS:
        return _any_space(store, recipe, head)
    exact = store.find_space(recipe.digest)
    if exact is not None and exact.n_rows:
        return exact, ""
    for space in store.spaces():
        if space.n_rows and stands_in(recipe, space.recipe):
            note = (
                f"{head} was trained on {recipe.way} vectors of {recipe.backbone}; "
                f"using the store's {space.recipe.way} ones"
            )
            return space, note
    what = f"{recipe.backbone} (weights {recipe.weights[:12]})"
    raise _missing_space(store, recipe, head, what)


def stands_in(wanted: Recipe, have: Recipe) -> bool:
    """Tell whether vectors of one recipe may be given to a head that wants another.

    Arithmetic precision and the program that resized the picture may differ. A head without a
    weights digest takes any weights of its backbone, if what the network is shown and how wide its
    vectors are agree.
    """
    if wanted.weights != ANY_WEIGHTS:
        return have.kin() == wanted.kin()
    return (wanted.backbone, wanted.dim, wanted.preprocess, wanted.view, wanted.n_views) == (
        have.backbone,
        have.dim,
        have.preprocess,
        have.view,
        have.n_views,
    )


def _any_space(store: Store, recipe: Recipe, head: str) -> tuple[Space, str]:
    """Return the only space of a backbone, whatever its weights; refuse to choose among several."""
    filled = [space for space in store.spaces() if space.n_rows]
    found = [space for space in filled if stands_in(recipe, space.recipe)]
    if len({space.recipe.kin() for space in found}) > 1:
        names = ", ".join(space.name for space in found)
        raise HeadError(
            "ambiguous-space",
            f"{head} reads vectors of {recipe.backbone}, and the store {store.path} has them "
            f"of several weights: {names}",
            hint="import the head again with --space NAME, which ties it to one of them",
        )
    if found:
        # of one network's spaces the exact arithmetic is the published one's
        exact = [space for space in found if space.recipe.precision == recipe.precision]
        return (exact or found)[0], ""
    shape = recipe.preprocess
    what = f"{recipe.backbone} at {shape.crop_px or shape.resize_px} px"
    raise _missing_space(store, recipe, head, what)


def _missing_space(store: Store, recipe: Recipe, head: str, what: str) -> HeadError:
    spaces = store.spaces()
    have = ", ".join(_in_words(space.recipe) for space in spaces) or "nothing"
    tiles = recipe.view != "whole"
    kind = "five-crop vectors" if tiles else "vectors"
    hint = f"run: vta embed SOURCE --backbone {recipe.backbone}" + " --views five-crop" * tiles
    whole = with_view(recipe, "whole")
    if tiles and any(s.n_rows and stands_in(whole, s.recipe) for s in spaces):
        hint += "; or score whole pictures: vta score --views whole"
    return HeadError(
        "missing-space",
        f"{head} needs {kind} of {what}, which the store {store.path} lacks; it has {have}",
        hint=hint,
    )


def _in_words(recipe: Recipe) -> str:
    return recipe.backbone + f" ({recipe.view})" * (recipe.view != "whole")


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
    with progress.stage("score") as stage, one_thread():
        for files in files_of(store, source, BLOCK_ROWS):
            block = _score_block(files, models, members=members)
            lacking = list(filter(None, block.reasons))
            report.n_scored += len(block.reasons) - len(lacking)
            report.reasons.update(lacking)
            stage.advance(len(block.reasons))
            yield block


def columns_of(models: Sequence[Model]) -> list[str]:
    """Return the score column of each model."""
    return ["score"] if len(models) == 1 else [model.name for model in models]


def _score_block(files: Files, models: Sequence[Model], *, members: bool) -> ScoreBlock:
    reasons = files.reasons
    n_files = len(reasons)
    usable = np.ones(n_files, dtype=bool)
    if any(reasons):
        usable[:] = [not reason for reason in reasons]
    keys = files.keys[usable]
    found: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in columns_of(models)}
    lacking = np.zeros(n_files, dtype=bool)
    for spaces, readers in _by_spaces(models):  # what several heads read is read once
        rows = [space.locate(keys) for space in spaces]
        present = np.logical_and.reduce([row >= 0 for row in rows])
        at = np.flatnonzero(usable)[present]
        some = [row[present] for row in rows]
        alone = len(readers) == 1 and all(space.recipe.n_views == 1 for space in spaces)
        for where, blocks in (_whole if alone else _vectors)(spaces, some):
            for column, model in readers:
                results = _answers(model, column, blocks, members=members)
                for name, values in results.items():
                    if name not in found[column]:
                        found[column][name] = np.full(n_files, np.nan)
                    found[column][name][at[where]] = values
        lacks = usable.copy()
        lacks[at] = False
        lacking |= lacks
    if lacking.any():
        reasons = [
            NOT_EMBEDDED if lacks else reason
            for lacks, reason in zip(lacking.tolist(), reasons, strict=True)
        ]
    scores = {name: values for each in found.values() for name, values in each.items()}
    return ScoreBlock(files, scores, reasons)


def _by_spaces(
    models: Sequence[Model],
) -> list[tuple[tuple[Space, ...], list[tuple[str, Model]]]]:
    """Return the models that read the same spaces together, each with its column."""
    groups: dict[tuple[int, ...], tuple[tuple[Space, ...], list[tuple[str, Model]]]] = {}
    for column, model in zip(columns_of(models), models, strict=True):
        key = tuple(map(id, model.spaces))
        groups.setdefault(key, (model.spaces, []))[1].append((column, model))
    return list(groups.values())


def _answers(
    model: Model, column: str, blocks: Sequence[Block], *, members: bool
) -> dict[str, NDArray[np.float64]]:
    score_, beside = model.taste.answer(blocks)
    results = {column: score_} | {f"{column}.{name}": v for name, v in beside.items()}
    if members:
        results |= {f"{column}.{name}": v for name, v in model.taste.members(blocks).items()}
    return results


def _whole(
    spaces: Sequence[Space], rows: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[slice, list[Stored]]]:
    """Yield all rows at once, for a head that reads them itself, a few at a time.

    Not for one that pools views, which wants the views of all rows together.
    """
    with ExitStack() as stack:
        yield (
            slice(None),
            [
                stack.enter_context(space.reading(some))
                for space, some in zip(spaces, rows, strict=True)
            ],
        )


def _vectors(
    spaces: Sequence[Space], rows: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[slice, list[Vectors]]]:
    """Yield rows of several spaces as heads read them, see `as_read`, a few at a time.

    The vectors are good until the next ones are asked for. Of no rows one empty block comes, from
    which heads tell their columns.
    """
    if not len(rows[0]):
        empty = [(0, space.recipe.n_views, space.recipe.dim) for space in spaces]
        yield slice(0, 0), [as_read(np.empty(shape, np.float32)) for shape in empty]
        return
    width = sum(space.recipe.n_views * space.recipe.dim for space in spaces)
    n_pieces = max(1, BLOCK_NUMBERS // (width * PIECE_ROWS))
    streams = [
        space.blocks(some, n_pieces * PIECE_ROWS, reuse=True)
        for space, some in zip(spaces, rows, strict=True)
    ]
    for parts in zip(*streams, strict=True):
        yield parts[0][0], [as_read(vectors) for _, vectors in parts]


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
            f"no image of {source.describe()} has the vectors that {name} needs",
            hint=f"run: {source.embed_line()}",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.reasons.items()))
    raise UsageError(
        "no-images",
        f"no image to score in {source.describe()}" + (f": {reasons}" if reasons else ""),
        hint="name a folder with pictures",
    )
