"""However an app's processes, threads and tasks are made and end, the ledger has each of its calls, once.

Every app is unchanged and runs as processes of its own under `opentelemetry-instrument` (one has our line of code
instead), against a real collector.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from tests.otel_cost.instrument.process_runs import APPS, BIN, OTHERS, App, Ran, run_all

AUTO = str(BIN / "opentelemetry-instrument")

pytestmark = pytest.mark.timeout(900)


def _app(name: str, count: int, exit_code: int = 0, *, others: str = OTHERS, said: str = "") -> App:
    return App((AUTO, sys.executable, "-m", f"{APPS}.{name}"), count, exit_code, others, said=said)


def _served(*command: str) -> App:
    return App((AUTO, *command), 12, requests=12)


UVICORN = ("uvicorn", f"{APPS}.serves:app", "--log-level", "warning", "--port", "PORT")
WORKERS = ("--workers", "2", "--timeout-worker-healthcheck", "240")
"""By itself uvicorn kills a worker, and what it has not exported with it, that is silent for 5 s: as while it starts on
a busy machine."""
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
    "uvicorn_of_two_workers": _served(*UVICORN, *WORKERS),
}


FEW = ("short_beside_other_instrumentations", "fails", "threads", "tasks_of_trio", "forks", "pools", "streams")


@pytest.mark.parametrize("names", [(*FEW, "uvicorn_of_two_workers"), pytest.param(RUNS, marks=pytest.mark.soak)])
def test_the_ledger_has_each_call_once_and_apps_end_as_without_us(tmp_path: Path, names: Collection[str]) -> None:
    """One test for all: they share a collector, and run side by side."""
    runs = run_all(tmp_path, {name: RUNS[name] for name in names})
    assert {name: wrong for name in names if (wrong := _wrong(RUNS[name], *runs(name)))} == {}


def _wrong(app: App, ran: Ran, counted: Sequence[str]) -> list[str]:
    """What is not as it should be."""
    found = []
    if len(ran.ids) != app.count or Counter(counted) != Counter(ran.ids):
        found.append(f"made {len(ran.ids)} of {app.count} calls, of which the ledger has {counted}")
    # uvicorn of some versions ends by the signal
    if ran.exit_code not in ((0, -signal.SIGTERM) if app.requests else (app.exit_code,)):
        found.append(f"ended with {ran.exit_code}")
    if app.said not in ran.errors or (not app.said and "Traceback" in ran.errors):
        found.append(f"said {ran.errors}")
    return found
