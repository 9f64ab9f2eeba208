"""Published heads into a store: what they read, what their score means, and what must be asked."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3
from numpy.typing import NDArray

import vta_cli
from vta_cli.backbones.planning import attribute, expected_recipe
from vta_cli.backbones.registry import locate_weights, resolve
from vta_cli.errors import BackboneError, UsageError
from vta_cli.exchange.published import read_published
from vta_cli.exchange.records import Choice, Published
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.layers import collapse
from vta_cli.heads.saved import Head, is_own, load_head
from vta_cli.images.tiling import View
from vta_cli.pipelines.score import ANY_WEIGHTS, HEAD_NAME, SUFFIX, recipes_of
from vta_cli.pipelines.views import TILING, with_view
from vta_cli.records import Promise, Recipe
from vta_cli.store.store import Store
from vta_cli.words import counted

WRITE_NETWORK = "vta_cli.backbones.mobilenet_onnx:write"
"""Loaded only when a file holds a network: it imports onnx."""
HEAD_FILE = f"head{SUFFIX}"


@dataclass(frozen=True)
class Wish:
    """What the user says of a head that is imported; None: what the file says.

    Attributes
    ----------
    kind : str or None
        One of `exchange.published.KINDS`.
    backbone : str or None
        Name or alias of the backbone that the head is for.
    name : str or None
        Under which it is saved.
    labels : sequence of str
        Names of the classes.
    score_classes : sequence of str
        Classes whose largest probability is the score.
    space : str or None
        Space of the store to which the head is tied.
    replace : bool
        Whether a head of that name may be replaced.
    views : View or None
        What the head is shown of a picture: None: as its authors do, or what `space` holds.
    network_to : Path or None
        Folder for the network that a file holds below its head; None: beside the file.
    """

    kind: str | None = None
    backbone: str | None = None
    name: str | None = None
    labels: Sequence[str] = ()
    score_classes: Sequence[str] = ()
    space: str | None = None
    replace: bool = False
    views: View | None = None
    network_to: Path | None = None


@dataclass(frozen=True)
class Imported:
    """A saved head, and sentences on what was understood."""

    path: Path
    head: Head
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A file that was read and understood, before any store is touched."""

    file: Path
    content: Head | Published


def read_head(file: Path, wish: Wish) -> Found:
    """Read a head that another tool, or another store's `vta heads export`, has published.

    Parameters
    ----------
    file : Path
        The head, or a folder that `export_head` has made.
    wish : Wish

    Raises
    ------
    UsageError
        If the file is unknown, its backbone is in doubt, or a wish does not fit.
    HeadError
        If the file is damaged.
    """
    file = file / HEAD_FILE if file.is_dir() else file
    if not file.is_file():
        raise UsageError("no-such-file", f"there is no file {file}", hint="check the path")
    if wish.name is not None:
        _check_name(wish.name)
    if is_own(file):
        return Found(file, _own(file, wish))
    published = read_published(file, wish.kind)
    _promise(published, wish)
    if published.network is None and wish.space is None:
        _recipe(published, wish)
    return Found(file, published)


def import_head(store: Store, found: Found, wish: Wish) -> Imported:
    """Save a head that was read into a store.

    Raises
    ------
    UsageError
        If the store has a head of that name, or a wish does not fit the store.
    """
    store.require_writable()
    path = _target(store, _name_of(found, wish), replace=wish.replace)
    if isinstance(found.content, Published):
        head, notes = _foreign(store, found.file, found.content, wish)
    else:
        head, notes = found.content, ()
    head = head.with_meta(name=path.stem)
    head.save(path)
    return Imported(path, head, notes)


def _name_of(found: Found, wish: Wish) -> str:
    if wish.name is not None:
        return wish.name
    if not isinstance(found.content, Published) and found.file.name == HEAD_FILE:
        return str(found.content.meta.get("name") or found.file.absolute().parent.name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", found.file.stem).strip("-.")


def _check_name(name: str) -> None:
    if not HEAD_NAME.fullmatch(name):
        raise UsageError(
            "bad-name",
            f"{name!r} cannot name a head",
            hint="give a --name of letters, digits, dots, dashes and underscores",
        )


def _target(store: Store, name: str, *, replace: bool) -> Path:
    _check_name(name)
    path = store.heads_dir / f"{name}{SUFFIX}"
    if path.exists() and not replace:
        raise UsageError(
            "head-exists",
            f"the store has a head named {name!r} already",
            hint="give another --name, or --replace it",
        )
    store.heads_dir.mkdir(parents=True, exist_ok=True)
    return path


def _own(file: Path, wish: Wish) -> Head:
    """Take a head of vta's own as it is; it knows its backbone."""
    given = {
        "--kind": wish.kind, "--backbone": wish.backbone, "--labels": wish.labels,
        "--score-class": wish.score_classes, "--space": wish.space, "--views": wish.views,
    }  # fmt: skip
    for option, value in given.items():
        if value:
            raise UsageError(
                "own-head",
                f"{file} is a head of vta, which says all of itself; {option} cannot change it",
                hint=f"leave {option} out",
            )
    head = load_head(file)
    recipes_of(head, file.name)
    return head


def _foreign(
    store: Store, file: Path, published: Published, wish: Wish
) -> tuple[Head, tuple[str, ...]]:
    promise = _promise(published, wish)
    if published.network is not None:
        recipe, notes = _with_network(file, published.network, wish)
    elif wish.space is not None:
        recipe, notes = _of_space(store, published, wish)
    else:
        recipe, notes = _recipe(published, wish)
    layers = collapse(published.layers)
    meta = {
        "vta": vta_cli.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "backbones": [recipe.backbone],
        "published": {
            "kind": published.kind,
            "title": published.title,
            "source": published.source,
            "licence": published.licence,
            "file": file.name,
            "blake3": blake3(file.read_bytes()).hexdigest(),
            "n_parameters": published.n_parameters,
            "layers": f"{counted(len(published.layers), 'layer')} collapsed into one affine map"
            if len(layers) < len(published.layers)
            else counted(len(layers), "layer"),
        },
        "notes": [*published.notes, *notes],
    }
    head = LayeredHead(
        layers,
        published.output,
        promise,
        (published.dim,),
        normalise=published.normalise,
        recipes=(recipe.to_json(),),
        meta=meta,
    )
    return head, (*published.notes, *notes)


def _recipe(published: Published, wish: Wish) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe of the vectors that the head reads, and what there is to say about it."""
    choice = _choose(published, wish)
    spec = resolve(choice.backbone)
    if spec.dim is not None and spec.dim != published.dim:
        raise UsageError(
            "wrong-width",
            f"the head reads {published.dim} columns, {spec.name} gives {spec.dim}",
            hint=f"published for: {_listed(published.choices)}",
        )
    preprocess = spec.preprocess or choice.preprocess
    if preprocess is None:
        raise UsageError(
            "unknown-preprocessing",
            f"how {spec.name} sees a picture is not known before it has run",
            hint=f"run `vta embed SOURCE --backbone {choice.backbone}` first, then import with "
            "--space NAME, the name of its folder in the store's spaces/",
        )
    extra = {"mean": list(spec.mean), "std": list(spec.std), "pool": spec.pool} if spec.mean else {}
    recipe = Recipe(spec.name, ANY_WEIGHTS, published.dim, preprocess, extra=extra)
    return with_view(recipe, wish.views or published.view), _remarks(published, spec.name)


def _with_network(
    file: Path, network: Mapping[str, NDArray[Any]], wish: Wish
) -> tuple[Recipe, tuple[str, ...]]:
    """Write the network that came with the head as a backbone, and return its recipe."""
    given = (("--backbone", wish.backbone), ("--space", wish.space), ("--views", wish.views))
    for option, value in given:
        if value:
            raise UsageError(
                "own-network",
                f"{file} holds its own network and is of whole pictures: {option} has no meaning",
                hint=f"leave {option} out",
            )
    if importlib.util.find_spec("onnx") is None:
        raise BackboneError(
            "missing-extra",
            "turning the network into a backbone needs the package onnx, which is not installed",
            hint="pip install 'vta[nima]'",
        )
    folder = wish.network_to or file.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            "no-such-folder",
            f"cannot write the network into {folder}: it does not exist",
            hint=f"make it first: mkdir -p {folder}",
        )
    made: Path = attribute(WRITE_NETWORK)(network, folder / f"nima-mobilenet-{file.stem}.onnx")
    recipe = expected_recipe(resolve(str(made)), locate_weights(resolve(str(made))), "auto")
    if recipe is None:
        raise BackboneError(
            "weights-mismatch", f"{made} cannot be planned", hint="this is a fault of vta"
        )
    return recipe, (f"its network was written to {made}; embed with --backbone {made}",)


def _of_space(store: Store, published: Published, wish: Wish) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe of a space of this store, and tie the head to it."""
    found = next((space for space in store.spaces() if space.name == wish.space), None)
    if found is None:
        names = ", ".join(space.name for space in store.spaces()) or "none yet"
        raise UsageError(
            "no-such-space", f"the store has no space {wish.space!r}", hint=f"its spaces: {names}"
        )
    recipe = found.recipe
    if wish.backbone is not None and resolve(wish.backbone).name != recipe.backbone:
        raise UsageError(
            "two-backbones",
            f"the space {wish.space} is of {recipe.backbone}, not of {wish.backbone}",
            hint="leave --backbone out",
        )
    if recipe.dim != published.dim:
        raise UsageError(
            "wrong-width",
            f"the head reads {published.dim} columns, the space {wish.space} has {recipe.dim}",
            hint=f"published for: {_listed(published.choices)}",
        )
    if wish.views not in (None, recipe.view):
        raise UsageError(
            "two-views",
            f"the space {wish.space} holds {recipe.view} vectors, not {wish.views} ones",
            hint="leave --views out",
        )
    return recipe, _remarks(published, recipe.backbone)


def _choose(published: Published, wish: Wish) -> Choice:
    """Return the backbone that the user names, or the only one that is possible.

    Raises
    ------
    UsageError
        ``ambiguous-backbone`` if the file alone cannot tell.
    """
    if wish.backbone is not None:
        wanted = resolve(wish.backbone).name
        known = [choice for choice in published.choices if choice.backbone == wanted]
        return known[0] if known else Choice(wish.backbone, "as asked for")
    if len(published.choices) > 1:
        raise UsageError(
            "ambiguous-backbone",
            f"this {published.title} reads {published.dim} columns, which more than one backbone "
            f"gives: {_listed(published.choices)}",
            hint="say which with --backbone "
            + " or --backbone ".join(choice.backbone for choice in published.choices),
        )
    return published.choices[0]


def _listed(choices: Sequence[Choice]) -> str:
    return "; ".join(f"{choice.backbone} ({choice.why})" for choice in choices)


def _remarks(published: Published, backbone: str) -> tuple[str, ...]:
    """Say what speaks against a choice that was made against the file's own hints."""
    if all(choice.backbone != backbone for choice in published.choices):
        return (f"published for {_listed(published.choices)}, not for {backbone}",)
    likely = [choice for choice in published.choices if choice.why.startswith("the bias")]
    if likely and likely[0].backbone != backbone:
        return (f"this file is likely for {likely[0].backbone}: {likely[0].why}",)
    return ()


def _promise(published: Published, wish: Wish) -> Promise:
    """Return what the score means, with the classes as the user wants them."""
    promise = published.promise
    if promise.kind != "classes":
        if wish.labels or wish.score_classes:
            raise UsageError(
                "no-classes",
                f"a {published.title} has no classes",
                hint="leave --labels and --score-class out",
            )
        return promise
    names = tuple(wish.labels) or promise.names
    if len(names) != len(promise.names) or len(set(names)) < len(names) or not all(names):
        raise UsageError(
            "bad-labels",
            f"the head has {counted(len(promise.names), 'class', 'classes')}, "
            f"--labels names {', '.join(names)}",
            hint="give one name of its own to each, separated by commas, in the head's order",
        )
    chosen = []
    for name in wish.score_classes:
        if name not in names:
            raise UsageError(
                "unknown-class",
                f"the head has no class {name!r}",
                hint=f"its classes: {', '.join(names)}",
            )
        chosen.append(names.index(name))
    return Promise("classes", names=names, chosen=tuple(chosen) or promise.chosen)


def describe(head: Head) -> list[str]:
    """Say what a head reads and gives, a sentence a line."""
    lines = []
    for recipe in recipes_of(head, str(head.meta.get("name"))):
        shape = recipe.preprocess
        how = {
            "native": f"longest side at most {shape.resize_px} px",
            "shortest": f"shortest side {shape.resize_px} px, centre {shape.crop_px} px",
            "squash": f"squashed to {shape.crop_px} x {shape.crop_px} px",
        }.get(shape.mode, shape.mode)
        length = "scaled to unit length" if head.normalise else "as the backbone gives them"
        lines.append(f"reads {recipe.backbone}: {how}, {shape.interpolation}; vectors {length}")
        if isinstance(tiling := recipe.extra.get(TILING), dict):
            tile_px, limit_px = (tiling.get(name) for name in ("tile_px", "limit_px"))
            lines.append(
                f"of pictures larger than {tile_px} px five tiles of {tile_px} px, after a shorter "
                f"side beyond {limit_px} px was shrunk to that; of smaller ones the whole"
            )
    lines.append(f"gives {head.promise.describe()}")
    return lines
