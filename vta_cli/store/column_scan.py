"""Looks up files in the catalogue's file of columns, thousands at a time, without an object each.

A rescan asks for files in the order of their paths, and so does the file hold them. So the rows
between the first and the last path asked for are cut out and compared column by column: a million
files take a tenth of a second, where rows of the database take two.
"""

import bisect
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vta_cli.records import KEY_BYTES, ImageRef
from vta_cli.store.columns import SCHEMA, is_current, keys_of, texts_of
from vta_cli.store.contents import Contents

_THIN = 8
"""Where more rows than so many times the files lie between them, a look-up each is cheaper."""


class ColumnScan:
    """The open file of columns, at one stamp; see `open_scan`."""

    def __init__(self, stack: contextlib.ExitStack, reader: Any) -> None:
        self._stack = stack
        self._reader = reader
        self._firsts: dict[int, bytes] = {}
        self._recent: dict[int, Any] = {}
        self._at = 0

    def close(self) -> None:
        """Let the file go."""
        self._stack.close()

    def find(self, refs: Sequence[ImageRef], *, ctime: bool) -> Contents | None:
        """Return what the columns know of the refs; None if they are not fit to tell.

        Parameters
        ----------
        refs : sequence of ImageRef
            In the order of their paths' bytes, each path once.
        ctime : bool
            Believe no row whose file has another `ctime_ns`, where both are known.

        Notes
        -----
        Not fit are refs in another order, refs that lie thinly among the rows, and a damaged file.
        """
        names, _, sizes, mtimes, ctimes = zip(*refs, strict=True)
        try:
            paths = pa.array(names, pa.string()).view(pa.binary())
            first, last = names[0].encode(), names[-1].encode()
        except UnicodeEncodeError:  # a name that is not UTF-8
            paths = pa.array([os.fsencode(name) for name in names], pa.binary())
            first, last = paths[0].as_py(), paths[-1].as_py()
        try:
            rows = self._rows(first, last, _THIN * len(refs) + 4096)
        except (OSError, pa.ArrowException, IndexError):
            return None
        if rows is None:
            return None
        stored, *numbers, trusted, keys, reasons, details = rows.columns
        if paths.equals(stored):
            at, there = slice(None), np.ones(len(refs), np.bool_)
        else:
            if not _rising(paths):
                return None
            place = pc.index_in(paths, value_set=stored)
            at = place.fill_null(0).to_numpy()
            there = place.is_valid().to_numpy(zero_copy_only=False)
            if not len(stored):
                none = np.zeros(len(refs), np.bool_)
                return Contents(none, np.zeros((len(refs), KEY_BYTES), np.uint8))
        size, mtime, when = (column.to_numpy()[at] for column in numbers)
        known = there & trusted.to_numpy(zero_copy_only=False)[at]
        known &= size == np.array(sizes, np.int64)
        known &= mtime == np.array(mtimes, np.int64)
        if ctime:
            asked = np.array(ctimes, np.int64)
            known &= (when == asked) | (when == 0) | (asked == 0)
        said = _said(texts_of(reasons), at, known)
        why = None if said is None else _said(texts_of(details), at, known)
        return Contents(known, keys_of(keys)[at], said, why)

    # Inside.

    def _rows(self, first: bytes, last: bytes, most: int) -> Any:
        """Return the rows from one path to another, both included, as one batch; None if many."""
        number = self._batch_with(first)
        parts: list[Any] = []
        n_rows = 0
        while number < self._reader.num_record_batches and self._first(number) <= last:
            batch = self._batch(number)
            paths = batch.column(0)
            begin = 0 if parts else _lower(paths, first)
            n_left = len(paths)
            end = n_left if paths[n_left - 1].as_py() <= last else _upper(paths, last)
            parts.append(batch.slice(begin, end - begin))
            n_rows += end - begin
            if n_rows > most:
                return None
            number += 1
        if not parts:
            return pa.record_batch([pa.array([], field.type) for field in SCHEMA], schema=SCHEMA)
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def _batch_with(self, path: bytes) -> int:
        """Return the number of the last batch that does not begin after the path."""
        for number in (self._at, self._at + 1):
            if self._first(number) <= path and not self._first(number + 1) <= path:
                break
        else:
            n_batches = self._reader.num_record_batches
            number = max(0, bisect.bisect_right(range(n_batches), path, key=self._first) - 1)
        self._at = number
        return number

    def _first(self, number: int) -> Any:
        """Return the first path of a batch, for the one after the last something above all."""
        if number >= self._reader.num_record_batches:
            return _ABOVE
        if number not in self._firsts:
            self._firsts[number] = self._batch(number).column(0)[0].as_py()
        return self._firsts[number]

    def _batch(self, number: int) -> Any:
        batch = self._recent.get(number)
        if batch is None:
            batch = self._reader.get_batch(number)
            batch.validate(full=True)
            while len(self._recent) >= 3:
                del self._recent[next(iter(self._recent))]
            self._recent[number] = batch
        return batch


class _Above:
    """Larger than any path."""

    def __le__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_ABOVE = _Above()


def open_scan(path: Path, stamp: int) -> ColumnScan | None:
    """Open the file of columns; None if there is none with this stamp that can be read."""
    if not is_current(path, stamp):
        return None
    with contextlib.ExitStack() as stack:
        try:
            # not mapped: pages of a map would count as memory until the end
            reader = stack.enter_context(
                pa.ipc.open_file(stack.enter_context(pa.OSFile(str(path))))
            )
        except (OSError, pa.ArrowException):
            return None
        return ColumnScan(stack.pop_all(), reader)


def _said(
    texts: list[str] | None, at: slice | NDArray[np.int32], known: NDArray[np.bool_]
) -> list[str] | None:
    """Pick the texts of the known files."""
    if texts is None:
        return None
    places = range(len(texts)) if isinstance(at, slice) else at.tolist()
    return [
        texts[place] if sure else "" for place, sure in zip(places, known.tolist(), strict=True)
    ]


def _rising(paths: Any) -> bool:
    return bool(pc.all(pc.less(paths[:-1], paths[1:])).as_py() in {None, True})


def _lower(paths: Any, path: bytes) -> int:
    return bisect.bisect_left(range(len(paths)), path, key=lambda at: paths[at].as_py())


def _upper(paths: Any, path: bytes) -> int:
    return bisect.bisect_right(range(len(paths)), path, key=lambda at: paths[at].as_py())
