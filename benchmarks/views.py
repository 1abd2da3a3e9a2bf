"""Every view of the API, over a ledger of ten million spans that takes in more meanwhile.

    python -m benchmarks.views [--rows N] [--minutes M] [--rate SPANS_PER_SECOND] [--json]

The ledger is a year of `benchmarks.view_rows` (200 models, 500 agents, 10,000 customers), built once under
`build/benchmarks` and linked into a fresh folder. The collector runs on it and takes `--rate` spans a second of the
generator of `benchmarks.ingest`; one client asks every view in turn over HTTP, over and over, as a page with that view
open does. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np

from benchmarks.ingest import processes
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.plan import Load, Plan
from benchmarks.ingest.report import machine
from benchmarks.ingest.system import free_ports
from benchmarks.ingest.systems import OtelCost
from benchmarks.ingest.tables import plain, target_table
from benchmarks.ingest.targets import Target
from benchmarks.ingest.trials import say
from benchmarks.loaded import PREPARED, SETTLE_SECONDS, SPANS_PER_REQUEST, copy
from benchmarks.queries import build
from benchmarks.view_rows import rows as a_years_rows

DAYS = 365
TARGET_MS = 300.0
BETWEEN_SECONDS = 0.05
"""After an answer, before the next question."""
_LONG = "since=365d&"

VIEWS = {
    "ticker": "ticker",
    "spend": "spend?compare=previous",
    "series by provider": "timeseries?by=provider&compare=previous",
    "series by customer": "timeseries?by=customer",
    "series of a day": "timeseries?by=model&since=24h",
    "agents": "agents?sparkline=day&compare=previous",
    "agents, with runs": "agents?executions=true",
    "models": "models?sparkline=day&compare=previous",
    "customers": "customers?sparkline=day&compare=previous",
    "customers, by change": "customers?sort=change",
    "conversations": "conversations",
    "agent by model": "breakdown?by=agent&by=model",
    "models of an agent": "breakdown?by=model&agent=agent-7&sparkline=day",
    "agents of a customer": "breakdown?by=agent&customer=customer-7&sparkline=day",
    "errors by model": "breakdown?by=model&status=error",
    "runs, dearest": "runs",
    "runs, latest": "runs?sort=time",
    "one run": "runs/{trace}",
    "one trace": "traces/{trace}",
    "names": "dimensions",
    "values": "dimensions/customer/values?search=77",
    "waste": "waste",
    "unpriced": "unpriced",
    "prices": "prices",
    "price runs": "price-runs",
    "projections": "projections",
    "anomalies": "anomalies",
    "cost optimization": "admin/metrics/cost-optimization",
    "spend, 365 days": f"spend?{_LONG}",
    "series by provider, 365 days": f"timeseries?{_LONG}by=provider",
    "agents, 365 days": f"agents?{_LONG}sparkline=day",
    "models, 365 days": f"models?{_LONG}",
    "customers, 365 days": f"customers?{_LONG}",
}
"""Name -> path below `/api/v1/`; without `since` a view is of 30 days."""


class _Collector(OtelCost):
    """With its API on a port of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.api_port = free_ports(1)[0]

    def command(self) -> list[str]:
        command = super().command()
        config = Path(command[-1])
        config.write_text(config.read_text() + f'  api: {{endpoint: "127.0.0.1:{self.api_port}"}}\n')
        return command


class _Asking(Thread):
    """Asks every view in turn until told to end."""

    def __init__(self, port: int, trace: str) -> None:
        super().__init__(daemon=True)
        self._base = f"http://127.0.0.1:{port}/api/v1/"
        self._trace = trace
        self._ended = Event()
        self.took_ms: dict[str, list[float]] = {name: [] for name in VIEWS}
        self.errors: dict[str, int] = {}

    def run(self) -> None:
        while not self._ended.is_set():
            for name, path in VIEWS.items():
                self._ask(name, path.replace("{trace}", quote(self._trace)))
                if self._ended.wait(BETWEEN_SECONDS):
                    return

    def _ask(self, name: str, path: str) -> None:
        began = time.perf_counter()
        try:
            with urlopen(self._base + path, timeout=60) as response:
                response.read()
            self.took_ms[name].append((time.perf_counter() - began) * 1e3)
        except OSError as error:
            said = f"{name}: {error}"
            self.errors[said] = self.errors.get(said, 0) + 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def prepared(rows: int) -> Path:
    """The folder of such a ledger, built when there is none from today."""
    folder = PREPARED / f"ledger-views-{rows}"
    path = folder / "otel-cost.duckdb"
    if not path.exists() or time.time() - path.stat().st_mtime > 12 * 3600:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"building a ledger of {rows:,} spans in {folder}")
        build(path.absolute(), rows, DAYS, a_years_rows)
    return folder


def run(said: argparse.Namespace, folder: Path) -> tuple[Load, _Asking, float]:
    """Load and ask; CPU seconds of the collector and of what answers, too."""
    server = _Collector(folder / "server")
    copy(prepared(said.rows), server.folder)
    server.start()
    try:
        time.sleep(SETTLE_SECONDS)
        trace = server.query("SELECT trace_id FROM calls WHERE seq >= (SELECT max(seq) - 1000 FROM spans) LIMIT 1")[0][
            0
        ]
        first = _Asking(server.api_port, trace)
        first.start()
        time.sleep(said.warm)
        first.stop()
        plan = Plan(
            "grpc",
            server.grpc_port,
            spans_per_request=SPANS_PER_REQUEST,
            in_flight=64,
            seconds=said.minutes * 60,
            requests_per_second=said.rate / SPANS_PER_REQUEST,
            resend=True,
            seed=7,
        )
        asking = _Asking(server.api_port, trace)
        cpu_seconds = processes.cpu_seconds(server.pid)
        with Drive(plan) as drive:
            asking.start()
            load = drive.run()
        asking.stop()
        return load, asking, processes.cpu_seconds(server.pid) - cpu_seconds
    finally:
        server.close()


def targets(load: Load, took_ms: dict[str, list[float]], errors: dict[str, int], rate: float) -> list[Target]:
    """What is asked of views and writer together."""
    slowest = max((float(np.percentile(values, 95)) for values in took_ms.values() if values), default=0.0)
    return [
        Target("spans/s", load.spans_per_second, rate * 0.99, False),
        Target("ack p99 ms", load.latency.p99_ms, 150),
        Target("slowest view p95 ms", slowest, TARGET_MS),
        Target("views that failed", sum(errors.values()), 0),
        Target("requests that failed", load.failed, 0),
    ]


def text(load: Load, asking: _Asking, cpu_seconds: float, found: Sequence[Target]) -> str:
    """The summary."""
    lines = [
        [name, str(len(values)), *(f"{at:,.0f}" for at in np.percentile(values, (50, 95, 100)))]
        for name, values in asking.took_ms.items()
        if values
    ]
    return "\n".join(
        [
            "  ".join(f"{name}: {value}" for name, value in machine().items()),
            "",
            *plain(["view", "asked", "p50 ms", "p95 ms", "max ms"], lines),
            *(f"{count} x {error}" for error, count in asking.errors.items()),
            "",
            f"ack p50 {load.latency.p50_ms:.1f} p99 {load.latency.p99_ms:.1f} max {load.latency.max_ms:.1f} ms; "
            f"collector {cpu_seconds / load.wall_seconds:.0%} of a core",
            "",
            *target_table(found),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.views", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans that are there before (default 10,000,000)")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long to send and ask (default 3)")
    parser.add_argument(
        "--warm", type=float, default=60.0, help="seconds of asking before, as sums are made (default 60)"
    )
    parser.add_argument("--rate", type=float, default=5_000.0, help="spans per second (default 5,000)")
    parser.add_argument("--json", action="store_true", help="every figure, on stdout")
    said = parser.parse_args(arguments)
    processes.clean_up_when_told_to_end()
    PREPARED.mkdir(parents=True, exist_ok=True)
    folder = PREPARED.absolute() / f"views-{os.getpid()}"  # beside the ledger: links do not cross file systems
    try:
        load, asking, cpu_seconds = run(said, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = targets(load, asking.took_ms, asking.errors, said.rate)
    raw: dict[str, Any] = {"machine": machine(), "views": asking.took_ms, "errors": asking.errors}
    raw["targets"] = [one.to_json() for one in found]
    print(json.dumps(raw, indent=1) if said.json else text(load, asking, cpu_seconds, found))
    return 0 if all(one.held is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
