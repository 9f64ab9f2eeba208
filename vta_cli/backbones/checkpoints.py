"""What the torch families share about weight files and names that do not fit.

A weight file is data: nothing that it holds may run. safetensors cannot run anything, torch files
are read with `weights_only`, and TorchScript archives, which are programs, are refused.
"""

import difflib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from vta_cli.errors import BackboneError, UsageError


def refuse_programs(path: str) -> None:
    """Refuse TorchScript archives, such as OpenAI's original CLIP files.

    Raises
    ------
    BackboneError
        ``weights-are-a-program``.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(Path(name).name == "constants.pkl" for name in names):
        raise BackboneError(
            "weights-are-a-program",
            f"{path} is a TorchScript archive, and reading it would run the program inside",
            hint="give the same weights as .safetensors (docs/backbones.md says where they are), "
            "or convert the file if you trust it",
        )


def mismatch(name: str, path: str, error: BaseException) -> BackboneError:
    """Return the error for a weight file that cannot be read or does not fit the network."""
    text = " ".join(str(error).split())
    unfit = any(word in text for word in ("Missing key", "Unexpected key", "size mismatch"))
    slug = "weights-mismatch" if unfit else "weights-unreadable"
    what = "do not fit" if unfit else "cannot be read for"
    return BackboneError(
        slug,
        f"the weights {path} {what} {name}: {type(error).__name__}: {text[:200]}",
        hint="name the file that belongs to this backbone: --weights 'NAME=FILE'",
    )


def unknown_network(name: str, known: Iterable[str], prefix: str) -> UsageError:
    """Return the error for a name that the library does not know, with the nearest it knows."""
    wanted = name.removeprefix(prefix)
    near = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.4)
    guess = f"did you mean {' or '.join(prefix + one for one in near)}?" if near else ""
    return UsageError(
        "unknown-backbone",
        f"there is no network {name}",
        hint=guess or "`vta backbones` lists the named ones",
    )
