"""What the published file says of itself, quickly: for a look at a running collector."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb


def freshness(path: Path) -> dict[str, Any] | None:
    """When it was published, what it holds, how many calls have no price; None where nothing can be read."""
    if not path.is_file():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            at, spans = connection.execute("SELECT published_at, spans FROM publication").fetchall()[0]
            calls, unpriced = connection.execute(
                "SELECT count(*), count(*) FILTER (WHERE cost_usd IS NULL) FROM calls"
            ).fetchall()[0]
    except duckdb.Error:
        return None
    at = at.replace(tzinfo=UTC)
    age_seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    return {
        "at": at.isoformat(),
        "age_seconds": age_seconds,
        "spans": spans,
        "calls": calls,
        "unpriced_calls": unpriced,
    }
