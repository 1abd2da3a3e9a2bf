"""A dashboard's queries on a published file, over and over, in a process of its own.

    python -m benchmarks.dashboard FILE EVERY_SECONDS

Opens the file anew for each round, as a panel's refresh does, runs every query once, and waits until the next round is
due. Ends when its stdin does, and prints what each query took as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import Event, Thread

import duckdb
import numpy as np

MEMORY = "1GB"
QUERIES = {
    "agents": "SELECT agent, calls, unpriced_calls, cost_usd FROM agents ORDER BY cost_usd DESC NULLS LAST LIMIT 20",
    "models": "SELECT provider, model, calls, cost_usd FROM models ORDER BY cost_usd DESC NULLS LAST LIMIT 20",
    "total": "SELECT count(*), sum(cost_usd), count(*) FILTER (cost_usd IS NULL) FROM calls",
    "last quarter by minute": (
        "SELECT time_bucket(INTERVAL 1 MINUTE, start_time::TIMESTAMP) AS minute, sum(cost_usd) FROM calls "
        "WHERE start_time >= (now() AT TIME ZONE 'UTC')::TIMESTAMP_NS - INTERVAL 15 MINUTE GROUP BY ALL ORDER BY ALL"
    ),
    "one customer": "SELECT feature, count(*), sum(cost_usd) FROM calls WHERE customer = 'cust-007' GROUP BY ALL",
    "newest calls": (
        "SELECT start_time, agent, model, input_tokens, output_tokens, cost_usd FROM calls ORDER BY seq DESC LIMIT 50"
    ),
}


def _round(file: str, took_ms: dict[str, list[float]]) -> int:
    """Run each query once; rows in the ledger."""
    with duckdb.connect(file, read_only=True, config={"memory_limit": MEMORY}) as connection:
        for name, sql in QUERIES.items():
            started = time.monotonic()
            connection.execute(sql).fetchall()
            took_ms[name].append((time.monotonic() - started) * 1e3)
        row = connection.execute("SELECT spans FROM publication").fetchone()
        return int(row[0]) if row else 0


def _wait(ended: Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    """See the module."""
    file, every_seconds = sys.argv[1], float(sys.argv[2])
    ended = Event()
    Thread(target=_wait, args=(ended,), daemon=True).start()
    took_ms: dict[str, list[float]] = {name: [] for name in QUERIES}
    errors: dict[str, int] = {}
    spans = 0
    while not ended.is_set():
        started = time.monotonic()
        if Path(file).exists():
            try:
                spans = _round(file, took_ms)
            except duckdb.Error as error:
                said = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
                errors[said] = errors.get(said, 0) + 1
        ended.wait(max(0.0, started + every_seconds - time.monotonic()))
    out = {
        name: dict(zip(("p50_ms", "p95_ms", "max_ms"), np.percentile(values, (50, 95, 100)).tolist(), strict=True))
        | {"runs": len(values)}
        for name, values in took_ms.items()
        if values
    }
    everything = [value for values in took_ms.values() for value in values]
    print(
        json.dumps(
            {
                "queries": out,
                "p50_ms": float(np.percentile(everything, 50)) if everything else None,
                "p95_ms": float(np.percentile(everything, 95)) if everything else None,
                "spans": spans,
                "cpu_seconds": time.process_time(),
                "errors": errors,
            }
        )
    )


if __name__ == "__main__":
    main()
