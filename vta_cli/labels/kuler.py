"""Kuler colour themes with the ratings of many people, as two MATLAB files.

O'Donovan, Agarwala, Hertzmann: Collaborative filtering of color aesthetics, CAe 2014.
``themeData.mat`` holds 13,343 themes of five colours, ``allMTurkRatings.mat`` 528,106 rows of user,
theme and stars 1..5. Ratings count themes from 1, by their row and not by their id; some ids occur
twice. A theme becomes a picture: a swatch is written for each.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.io
from numpy.typing import NDArray

from vta_cli.errors import UsageError
from vta_cli.labels.problems import Problems
from vta_cli.labels.records import Label, LabelSet
from vta_cli.labels.rows import require_file
from vta_cli.labels.votes import N_BINS, Votes, bins_from, histogram_set, nothing_found

N_STARS = 5
N_COLOURS = 5

Spread = Literal["high", "low"]
"""How five stars become scores 1..10: ``high`` r -> 2r - 1 (1 3 5 7 9), ``low`` r -> r + 2 (3..7).

Both are Genolve's: its notebook used the first and calls them by their standard deviation. The
second is there the place r + 1 counted from 0, which is the score r + 2.
"""

Draw = Callable[[NDArray[np.uint8]], bytes]
"""Makes an image file of colours of shape (n_colours, 3); see `vta_cli.images.swatches`."""


def read_kuler(
    themes: Path,
    ratings: Path,
    swatches: Path,
    draw: Draw,
    *,
    spread: Spread = "high",
    by_rater: bool = False,
) -> LabelSet:
    """Read the ratings of colour themes, and write a swatch of each rated theme.

    Parameters
    ----------
    themes, ratings : Path
        ``themeData.mat`` and ``allMTurkRatings.mat``.
    swatches : Path
        Folder of the images ``<id>.png``; it is made if need be. A file that is there already is
        left alone if it is the same, and never overwritten.
    draw : callable
        Makes the file.
    spread : {"high", "low"}
        How stars become scores.
    by_rater : bool
        Keep each rating with its rater, instead of counting the ratings of a theme.

    Returns
    -------
    LabelSet
        Of kind ``histograms`` with bins 1 to 10, or by rater of kind ``scores``.

    Raises
    ------
    UsageError
        ``no-such-file``, ``bad-mat``, ``not-a-folder``, ``swatch-differs`` or ``no-labels``.
    """
    colours, ids = _themes(themes)
    rated = _ratings(ratings)
    problems = Problems(ratings.name)
    names = _names(colours, ids)
    scores = {stars: _score(stars, spread) for stars in range(1, N_STARS + 1)}
    counts: dict[int, list[float]] = {}
    labels: list[Label] = []
    for row, (user, theme, stars) in enumerate(rated.tolist(), start=1):
        where = f"{ratings.name} row {row}"
        place = theme - 1  # MATLAB counts from 1
        if not 0 <= place < len(names):
            what = f"there is no theme {theme} (of {len(names):,})"
            problems.add("ratings of unknown themes", where, what)
        elif stars not in scores:
            what = f"{stars} is no number of stars from 1 to {N_STARS}"
            problems.add("ratings off the scale", where, what)
        else:
            counts.setdefault(place, [0.0] * N_BINS)[scores[stars] - 1] += 1
            if by_rater:
                path = str(swatches.absolute() / names[place])
                labels.append(Label(path, float(scores[stars]), where, rater=str(user)))
    if not counts:
        raise nothing_found(problems.sentences())
    _write(colours, names, sorted(counts), swatches, draw)
    if by_rater:
        return LabelSet("scores", tuple(labels), problems.sentences())
    found = (
        Votes(f"{themes.name} theme {place + 1}", names[place], counts[place])
        for place in sorted(counts)
    )
    return histogram_set(found, bins_from(1.0, N_BINS), _In(swatches), problems)


class _In:
    """Finds the swatches that were just written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def find(self, name: str) -> tuple[str | None, str]:
        return str(self._folder / name), ""


def _score(stars: int, spread: Spread) -> int:
    return 2 * stars - 1 if spread == "high" else stars + 2


def _names(colours: NDArray[np.uint8], ids: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a file name for each theme; themes of one id share it if they share their colours."""
    first: dict[int, int] = {}
    names = []
    for place, number in enumerate(ids.tolist()):
        twin = first.setdefault(number, place)
        same = bool((colours[twin] == colours[place]).all())
        names.append(f"{number}.png" if same else f"{number}-{place + 1}.png")
    return tuple(names)


def _write(
    colours: NDArray[np.uint8],
    names: tuple[str, ...],
    places: list[int],
    folder: Path,
    draw: Draw,
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            "not-a-folder",
            f"{folder} cannot be the folder of the swatches: a file is in the way",
            hint="name another folder for the swatches",
        ) from None
    for place in places:
        file = folder / names[place]
        data = draw(colours[place])
        try:
            with file.open("xb") as stream:
                stream.write(data)
        except FileExistsError:
            if file.read_bytes() != data:
                raise UsageError(
                    "swatch-differs",
                    f"{file} exists and is another picture",
                    hint="name another folder for the swatches",
                ) from None


def _themes(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return colours of shape (n, 5, 3) and ids of shape (n,)."""
    points = _load(file, "datapoints")
    try:
        rgb = np.asarray(points.rgb, dtype=np.float64).reshape(-1, N_COLOURS, 3)
        ids = np.asarray(points.ids).astype(np.int64).reshape(-1)
    except (AttributeError, TypeError, ValueError) as error:
        raise _bad(file, f"datapoints.rgb and datapoints.ids are not there ({error})") from error
    if len(rgb) != len(ids) or not len(ids):
        raise _bad(file, f"it has {len(rgb):,} themes and {len(ids):,} ids")
    if not (np.isfinite(rgb).all() and rgb.min() >= 0 and rgb.max() <= 1):
        raise _bad(file, "its colours do not lie between 0 and 1")
    return np.rint(rgb * 255).astype(np.uint8), ids


def _ratings(file: Path) -> NDArray[np.int64]:
    """Return rows of user, theme and stars, shape (n, 3)."""
    found = np.asarray(_load(file, "testRatings"))
    if found.ndim == 1 and found.size == 3:
        found = found.reshape(1, 3)  # a single row comes without its second axis
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iuf":
        raise _bad(file, "testRatings is no table of user, theme and stars")
    if not (found == np.rint(found)).all():
        raise _bad(file, "testRatings holds numbers that are not whole")
    return found.astype(np.int64)


def _load(file: Path, name: str) -> Any:
    require_file(file)
    try:
        # objects and functions in the file are not revived by loadmat: it runs no code
        variables = scipy.io.loadmat(
            file, variable_names=[name], squeeze_me=True, struct_as_record=False
        )
    except Exception as error:  # a damaged file raises whatever the damage hits
        raise _bad(file, str(error)) from error
    if name not in variables:
        raise _bad(file, f"it has no variable {name}")
    return variables[name]


def _bad(file: Path, why: str) -> UsageError:
    return UsageError(
        "bad-mat",
        f"{file.name} cannot be read as a file of Kuler's themes: {why}",
        hint="take themeData.mat and allMTurkRatings.mat as they were published",
    )
