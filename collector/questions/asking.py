"""How a question reaches the ledger when a service asks it: off the event loop, on one snapshot, in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from collector.questions.selection import Ask

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """A value, and up to where the ledger was read for it."""

    value: T
    as_of: datetime
    """UTC: everything acknowledged well before is in it."""
    last_seq: int


class Asking(Protocol):
    """Answers questions; every statement of one question sees the same calls."""

    async def answer(self, question: Callable[[Ask], T], timeout_seconds: float | None = None) -> Answered[T]:
        """Run `question` in a thread with an `Ask` of its own.

        Raises:
            StoreUnavailable: the ledger cannot be read now, or too many questions wait.
            QueryFailed: time or memory is up.
        """
        ...
