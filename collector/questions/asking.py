"""How a service asks: in a process of its own, on one snapshot, in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from collector.errors import CollectorError

T = TypeVar("T")


class TooSlow(CollectorError):
    """The question took longer than it may, or more memory."""


class Unanswerable(CollectorError):
    """The ledger cannot be read now, or too many questions wait."""


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
        self, question: Callable[..., T], *arguments: Any, timeout_seconds: float | None = None, **named: Any
    ) -> Answered[T]:
        """What `question(ask, *arguments, **named)` returns: a function of a module, with picklable values.

        Raises TooSlow, Unanswerable, and the ValueError of the question.
        """
        ...
