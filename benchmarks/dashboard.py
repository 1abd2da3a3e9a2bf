"""A dashboard's questions to a published file, over and over, in a process of its own.

    python -m benchmarks.dashboard FILE EVERY_SECONDS [--hold]

Opens the file anew for each round, as a panel's refresh does, asks every question once, and waits until the next round
is due. Ends when its stdin does, and prints what each question took as JSON. With `--hold` it is the reader one would
rather not have: one connection for ever, to the publication of its first moment, with a question that takes seconds.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import numpy as np

MEMORY = "1GB"
_TODAY = "start_time >= CAST(current_date AS TIMESTAMP_NS)"
_MONTH = "start_time >= CAST(current_date - 30 AS TIMESTAMP_NS)"
_SUMS = "count(*) AS calls, sum(cost_usd) AS cost_usd, count(*) FILTER (cost_usd IS NULL) AS unpriced"
_VIEW = "calls, unpriced_calls, cost_usd"
_TOP = "ORDER BY cost_usd DESC NULLS LAST LIMIT 20"

QUERIES = {
    "total today": f"SELECT {_SUMS} FROM calls WHERE {_TODAY}",
    "total of 30 days": f"SELECT {_SUMS} FROM calls WHERE {_MONTH}",
    "agents of 30 days": f"SELECT agent, {_SUMS} FROM calls WHERE {_MONTH} GROUP BY ALL {_TOP}",
    "models of 30 days": f"SELECT provider, model, {_SUMS} FROM calls WHERE {_MONTH} GROUP BY ALL {_TOP}",
    "customers of 30 days": f"SELECT customer, {_SUMS} FROM calls WHERE {_MONTH} GROUP BY ALL {_TOP}",
    "providers by day": (
        f"SELECT CAST(start_time AS DATE) AS day, provider, {_SUMS} FROM calls WHERE {_MONTH} GROUP BY ALL ORDER BY ALL"
    ),
    "last quarter by minute": (
        "SELECT time_bucket(INTERVAL 1 MINUTE, start_time::TIMESTAMP) AS minute, sum(cost_usd) FROM calls "
        "WHERE start_time >= (now() AT TIME ZONE 'UTC')::TIMESTAMP_NS - INTERVAL 15 MINUTE GROUP BY ALL ORDER BY ALL"
    ),
    "one customer": f"SELECT feature, {_SUMS} FROM calls WHERE {_MONTH} AND customer = 'cust0007' GROUP BY ALL",
    "latest 50 calls": "SELECT * FROM calls ORDER BY start_time DESC LIMIT 50",
    "one run": "SELECT * FROM attempts WHERE trace_id = $trace ORDER BY start_time",
    "unpriced": "SELECT provider, model, cost_reason, calls FROM unpriced ORDER BY calls DESC LIMIT 20",
    "agents": f"SELECT agent, {_VIEW} FROM agents {_TOP}",
    "models": f"SELECT provider, model, {_VIEW} FROM models {_TOP}",
    "daily": f"SELECT day, {_VIEW} FROM daily ORDER BY day DESC LIMIT 30",
}
_SOME_RUN = "SELECT trace_id FROM calls WHERE seq >= (SELECT max(seq) // 2 FROM spans) LIMIT 1"
_DEAR = {"every column of customers": "SELECT * FROM customers"}


def _connect(file: str) -> Any:
    connection = duckdb.connect(file, read_only=True, config={"memory_limit": MEMORY})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _round(
    connection: Any, queries: dict[str, str], took_ms: dict[str, list[float]], cpu_ms: dict[str, list[float]]
) -> int:
    """Ask each question once; rows in the ledger."""
    found = connection.execute(_SOME_RUN).fetchone() if "one run" in queries else None
    for name, sql in queries.items():
        if "$trace" in sql and found is None:
            continue
        started, cpu_seconds = time.monotonic(), time.process_time()
        connection.execute(sql, {"trace": found[0]} if found and "$trace" in sql else {}).fetchall()
        took_ms[name].append((time.monotonic() - started) * 1e3)
        cpu_ms[name].append((time.process_time() - cpu_seconds) * 1e3)
    row = connection.execute("SELECT spans FROM publication").fetchone()
    return int(row[0]) if row else 0


def _wait(ended: Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    """See the module."""
    file, every_seconds, hold = sys.argv[1], float(sys.argv[2]), "--hold" in sys.argv
    queries = _DEAR if hold else QUERIES
    ended = Event()
    Thread(target=_wait, args=(ended,), daemon=True).start()
    took_ms: dict[str, list[float]] = {name: [] for name in queries}
    cpu_ms: dict[str, list[float]] = {name: [] for name in queries}
    errors: dict[str, int] = {}
    spans = 0
    held: Any = None
    while True:  # one round at least
        started = time.monotonic()
        if Path(file).exists():
            try:
                held = held or (_connect(file) if hold else None)
                with nullcontext(held) if held else _connect(file) as connection:
                    spans = _round(connection, queries, took_ms, cpu_ms)
            except duckdb.Error as error:
                said = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
                errors[said] = errors.get(said, 0) + 1
        if ended.wait(max(0.0, started + every_seconds - time.monotonic())):
            break
    out = {
        name: dict(zip(("p50_ms", "p95_ms", "max_ms"), np.percentile(values, (50, 95, 100)).tolist(), strict=True))
        | {"runs": len(values), "cpu_p50_ms": float(np.median(cpu_ms[name]))}
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
