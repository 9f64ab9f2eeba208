"""How many pairs a join with a narrow margin found, measured on a sample of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vta_cli.neighbors.join import Pairs, cross_join
from vta_cli.neighbors.regroup import subset
from vta_cli.neighbors.rows import RowSource, as_blocks

_MOST_ROWS = 8192
_FEWEST_ROWS = 256
_SHARE = 8
"""An eighth of the rows is looked at again, within these limits."""


@dataclass(frozen=True)
class Recall:
    """Of the `n_pairs` pairs that `n_rows` random rows truly have, `n_found` were found."""

    n_rows: int
    n_pairs: int
    n_found: int

    @property
    def value(self) -> float:
        """Share of pairs found, 0 to 1; 1 if there were none to find."""
        return self.n_found / self.n_pairs if self.n_pairs else 1.0


def measure_recall(
    blocks: RowSource | Sequence[RowSource],
    threshold: float,
    pairs: Pairs,
    *,
    library: RowSource | Sequence[RowSource] | None = None,
    seed: int = 0,
) -> Recall:
    """Compare random rows with all rows, losslessly, and look their pairs up in `pairs`.

    Parameters
    ----------
    blocks, threshold
        As given to the `self_join` that made `pairs`.
    pairs : Pairs
        Of a self join, whatever its margin. Equal rows count as one row.
    library : RowSource or sequence of RowSource, optional
        Then the pairs are those of ``cross_join(blocks, library)``.
    seed : int
        Of the sample.

    Raises
    ------
    UsageError, VtaError
        As `cross_join`.
    """
    sources = as_blocks(blocks)
    n = int(sources[0].shape[0])
    size = min(n, _MOST_ROWS, max(_FEWEST_ROWS, n // _SHARE))
    some = np.sort(np.random.default_rng((seed, n)).choice(n, size, replace=False))
    others = sources if library is None else as_blocks(library)
    n_others = int(others[0].shape[0])
    true = cross_join(subset(sources, some), others, threshold, seed=seed)
    low, high = pairs.left_same[some[true.left]], pairs.right_same[true.right]
    if library is None:
        apart = low != high
        low, high = np.minimum(low, high)[apart], np.maximum(low, high)[apart]
    wanted = np.unique(low * n_others + high)
    found = np.isin(wanted, pairs.left * n_others + pairs.right)
    return Recall(size, len(wanted), int(np.count_nonzero(found)))
