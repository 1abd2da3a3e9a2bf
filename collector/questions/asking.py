"""How a service asks: in a process of its own, on one snapshot, in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """A value, and up to where the ledger was read for it."""

    value: T
    as_of: datetime
    """UTC: when what was read had been published."""
    last_seq: int


class Asking(Protocol):
    """Answers questions; every statement of one question sees the same calls."""

    async def answer(
        self,
        question: Callable[..., T],
        *arguments: Any,
        timeout_seconds: float | None = None,
        hold: int | None = None,
        **named: Any,
    ) -> Answered[T]:
        """What `question(ask, *arguments, **named)` returns: a function of a module, with picklable values.

        Questions with the same `hold`, a number that nobody else uses, are answered from the same publication until
        `let_go`: `as_of` and `last_seq` are then the same. They are others after minutes without a question, or where
        the process that answers had to be started again.

        Raises QueryTimedOut (also when it needs too much memory), StoreUnavailable, the
        ValueError of the question, and RuntimeError for a fault of ours.
        """
        ...

    def let_go(self, hold: int) -> None:
        """No question of this hold will follow."""
        ...
