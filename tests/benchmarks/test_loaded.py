"""The loaded benchmark, on a small ledger: every question can be asked, figures become verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import dashboard, loaded
from benchmarks.ingest.plan import Latency, Load
from benchmarks.ledger_rows import CHUNK_ROWS
from benchmarks.loaded import Outcome
from benchmarks.queries import build


@pytest.mark.parametrize("hold", [False, True])
def test_every_question_is_asked_and_none_fails(tmp_path: Path, hold: bool) -> None:
    """One round at least, on the published file; ending the input ends it."""
    path = tmp_path / "otel-cost.duckdb"
    build(path, CHUNK_ROWS)
    command = [sys.executable, "-m", "benchmarks.dashboard", str(path), "60", *(["--hold"] if hold else [])]
    said = json.loads(subprocess.run(command, input="", stdout=subprocess.PIPE, check=True, text=True).stdout)
    assert said["errors"] == {}
    assert len(said["queries"]) == (1 if hold else len(dashboard.QUERIES))


def _outcome(p99_ms: float, p95_ms: float) -> Outcome:
    load = Load(60.0, 60.0, 1_200_000, 2_344, 0, 0, 0, Latency(5.0, p99_ms, 200.0), 3.0, None, None)
    board = {"queries": {}, "p50_ms": 80.0, "p95_ms": p95_ms, "spans": 11_000_000, "cpu_seconds": 9.0, "errors": {}}
    return Outcome(load, board, None, [0.4, 0.6], 20.0, 300 << 20, 14)


def test_a_slow_reader_and_a_slow_writer_each_miss_a_target() -> None:
    """Acknowledgements and questions are judged for themselves."""

    def missed(outcome: Outcome) -> list[str]:
        return [one.text for one in loaded.targets(outcome, 20_000) if not one.held]

    assert missed(_outcome(150.0, 250.0)) == []
    assert missed(_outcome(151.0, 250.0)) == ["ack p99 ms"]
    assert missed(_outcome(150.0, 251.0)) == ["dashboard question p95 ms"]
    assert "ledger behind by p50 0.50" in loaded.text(_outcome(1.0, 1.0), 20_000)
