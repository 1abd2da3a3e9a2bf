"""What whoever runs the statements may keep at hand: sums of calls per day, and calls as statements sum them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from collector.questions.selection import COLUMNS

KNOWN = (*COLUMNS, "card", "rate_row")
"""Names of calls that are columns of the view `calls`."""
FACTS = (
    "first_ns",
    "last_ns",
    "calls",
    "cost_usd",
    "unpriced_calls",
    "partial_calls",
    "estimated_calls",
    "estimated_cost_usd",
    "reported_calls",
    "failed_calls",
    "retries",
    "unpriced_retries",
    "retry_cost_usd",
    "wasted_cost_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "useful_output_tokens",
    "cacheable_tokens",
    "cached_tokens",
    "uncached_tokens",
)
"""What `sql/facts.sql` makes of a call."""
FILTERED = ("seq", "org_id", "start_time", "trace_id", "span_id", "flags", "attempt", "wasted", "failed")
"""What else conditions read, and lists of calls show."""
BEFORE = ("calls", "cost_usd")
"""What is compared with an earlier period."""
LENGTHS = ("trace_id", "span_id", "agent", "model", "output_tokens", "cost_usd", "start_ns")
"""What `sql/lengths.sql` makes of a call."""
DETAILS = (*FACTS, "trace_id", "model", "failed", "end_ns")
"""What `details` have beside names."""


class Rolled(Protocol):
    """Sums of calls per day of one zone, kept by whoever runs the statements: an `Ask` may have some as `rolled`."""

    zone: ZoneInfo

    @property
    def last(self) -> datetime | None:
        """When the last call in the sums started, or a moment later (UTC); None: there is none."""
        ...

    def covered(self, since: datetime | None, until: datetime | None) -> str | None:
        """Calls that are in the sums, all of such a window among them, as `scope.call_rows` gives them. None: none."""
        ...

    def uncovered(
        self, since: datetime | None, until: datetime | None, names: frozenset[str] | None = None
    ) -> str | None:
        """The same of all other calls. With `names`: or sums, with the same columns, of calls that these names, the
        organisation, and the day and hour of `zone` do not tell apart, with the `start_time` of one of them."""
        ...

    def sums(self, names: frozenset[str], columns: tuple[str, ...]) -> str | None:
        """A relation with org_id, day (the number of `buckets`), these names, and these of `FACTS`.

        Without names it has `hour` too. None: there are none that tell these names apart.
        """
        ...

    def months(self, names: frozenset[str], columns: tuple[str, ...]) -> str | None:
        """The same with month in the place of day. None: no fewer lines than `sums` has."""
        ...

    def runs(self, names: frozenset[str]) -> str | None:
        """The same with `execution` as in `sql/ran.sql`, one line or more for each."""
        ...

    def longest(self, names: frozenset[str]) -> str | None:
        """The same with what `sql/lengths.sql` has, of the calls of each day with the longest outputs: at least those
        that `sql/longest.sql` shows of a day; or all that there are."""
        ...
