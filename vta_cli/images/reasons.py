"""Why a file is left out: the closed list of reasons that the images room gives.

Each reason is the slug of an `UnreadableImageError` or the `reason` of a `Skip`. Other code may
count, print and compare them; a new one is added here and nowhere else.
"""

import functools
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "missing-file": "the file or the target of the link does not exist",
        "no-permission": "the file or folder may not be read",
        "not-a-file": "a folder, pipe, socket or device where a file was expected",
        "io-error": "the system failed while the file was read",
        "too-large-file": "the file is larger than the limit",
        "empty-file": "the file holds no bytes",
        "not-an-image": "the content is of no known image format",
        "unsupported-format": "an image format that vta does not decode",
        "needs-heif": "HEIC or HEIF: install the extra with pip install 'vta[heif]'",
        "needs-avif": "AVIF: the installed Pillow was built without it",
        "too-many-pixels": "the picture declares more pixels than the memory limit admits",
        "truncated": "the file ends before the picture does",
        "corrupt": "the file is damaged, or of a variant that the decoder does not read",
        "decode-failed": "the decoder failed in an unforeseen way",
    }
)
"""Slug and meaning of every reason."""

REASONS: tuple[str, ...] = tuple(MEANINGS)
"""All slugs."""

PASSING = frozenset(("missing-file", "no-permission", "io-error"))
"""Reasons that say nothing of a file's content: they may go away while path, size and time stay."""


@functools.cache
def is_outdated(reason: str) -> bool:
    """Tell whether a file that was skipped for `reason` is worth another look in this process.

    True for what lies with the system rather than with the file, and for formats whose decoder
    has been installed since.
    """
    if reason == "needs-heif":
        return importlib.util.find_spec("pillow_heif") is not None
    return reason in PASSING
