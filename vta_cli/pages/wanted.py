"""What the labelling page's server asks of whoever does the work; `vta_cli.pipelines` has it."""

from collections.abc import Sequence
from typing import Any, Protocol


class SessionLike(Protocol):
    """A sitting; see `vta_cli.pipelines.label.Session`."""

    def state(self, page: str = "") -> dict[str, Any]:
        """Return all that stands beside the image."""

    def next(self, n: int, exclude: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the images to ask about next."""

    def judge(self, verdicts: Sequence[tuple[str, int | None]], mode: str, page: str = "") -> str:
        """Write judgements down."""

    def undo(self, page: str = "") -> dict[str, Any]:
        """Take back the last action of a page."""

    def retrain(self) -> None:
        """Ask for a fit."""

    def configure(
        self,
        *,
        strategy: str | None = None,
        low: float | None = None,
        high: float | None = None,
        follow: bool | None = None,
        every: int | None = None,
    ) -> None:
        """Change settings."""

    def row(self, key: str) -> int:
        """Return the row of a key."""

    def item(self, row: int) -> dict[str, Any]:
        """Return what the page shows of an image."""

    def grid(self, order: str, n: int, start: int = 0) -> list[dict[str, Any]]:
        """Return images for the grid."""

    def review(self, *, show: str, order: str, start: int, n: int) -> dict[str, Any]:
        """Return labels for the review."""

    def pair(self) -> list[dict[str, Any]]:
        """Return two images to compare."""

    def prefer(self, winner: str, loser: str, page: str = "") -> None:
        """Write down which of two is the better one."""


class LookerLike(Protocol):
    """Single images; see `vta_cli.pipelines.label_look.Looker`."""

    def picture(self, key: str, size: str) -> bytes:
        """Return a JPEG of an image of the pool."""

    def drop(self, content: bytes) -> dict[str, Any]:
        """Judge any picture."""


class CupsLike(Protocol):
    """Tournaments; see `vta_cli.pipelines.label_cup.Cups`."""

    def begin(self, n_images: int, per_heat: int, targets: Sequence[float], page: str = "") -> None:
        """Begin one."""

    def view(self) -> dict[str, Any]:
        """Return the state and the present heat."""

    def advance(self, shown: Sequence[str], winners: Sequence[str], page: str = "") -> None:
        """Write down the outcome of a heat."""

    def to_labels(self, page: str = "") -> int:
        """Judge by the finished tournament."""

    def tiers_csv(self) -> str:
        """Return the tiers as a table."""

    def pairs_csv(self) -> str:
        """Return all comparisons as a table."""
