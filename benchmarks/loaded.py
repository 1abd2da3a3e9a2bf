"""Readers and the writer at once: a ledger of ten million spans that takes in more while a dashboard asks.

    python -m benchmarks.loaded [--rows N] [--minutes M] [--rate SPANS_PER_SECOND] [--hold] [--json]

The ledger is that of `benchmarks.queries`, built once under `build/benchmarks` and linked into a fresh folder for each
run. The collector runs on it and takes `--rate` spans a second of the generator of `benchmarks.ingest`, while another
process asks the questions of `benchmarks.dashboard`. With `--hold` a third one keeps the first publication open and
asks it questions that take seconds. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from threading import Event, Thread
from typing import Any
from urllib.request import urlopen

import numpy as np

from benchmarks.ingest import processes
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.plan import Load
from benchmarks.ingest.report import MIB, machine
from benchmarks.ingest.systems import OtelCost
from benchmarks.ingest.tables import plain, target_table
from benchmarks.ingest.targets import Target
from benchmarks.served import parser, plan, serving, sixty_days
from collector.telemetry import APPLY_LAG_SECONDS

_FIGURES = ("p50_ms", "p95_ms", "max_ms", "cpu_p50_ms")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run."""

    load: Load
    dashboard: dict[str, Any]
    holder: dict[str, Any] | None
    lags_seconds: list[float]  # from the acknowledgement to the ledger, once a second
    cpu_seconds: float
    peak_rss_bytes: int
    segments: int


class _Asking:
    """A process of `benchmarks.dashboard`."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "benchmarks.dashboard", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self) -> dict[str, Any]:
        """End it; what it measured."""
        said, _ = self._process.communicate()
        answer: dict[str, Any] = json.loads(said)
        return answer


class _Lag(Thread):
    """Asks the collector's metrics once a second how far the ledger is behind the acknowledgements."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._ended = Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        name = APPLY_LAG_SECONDS.name
        while not self._ended.wait(1.0):
            with urlopen(self._url, timeout=10) as response:
                lines = response.read().decode().splitlines()
            self.seconds += [float(line.split()[-1]) for line in lines if line.startswith((name + " ", name + "{"))]

    def stop(self) -> None:
        self._ended.set()
        self.join()


def run(said: argparse.Namespace) -> Outcome:
    """Load, ask and watch."""
    with serving(OtelCost, sixty_days(said.rows)) as server:
        file = str(server.published)
        lag = _Lag(server.other_port)
        cpu_seconds = processes.cpu_seconds(server.pid)
        with Drive(plan(server, said.rate, said.minutes * 60)) as drive:
            asking = _Asking(file, str(said.query_every))
            holder = _Asking(file, "0", "--hold") if said.hold else None
            lag.start()
            load = drive.run()
            dashboard, held = asking.answer(), holder.answer() if holder else None
        lag.stop()
        cpu_seconds = processes.cpu_seconds(server.pid) - cpu_seconds
        segments = int(server.query("SELECT segments FROM publication")[0][0])
        return Outcome(load, dashboard, held, lag.seconds, cpu_seconds, processes.peak_rss_bytes(server.pid), segments)


def targets(outcome: Outcome, rate: float) -> list[Target]:
    """What is asked of readers and writer together."""
    return [
        Target("spans/s", outcome.load.spans_per_second, rate * 0.99, False),
        Target("ack p99 ms", outcome.load.latency.p99_ms, 150),
        Target("dashboard question p95 ms", outcome.dashboard["p95_ms"], 250),
        Target("requests that failed", outcome.load.failed, 0),
        Target("questions that failed", sum(outcome.dashboard["errors"].values()), 0),
        Target("peak RSS MiB", outcome.peak_rss_bytes / MIB, 512),
    ]


def text(outcome: Outcome, rate: float) -> str:
    """The summary."""
    load = outcome.load
    board = outcome.dashboard
    rows = [
        [name, str(one["runs"]), *(f"{one[key]:,.0f}" for key in _FIGURES)]
        for name, one in [*board["queries"].items(), *(outcome.holder or {"queries": {}})["queries"].items()]
    ]
    asked = sum(one["runs"] for one in board["queries"].values())
    rows.append(["all of the dashboard", str(asked), f"{board['p50_ms']:,.0f}", f"{board['p95_ms']:,.0f}", "", ""])
    lags = np.percentile(outcome.lags_seconds or [0.0], (50, 99, 100))
    return "\n".join(
        [
            "  ".join(f"{name}: {value}" for name, value in machine().items()),
            "",
            *plain(
                [f"question, {board['spans']:,} spans in the end", "asked", "p50 ms", "p95 ms", "max ms", "CPU ms"],
                rows,
            ),
            *(f"{count} x {error}" for error, count in board["errors"].items()),
            "",
            f"ack p50 {load.latency.p50_ms:.1f} p99 {load.latency.p99_ms:.1f} max {load.latency.max_ms:.1f} ms",
            f"ledger behind by p50 {lags[0]:.2f} p99 {lags[1]:.2f} max {lags[2]:.2f} s; {outcome.segments} segments",
            f"server CPU {outcome.cpu_seconds / max(load.acked_spans, 1) * 1e6:.1f} us/span, "
            f"{outcome.cpu_seconds / load.wall_seconds:.0%} of a core; generator "
            f"{load.cpu_seconds / load.wall_seconds:.0%}; dashboard {board['cpu_seconds'] / load.wall_seconds:.0%}",
            "",
            *target_table(targets(outcome, rate)),
        ]
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    found = parser("loaded", __doc__, 20_000.0)
    found.add_argument("--minutes", type=float, default=3.0, help="how long to send and ask (default 3)")
    found.add_argument("--query-every", type=float, default=5.0, help="seconds between a dashboard's refreshes")
    found.add_argument("--hold", action="store_true", help="also a reader that keeps one publication and asks much")
    return found.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    said = _arguments(arguments)
    outcome = run(said)
    found = targets(outcome, said.rate)
    raw = {"machine": machine(), **asdict(outcome), "targets": [one.to_json() for one in found]}
    del raw["load"]["usage"]
    print(json.dumps(raw, indent=1) if said.json else text(outcome, said.rate))
    return 0 if all(one.held is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
