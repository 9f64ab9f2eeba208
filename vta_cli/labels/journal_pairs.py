"""The pairs of a journal: which of two images somebody found better."""

import os
from pathlib import Path

from vta_cli.errors import UsageError
from vta_cli.labels.journal import PAIR, read_events, standing, undone_batches
from vta_cli.labels.records import Label, LabelSet


def read_journal_pairs(file: Path) -> LabelSet:
    """Read the comparisons of a journal.

    Returns
    -------
    LabelSet
        Of kind ``pairs``, the winner on the left; without those that were undone. A pair of which
        an image lies no longer where it was is told in `problems`.

    Raises
    ------
    UsageError
        As `vta_cli.labels.journal.read_events`; ``no-labels`` if no pair holds.
    """
    events, problems = read_events(file)
    moved, undone = standing(events).paths, undone_batches(events)
    labels: list[Label] = []
    for event in events:
        if event.get("event") != PAIR or event.get("batch") in undone:
            continue
        keys = [str(event.get("winner")), str(event.get("loser"))]
        then = [str(path) for path in event.get("paths", ())]
        paths = [moved.get(key) or path for key, path in zip(keys, then, strict=False)]
        gone = [path for path in paths if not os.path.isfile(path)]  # noqa: PTH113 - paths may be undecodable bytes
        if len(paths) == len(keys) and not gone:
            where, rater = f"{file.name} {event.get('at', '')}", str(event.get("rater", ""))
            labels.append(Label(paths[0], 1.0, where, 1.0, rater, other=paths[1]))
        else:
            problems.append(f"{file.name}: a pair was left out: there is no file {gone[:1]}")
    if not labels:
        raise UsageError(
            "no-labels",
            f"the journal {file} holds no pair of files that are there"
            + (f": {problems[0]}" if problems else ""),
            hint="compare some images first: vta label FOLDER --mode pairs",
        )
    return LabelSet("pairs", tuple(labels), tuple(problems))
