"""How pipelines report to whoever watches; the default watches nothing.

Pipelines never print. They are given a `Progress` and tell it stages, counts and sentences; the
console's implementation draws bars on a terminal and plain lines elsewhere.
"""

from types import TracebackType
from typing import Protocol, Self


class Stage(Protocol):
    """One piece of counted work under way; a context manager that closes itself."""

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""

    def set_total(self, total: int) -> None:
        """Tell the number of units, once it is known."""

    def close(self) -> None:
        """End the stage, whether or not all units were done."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Progress(Protocol):
    """What a pipeline may say while it works."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Stage:
        """Begin a counted piece of work; `total` may follow later."""

    def note(self, text: str) -> None:
        """Tell something that the user may want to know."""

    def warn(self, text: str) -> None:
        """Tell something that the user should know."""


class _SilentStage:
    def advance(self, n: int = 1) -> None:
        """Count nothing."""

    def set_total(self, total: int) -> None:
        """Remember nothing."""

    def close(self) -> None:
        """Close nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Silent:
    """The null object: a `Progress` that says nothing."""

    def stage(self, name: str, total: int | None = None, unit: str = "images") -> Stage:
        """Return a stage that counts nothing."""
        del name, total, unit
        return _SilentStage()

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
