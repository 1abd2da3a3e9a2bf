"""The demo as its reader meets it: a process in a terminal, a collector, an app, and what the app cost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENDS_SECONDS = 30.0
COSTS = {  # tokens times the provider's published price per million, by hand
    "planner": Decimal("0.02") * 79 / 10**6 + (Decimal("2.5") * 68 + Decimal("1.25") * 1152 + 10 * 100) / 10**6,
    "writer": (Decimal("1.25") * 7351 + 10 + 5 * 4) / 10**6  # writes the cache
    + (Decimal("0.1") * 7351 + 10 + 5 * 4) / 10**6  # reads it
    + Decimal(3 * 721 + 15 * 113) / 10**6,  # streams
    "critic": (Decimal("0.05") * 8 + Decimal("0.4") * 377) / 10**6,  # its second attempt
}


@contextmanager
def demo(ledger: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m examples.demo` on free ports, in a terminal of 80 columns' width and without one of its own."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "examples.demo",
            "--db",
            str(ledger),
            "--grpc-port",
            "0",
            "--http-port",
            "0",
            "--page-port",
            "0",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def report(ledger: Path, by: str) -> Any:
    """The report's JSON, from a process of its own."""
    command = [sys.executable, "-m", "collector", "report", "--by", by, "--db", str(ledger), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def grpc_port(line: str) -> int:
    """Out of `collector: gRPC 127.0.0.1:PORT, HTTP ...`."""
    return int(line.split("gRPC 127.0.0.1:")[1].split(",")[0])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_demo_prices_a_pipeline_of_three_agents(tmp_path: Path) -> None:
    """Unchanged SDKs and instrumentations, environment variables only: what it prints and what it stored."""
    ledger = tmp_path / "demo.duckdb"
    with demo(ledger, "--once") as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text
    assert "attempt 2, after chat gpt-5-nano" in text
    assert "7,351 cache_read_tokens x $0.10 per 1M = $0.0007351" in text
    assert text.count("counted once, there") == 3
    assert "otel-cost report --by agent" in text
    agents = report(ledger, "agent")
    assert {row["value"]: Decimal(row["cost_usd"]) for row in agents["rows"]} == COSTS
    assert Decimal(agents["total"]["cost_usd"]) == sum(COSTS.values())
    assert Decimal(agents["total"]["retry_cost_usd"]) == COSTS["critic"]
    assert agents["total"]["unpriced_calls"] == 0
    providers = {row["value"]: row["calls"] for row in report(ledger, "provider")["rows"]}
    assert providers["anthropic"] == 3
    assert {row["value"] for row in report(ledger, "customer")["rows"]} == {"acme"}


@pytest.mark.parametrize(
    ("seen", "exit_code", "said"),
    [("app:", 130, "interrupted"), ("Ctrl-C stops.", 0, "stopped; the ledger is complete")],
    ids=["while the app runs", "at the end"],
)
def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path, seen: str, exit_code: int, said: str) -> None:
    """As a terminal sends it, to the whole foreground group; the collector is gone and nothing is a traceback."""
    with demo(tmp_path / "demo.duckdb") as process:
        assert process.stdout is not None
        port, text = 0, ""
        for line in process.stdout:
            text += line
            port = grpc_port(line) if line.startswith("collector:") else port
            if line.startswith(seen):
                os.killpg(process.pid, signal.SIGINT)
                break
        text += process.stdout.read()
        assert process.wait() == exit_code, text
    assert text.rstrip().endswith(said)
    assert "Traceback" not in text
    assert port
    assert not listens(port)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a child of its parent's end")
def test_a_demo_that_is_killed_takes_its_collector_with_it(tmp_path: Path) -> None:
    """Nothing goes on holding the ports and the ledger."""
    with demo(tmp_path / "demo.duckdb") as process:
        assert process.stdout is not None
        port = next(grpc_port(line) for line in process.stdout if line.startswith("collector:"))
        assert listens(port)
        process.kill()
        process.wait()
        deadline = time.monotonic() + ENDS_SECONDS
        while listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not listens(port)


def test_a_port_that_is_taken_is_replaced_and_said(tmp_path: Path) -> None:
    """Somebody else's collector keeps its port, and the demo names the one that it uses instead."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with demo(tmp_path / "demo.duckdb", "--grpc-port", str(taken)) as process:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 130
    assert first.startswith(f"port {taken} is taken; using ")
    assert grpc_port(second) == int(first.split()[-1])
