"""Which files are missing because their disk is not mounted: they are not gone."""

import re
from pathlib import Path, PurePosixPath

FSTAB = Path("/etc/fstab")
_USUAL = re.compile(r"/(mnt|Volumes|media|media/[^/]+|run/media/[^/]+)/[^/]+")
"""Where systems mount disks: ``/mnt/DISK``, ``/media/DISK``, ``/media/USER/DISK`` and so on."""
_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How fstab(5) writes blanks."""


class Disks:
    """Tells missing files on disks that are not mounted from those that were deleted.

    A place where disks are mounted, by its name or by `FSTAB`, that is missing or empty is taken
    for one without its disk.

    Attributes
    ----------
    n_paths : int
        How many paths were found to be away.
    away : set of str
        The places where their disks would be.
    """

    def __init__(self) -> None:
        self.n_paths = 0
        self.away: set[str] = set()
        self._places = _listed_places()
        self._known: dict[str, str | None] = {}

    def is_away(self, path: str) -> bool:
        """Tell whether a missing file lies on a disk that seems not to be mounted; count it."""
        folder = str(PurePosixPath(path).parent)
        if folder not in self._known:
            self._known[folder] = self._place_of(folder)
        place = self._known[folder]
        if place is None:
            return False
        self.n_paths += 1
        self.away.add(place)
        return True

    def _place_of(self, folder: str) -> str | None:
        places = [folder, *map(str, PurePosixPath(folder).parents)]
        found = [one for one in places if one in self._places or _USUAL.fullmatch(one)]
        return next((one for one in found if _is_bare(Path(one))), None)


def _is_bare(place: Path) -> bool:
    """Tell whether a folder is missing or empty; one that cannot be looked at is neither."""
    try:
        return next(place.iterdir(), None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _listed_places() -> frozenset[str]:
    try:
        lines = FSTAB.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    rows = [line.split() for line in lines if not line.lstrip().startswith("#")]
    names = [_ESCAPED.sub(lambda m: chr(int(m[1], 8)), row[1]) for row in rows if len(row) > 1]
    return frozenset(name.rstrip("/") for name in names if name.startswith("/"))
