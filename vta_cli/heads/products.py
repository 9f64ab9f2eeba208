"""Products of rows with fixed vectors that give a row the same bits wherever it stands.

A library may add up a row's terms in another order at another place of a matrix: OpenBLAS's float32
product for Haswell does so for the first and the last 8 rows of a piece. Then a score would depend
on a row's neighbours. So pieces have margins, whose results are thrown away, and before a matrix is
used for the first time, a piece of equal rows shows whether all of them get the same bits. Where
they do not, on some other processor, a slower product is taken.
"""

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vta_cli.heads.blocks import MARGIN_ROWS, PIECE_ROWS, Floats
from vta_cli.heads.dots import Singles

_SMALL = 8_192
"""Numbers up to which a matrix is multiplied in float64 at once: that costs less than a trial."""
_TRIALS = 256
"""Dot products tried. If the order of the terms differs, about one in ten has other bits."""


class Templates:
    """Fixed vectors that pieces of rows are multiplied by.

    Parameters
    ----------
    vectors : ndarray of shape (m, dim), float32 or float64
    across : bool
        Whether the numbers of a row lie apart, and those of a column together.
    """

    def __init__(self, vectors: NDArray[np.floating], *, across: bool = False) -> None:
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._order: Literal["C", "F"] = "F" if across else "C"

    def times(self, padded: Singles, out: Singles | None = None) -> Singles:
        """Return the dot product of each vector with each row of a piece.

        Parameters
        ----------
        padded : ndarray of shape (PIECE_ROWS + 2 MARGIN_ROWS, dim), float32
            The piece between its margins.
        out : ndarray of the shape of the result, float32, optional
            Where to write.

        Returns
        -------
        ndarray of shape (m, PIECE_ROWS + 2 MARGIN_ROWS), float32
            The columns of the margins are of no use.
        """
        if self._alike:
            return np.matmul(self._vectors, padded.T, out=out)
        wide = self._wide @ padded.T.astype(np.float64)
        if out is None:
            return wide.astype(np.float32)
        out[...] = wide
        return out

    @cached_property
    def _wide(self) -> Floats:
        return self._vectors.astype(np.float64)

    @cached_property
    def _alike(self) -> bool:
        """Whether the float32 product treats all rows between the margins alike."""
        m, dim = self._vectors.shape
        if m * dim <= _SMALL:
            return False
        random = np.random.default_rng(0)
        for _ in range(-(-_TRIALS // max(m, 1))):
            row = random.standard_normal(dim, np.float32)
            shape = (PIECE_ROWS + 2 * MARGIN_ROWS, dim)
            piece = np.empty(shape, np.float32, order=self._order)
            piece[:] = row
            found = (self._vectors @ piece.T)[:, MARGIN_ROWS:-MARGIN_ROWS]
            if not (found == found[:, :1]).all():
                return False
        return True
