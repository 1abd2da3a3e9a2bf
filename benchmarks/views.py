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
import sys
import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np

from benchmarks.ingest import processes
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.plan import Load
from benchmarks.ingest.report import machine
from benchmarks.ingest.tables import plain, target_table
from benchmarks.ingest.targets import Target
from benchmarks.served import Served, a_year, parser, plan, serving

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


def run(said: argparse.Namespace) -> tuple[Load, _Asking, float]:
    """Load and ask; CPU seconds of the collector and of what answers, too."""
    with serving(Served, a_year(said.rows)) as server:
        latest = "SELECT trace_id FROM calls WHERE seq >= (SELECT max(seq) - 1000 FROM spans) LIMIT 1"
        trace = str(server.query(latest)[0][0])
        first = _Asking(server.api_port, trace)
        first.start()
        time.sleep(said.warm)
        first.stop()
        asking = _Asking(server.api_port, trace)
        cpu_seconds = processes.cpu_seconds(server.pid)
        with Drive(plan(server, said.rate, said.minutes * 60)) as drive:
            asking.start()
            load = drive.run()
        asking.stop()
        return load, asking, processes.cpu_seconds(server.pid) - cpu_seconds


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
    wanted = parser("views", __doc__, 5_000.0)
    wanted.add_argument("--minutes", type=float, default=3.0, help="how long to send and ask (default 3)")
    wanted.add_argument(
        "--warm", type=float, default=60.0, help="seconds of asking before, as sums are made (default 60)"
    )
    said = wanted.parse_args(arguments)
    load, asking, cpu_seconds = run(said)
    found = targets(load, asking.took_ms, asking.errors, said.rate)
    raw: dict[str, Any] = {"machine": machine(), "views": asking.took_ms, "errors": asking.errors}
    raw["targets"] = [one.to_json() for one in found]
    print(json.dumps(raw, indent=1) if said.json else text(load, asking, cpu_seconds, found))
    return 0 if all(one.held is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
