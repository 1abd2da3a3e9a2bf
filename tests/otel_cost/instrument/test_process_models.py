"""However an app's processes, threads and tasks are made and end, the ledger has each of its calls, once.

Every app is unchanged and runs as processes of its own under `opentelemetry-instrument` (one has our line of code
instead), against a real collector.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.otel_cost.instrument.process_runs import APPS, BIN, OTHERS, App, Runs, run_all

AUTO = str(BIN / "opentelemetry-instrument")

pytestmark = pytest.mark.timeout(300)  # the first test waits for all of the runs


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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return run_all(tmp_path_factory.mktemp("process_models"), RUNS)


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
