"""Which rates the chosen calls were priced with."""

from __future__ import annotations

from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection


def used_rates(ask: Ask, selection: Selection) -> tuple[str, ...]:
    """Keys of rows of the rate card, in order; calls that no row priced have none."""
    return tuple(row["rate_row"] for row in Scope(ask, selection).rows("used_rates"))
