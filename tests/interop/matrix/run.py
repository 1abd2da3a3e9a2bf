"""Runs the apps of the matrix against one collector, and reads from its ledger what each scenario cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import Any

from collector.store.query import query_published
from examples.replay import Exchange, ReplayServer
from tests.interop.environments import environment
from tests.interop.matrix.answers import answers
from tests.interop.matrix.columns import HERE, App, column_named, requirements
from tests.interop.matrix.invoice import PICO, SCENARIOS, Billed
from tests.support.collector_process import CollectorProcess

APP_SECONDS = 120
PARALLEL = 2
MODULES = {"openai": "openai_calls", "anthropic": "anthropic_calls", "google-genai": "google_genai_calls"}
CLIENTS = ("sync", "async")

SPANS = """
SELECT a.service_name, epoch_ns(a.start_time) AS start_ns, a.input_tokens, a.output_tokens,
       coalesce(a.cache_read_tokens, 0) AS cache_read_tokens, coalesce(a.cache_write_tokens, 0) AS cache_write_tokens,
       a.cost_usd, a.cost_status, a.cost_reason, a.counted, a.not_counted_reason, a.failed, a.call_kind, a.name,
       a.dialect, s.scope_name, a.trace_id, a.span_id, a.parent_span_id,
       s.attributes ->> '$."otel_cost.stream"' AS stream
FROM attempts a JOIN spans s USING (trace_id, span_id) ORDER BY a.start_time
"""


@dataclass(frozen=True, slots=True)
class Window:
    """When a scenario ran. Scenarios follow each other, so it owns what starts in between."""

    scenario: str
    client: str
    start_ns: int
    end_ns: int

    def holds(self, start_ns: int) -> bool:
        """Whether something that started then is of this scenario."""
        return self.start_ns <= start_ns <= self.end_ns


@dataclass(frozen=True, slots=True)
class Seen:
    """A span of a model call, as the ledger has it."""

    billed: Billed | None  # None: without tokens or without a price
    is_counted: bool
    is_leaf: bool
    has_failed: bool
    is_estimated: bool  # nobody reported its tokens, and it says so
    is_abandoned: bool  # the app left before the end, and it says so
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario with one client, under one instrumentation."""

    requests: int  # what the provider saw
    seen: tuple[Seen, ...]
    exported_pico_usd: int  # the sum of `otel_cost.cost_usd` over the spans as they left the app
    exported: tuple[Mapping[str, Any], ...]

    @property
    def counted(self) -> tuple[Seen, ...]:
        """What the totals rest on."""
        return tuple(each for each in self.seen if each.is_counted)

    @property
    def failed_attempts(self) -> tuple[Seen, ...]:
        """Calls that failed unbilled, each once."""
        return tuple(each for each in self.seen if each.row["not_counted_reason"] == "failed")


Cell = tuple[App, str, str]  # app, scenario, client


def run(apps: Sequence[App], folder: Path) -> dict[Cell, Outcome]:
    """Start each app once, with an answering server of its own, all exporting to one collector."""
    recorded = answers()
    for place in sorted({place for app in apps if (place := column_named(app.column).place_of(app.sdk))}):
        environment(f"matrix_{place}", requirements(place))
    with CollectorProcess(folder) as collector, ThreadPoolExecutor(PARALLEL) as pool:
        runs = list(pool.map(lambda app: _run_app(app, recorded[app.sdk], collector, folder), apps))
    by_service: dict[str, list[dict[str, Any]]] = {}
    for row in query_published(folder / "otel-cost.duckdb", SPANS).to_pylist():
        by_service.setdefault(row["service_name"], []).append(row)
    return {
        cell: outcome
        for app, done in zip(apps, runs, strict=True)
        for cell, outcome in _outcomes(app, done, by_service.get(app.service, []))
    }


@dataclass(frozen=True, slots=True)
class _Run:
    windows: tuple[Window, ...]
    spans: tuple[Mapping[str, Any], ...]  # as the console exporter writes them
    served_ns: tuple[int, ...]


class _TimedReplay(ReplayServer):
    """Knows when each request came."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        super().__init__(exchanges, fresh_ids=True)
        self.served_ns: list[int] = []

    def answer(self, method: str, path: str, body: object) -> Exchange | None:
        """As the replay's, and notes the time."""
        self.served_ns.append(time_ns())
        return super().answer(method, path, body)


def _run_app(app: App, exchanges: list[Exchange], collector: CollectorProcess, folder: Path) -> _Run:
    column = column_named(app.column)
    place = column.place_of(app.sdk)
    bin_folder = Path(sys.executable).parent if place is None else environment(f"matrix_{place}", requirements(place))
    windows_file = folder / (app.service.replace("/", "-") + ".windows")
    Path(f"{windows_file}.prices.json").write_text("{}")
    program = [str(HERE / "apps" / "drive.py"), MODULES[app.sdk], str(windows_file), *column.arguments]
    replay = _TimedReplay(exchanges)
    with replay:
        done = subprocess.run(
            [str(bin_folder / "opentelemetry-instrument"), str(bin_folder / "python"), *program],
            env=_environment(app, collector, replay.url) | dict(column.environment),
            capture_output=True,
            text=True,
            timeout=APP_SECONDS,
            check=False,
        )
    assert done.returncode == 0, f"{app.service}:\n{done.stderr}"
    (folder / (app.service.replace("/", "-") + ".stderr")).write_text(done.stderr)
    windows = tuple(Window(**json.loads(line)) for line in windows_file.read_text().splitlines())
    return _Run(windows, tuple(_objects(done.stdout)), tuple(replay.served_ns))


def _environment(app: App, collector: CollectorProcess, replay_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
        "OPENAI_BASE_URL": f"{replay_url}/v1",
        "OPENAI_API_KEY": "replayed",
        "ANTHROPIC_BASE_URL": replay_url,
        "ANTHROPIC_API_KEY": "replayed",
        "GOOGLE_GEMINI_BASE_URL": replay_url,
        "GEMINI_API_KEY": "replayed",
        "OTEL_SERVICE_NAME": app.service,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url,
        "OTEL_TRACES_EXPORTER": "otlp,console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_COST_DISABLED": "false" if app.with_otel_cost else "true",
    }


def _objects(text: str) -> Iterable[dict[str, Any]]:
    """The JSON objects that follow each other in a text."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found


def _outcomes(app: App, done: _Run, rows: list[dict[str, Any]]) -> Iterable[tuple[Cell, Outcome]]:
    ran = [(window.scenario, window.client) for window in done.windows]
    expected = [(scenario.name, client) for client in CLIENTS for scenario in SCENARIOS[app.sdk]]
    assert ran == expected, app.service
    for window in done.windows:
        spans = tuple(span for span in done.spans if window.holds(_start_ns(span)))
        yield (
            (app, window.scenario, window.client),
            Outcome(
                requests=sum(window.holds(served_ns) for served_ns in done.served_ns),
                seen=tuple(_seen(row) for row in rows if window.holds(row["start_ns"])),
                exported_pico_usd=sum(_cost_of(span) for span in spans),
                exported=spans,
            ),
        )


def _start_ns(span: Mapping[str, Any]) -> int:
    """The start of an exported span: microseconds are all that the console shows, rounded down."""
    moment = datetime.fromisoformat(span["start_time"])
    return (int(moment.timestamp()) * 1_000_000 + moment.microsecond) * 1000 + 999


def _cost_of(span: Mapping[str, Any]) -> int:
    return _pico(span["attributes"].get("otel_cost.cost_usd")) or 0


def _pico(amount: object) -> int | None:
    return None if amount is None else int(Decimal(str(amount)) * PICO)


def _seen(row: Mapping[str, Any]) -> Seen:
    cost, tokens = _pico(row["cost_usd"]), (row["input_tokens"], row["output_tokens"])
    billed = None
    if cost is not None and tokens[0] is not None:
        billed = Billed(tokens[0], tokens[1] or 0, row["cache_read_tokens"], row["cache_write_tokens"], cost)
    return Seen(
        billed,
        is_counted=row["counted"],
        is_leaf=row["call_kind"] == "leaf",
        has_failed=bool(row["failed"]),
        is_estimated=row["cost_status"] == "estimated",
        is_abandoned=row["stream"] == "abandoned",
        row=row,
    )
