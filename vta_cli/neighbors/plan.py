"""Which tiles a join looks at: everything, or cells and those who look into them.

Cells cost time of their own, and where rows do not cluster they sort out nothing; a sample decides
before the work begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vta_cli.neighbors.cells import Cells, by_cell, make_cells
from vta_cli.neighbors.rows import Floats, Ids
from vta_cli.neighbors.scan import TILE, Scan, Tick, mirrored, shortened
from vta_cli.neighbors.threads import Crew, alone

_PLAIN_PRODUCTS = 5000**2 / 2
"""Fewer products than this are done before cells are made."""

_PROBES = 1024
_CENSUS = 32_768
_MAX_CELLS = 8192

_SECONDS_PER_CELL = 8e-9
_SECONDS_PER_VISIT = 1e-7
_SECONDS_PER_PRODUCT = 1.2e-9
_SECONDS_PER_AXIS = 2e-11
_SECONDS_PER_CHECK = 1.2e-7
"""Costs on one core with AVX-512, float32; only their ratios matter, and only for speed."""

_LOOKS = (16, 24, 32, 48)
"""Numbers of axes from which the first look may take its choice."""

_VISIT_SLACK = 3e-5
"""Rounding error allowed in half a difference of squared distances to centres."""


@dataclass(frozen=True)
class Plan:
    """An order of the rows and their cells.

    Attributes
    ----------
    order : ndarray of shape (n,), int64
        Rows sorted by cell; within a cell, those of the left set come first.
    n_left : int
        Rows below this number are of the left set; n for a self join.
    bounds : ndarray of shape (n_cells + 1,), int64
        Where each cell begins in `order`.
    margin : float
        Largest distance to a bisector from which a row looks behind it.
    cells : Cells or None
        None: one cell, nobody visits.
    home, best : ndarray of shape (n,)
        Cell and nearness of the sorted rows.
    """

    order: Ids
    n_left: int
    bounds: Ids
    margin: float
    cells: Cells | None
    home: NDArray[np.int32]
    best: Floats


def plan_cells(
    stand_ins: Floats, n_left: int, margin: float, seed: int, workers: Crew = alone
) -> Plan:
    """Choose the number of cells, or none, by what a sample of rows would have to look at."""
    n = stand_ins.shape[0]
    all_products = n * (n - 1) / 2 if n_left == n else float(n_left) * (n - n_left)
    if all_products < _PLAIN_PRODUCTS:
        return _everything(n, n_left)
    share_of_all = all_products / (n * n / 2)
    rng = np.random.default_rng((seed, n))
    probes = stand_ins[np.sort(rng.choice(n, min(n, _PROBES), replace=False))]
    census = stand_ins[np.sort(rng.choice(n, min(n, _CENSUS), replace=False))]
    n_cells = int(2 * np.sqrt(n))
    while True:
        cost_cells = n * n_cells * _SECONDS_PER_CELL
        if cost_cells > all_products * _SECONDS_PER_PRODUCT / 2:
            return _everything(n, n_left)
        cells = make_cells(stand_ins, n_cells, seed, workers)
        sizes = np.bincount(cells.assign(census, workers)[0], minlength=cells.n)
        home, best = cells.assign(probes, workers)
        looks = cells.visits(
            probes,
            home,
            best,
            which=slice(0, cells.n),
            margin=margin,
            slack=_VISIT_SLACK,
            workers=workers,
        )
        products = (sizes @ looks + sizes[home] / 2).mean() * (n / census.shape[0])
        cost_looks = n * (
            looks.sum(axis=0).mean() * _SECONDS_PER_VISIT
            + products * share_of_all * _SECONDS_PER_PRODUCT
        )
        if cost_looks < 2 * cost_cells or 2 * n_cells > _MAX_CELLS:
            break
        n_cells *= 2
    if cost_looks + cost_cells > all_products * _SECONDS_PER_PRODUCT:
        return _everything(n, n_left)
    home, best = cells.assign(stand_ins, workers)
    order, bounds = by_cell(home, cells.n)  # stable: left rows stay first in each cell
    return Plan(order, n_left, bounds, margin, cells, home[order], best[order])


def _everything(n: int, n_left: int) -> Plan:
    nowhere, nothing = np.zeros(n, np.int32), np.zeros(n, np.float32)
    return Plan(np.arange(n), n_left, np.array([0, n]), 0.0, None, nowhere, nothing)


def run_plan(
    scan: Scan, plan: Plan, memory_bytes: int, workers: Crew = alone, progress: Tick | None = None
) -> None:
    """Look at every tile of the plan.

    Parameters
    ----------
    memory_bytes : int
        A quarter of it may hold visit lists: one byte a row and cell, in blocks of cells.
    workers : Crew
        Who does tiles and cells.
    progress : callable, optional
        Told the rows of each tile or cell when it is done, from the calling thread.
    """
    for done in _steps(scan, plan, memory_bytes, workers):
        if progress is not None:
            progress(done)


def _steps(scan: Scan, plan: Plan, memory_bytes: int, workers: Crew) -> Iterator[int]:
    n = plan.order.shape[0]
    if plan.cells is None:
        yield from _all_tiles(scan, plan.n_left, n, workers)
        return
    n_cells = plan.cells.n
    block = int(np.clip(memory_bytes // (4 * n), 1, 256))
    scan.short = _choose_look(scan, plan)
    for first in range(0, n_cells, block):
        which = slice(first, min(n_cells, first + block))
        looks = plan.cells.visits(
            scan.points[:, :-2],
            plan.home,
            plan.best,
            which=which,
            margin=plan.margin,
            slack=_VISIT_SLACK,
            workers=workers,
        )
        # Bound now: workers read it while this generator waits.
        search = partial(_search_cell, scan, plan, looks, first)
        yield from workers(search, range(which.start, which.stop))


def _all_tiles(scan: Scan, n_left: int, n: int, workers: Crew) -> Iterator[int]:
    """Compare without cells; give the rows done."""

    def tile(start: int) -> int:
        stop = min(start + TILE, n_left)
        if n_left == n:
            scan.strip(start, n)
        else:
            scan.rectangle(np.arange(start, stop), n_left, n)
        return stop - start

    yield from workers(tile, range(0, n_left, TILE))
    yield n - n_left


def _search_cell(scan: Scan, plan: Plan, looks: NDArray[np.bool_], first: int, cell: int) -> int:
    """Compare the rows of a cell with each other and with their visitors; return their number."""
    start, middle, stop = _split(plan, cell)
    visitors = np.flatnonzero(looks[cell - first])
    if plan.n_left == plan.order.shape[0]:
        scan.triangle(start, stop)
        scan.rectangle(visitors, start, stop)
    else:
        scan.rectangle(np.arange(start, middle), middle, stop)
        is_left = plan.order[visitors] < plan.n_left
        scan.rectangle(visitors[is_left], middle, stop)
        scan.rectangle(visitors[~is_left], start, middle, swapped=True)
    return stop - start


def _split(plan: Plan, cell: int) -> tuple[int, int, int]:
    """Bounds of a cell, and where the rows of the right set begin in it."""
    start, stop = int(plan.bounds[cell]), int(plan.bounds[cell + 1])
    return start, start + int(np.count_nonzero(plan.order[start:stop] < plan.n_left)), stop


def _choose_look(scan: Scan, plan: Plan) -> Floats:
    """Return stand-ins of as many axes as make the first look cheapest, checks included.

    Judged by pairs of rows in the same cell: visitors pass less often.
    """
    n_axes = scan.points.shape[1] - 3
    sizes = np.diff(plan.bounds)
    chosen = np.argsort(-sizes, kind="stable")[
        : max(1, sizes.shape[0] // 2) : max(1, sizes.shape[0] // 32)
    ]
    tiles = [
        scan.points[plan.bounds[cell] : min(plan.bounds[cell] + 256, plan.bounds[cell + 1])]
        for cell in chosen
    ]
    n_pairs = sum(tile.shape[0] ** 2 for tile in tiles)
    best, cheapest = scan.points, n_axes * _SECONDS_PER_AXIS
    choice = n_axes
    for look in _LOOKS:
        if look >= n_axes:
            break
        short = [shortened(tile, look) for tile in tiles]
        passed = sum(
            int(np.count_nonzero(s @ mirrored(s).T >= scan.limit)) - s.shape[0] for s in short
        )
        cost = look * _SECONDS_PER_AXIS + passed / max(1, n_pairs) * _SECONDS_PER_CHECK
        if cost < cheapest:
            choice, cheapest = look, cost
    return best if choice == n_axes else shortened(scan.points, choice)
