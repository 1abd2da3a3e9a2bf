"""One trial of one system: loads sent to a fresh server, and what they cost it."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.ingest import processes
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.plan import Load, Plan, Protocol
from benchmarks.ingest.sink import Sink
from benchmarks.ingest.system import System
from benchmarks.ingest.systems import Rotel

QUERYABLE_SECONDS = 120.0
QUIET_SECONDS = 30.0
START_QUIET_SECONDS = 120.0
IDLE_SECONDS = 2.0
RECOVER_SECONDS = 20.0
KILL_SPANS, KILL_SPANS_PER_REQUEST, KILL_CONNECTIONS = 2_048, 64, 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What one load cost the server."""

    load: Load
    cpu_seconds: float  # of its process tree, from the first request until everything is queryable and it is at rest
    idle_cpu_seconds: float  # what it would have used in that time without a load; part of the former
    queryable_seconds: float | None  # from the last acknowledgement; None: it keeps nothing
    missing_spans: int | None  # acknowledged, and not there in the end

    @property
    def cpu_us_per_span(self) -> float:
        """CPU microseconds per acknowledged span, idling taken off."""
        return (self.cpu_seconds - self.idle_cpu_seconds) / max(self.load.acked_spans, 1) * 1e6

    @property
    def cpu_us_per_request(self) -> float:
        """CPU microseconds per acknowledged request, idling taken off."""
        return (self.cpu_seconds - self.idle_cpu_seconds) / max(self.load.acked_requests, 1) * 1e6


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a server holds after a trial of `spans` spans."""

    spans: int
    peak_rss_bytes: int
    running_disk_bytes: int
    stopped_disk_bytes: int


class Trial(AbstractContextManager["Trial"]):
    """A fresh server in a folder that goes with it."""

    def __init__(self, make: Callable[[Path], System]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="otel-cost-bench-"))
        self.system = make(self._folder / "server")
        self._idle_share = 0.0
        self.spans = self._loads = 0

    def __enter__(self) -> Trial:
        try:
            self._begin()
        except BaseException:  # an exit is not called for what was never entered
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> None:
        self.system.start()
        for protocol in self.protocols():  # what is loaded with the first request is no cost of a span
            self.load(Plan(protocol, 0, spans_per_request=8, requests=8))
        if not processes.wait_until_quiet(self.system.pid, START_QUIET_SECONDS):
            say(f"{self.system.name} does not come to rest: its figures hold what it does anyway")
        before = processes.cpu_seconds(self.system.pid)
        time.sleep(IDLE_SECONDS)
        self._idle_share = (processes.cpu_seconds(self.system.pid) - before) / IDLE_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.system.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def protocols(self) -> tuple[Protocol, ...]:
        """What it speaks."""
        return ("grpc", "http") if self.system.grpc else ("http",)

    def plan(self, plan: Plan) -> Plan:
        """The plan with this server's port and headers."""
        raw = plan.to_json() | {"headers": dict(self.system.headers)}
        self._loads += 1
        raw["seed"] = self._loads  # a store is never sent the same values twice
        raw["port"] = self.system.grpc_port if plan.protocol == "grpc" else self.system.http_port
        return Plan(**raw)

    def load(self, plan: Plan) -> Cost:
        """Send it and wait until the server has done all it will do about it."""
        pid = self.system.pid
        with Drive(self.plan(plan)) as drive:
            cpu, started = processes.cpu_seconds(pid), time.monotonic()
            load = drive.run()
            acked = time.monotonic()
        self.spans += load.acked_spans
        queryable, stored = None, self.system.stored()
        if stored is not None:
            processes.wait_until(lambda: (self.system.stored() or 0) >= self.spans, QUERYABLE_SECONDS, every=0.25)
            queryable = time.monotonic() - acked
            stored = self.system.stored()
        processes.wait_until_quiet(pid, QUIET_SECONDS)
        cpu = processes.cpu_seconds(pid) - cpu
        idle = self._idle_share * (time.monotonic() - started)
        return Cost(load, cpu, idle, queryable, None if stored is None else self.spans - stored)

    def footprint(self) -> Footprint:
        """Memory and disk; stops the server."""
        peak = processes.peak_rss_bytes(self.system.pid)
        running = self.system.disk_bytes()
        self.system.stop()
        return Footprint(self.spans, peak, running, self.system.disk_bytes())


def lost_after_kill(make: type[System]) -> tuple[int, int]:
    """Spans acknowledged, and how many of them are missing after `kill -9` right behind the last acknowledgement."""
    sink = Sink() if make is Rotel else None
    plan = Plan(
        protocol="http",
        port=0,
        spans_per_request=KILL_SPANS_PER_REQUEST,
        in_flight=KILL_CONNECTIONS,
        requests=KILL_SPANS // KILL_SPANS_PER_REQUEST,
    )
    if sink is not None:
        sink.start()
    try:
        with Trial(make if sink is None else lambda folder: Rotel(folder, sink)) as trial:
            with Drive(trial.plan(plan)) as drive:
                load = drive.run()
                trial.system.kill()
            trial.system.start()
            expected = trial.spans + load.acked_spans
            processes.wait_until(lambda: (trial.system.stored() or 0) >= expected, RECOVER_SECONDS)
            return load.acked_spans, expected - (trial.system.stored() or 0)
    finally:
        if sink is not None:
            sink.stop()


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
