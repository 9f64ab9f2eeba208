"""What was done since the labelling page was started: which browser page did it, and what it said.

Each page takes back its own actions. What the sitting has said of an image is what the last action
that was not taken back says of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

Told = dict[str, tuple[int, float | None]]
"""Label and score of that moment of what was judged, by key."""


@dataclass(frozen=True)
class Action:
    """One action of one page.

    Attributes
    ----------
    batch : str
        Its name in the journal.
    page : str
        The page that did it.
    told : mapping
        Label and score by key of what it judged; None where it withdrew a label.
    """

    batch: str
    page: str
    told: Mapping[str, tuple[int, float | None] | None]


class Sitting:
    """The actions of all pages since the start.

    Attributes
    ----------
    judged : dict
        What was judged in the sitting and holds.
    since_fit : int
        Labels told since the last fit.
    recent : list of int
        Rows that were handed out last.
    """

    def __init__(self) -> None:
        self.judged: Told = {}
        self.since_fit = 0
        self.recent: list[int] = []
        self._actions: list[Action] = []

    def add(self, action: Action) -> None:
        """Note an action."""
        self._actions.append(action)
        self.since_fit += len(action.told)
        for key, told in action.told.items():
            self._set(key, told)

    def last(self, page: str) -> Action | None:
        """Return the last action of a page; None if all were taken back."""
        return next((action for action in reversed(self._actions) if action.page == page), None)

    def remove(self, action: Action) -> None:
        """Forget an action; what earlier or later ones said of its images holds again."""
        self._actions.remove(action)
        self.since_fit = max(0, self.since_fit - len(action.told))
        for key in action.told:
            others = (other.told[key] for other in reversed(self._actions) if key in other.told)
            self._set(key, next(others, None))

    def keep(self, keys: Collection[str]) -> None:
        """Forget what was judged of all other images, as when another process withdrew a label."""
        self.judged = {key: told for key, told in self.judged.items() if key in keys}

    def _set(self, key: str, told: tuple[int, float | None] | None) -> None:
        self.judged.pop(key, None)
        if told is not None:
            self.judged[key] = told
