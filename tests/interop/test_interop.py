"""Unchanged apps, switched on by environment variables, are priced to the last digit.

Each case is a real SDK with somebody's real instrumentation in an environment of its own, against replayed recorded
responses, exporting to a real collector over gRPC and over HTTP.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.store.query import query_published
from examples.replay import ReplayServer, load_exchanges
from tests.interop.cases import CASES, HERE, Case, Expected
from tests.interop.environments import environment
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

CALLS = """
SELECT provider, coalesce(response_model, request_model) AS model, input_tokens, output_tokens,
       coalesce(cache_read_tokens, 0) AS cache_read_tokens, coalesce(cache_write_tokens, 0) AS cache_write_tokens,
       cost_usd, cost_status
FROM calls
"""


@contextmanager
def _replay() -> Iterator[str]:
    with ReplayServer(load_exchanges(HERE / "exchanges"), fresh_ids=True) as server:
        yield server.url


def _app_environment(collector: CollectorProcess, replay_url: str, protocol: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/tmp"),
        "OPENAI_BASE_URL": f"{replay_url}/v1",
        "OPENAI_API_KEY": "replayed",
        "ANTHROPIC_BASE_URL": replay_url,
        "ANTHROPIC_API_KEY": "replayed",
        "GOOGLE_GEMINI_BASE_URL": replay_url,
        "GEMINI_API_KEY": "replayed",
        "OTEL_SERVICE_NAME": "unchanged-app",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_url if protocol == "grpc" else collector.http_url,
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
    }


def _run(case: Case, bin_folder: Path, env: dict[str, str]) -> str:
    command = [str(bin_folder / "python"), str(HERE / "apps" / case.app)]
    if case.by_environment:
        command.insert(0, str(bin_folder / "opentelemetry-instrument"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _as_expected(row: dict[str, Any], expected: tuple[Expected, ...]) -> Expected:
    """The row as `Expected`, under the recorded model's name where the span gives a shorter form of it."""
    names = [each.model for each in expected if each.model.startswith(str(row["model"]))]
    cost = None if row["cost_usd"] is None else Decimal(row["cost_usd"])
    return Expected(
        row["provider"],
        names[0] if names else str(row["model"]),
        row["input_tokens"],
        row["output_tokens"],
        row["cache_read_tokens"],
        row["cache_write_tokens"],
        cost,
        row["cost_status"] == "estimated",
    )


RUNS = [pytest.param(case, protocol, id=f"{case.name}-{protocol}") for case in CASES for protocol in case.protocols]


@pytest.mark.parametrize(("case", "protocol"), RUNS)
def test_an_unchanged_app_is_priced_right(case: Case, protocol: str, tmp_path: Path) -> None:
    """Each call of the app is in the ledger once, with its tokens and its exact cost."""
    bin_folder = environment(case.name, case.requirements)
    with CollectorProcess(tmp_path) as collector, _replay() as replay_url:
        log = _run(case, bin_folder, _app_environment(collector, replay_url, protocol))
    rows = query_published(tmp_path / "otel-cost.duckdb", CALLS).to_pylist()
    calls = [_as_expected(row, case.expected) for row in rows]
    assert Counter(calls) == Counter(case.expected), log
    assert [row["cost_status"] for row in rows if row["cost_usd"] is None] == ["unpriced"] * sum(
        each.cost_usd is None for each in case.expected
    )


def test_this_suite_runs_outside_the_apps_environments() -> None:
    """The collector under test comes from this interpreter, never from a case's environment."""
    assert ".interop" not in sys.executable
