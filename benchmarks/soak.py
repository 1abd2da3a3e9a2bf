"""Sustained load on one collector, with readers and kills, and a reconciliation to the span and the pico-dollar.

    python -m benchmarks.soak [--minutes M] [--rate SPANS_PER_SECOND] [--kill-every MINUTES] [--json]

A generator sends requests until the time is up and resends what was not acknowledged. Meanwhile another process asks a
dashboard's questions of the published file. In the end the published file must hold exactly what was sent.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.ingest import expected, processes
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.plan import Load, Plan
from benchmarks.ingest.report import MIB, machine
from benchmarks.ingest.systems import OtelCost
from benchmarks.ingest.tables import plain, target_table
from benchmarks.ingest.targets import Target
from benchmarks.ingest.trials import say

LEAST_FREE_BYTES = 2 << 30
QUERYABLE_SECONDS = 300.0
SHOWN_INTERVALS = 24
ASKED_SPANS_PER_SECOND = 20_000  # what latencies are asked for


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at the end of an interval."""

    load: Load
    acked_spans: int  # since the start
    rss_bytes: int
    disk_bytes: int
    cpu_seconds: float  # since the start, over all its lives
    published_spans: int


@dataclass(slots=True)
class Soak:
    """What a run came to."""

    load: Load | None = None
    samples: list[Sample] = field(default_factory=list)
    restart_seconds: list[float] = field(default_factory=list)  # from the kill until it listens again
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0
    running_disk_bytes: int = 0
    stopped_disk_bytes: int = 0
    all_disk_bytes: int = 0
    dashboard: dict[str, Any] | None = None
    sent: dict[str, int] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)

    @property
    def reconciled(self) -> bool:
        """Whether what is stored is what was sent."""
        return bool(self.sent) and self.sent == self.stored and self.load is not None and not self.load.failed


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to send (default 10)")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="spans per second; 0, the default: as fast as acknowledged"
    )
    parser.add_argument("--protocol", choices=("grpc", "http"), default="grpc")
    parser.add_argument("--spans-per-request", type=int, default=512)
    parser.add_argument("--in-flight", type=int, default=16, help="requests (default 16)")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between figures (default 10)")
    parser.add_argument("--kill-every", type=float, default=0.0, help="minutes between kill -9 and restart; 0: never")
    parser.add_argument(
        "--query-every", type=float, default=2.0, help="seconds between a dashboard's refreshes; 0: none"
    )
    parser.add_argument("--folder", type=Path, help="where to keep the ledger (default: a temporary folder)")
    parser.add_argument("--json", action="store_true", help="every figure, on stdout")
    return parser.parse_args(arguments)


def _plan(said: argparse.Namespace, server: OtelCost) -> Plan:
    return Plan(
        protocol=said.protocol,
        port=server.grpc_port if said.protocol == "grpc" else server.http_port,
        spans_per_request=said.spans_per_request,
        in_flight=said.in_flight if not said.rate else max(said.in_flight, 64),
        seconds=said.minutes * 60,
        requests_per_second=said.rate / said.spans_per_request if said.rate else None,
        resend=True,
        interval_seconds=said.interval,
        seed=7,
    )


class _Run:
    """A server, its generator and its dashboard, for as long as the load lasts."""

    def __init__(self, said: argparse.Namespace, server: OtelCost) -> None:
        self._said = said
        self._server = server
        self.soak = Soak()
        self._earlier_cpu_seconds = 0.0
        self._reports: list[Load] = []

    def run(self) -> Soak:
        """Send, watch, kill; then wait until everything is queryable, stop, and count."""
        self._server.start()
        dashboard = self._dashboard()
        try:
            with Drive(_plan(self._said, self._server)) as drive:
                self._watch(drive)
            load = self.soak.load
            assert load is not None
            processes.wait_until(lambda: (self._server.stored() or 0) >= load.acked_spans, QUERYABLE_SECONDS, every=0.5)
        finally:
            if dashboard is not None:
                answer, _ = dashboard.communicate()
                self.soak.dashboard = json.loads(answer) if answer else None
        self._finish(load)
        return self.soak

    def _dashboard(self) -> subprocess.Popen[str] | None:
        if not self._said.query_every:
            return None
        command = [
            sys.executable,
            "-m",
            "benchmarks.dashboard",
            str(self._server.published),
            str(self._said.query_every),
        ]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _watch(self, drive: Drive) -> None:
        reader = Thread(target=lambda: self._reports.extend(drive.reports()), daemon=True)
        reader.start()
        seen, killed = 0, time.monotonic()
        while reader.is_alive():
            reader.join(0.2)
            if self._said.kill_every and time.monotonic() - killed >= self._said.kill_every * 60 and reader.is_alive():
                self._kill()
                killed = time.monotonic()
            for report in self._reports[seen : len(self._reports)]:
                seen += 1
                self._sample(report)
        if not self._reports:
            raise RuntimeError("the generator ended without a report")
        self.soak.load = self._reports[-1]

    def _cpu_seconds(self) -> float:
        return self._earlier_cpu_seconds + processes.cpu_seconds(self._server.pid)

    def _kill(self) -> None:
        self.soak.peak_rss_bytes = max(self.soak.peak_rss_bytes, processes.peak_rss_bytes(self._server.pid))
        self._earlier_cpu_seconds += processes.cpu_seconds(self._server.pid)
        started = time.monotonic()
        self._server.kill()
        self._server.start()
        self.soak.restart_seconds.append(time.monotonic() - started)
        say(f"killed and restarted in {self.soak.restart_seconds[-1]:.1f} s")

    def _sample(self, report: Load) -> None:
        if report.usage is not None:  # of the whole load
            return
        if shutil.disk_usage(self._server.folder).free < LEAST_FREE_BYTES:
            raise RuntimeError(f"less than {LEAST_FREE_BYTES >> 30} GiB free: the run is given up")
        sample = Sample(
            report,
            report.acked_spans + (self.soak.samples[-1].acked_spans if self.soak.samples else 0),
            processes.rss_bytes(self._server.pid),
            self._server.disk_bytes(),
            self._cpu_seconds(),
            self._server.stored() or 0,
        )
        self.soak.samples.append(sample)
        say("  ".join(_row(sample)))

    def _finish(self, load: Load) -> None:
        soak, server = self.soak, self._server
        processes.wait_until_quiet(server.pid, 60.0)
        soak.cpu_seconds = self._cpu_seconds()
        soak.peak_rss_bytes = max(soak.peak_rss_bytes, processes.peak_rss_bytes(server.pid))
        soak.running_disk_bytes = server.disk_bytes()
        server.stop()
        soak.stopped_disk_bytes, soak.all_disk_bytes = server.disk_bytes(), server.all_disk_bytes()
        assert load.usage is not None
        soak.sent = {
            "spans": load.acked_spans,
            "calls": expected.calls(load.usage),
            "cost_pico_usd": expected.cost_pico_usd(load.usage),
        }
        calls, cost_usd = server.query("SELECT count(*), sum(cost_usd) FROM calls")[0]
        soak.stored = {
            "spans": int(server.query("SELECT count(*) FROM spans")[0][0]),
            "calls": int(calls),
            "cost_pico_usd": int((cost_usd or 0) * 10**12),
        }


HEAD = ["minute", "spans/s", "ack p50 ms", "p99", "max", "RSS MiB", "disk B/span", "published spans", "later", "lost"]


def _row(sample: Sample) -> list[str]:
    load = sample.load
    return [
        f"{load.at_seconds / 60:.2f}",
        f"{load.spans_per_second:,.0f}",
        *(f"{value:,.1f}" for value in (load.latency.p50_ms, load.latency.p99_ms, load.latency.max_ms)),
        f"{sample.rss_bytes / MIB:,.0f}",
        f"{sample.disk_bytes / max(sample.acked_spans, 1):,.0f}",
        f"{sample.published_spans:,}",
        str(load.later),
        str(load.lost),
    ]


def rss_growth(samples: Sequence[Sample]) -> float | None:
    """Median resident memory of the last quarter by that of the second; None for fewer than eight samples."""
    quarter = len(samples) // 4
    if quarter < 2:
        return None
    early = statistics.median(sample.rss_bytes for sample in samples[quarter : 2 * quarter])
    return statistics.median(sample.rss_bytes for sample in samples[-quarter:]) / early


def targets(soak: Soak, rate: float) -> list[Target]:
    """What is asked of a sustained load, and what it was."""
    load = soak.load
    assert load is not None
    spans = max(load.acked_spans, 1)
    board = soak.dashboard or {}
    asked = rate >= ASKED_SPANS_PER_SECOND
    pace = Target("spans/s", load.spans_per_second, rate * 0.99 if rate else 60_000, False)
    return [
        pace,
        Target("peak RSS MiB", soak.peak_rss_bytes / MIB, 512),
        Target("RSS, last quarter by second", rss_growth(soak.samples), 1.1),
        Target("disk bytes per span, stopped", soak.stopped_disk_bytes / spans, 100),
        Target("ack p99 ms (asked at 20,000 spans/s)", load.latency.p99_ms if asked else None, 150),
        Target("dashboard query p95 ms (asked at 20,000 spans/s)", board.get("p95_ms") if asked else None, 250),
        Target("spans stored less sent", soak.stored["spans"] - soak.sent["spans"], 0),
        Target("calls stored less sent", abs(soak.stored["calls"] - soak.sent["calls"]), 0),
        Target("pico-dollars stored less sent", abs(soak.stored["cost_pico_usd"] - soak.sent["cost_pico_usd"]), 0),
    ]


def text(soak: Soak, rate: float) -> str:
    """The summary."""
    load = soak.load
    assert load is not None
    step = max(1, -(-len(soak.samples) // SHOWN_INTERVALS))
    spans = max(load.acked_spans, 1)
    lines = ["  ".join(f"{name}: {value}" for name, value in machine().items()), ""]
    lines += plain(HEAD, [_row(sample) for sample in soak.samples[::step]])
    lines += [
        "",
        f"{load.acked_spans:,} spans acknowledged in {load.wall_seconds:,.0f} s: {load.spans_per_second:,.0f} spans/s; "
        f"ack p50 {load.latency.p50_ms} p99 {load.latency.p99_ms} max {load.latency.max_ms} ms",
        f"server CPU {soak.cpu_seconds / spans * 1e6:.1f} us/span; generator "
        f"{load.cpu_seconds / spans * 1e6:.1f} us/span ({load.cpu_seconds / load.wall_seconds:.0%} of a core)",
        f"disk bytes per span: {soak.running_disk_bytes / spans:.1f} running, {soak.stopped_disk_bytes / spans:.1f} "
        f"stopped, {soak.all_disk_bytes / spans:.1f} with segments kept for old readers",
    ]
    if soak.restart_seconds:
        again = statistics.median(soak.restart_seconds)
        lines.append(f"{len(soak.restart_seconds)} kills; listening again after {again:.1f} s (median)")
    if soak.dashboard is not None:
        rows = [
            [name, str(one["runs"]), *(f"{one[key]:,.0f}" for key in ("p50_ms", "p95_ms", "max_ms"))]
            for name, one in soak.dashboard["queries"].items()
        ]
        head = [f"query, {soak.dashboard['spans']:,} spans in the end", "runs", "p50 ms", "p95 ms", "max ms"]
        lines += ["", *plain(head, rows), *(f"{count} x {said}" for said, count in soak.dashboard["errors"].items())]
    lines += [
        "",
        *plain(["", "sent", "stored"], [[key, f"{soak.sent[key]:,}", f"{soak.stored[key]:,}"] for key in soak.sent]),
    ]
    return "\n".join([*lines, "", *target_table(targets(soak, rate))])


def _as_json(soak: Soak, rate: float) -> dict[str, Any]:
    raw = asdict(soak)
    for load in (raw["load"], *(sample["load"] for sample in raw["samples"])):
        del load["usage"]
    found = targets(soak, rate)
    return {
        "machine": machine(),
        **raw,
        "reconciled": soak.reconciled,
        "targets": [one.to_json() for one in found],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module. 1: what is stored is not what was sent."""
    said = _arguments(arguments)
    processes.clean_up_when_told_to_end()
    folder = said.folder or Path(tempfile.mkdtemp(prefix="otel-cost-soak-"))
    server = OtelCost(folder / "server")
    try:
        soak = _Run(said, server).run()
    finally:
        server.close()
        if said.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(_as_json(soak, said.rate), indent=1) if said.json else text(soak, said.rate))
    return 0 if soak.reconciled else 1


if __name__ == "__main__":
    sys.exit(main())
