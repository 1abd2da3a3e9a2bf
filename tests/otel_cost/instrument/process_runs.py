"""Runs apps as processes of their own, against recorded answers and a real collector."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import requests

from examples.replay import ReplayServer, load_exchange
from tests.support.collector_process import CollectorProcess
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[3]
APPS = "tests.otel_cost.instrument.process_apps"
RECORDED = (
    "examples/demo/exchanges/openai/chat_cache_read_4o.json",
    "tests/testdata/exchanges/openai/chat_stream_n2_usage.json",
    "examples/demo/exchanges/openai/error_500_server_error.json",
)
BIN = Path(sys.executable).parent
OTHERS = "openai,anthropic,httpx,httpx2"
APP_SECONDS = 240.0
"""An app that hangs is ended. The longest makes eleven processes, of three seconds of CPU each, beside other tests."""


@dataclass(frozen=True, slots=True)
class App:
    """One way to run processes. `count`: how many calls it makes."""

    command: tuple[str, ...]
    count: int
    exit_code: int = 0
    others: str = OTHERS  # instrumentations that are switched off
    requests: int = 0  # what it serves, on the port in its command
    said: str = ""  # in its errors
    bin_folder: Path = BIN


SEEN = """
    SELECT service_name, coalesce(response_id, '') FROM attempts
    WHERE not_counted_reason IS NULL OR not_counted_reason = 'failed'
"""
"""Calls as the ledger has them; one that failed before it used anything is there, and costs nothing."""


@dataclass(slots=True)
class Ran:
    """What an app's process told: ids of responses that it got, and how it ended."""

    ids: list[str] = field(default_factory=list)
    exit_code: int = 0
    errors: str = ""


Runs = Callable[[str], tuple[Ran, list[str]]]
"""Name of a run -> what the app told, and the response ids that the ledger has of it."""


def run_all(folder: Path, apps: Mapping[str, App]) -> Runs:
    """All runs, made two at a time, and the ledger when the collector has ended."""
    exchanges = [load_exchange(ROOT / path) for path in RECORDED]
    collector = CollectorProcess(folder)
    with collector, ReplayServer(exchanges, fresh_ids=True) as replay, ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda name: _run(name, apps[name], collector, replay), apps)
        ran = dict(zip(apps, runs, strict=True))
    with duckdb.connect(str(collector.database), read_only=True) as ledger:
        rows = ledger.execute(SEEN).fetchall()
    return lambda name: (ran[name], [response_id for service, response_id in rows if service == name])


def _run(name: str, app: App, collector: CollectorProcess, replay: ReplayServer) -> Ran:
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{replay.url}/v1",
        "OPENAI_API_KEY": "none",
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(int(APP_SECONDS)),
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": app.others,
        "PATH": f"{app.bin_folder}{os.pathsep}{os.environ['PATH']}",
    }
    command = [part.replace("PORT", str(port)) for part in app.command]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            ids = _ask(f"http://127.0.0.1:{port}", app.requests, process) if app.requests else []
            told, errors = process.communicate(timeout=APP_SECONDS)
        finally:
            process.kill()
    return Ran(ids or told.split("\n")[:-1], process.returncode, errors)


def _ask(url: str, count: int, process: subprocess.Popen[str]) -> list[str]:
    """Make requests of a server that starts, from several threads, and ask it to end."""
    deadline_seconds = time.monotonic() + APP_SECONDS
    while True:
        try:
            first = requests.get(url, timeout=APP_SECONDS)
            break
        except requests.ConnectionError:
            assert process.poll() is None
            assert time.monotonic() < deadline_seconds
            time.sleep(0.05)
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda _: requests.get(url, timeout=APP_SECONDS).text, range(count - 1)))
    process.send_signal(signal.SIGTERM)
    return [first.text, *others]
