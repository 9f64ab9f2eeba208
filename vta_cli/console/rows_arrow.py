"""Batches of scores as CSV through Arrow: the text of `rows_text`, byte for byte, much faster.

For batches without anything special: columns of words that need no quotes, and finite numbers. Any
other batch is `rows_text`'s to write. With `rows_parquet` and `rows_read` one of the modules of
this room that import pyarrow.
"""

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

_DIGITS = 6
_SMALLEST, _LARGEST = 1e-4, 1e5
"""Numbers between are written without an exponent, by `%.6g` and by Arrow."""
_TIE = 1e-6
"""Nearer to halfway between two roundings, exact arithmetic has to tell."""
_POWERS = 10.0 ** np.arange(10)
_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="none")


def batch_text(kinds: Sequence[str], values: Sequence[Any]) -> bytes | None:
    """Return rows as CSV, or None where they are not plain enough.

    Parameters
    ----------
    kinds : sequence of str
        Kind of each column.
    values : sequence of columns
        Lists, arrays, or objects whose `arrow` is a binary column.
    """
    columns = []
    for kind, column in zip(kinds, values, strict=True):
        made = None
        if kind == "str":
            made = _words(column)
        elif kind == "float" and isinstance(column, np.ndarray):
            made = six_digits(column)
        if made is None:
            return None
        columns.append(made)
    out = io.BytesIO()
    try:
        csv.write_csv(
            pa.record_batch(columns, [str(at) for at in range(len(columns))]), out, _OPTIONS
        )
    except pa.ArrowInvalid:  # a mark that needs quotes
        return None
    return out.getvalue()


def _words(column: Any) -> Any:
    arrow = getattr(column, "arrow", None)
    if arrow is not None:  # bytes that need not be UTF-8 are written as they are
        return pa.StringArray.from_buffers(
            len(arrow), *arrow.buffers()[1:], arrow.buffers()[0], arrow.null_count, arrow.offset
        )
    if not any(column):  # reasons of images that have a score
        return _blank(len(column))
    try:
        found = pa.array(column, pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        return None
    return None if found.null_count else found


@lru_cache(maxsize=4)
def _blank(n_rows: int) -> Any:
    """Return a column of empty words."""
    offsets = pa.py_buffer(np.zeros(n_rows + 1, np.int32))
    return pa.StringArray.from_buffers(n_rows, offsets, pa.py_buffer(b""))


def six_digits(values: NDArray[np.floating]) -> Any:
    """Return numbers that Arrow writes as `"%.6g"` does, or their texts; None if any is not finite.

    A number times a power of ten is rounded to a whole number and divided again, which gives the
    float nearest to the six digits; the shortest text of that float has these six digits.
    """
    wide = np.asarray(values, np.float64)
    size = np.abs(wide)
    if not np.isfinite(size).all():
        return None
    plain = (size >= _SMALLEST) & (size < _LARGEST)
    if plain.all():
        exponent = np.floor(np.log10(size)).astype(np.int64)
        scale = _POWERS[_DIGITS - 1 - exponent]
        scaled = size * scale
        if (np.abs(scaled - np.trunc(scaled) - 0.5) > _TIE).all():
            rounded = np.copysign(np.rint(scaled) / scale, wide)
            # not by `pa.array`, which would load numpy.ma
            return pa.Array.from_buffers(pa.float64(), len(wide), [None, pa.py_buffer(rounded)])
    return pa.array([f"{value:.6g}" for value in wide.tolist()], pa.string())
