"""Published heads into a store, and heads of a store out of it as folders fit for publishing."""

import importlib.util
import os
import re
import shutil
import tempfile
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
from vta_cli.exchange.card import card, known_json
from vta_cli.exchange.published import read_published
from vta_cli.exchange.records import Choice, Published
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.layers import collapse
from vta_cli.heads.saved import Head, is_own, load_head
from vta_cli.pipelines.score import ANY_WEIGHTS, HEAD_NAME, SUFFIX, find_head, recipes_of
from vta_cli.records import Promise, Recipe
from vta_cli.store.store import Store

WRITE_NETWORK = "vta_cli.backbones.mobilenet_onnx:write"
"""Loaded only when a file holds a network: it imports onnx."""
HEAD_FILE = f"head{SUFFIX}"
JSON_FILE = "head.json"
CARD_FILE = "README.md"


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
    network_to: Path | None = None


@dataclass(frozen=True)
class Imported:
    """A saved head, and sentences on what was understood."""

    path: Path
    head: Head
    notes: tuple[str, ...]


def import_head(store: Store, file: Path, wish: Wish) -> Imported:
    """Read a head that another tool, or another store's `vta heads export`, has published.

    Raises
    ------
    UsageError
        If the file is unknown, its backbone is in doubt, or a wish does not fit.
    HeadError
        If the file is damaged.
    """
    store.require_writable()
    file = head_file(file)
    own = file.is_file() and is_own(file)
    head, notes = _own(file, wish) if own else _foreign(store, file, wish)
    if wish.name is None and own and file.name == HEAD_FILE:
        name = str(head.meta.get("name") or file.absolute().parent.name)
    else:
        name = wish.name or re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-.")
    path = _target(store, name, replace=wish.replace)
    head = head.with_meta(name=name)
    head.save(path)
    return Imported(path, head, notes)


def head_file(file: Path) -> Path:
    """Return the file of a head; of a folder that `export_head` has made, the one inside.

    Raises
    ------
    UsageError
        ``no-such-file``.
    """
    found = file / HEAD_FILE if file.is_dir() else file
    if not found.is_file():
        raise UsageError("no-such-file", f"there is no file {found}", hint="check the path")
    return found


def _target(store: Store, name: str, *, replace: bool) -> Path:
    if not HEAD_NAME.fullmatch(name):
        raise UsageError(
            "bad-name",
            f"{name!r} cannot name a head",
            hint="give a --name of letters, digits, dots, dashes and underscores",
        )
    path = store.heads_dir / f"{name}{SUFFIX}"
    if path.exists() and not replace:
        raise UsageError(
            "head-exists",
            f"the store has a head named {name!r} already",
            hint="give another --name, or --replace it",
        )
    store.heads_dir.mkdir(parents=True, exist_ok=True)
    return path


def _own(file: Path, wish: Wish) -> tuple[Head, tuple[str, ...]]:
    """Take a head of vta's own as it is; it knows its backbone."""
    given = {
        "--kind": wish.kind, "--backbone": wish.backbone, "--labels": wish.labels,
        "--score-class": wish.score_classes, "--space": wish.space,
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
    return head, ()


def _foreign(store: Store, file: Path, wish: Wish) -> tuple[Head, tuple[str, ...]]:
    published = read_published(file, wish.kind)
    promise = _promise(published, wish)
    if published.network is not None:
        recipe, notes = _with_network(file, published.network, wish)
    else:
        recipe, notes = _recipe(store, published, wish)
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
            "layers": f"{len(published.layers)} layers collapsed into one affine map"
            if len(layers) < len(published.layers)
            else f"{len(layers)} layer{'s' * (len(layers) > 1)}",
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


def _recipe(store: Store, published: Published, wish: Wish) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe of the vectors that the head reads, and what there is to say about it."""
    if wish.space is not None:
        return _of_space(store, published, wish)
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
    return recipe, _remarks(published, spec.name)


def _with_network(
    file: Path, network: Mapping[str, NDArray[Any]], wish: Wish
) -> tuple[Recipe, tuple[str, ...]]:
    """Write the network that came with the head as a backbone, and return its recipe."""
    for option, value in (("--backbone", wish.backbone), ("--space", wish.space)):
        if value:
            raise UsageError(
                "own-network",
                f"{file} holds its own network, so {option} has no meaning",
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
    if recipe.dim != published.dim or recipe.n_views != 1:
        raise UsageError(
            "wrong-width",
            f"the head reads one vector of {published.dim} columns an image, the space "
            f"{wish.space} has {recipe.n_views} of {recipe.dim}",
            hint=f"published for: {_listed(published.choices)}",
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
            f"the head has {len(promise.names)} classes, --labels names {', '.join(names)}",
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


def export_head(store: Store, name: str | None, out: Path, licence: str | None) -> Path:
    """Write a head as a folder fit for publishing: the head, a card for people, plain JSON.

    Content keys of the labelled images are left out: they would tell strangers who own the same
    pictures what was liked.

    Parameters
    ----------
    name : str or None
        Name or file; None for the newest.
    out : Path
        The folder; it must not exist, or be empty.
    licence : str or None
        What the card says of the licence; None: that of an imported head, else a gap to fill.

    Raises
    ------
    UsageError
        If the folder is in use.
    """
    path = find_head(store, name)
    head = load_head(path)
    recipes_of(head, path.stem)
    if not out.absolute().parent.is_dir():
        raise UsageError(
            "no-such-folder",
            f"cannot write {out}: its folder does not exist",
            hint=f"make it first: mkdir -p {out.parent}",
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(
            "output-exists", f"{out} exists and is not empty", hint="name a new folder"
        )
    public = head.with_meta(name=head.meta.get("name") or path.stem)
    public.meta.pop("labels", None)
    known = known_json(public.meta, public.recipes, public.dims, public.promise, public.normalise)
    made = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=f".{out.name[:100]}-"))
    try:
        public.save(made / HEAD_FILE)
        (made / JSON_FILE).write_text(known, encoding="utf-8")
        text = card(public.meta, public.recipes, public.promise, public.normalise, licence)
        (made / CARD_FILE).write_text(text, encoding="utf-8")
        made.chmod(0o755)
        os.replace(made, out)  # noqa: PTH105 - replaces an empty folder, and no other
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return out


def describe(head: Head) -> list[str]:
    """Say what a head reads and gives, a sentence a line."""
    lines = []
    for recipe in recipes_of(head, str(head.meta.get("name"))):
        shape = recipe.preprocess
        how = {
            "native": f"longest side at most {shape.resize_px} px",
            "shortest": f"shortest side {shape.resize_px} px, centre {shape.crop_px} px",
            "squash": f"squashed to {shape.crop_px} x {shape.crop_px} px",
        }[shape.mode]
        length = "scaled to unit length" if head.normalise else "as the backbone gives them"
        lines.append(f"reads {recipe.backbone}: {how}, {shape.interpolation}; vectors {length}")
    lines.append(f"gives {head.promise.describe()}")
    return lines
