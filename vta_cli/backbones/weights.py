"""Where weights are on this machine: the user's files first, then the caches of the hubs.

Neither torch nor a hub's client is imported here and no network is asked, so that planning a run
stays light. Layouts are those that the clients document: the Hugging Face hub's
`models--ORG--NAME/snapshots/REVISION/FILE`, torch hub's `checkpoints/FILE`, open_clip's
`~/.cache/clip/FILE`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from blake3 import blake3

from vta_cli.backbones.protocol import BackboneSpec, Weights
from vta_cli.errors import BackboneError, UsageError

ENVIRONMENT = "VTA_WEIGHTS"
"""Environment variable that stands in for `--weights`."""

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "open_clip": (".safetensors", ".pt", ".pth", ".bin"),
    "timm": (".safetensors", ".pth", ".pt", ".bin"),
    "onnx": (".onnx",),
}
"""File name endings of each family's weights, the safest format first."""

HUB_FILES: Mapping[str, tuple[str, ...]] = {
    "open_clip": (
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin",
    ),
    "timm": ("model.safetensors", "pytorch_model.bin"),
    "onnx": (),
}
"""Names that the families' repositories on the Hugging Face hub use."""


def locate(spec: BackboneSpec, weights: str | None = None) -> Weights | None:
    """Find the weights of a backbone on this machine and digest them.

    Parameters
    ----------
    spec : BackboneSpec
    weights : str, optional
        A file, a folder, or ``NAME=PATH,NAME=PATH``; without it, the environment's `VTA_WEIGHTS`.

    Returns
    -------
    Weights or None
        None if neither the user's places nor the caches hold them.

    Raises
    ------
    UsageError
        ``no-such-weights``: the user named a file or folder that does not exist.
    """
    if spec.family == "classic":
        return Weights(path="", digest="none", source="none")
    user = _in_user_places(spec, weights)
    if user is not None:
        return Weights(path=str(user), digest=digest_file(user), source="file")
    cached = _in_caches(spec)
    if cached is not None:
        return Weights(path=str(cached), digest=digest_file(cached), source="cache")
    return None


def whereabouts(spec: BackboneSpec, weights: str | None = None) -> str:
    """Return ``none needed``, ``file``, ``cache`` or ``not here`` without reading any weights."""
    if spec.family == "classic":
        return "none needed"
    if _in_user_places(spec, weights) is not None:
        return "file"
    return "not here" if _in_caches(spec) is None else "cache"


def digest_file(path: Path) -> str:
    """Return the BLAKE3 digest of a file, with the data that an ONNX file may keep beside it.

    Raises
    ------
    BackboneError
        ``weights-unreadable`` if the file cannot be read.
    """
    hasher = blake3(max_threads=blake3.AUTO)
    try:
        for part in (path, *side_files(path)):
            hasher.update_mmap(part)
    except OSError as error:
        raise BackboneError(
            "weights-unreadable",
            f"cannot read the weights {path}: {error.strerror or error}",
            hint="check the file and its permissions",
        ) from error
    return hasher.hexdigest()


def side_files(path: Path) -> tuple[Path, ...]:
    """Return where a large ONNX file keeps its data: `NAME.onnx.data` and `NAME.onnx_data`."""
    if path.suffix != ".onnx":
        return ()
    beside = (path.with_name(path.name + ending) for ending in (".data", "_data"))
    return tuple(side for side in beside if side.is_file())


def _in_user_places(spec: BackboneSpec, weights: str | None) -> Path | None:
    if spec.path:
        return _in_place(spec, Path(spec.path), own=True)
    text = weights if weights is not None else os.environ.get(ENVIRONMENT, "")
    places = list(_places(text))
    for name, place in places:
        if name and _slug(name) in _names(spec):
            found = _in_place(spec, place, own=True)
            if found is None:
                raise UsageError(
                    "no-such-weights",
                    f"the folder {place} holds no weights for {spec.name}",
                    hint=f"name the file itself: --weights '{name}=FILE'",
                )
            return found
    for name, place in places:
        found = None if name else _in_place(spec, place, own=False)
        if found is not None:
            return found
    return None


def _places(text: str) -> Iterator[tuple[str, Path]]:
    """Yield (name or empty, existing path) of each part of a `--weights` value."""
    whole = Path(text).expanduser()
    parts = [text] if text and whole.exists() else [part for part in text.split(",") if part]
    for part in parts:
        name, path = "", Path(part).expanduser()
        if not path.exists() and "=" in part:
            name, _, rest = part.partition("=")
            path = Path(rest).expanduser()
        if not path.exists():
            raise UsageError(
                "no-such-weights",
                f"there are no weights at {path}",
                hint="--weights takes a file, a folder, or NAME=PATH,NAME=PATH",
            )
        yield name.strip(), path.absolute()


def _in_place(spec: BackboneSpec, place: Path, *, own: bool) -> Path | None:
    """Look into a user's file or folder; `own` if the user meant it for this backbone alone."""
    suffixes = SUFFIXES[spec.family]
    if place.is_file():
        return place if own or place.suffix.lower() in suffixes else None
    if not place.is_dir():
        return None
    return (
        _by_name(spec, place)
        or _in_hub_layout(spec, place)
        or _first_file(place / spec.repo.rpartition("/")[2], HUB_FILES[spec.family])
        or _first_file(place, HUB_FILES[spec.family])
        or (_only_file(place, suffixes) if own else None)
    )


def _by_name(spec: BackboneSpec, folder: Path) -> Path | None:
    """Find a file called like the backbone, an alias of it, or its publisher's file."""
    suffixes = SUFFIXES[spec.family]
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in suffixes]
    files.sort(key=lambda file: suffixes.index(file.suffix.lower()))
    published = {name.lower() for name in spec.files}
    wanted = _names(spec) | {_slug(spec.repo.rpartition("/")[2])}
    for file in files:
        if file.name.lower() in published or _slug(file.stem) in wanted:
            return file
    return None


def _in_caches(spec: BackboneSpec) -> Path | None:
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hf_home = Path(os.environ.get("HF_HOME") or home_cache / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or hf_home / "hub").expanduser()
    torch_home = Path(os.environ.get("TORCH_HOME") or home_cache / "torch").expanduser()
    return (
        _in_hub_layout(spec, hub)
        or _first_file(torch_home / "hub" / "checkpoints", spec.files)
        or _first_file(Path.home() / ".cache" / "clip", spec.files)
    )


def _in_hub_layout(spec: BackboneSpec, root: Path) -> Path | None:
    """Find a file in a folder laid out as the Hugging Face hub's cache."""
    if not spec.repo:
        return None
    repo = root / ("models--" + spec.repo.replace("/", "--"))
    revisions = [path for path in (repo / "snapshots").glob("*") if path.is_dir()]
    # the revision that `main` pointed to at the last download comes first, then the newest
    try:
        main = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        main = ""
    revisions.sort(key=lambda path: (path.name == main, path.stat().st_mtime_ns), reverse=True)
    for revision in revisions:
        found = _first_file(revision, (*spec.files, *HUB_FILES[spec.family]))
        if found is not None:
            return found
    return None


def _first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _only_file(folder: Path, suffixes: tuple[str, ...]) -> Path | None:
    files = [file for file in folder.iterdir() if file.suffix.lower() in suffixes]
    return files[0] if len(files) == 1 else None


def _names(spec: BackboneSpec) -> set[str]:
    return {_slug(name) for name in (spec.name, spec.label, *spec.aliases)}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
