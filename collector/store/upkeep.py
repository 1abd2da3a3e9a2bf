"""What an operator may ask of a store that runs for months: how long spans stay, and where old ones go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Keep:
    """How long spans stay. None: for ever, whatever they take."""

    max_age_seconds: float | None = None
    """By the start of the span."""
    max_size_bytes: int | None = None
    """Of segments beside the ledger, the archive not counted; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is removed from the ledger; nothing by default."""

    all: Keep = Keep()
    """`max_size_bytes` is of the whole ledger here."""
    organizations: tuple[tuple[str, Keep], ...] = ()
    """For these, in the place of `all.max_age_seconds`; a size of their own in addition."""

    def max_age_seconds(self, org_id: str) -> float | None:
        """How old a span of `org_id` may get."""
        own = dict(self.organizations).get(org_id)
        return own.max_age_seconds if own and own.max_age_seconds is not None else self.all.max_age_seconds


@dataclass(frozen=True, slots=True)
class Archive:
    """Where spans older than `after_seconds` go, as files that any Parquet reader understands."""

    path: Path
    after_seconds: float
