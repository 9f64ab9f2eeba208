"""The readers of label sets by name; an entry's module is imported when it is asked for."""

import importlib
from collections.abc import Callable

from vta_cli.errors import UsageError
from vta_cli.labels.records import LabelSet

READERS: dict[str, str] = {
    "folders": "vta_cli.labels.folders:read_folders",
    "table": "vta_cli.labels.table:read_table",
}
"""Reader name to ``module:function``; every function returns a `LabelSet`."""


def reader(name: str) -> Callable[..., LabelSet]:
    """Return the reader called `name`.

    Raises
    ------
    UsageError
        ``no-such-reader``, naming the readers there are.
    """
    if name not in READERS:
        raise UsageError(
            "no-such-reader",
            f"no reader of labels is called {name!r}",
            hint=f"there are: {', '.join(sorted(READERS))}",
        )
    module, _, attribute = READERS[name].partition(":")
    found: Callable[..., LabelSet] = getattr(importlib.import_module(module), attribute)
    return found
