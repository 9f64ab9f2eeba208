"""Which unlabelled image to ask about next. Pure functions of scores and vectors; no state."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vta_cli.errors import UsageError
from vta_cli.labels.design import N_REFERENCE, TINY, Design, Telling

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

ELSEWHERE = 1 / 3
"""Share of the images that `band` takes from the whole pool instead of from inside the limits."""
MAX_CANDIDATES = 2_048
"""Candidates among which `diverse` compares vectors: a random sample of a larger pool."""
SHORTLIST = 256
"""Candidates for which `band` and `typical` reckon: a random sample of a larger pool, by which
little is lost (stochastic greedy; Mirzasoleiman et al., 2015)."""
RIVALS = 12
"""Candidates among which `band` takes the one that tells most, drawn anew for each image. The best
of the whole shortlist needs as few labels on average, but on a noisy set it fell behind random
asking for a stretch; the best of a dozen does so on no sample set (`docs/labelling.md`)."""
MAX_TOLD = 256
"""Labels since the last fit that are reckoned with; more are sampled."""
MAX_TELLING = 32
"""Images of one request that are chosen for what they tell; the rest of a large one is drawn."""


@dataclass(frozen=True)
class Pool:
    """What a strategy may look at.

    Attributes
    ----------
    candidates : ndarray of shape (m,), int64
        Rows that may be asked about.
    scores : ndarray of shape (n,), float64
        Probability of each row; NaN where there is none.
    spread : ndarray of shape (n,), float64
        How far the head's committee differs; zeros where unknown.
    vectors : ndarray of shape (n, dim), float32
        Rows whose dot product is their similarity.
    seen : ndarray of shape (k,), int64
        Rows that are labelled or were just asked about; `diverse` keeps away from them.
    low, high : float
        The limits of `band`.
    design : Design, optional
        What the labels of the last fit leave unknown; without it `band` draws blindly.
    has : ndarray of shape (n,), bool, optional
        Which rows have a vector; all by default.
    """

    candidates: Ints
    scores: Floats
    spread: Floats
    vectors: NDArray[np.float32]
    seen: Ints
    low: float
    high: float
    design: Design | None = None
    has: NDArray[np.bool_] | None = None


def band(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Ask mostly about images inside the limits, and of a few drawn about the one that tells most.

    A share `ELSEWHERE` comes from the whole pool, where the limits have no say: a head that is told
    of hard images alone learns too little of the others, and on noisy labels it then needs more of
    them than one that is told of any. What tells most is reckoned with the head's own penalty and
    its weights of the two sides, see `design`.
    """
    candidates, scores = pool.candidates, pool.scores[pool.candidates]
    inside = (scores >= min(pool.low, pool.high)) & (scores <= max(pool.low, pool.high))
    n = min(n, len(candidates))
    near = _sample(candidates[inside], max(SHORTLIST, n), random)
    general = _sample(candidates, max(SHORTLIST, n), random)
    rows = random.permutation(np.union1d(near, general))
    is_near, is_general = np.isin(rows, near), np.isin(rows, general)
    worth: Floats = random.random(len(rows))
    telling = None
    if pool.design is not None:
        told = _sample(np.setdiff1d(pool.seen, pool.design.known), MAX_TOLD, random)
        telling = Telling(pool.design, pool.vectors[rows], pool.scores[rows], pool.vectors[told])
    chosen: list[int] = []
    free = np.ones(len(rows), dtype=bool)
    for elsewhere in random.random(n) < ELSEWHERE:
        if telling is not None and len(chosen) <= MAX_TELLING:
            worth = telling.gains()
        open_to_it = free & (is_general if elsewhere else is_near)
        if not open_to_it.any():  # the limits hold nothing more
            open_to_it = free
        rivals = _sample(np.flatnonzero(open_to_it), RIVALS, random)
        best = int(rivals[np.argmax(worth[rivals])])
        chosen.append(best)
        free[best] = False
        if telling is not None and len(chosen) <= MAX_TELLING:
            telling.promise(best)
    return rows[np.array(chosen, dtype=np.int64)]


def uncertain(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Take the images whose probability is nearest to even odds."""
    return _lowest(pool.candidates, np.abs(pool.scores[pool.candidates] - 0.5), n, random)


def top(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Take the images with the highest probability: check what the head thinks is best."""
    return _lowest(pool.candidates, -pool.scores[pool.candidates], n, random)


def disagree(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Take the images on which the committee differs most (query by committee, Seung 1992)."""
    return _lowest(pool.candidates, -pool.spread[pool.candidates], n, random)


def any_image(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Draw any image."""
    return _draw(pool.candidates, np.ones(len(pool.candidates)), n, random)


def diverse(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Draw images far from all that were seen: k-means++ seeding (Arthur and Vassilvitskii, 2007).

    Each is drawn with a chance proportional to its squared distance from the nearest one seen or
    drawn before, so that outliers do not come first as they would by farthest-first.
    """
    candidates = _sample(pool.candidates, MAX_CANDIDATES, random)
    rows = pool.vectors[candidates]
    squares = np.einsum("ij,ij->i", rows, rows)
    far = np.full(len(candidates), np.inf)
    if len(pool.seen):
        seen = pool.vectors[pool.seen]
        own = np.einsum("ij,ij->i", seen, seen)
        for start in range(0, len(seen), 512):
            part = slice(start, start + 512)
            nearness = squares[:, None] - 2.0 * (rows @ seen[part].T) + own[part]
            np.minimum(far, nearness.min(axis=1), out=far)
    chosen: list[int] = []
    while len(chosen) < min(n, len(candidates)):
        weights = np.where(np.isinf(far), 1.0, np.maximum(far, 0.0))
        weights[chosen] = 0.0
        total = weights.sum()
        if not total > 0:  # only copies of what was seen are left
            weights = np.ones(len(candidates))
            weights[chosen] = 0.0
            total = weights.sum()
        pick = int(random.choice(len(candidates), p=weights / total))
        chosen.append(pick)
        away = squares - 2.0 * (rows @ rows[pick]) + squares[pick]
        np.minimum(far, away, out=far)
    return candidates[np.array(chosen, dtype=np.int64)]


def typical(pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Take images that stand for many others, each for others than those before it.

    With few labels the typical image teaches more than the unusual one (Hacohen, Dekel and
    Weinshall, 2022, "Active learning on a budget"). Taken is the image that raises most the sum,
    over a sample of the pool, of the similarity to the most similar image asked about: greedy
    facility location (Wei, Iyer and Bilmes, 2015). Similar is the cosine of the centred rows; below
    0 nothing is similar. Images without a vector come last.
    """
    there = np.ones(len(pool.vectors), dtype=bool) if pool.has is None else pool.has
    rows, rest = _parted(pool.candidates, there[pool.candidates])
    reference = _sample(rows, N_REFERENCE, random)
    rows = random.permutation(_sample(rows, max(SHORTLIST, n), random))
    chosen: list[int] = []
    if len(rows):
        mean = pool.vectors[reference].mean(axis=0)
        judges = _directions(pool.vectors[reference] - mean)
        likeness = judges @ _directions(pool.vectors[rows] - mean).T  # (reference, rows)
        covered = np.zeros(len(reference), dtype=likeness.dtype)
        if len(pool.seen):
            seen = _directions(pool.vectors[_sample(pool.seen, MAX_TOLD, random)] - mean)
            np.maximum(covered, (judges @ seen.T).max(axis=1), out=covered)
        for _ in range(min(n, MAX_TELLING, len(rows))):
            gains = np.maximum(likeness - covered[:, None], 0.0).sum(axis=0)
            gains[chosen] = -1.0
            chosen.append(int(np.argmax(gains)))
            np.maximum(covered, likeness[:, chosen[-1]], out=covered)
    taken = rows[np.array(chosen, dtype=np.int64)]
    tail = random.permutation(np.setdiff1d(rows, taken)), random.permutation(rest)
    return np.concatenate([taken, *tail])[:n]


STRATEGIES: dict[str, Callable[[Pool, int, np.random.Generator], Ints]] = {
    "band": band,
    "uncertain": uncertain,
    "diverse": diverse,
    "random": any_image,
    "top": top,
    "disagree": disagree,
}
"""Strategies by name; the first is the default."""

NEED_SCORES = frozenset(("band", "uncertain", "top", "disagree"))
NEED_DESIGN = frozenset(("band",))


def choose(name: str, pool: Pool, n: int, random: np.random.Generator) -> Ints:
    """Choose what to ask next.

    Candidates without a score (no head yet, or no vector yet) are asked about only where no scored
    one is left; then, and before there is any head, `typical` stands in.

    Parameters
    ----------
    name : str
        A key of `STRATEGIES`.
    n : int
        How many rows are wanted.

    Returns
    -------
    ndarray of shape (min(n, m),), int64
        Rows in the order in which they should be asked about.

    Raises
    ------
    UsageError
        ``unknown-strategy``.
    """
    if name not in STRATEGIES:
        raise UsageError(
            "unknown-strategy",
            f"there is no strategy {name!r}",
            hint=f"known: {', '.join(STRATEGIES)}",
        )
    with threadpool_limits(1):  # under load, threads waiting for each other took 30 times as long
        if name not in NEED_SCORES:
            return STRATEGIES[name](pool, n, random)
        scored, rest = _parted(pool.candidates, ~np.isnan(pool.scores[pool.candidates]))
        chosen = scored[:0]
        if len(scored):
            chosen = STRATEGIES[name](replace(pool, candidates=scored), n, random)
        if len(chosen) < n and len(rest):
            more = typical(replace(pool, candidates=rest), n - len(chosen), random)
            chosen = np.concatenate([chosen, more])
        return chosen


def focus(scores: Floats, *, share: float = 0.3, centre: float = 0.5) -> tuple[float, float]:
    """Return limits around even odds that hold a share of the scores.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Of the unlabelled images; NaN are passed over.
    share : float
        How much of them should lie inside. A fifth, three tenths and a half did about
        alike in `benchmarks/labelling_simulation.py`.

    Returns
    -------
    low, high : float
        At equal distance from `centre` where the scores allow it, in 0.02..0.98.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        return 0.35, 0.65
    reach = float(np.quantile(np.abs(known - centre), share))
    reach = min(max(reach, 0.05), 0.48)
    return max(0.02, centre - reach), min(0.98, centre + reach)


def _sample(rows: Ints, n: int, random: np.random.Generator) -> Ints:
    return random.choice(rows, n, replace=False) if len(rows) > n else rows


def _directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of unit length; one without a direction stays zero."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[np.float32] = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > TINY)
    return found


def _parted(rows: Ints, mask: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    return rows[mask], rows[~mask]


def _draw(candidates: Ints, weights: Floats, n: int, random: np.random.Generator) -> Ints:
    """Draw without replacement, with chances proportional to the weights (Efraimidis, 2006)."""
    order = -np.log(random.random(len(candidates))) / weights
    first = np.argpartition(order, n)[:n] if n < len(order) else np.arange(len(order))
    return candidates[first[np.argsort(order[first])]]


def _lowest(candidates: Ints, cost: Floats, n: int, random: np.random.Generator) -> Ints:
    """Take the least costs; equal ones in random order."""
    order = np.lexsort((random.random(len(candidates)), cost))
    return candidates[order[:n]]
