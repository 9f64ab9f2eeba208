"""Getting weights from the Hugging Face hub, when they are not here and the user allows it.

A machine without network learns so within seconds: one probe with a short limit comes before any
download. Addresses come from the hub's own client.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vta_cli.backbones.protocol import BackboneSpec, Weights
from vta_cli.backbones.weights import HUB_FILES, digest_file, locate
from vta_cli.errors import BackboneError

CONNECT_LIMIT_S = 5.0
"""Longest wait for one answer of the hub while probing [s]."""

PROBE_LIMIT_S = 10.0
"""Longest wait for the whole probe, name resolution included [s]."""

T = TypeVar("T")


def obtain(spec: BackboneSpec, weights: str | None, offline: bool | None) -> Weights:
    """Return the weights: from the user's places, the caches, or else from the hub.

    Raises
    ------
    BackboneError
        ``weights-missing`` if they are not here and there is nowhere to ask, or the user is
        offline by wish; ``weights-unreachable`` if the hub cannot be reached or refuses.
    UsageError
        If `weights` names something that does not exist.
    """
    return locate(spec, weights) or _download(spec, offline)


def is_offline(offline: bool | None = None) -> bool:
    """Tell whether the network is off limits: by argument, `VTA_OFFLINE` or `HF_HUB_OFFLINE`."""
    if offline is not None:
        return offline
    wishes = (os.environ.get(name, "") for name in ("VTA_OFFLINE", "HF_HUB_OFFLINE"))
    return any(wish.strip().lower() in {"1", "true", "yes", "on"} for wish in wishes)


def within_reach(spec: BackboneSpec, offline: bool | None = None) -> bool:
    """Tell whether the hub answers for these weights within `PROBE_LIMIT_S`; nothing is fetched."""
    if not spec.repo or is_offline(offline):
        return False
    try:
        _probe(spec)
    except Exception:  # noqa: BLE001 - the client raises of many families, all mean "no"
        return False
    return True


def _download(spec: BackboneSpec, offline: bool | None) -> Weights:
    if not spec.repo:
        raise BackboneError(
            "weights-missing",
            f"{spec.name} has no weights on this machine and no repository to get them from",
            hint=_ways(spec),
        )
    if is_offline(offline):
        raise BackboneError(
            "weights-missing",
            f"{spec.name} has no weights on this machine, and the network is switched off",
            hint=_ways(spec),
        )
    try:
        import huggingface_hub  # noqa: PLC0415 - only a download needs it

        file = _probe(spec)
        path = huggingface_hub.hf_hub_download(spec.repo, file, etag_timeout=CONNECT_LIMIT_S)
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise BackboneError(
            "weights-unreachable",
            f"the weights of {spec.name} are not here and {spec.repo} cannot be had: "
            f"{type(error).__name__}{': ' + lines[0][:160] if lines else ''}",
            hint=_ways(spec),
        ) from error
    return Weights(path=path, digest=digest_file(Path(path)), source="cache")


def _probe(spec: BackboneSpec) -> str:
    """Return the name of the first weight file that the repository really has."""
    return _within(PROBE_LIMIT_S, lambda: _first_at_hub(spec))


def _first_at_hub(spec: BackboneSpec) -> str:
    import huggingface_hub  # noqa: PLC0415 - only a download needs it
    from huggingface_hub.errors import EntryNotFoundError  # noqa: PLC0415

    for file in (*HUB_FILES[spec.family], *spec.files):
        url = huggingface_hub.hf_hub_url(spec.repo, file)
        try:
            huggingface_hub.get_hf_file_metadata(url, timeout=CONNECT_LIMIT_S)
        except EntryNotFoundError:
            continue
        return file
    msg = f"{spec.repo} holds none of the usual weight files"
    raise FileNotFoundError(msg)


def _within(limit_s: float, work: Callable[[], T]) -> T:
    """Run `work` in a thread that is given up after `limit_s`: name resolution has no time-out."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="weights-probe")
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        msg = f"no answer within {limit_s:g} seconds"
        raise TimeoutError(msg)
    return results[0]


def _ways(spec: BackboneSpec) -> str:
    classic = "use --backbone classic, which needs no weights"
    if not spec.repo:
        what = spec.hub or "the file"
        return f"get {what} and give it with --weights FILE or VTA_WEIGHTS, or {classic}"
    file = HUB_FILES[spec.family][0]
    return (
        f"get {file} of {spec.repo} elsewhere and give it with --weights FILE, "
        f"or copy that machine's hub cache here, or {classic}"
    )
