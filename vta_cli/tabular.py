"""Text tables as people write them: names of columns, marks between cells, commas in numbers.

Half of Europe parts cells with semicolons and writes 3,5 where others write 3.5.
"""

import csv
import re
from collections.abc import Iterable

from vta_cli.errors import UsageError, excerpt

MARKS = (",", ";", "\t")
PATH_COLUMNS = (
    "path", "file", "filename", "file_name", "filepath", "image", "image_path", "img",
)  # fmt: skip
"""Names of the column that holds the paths, in order of preference; letter case is ignored."""
LEFT_COLUMNS = ("left", "a", "image_a", "path_a", "left_path", "first", "image1")
RIGHT_COLUMNS = ("right", "b", "image_b", "path_b", "right_path", "second", "image2")
WINNER_COLUMNS = ("winner", "choice", "preferred", "chosen", "result")
LOSER_COLUMNS = ("loser", "rejected")
"""Names of the columns of judged pairs: left and right with who won, or winner and loser."""
_COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")
"""Matches what may be three decimals, or a thousand."""
_POINT = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")


def delimiter_of(header: str) -> str:
    r"""Return the mark that parts a table's header into most cells; of equals the comma.

    Examples
    --------
    >>> delimiter_of("path;score, mean")
    ';'
    """

    def n_cells(mark: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=mark), []))
        except csv.Error:  # no table at all
            return 0

    return max(MARKS, key=n_cells)


def has_decimal_commas(cells: Iterable[str], where: str) -> bool:
    """Tell whether the numbers of a column have decimal commas.

    Parameters
    ----------
    cells : iterable of str
        All cells of one column: one of them that is clear decides for all.
    where : str
        The file, or the line, for the error.

    Raises
    ------
    UsageError
        ``ambiguous-comma`` if each number with a comma may be a thousand, or if there are
        decimal points as well.
    """
    found = [cell for cell in cells if _COMMA.fullmatch(cell) or _POINT.fullmatch(cell)]
    commas = [cell for cell in found if "," in cell]
    if not commas:
        return False
    clear = next((cell for cell in commas if not _THOUSANDS.fullmatch(cell)), None)
    point = next((cell for cell in found if "," not in cell), None)
    if clear is not None and point is None:
        return True
    shown = excerpt((clear or commas[0]).strip())
    also = f"both {shown} and {excerpt(point.strip())}" if point else f"{shown}, which may mean "
    also += "" if point else "a thousand or a decimal comma"
    raise UsageError(
        "ambiguous-comma",
        f"{where}: the numbers hold {also}",
        hint="write them with decimal points, and nothing between thousands",
    )


def with_point(cell: str) -> str:
    """Spell a number that has a decimal comma with a point; other text stays as it is."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell
