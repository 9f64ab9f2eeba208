"""Moves images to the folder of their label as they are judged, on request, and back on undo.

The judgement is on the disk before its file moves; a page that was killed in between catches up
when it is started again, since the folders are read as labels. Each move has a journal of its own
in the store, so that `vta undo` can take it back as well.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action, Item, plan
from vta_cli.arrange.undo import undo
from vta_cli.errors import VtaError
from vta_cli.labels.journal import MOVED, Journal
from vta_cli.pipelines.label_pool import Pool
from vta_cli.store.store import Store

COMMAND = "vta label --move"


class Mover:
    """Moves of one sitting.

    Parameters
    ----------
    folders : (Path, Path)
        For liked and for disliked images.
    on_error : callable
        Told of files that could not be moved; their labels hold all the same.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        folders: tuple[Path, Path],
        on_error: Callable[[str], None],
    ) -> None:
        self._store, self._journal, self._folders = store, journal, folders
        self._on_error = on_error
        self._runs: dict[str, list[tuple[Path, int, str]]] = {}

    def settle(self, pool: Pool, rows: Sequence[int], batch: str) -> None:
        """Move the files of judged rows to where they belong."""
        for row in rows:
            label = int(pool.label[row])
            if label < 0:
                continue
            source, folder = Path(pool.paths[row]), self._folders[0 if label else 1]
            if source.parent == folder:
                continue
            try:
                item = Item(str(source), source.name)
                steps = plan([item], folder, Action.MOVE, flat=True)
                outcome = execute(steps, self._store.journal_dir, command=COMMAND)
            except (VtaError, OSError) as error:
                self._on_error(f"{source} was labelled, but could not be moved: {error}")
                continue
            if outcome.failed:
                self._on_error(f"{source} was labelled, but not moved: {outcome.failed[0][1]}")
                continue
            moved = (*steps.steps, *steps.already)[0].destination
            self._runs.setdefault(batch, []).append((outcome.journal, row, str(source)))
            self._tell(pool, row, moved)

    def back(self, pool: Pool, batch: str) -> None:
        """Move the files of an action back to where they were."""
        for run, row, source in reversed(self._runs.pop(batch, [])):
            try:
                report = undo(run)
            except VtaError as error:
                self._on_error(f"{pool.paths[row]} could not be moved back: {error}")
                continue
            if report.restored:
                self._tell(pool, row, source)
            for path, reason in report.left:
                self._on_error(f"{path} was not moved back: {reason}")

    def _tell(self, pool: Pool, row: int, path: str) -> None:
        pool.paths[row] = path
        self._journal.append([{"event": MOVED, "key": pool.hex(row), "path": path}])
