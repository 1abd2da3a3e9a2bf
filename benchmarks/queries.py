"""Questions of a dashboard to a ledger of ten million spans: `python -m benchmarks.queries [--rows N] [--json]`.

The ledger is written as merging leaves it (segments of a million rows, 60 days up to now), published as the collector
publishes, and asked through the public views of the published file, read-only, on two threads. Questions are asked in
turn, `--rounds` times; medians of wall and of CPU time are shown, first on a connection that stays open, then with a
connection of its own for each question, as `otel-cost report` has.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.ledger_rows import CHUNK_ROWS, chunk
from collector import attribute as stage
from collector.store import Store, StoreConfig, manifest

TARGET_MS = 150.0
SEGMENT_CHUNKS = 8
DAY_NS = 86_400 * 10**9
DAYS = 60
THREADS = 2

_SINCE = "start_time >= CAST(current_date - {} AS TIMESTAMP_NS)"
_MONTH = _SINCE.format(30)
_SUMS = "sum(cost_usd) AS cost_usd, count(*) AS calls, count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced"

QUESTIONS: Mapping[str, str] = {
    "total today": f"SELECT {_SUMS} FROM calls WHERE {_SINCE.format(0)}",
    "total ever": f"SELECT {_SUMS} FROM calls",
    "agent and model, 30 days": f"SELECT agent, model, {_SUMS} FROM calls WHERE {_MONTH} GROUP BY ALL",
    "agent and model, ever": f"SELECT agent, model, {_SUMS} FROM calls GROUP BY ALL",
    "agents, the view": "SELECT agent, calls, unpriced_calls, cost_usd FROM agents ORDER BY cost_usd DESC",
    "customers, top 20": f"SELECT customer, {_SUMS} FROM calls GROUP BY ALL ORDER BY cost_usd DESC LIMIT 20",
    "provider by day, 30 days": f"SELECT CAST(start_time AS DATE) AS day, provider, {_SUMS} FROM calls "
    f"WHERE {_MONTH} GROUP BY ALL",
    "last hour": f"SELECT provider, {_SUMS} FROM calls "
    "WHERE start_time >= CAST(now() AT TIME ZONE 'UTC' - INTERVAL 1 HOUR AS TIMESTAMP_NS) GROUP BY ALL",
    "one run, by id": "SELECT * FROM attempts WHERE trace_id = $trace",
    "one run, by id and hour": "SELECT * FROM attempts WHERE trace_id = $trace "
    "AND start_time BETWEEN $at::TIMESTAMP_NS - INTERVAL 1 HOUR AND $at::TIMESTAMP_NS + INTERVAL 1 HOUR",
    "latest 50 calls": "SELECT * FROM calls ORDER BY start_time DESC LIMIT 50",
    "unpriced calls": "SELECT count(*) FROM calls WHERE cost_usd IS NULL",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds, medians over the rounds."""

    question: str
    wall_ms: float
    cpu_ms: float
    alone_wall_ms: float  # with a connection of its own
    alone_cpu_ms: float


def build(path: Path, rows: int, days: int = DAYS, make: Callable[..., pa.Table] = chunk) -> None:
    """A published ledger of about `rows` spans of so many days up to now."""
    store = Store(StoreConfig(path))
    store.start()
    store.stop()
    now_ns = time.time_ns()
    chunks = max(1, rows // CHUNK_ROWS)
    step_ns = days * DAY_NS // chunks

    def made(numbers: range) -> Iterator[pa.Table]:
        for number in numbers:
            end_ns = now_ns - (chunks - 1 - number) * step_ns
            yield make(1 + number * CHUNK_ROWS, end_ns - step_ns, end_ns, number)

    with duckdb.connect(str(store.layout.ledger)) as connection:
        for batch, first in enumerate(range(0, chunks, SEGMENT_CHUNKS), 1):
            numbers = range(first, min(first + SEGMENT_CHUNKS, chunks))
            segment = manifest.write(store.layout.segments, made(numbers), 2)
            manifest.record(connection, segment)
            connection.execute(
                "INSERT INTO _ledger.batch VALUES (?, ?, ?, ?, now()::TIMESTAMP, 0)",
                [batch, segment.first_seq, segment.rows, segment.cost_usd],
            )
    store = Store(StoreConfig(path, indexed_traces=1000))
    store.start()
    store.stop()


def ask(path: Path, rounds: int) -> list[Answered]:
    """Every question, `rounds` times in turn, on one connection and each on its own."""
    open_ = _connect(path)
    trace, at = open_.execute(
        "SELECT trace_id, start_time::VARCHAR FROM calls WHERE seq >= (SELECT max(seq) // 2 FROM spans) LIMIT 1"
    ).fetchall()[0]
    values = {"trace": trace, "at": at}
    taken: dict[str, list[tuple[float, float, float, float]]] = {question: [] for question in QUESTIONS}
    for _ in range(rounds + 1):
        for question, sql in QUESTIONS.items():
            parameters = {name: value for name, value in values.items() if f"${name}" in sql}
            stays = _timed(lambda sql=sql, parameters=parameters: open_.execute(sql, parameters).fetchall())

            def alone(sql: str = sql, parameters: dict[str, Any] = parameters) -> None:
                with _connect(path) as connection:
                    connection.execute(sql, parameters).fetchall()

            taken[question].append((*stays, *_timed(alone)))
    open_.close()
    return [
        Answered(question, *(statistics.median(column) for column in zip(*times[1:], strict=True)))
        for question, times in taken.items()
    ]


def _connect(path: Path) -> Any:
    connection = duckdb.connect(str(path), read_only=True, config={"threads": THREADS, "memory_limit": "1GiB"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _timed(work: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def refreshes(path: Path, rounds: int) -> tuple[float, float]:
    """CPU and wall milliseconds of one refresh of the published file, after a batch of one call."""
    from tests.collector.store.ledger_rows import batch, call

    store = Store(StoreConfig(path, indexed_traces=1000))
    store.start()
    taken = []
    for number in range(rounds):
        store.append(batch([call(10**6 + time.time_ns() % 10**6, number + 1)]), stage.attribute)
        taken.append(_timed(store.publish))
    store.stop()
    wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
    return cpu, wall


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ledger", type=Path, help="a ledger that this command built before, or is to build here")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="otel-cost-queries-"))
    path = options.ledger or folder / "otel-cost.duckdb"
    try:
        if not path.exists():
            build(path, options.rows)
        answered = ask(path, options.rounds)
        cpu_ms, wall_ms = refreshes(path, 11)
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps({"questions": [asdict(one) for one in answered], "refresh_cpu_ms": cpu_ms}))
        return 0
    print(f"{'question':26} {'wall ms':>8} {'CPU ms':>8} {'alone':>8} {'CPU ms':>8}")
    for one in answered:
        figures = (one.wall_ms, one.cpu_ms, one.alone_wall_ms, one.alone_cpu_ms)
        print(f"{one.question:26} " + " ".join(f"{figure:8.0f}" for figure in figures))
    print(f"{'refresh of the publication':26} {wall_ms:8.0f} {cpu_ms:8.0f}")
    missed = [one.question for one in answered if one.wall_ms > TARGET_MS]
    print(f"above {TARGET_MS:.0f} ms: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
