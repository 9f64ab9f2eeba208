"""Score blocks as rows: which columns, which format, where to; and scores files read back."""

import errno
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from vta_cli.commands.common import choice
from vta_cli.console.rows import Column, Kind, RowWriter, open_rows, read_scores
from vta_cli.errors import UsageError
from vta_cli.pipelines.aisthetics import FIELDS, fields_of
from vta_cli.pipelines.score import ScoreBlock
from vta_cli.records import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta_cli.pipelines.progress import Progress

FORMATS = ("csv", "jsonl", "parquet")
READ_ROWS = 4096


class Output:
    """Rows to stdout or a file; the columns are known with the first batch."""

    def __init__(self, form: str, target: Path | None) -> None:
        self._form, self._target = form, target
        self._writer: RowWriter | None = None

    def write(self, columns: "Callable[[], list[Column]]", rows: dict[str, object]) -> None:
        """Write a batch; `columns` is asked for once."""
        if self._writer is None:
            out = self._target if self._target is not None else sys.stdout.buffer
            self._writer = open_rows(self._form, columns(), out)
        self._writer.write(rows)

    def close(self, *, failed: bool) -> None:
        """Finish the output; a failed run leaves no half-written file behind."""
        if self._writer is None:
            return
        if failed:
            self._writer.abort()
        else:
            self._writer.close()


def rows_wanted(form: str | None, target: Path | None, watch: "Progress", *, files: bool) -> bool:
    """Tell whether a command that may arrange files instead writes rows.

    A format without rows is a note, no error: a settings file may name the one of every day.
    """
    wanted = target is not None or not files
    if form is not None and not wanted:
        watch.note(
            f"--format {form} has no part in this: rows come beside files only with --output"
        )
    return wanted


@contextmanager
def open_output(
    form: str | None, target: Path | None, formats: Sequence[str] = FORMATS
) -> Iterator[Output]:
    """Open the output of a command, in one of the `formats` that it can write.

    Raises
    ------
    UsageError
        For an unknown format, parquet on a terminal, or a folder that is not there.
    """
    if target == Path("-"):  # as elsewhere in the shell
        target = None
    if form is None:
        suffix = target.suffix.lower().lstrip(".") if target else ""
        form = suffix if suffix in FORMATS else "csv"
    choice(form, tuple(formats), "--format")
    form = "jsonl" if form not in FORMATS else form  # all others are JSON lines of their own fields
    if form == "parquet" and target is None and sys.stdout.isatty():
        raise UsageError("parquet-on-terminal", "parquet is not for a terminal", hint="say -o FILE")
    if target is not None and not target.resolve().parent.is_dir():
        raise UsageError(
            "no-such-folder",
            f"cannot write {target}: its folder does not exist",
            hint=f"make it first: mkdir -p {target.parent}",
        )
    if target is not None and target.is_dir():
        raise UsageError("is-a-folder", f"{target} is a folder", hint="name a file to write")
    output = Output(form, target)
    try:
        try:
            yield output
        except BaseException:
            output.close(failed=True)
            raise
        output.close(failed=False)
    except OSError as error:
        if error.errno == errno.ENOSPC and error.filename is None:  # `write` names no file
            error.filename = target
        raise


def write_scores(out: Output, blocks: Iterable[ScoreBlock]) -> None:
    """Write ``path,<scores>,<texts>,reason`` rows."""
    for block in blocks:
        names, words = list(block.scores), [*block.texts, "reason"]

        def columns(names: list[str] = names, words: list[str] = words) -> list[Column]:
            scores = [Column(name, "float") for name in names]
            return [Column("path", "str"), *scores, *(Column(name, "str") for name in words)]

        said = {**block.scores, **block.texts, "reason": block.reasons}
        out.write(columns, {"path": block.paths, **said})


def write_aisthetics(out: Output, blocks: Iterable[ScoreBlock]) -> None:
    """Write the fields of `vta_cli.pipelines.aisthetics`."""
    kinds: tuple[Kind, ...] = ("str", "floats", "float", "float")
    columns = [Column(name, kind) for name, kind in zip(FIELDS, kinds, strict=True)]
    for block in blocks:
        out.write(lambda: columns, fields_of(block.paths, block.scores))


class Replayed(io.RawIOBase):
    """A stream of which the beginning was read already, from its beginning.

    Parameters
    ----------
    first : bytes
        What was read.
    rest : binary file
    """

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give what was read, then what comes as it comes."""
        if self._first:
            data, self._first = self._first[: len(buffer)], self._first[len(buffer) :]
        else:
            data = cast("io.BufferedReader", self._rest).read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def read_blocks(
    spec: str | BinaryIO, column: str = "score"
) -> Iterator[tuple[list[ImageRef], NDArray[np.float64]]]:
    """Read scores of a file or a stream block by block; rows without a score come as NaN.

    A path that is not absolute is meant from the working directory.

    Raises
    ------
    UsageError
        If the file has no ``path`` column, or none called `column`.
    """
    refs: list[ImageRef] = []
    scores: list[float] = []
    cwd = Path.cwd()
    source = Path(spec) if isinstance(spec, str) else spec
    for path, score, _ in read_scores(source, column=column):
        absolute = str(cwd / path)
        refs.append(ImageRef(absolute, path.lstrip("/"), 0, 0))
        scores.append(float("nan") if score is None else score)
        if len(refs) == READ_ROWS:
            yield refs, np.array(scores)
            refs, scores = [], []
    if refs:
        yield refs, np.array(scores)
