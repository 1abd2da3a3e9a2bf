"""However an app's processes, threads and tasks are made and end, the ledger has each of its calls, once.

Every app is unchanged and runs as processes of its own under `opentelemetry-instrument` (one has our line of code
instead), against a real collector.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
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
AUTO = str(BIN / "opentelemetry-instrument")
OTHERS = "openai,anthropic,httpx,httpx2"
APP_SECONDS = 60.0

pytestmark = pytest.mark.timeout(300)  # the first test waits for all of the runs


@dataclass(frozen=True, slots=True)
class App:
    """One way to run processes. `count`: how many calls it makes."""

    command: tuple[str, ...]
    count: int
    exit_code: int = 0
    others: str = OTHERS  # instrumentations that are switched off
    requests: int = 0  # what it serves, on the port in its command
    said: str = ""  # in its errors


def _app(name: str, count: int, exit_code: int = 0, *, others: str = OTHERS, said: str = "") -> App:
    return App((AUTO, sys.executable, "-m", f"{APPS}.{name}"), count, exit_code, others, said=said)


def _served(*command: str) -> App:
    return App((AUTO, *command), 12, requests=12)


UVICORN = ("uvicorn", f"{APPS}.serves:app", "--log-level", "warning", "--port", "PORT")
RUNS: Mapping[str, App] = {
    "short": _app("short", 1),
    "short_beside_other_instrumentations": _app("short", 1, others=""),
    "exits": _app("exits", 1, 3),
    "raises": _app("raises", 1, 1, said="ValueError: of the app"),
    "fails": _app("fails", 1),
    "in_code": App((sys.executable, "-m", f"{APPS}.in_code"), 1),
    "threads": _app("threads", 40),
    "tasks": _app("tasks", 32),
    "tasks_of_trio": _app("tasks_of_trio", 16),
    "forks": _app("forks", 9),
    "pools": _app("pools", 14),
    "streams": _app("streams", 2),
    "uvicorn": _served(*UVICORN),
    "uvicorn_of_two_workers": _served(*UVICORN, "--workers", "2"),
}


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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """All runs, made two at a time, and the ledger when the collector has ended."""
    folder = tmp_path_factory.mktemp("process_models")
    exchanges = [load_exchange(ROOT / path) for path in RECORDED]
    collector = CollectorProcess(folder)
    with collector, ReplayServer(exchanges, fresh_ids=True) as replay, ThreadPoolExecutor(2) as pool:
        ran = dict(zip(RUNS, pool.map(lambda name: _run(name, collector, replay), RUNS), strict=True))
    with duckdb.connect(str(collector.database), read_only=True) as ledger:
        rows = ledger.execute(SEEN).fetchall()
    return lambda name: (ran[name], [response_id for service, response_id in rows if service == name])


def _run(name: str, collector: CollectorProcess, replay: ReplayServer) -> Ran:
    app = RUNS[name]
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{replay.url}/v1",
        "OPENAI_API_KEY": "none",
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": app.others,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
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


@pytest.mark.parametrize("name", RUNS)
def test_the_ledger_has_each_call_once(runs: Runs, name: str) -> None:
    ran, counted = runs(name)
    assert len(ran.ids) == RUNS[name].count, ran.errors
    assert Counter(counted) == Counter(ran.ids)


@pytest.mark.parametrize("name", RUNS)
def test_the_app_ends_as_without_us(runs: Runs, name: str) -> None:
    ran, _ = runs(name)
    if RUNS[name].requests:
        assert ran.exit_code in (0, -signal.SIGTERM), ran.errors  # uvicorn of some versions ends by the signal
    else:
        assert ran.exit_code == RUNS[name].exit_code, ran.errors
    assert RUNS[name].said in ran.errors
    assert RUNS[name].said or "Traceback" not in ran.errors
