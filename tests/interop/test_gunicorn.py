"""gunicorn forks its workers, before or after it loads the app: the ledger has each call of each worker once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.interop.cases import HERE
from tests.interop.environments import environment
from tests.otel_cost.instrument.process_runs import APPS, ROOT, App, Runs, run_all

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


def _served(app: str, *options: str) -> App:
    common = ("--workers", "2", "--bind", "127.0.0.1:PORT", "--pythonpath", str(ROOT))
    return App(("opentelemetry-instrument", "gunicorn", *common, *options, f"{APPS}.{app}:app"), 24, requests=24)


RUNS: Mapping[str, App] = {
    "sync": _served("serves_wsgi"),
    "sync_preloaded": _served("serves_wsgi", "--preload"),
    "threads": _served("serves_wsgi", "--worker-class", "gthread", "--threads", "4"),
    "threads_preloaded": _served("serves_wsgi", "--worker-class", "gthread", "--threads", "4", "--preload"),
    "uvicorn": _served("serves", "--worker-class", "uvicorn_worker.UvicornWorker"),
    "uvicorn_preloaded": _served("serves", "--worker-class", "uvicorn_worker.UvicornWorker", "--preload"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = environment("gunicorn", HERE / "gunicorn" / "requirements.txt")
    apps = {name: replace(app, bin_folder=folder) for name, app in RUNS.items()}
    return run_all(tmp_path_factory.mktemp("gunicorn"), apps)


@pytest.mark.parametrize("name", RUNS)
def test_the_ledger_has_each_call_once(runs: Runs, name: str) -> None:
    ran, counted = runs(name)
    assert ran.exit_code == 0, ran.errors
    assert len(ran.ids) == RUNS[name].count, ran.errors
    assert Counter(counted) == Counter(ran.ids)
    assert "Traceback" not in ran.errors
