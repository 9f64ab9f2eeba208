"""Why a file is left out: the closed list of reasons that the images room gives.

Each reason is the slug of an `UnreadableImageError` or the `reason` of a `Skip`. Other code may
count, print and compare them; a new one is added here and nowhere else.
"""

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
