"""Model calls land under the agent of the framework that makes them, with no code of the user.

Each app is a real framework, started by `opentelemetry-instrument` with otel-cost as the only instrumentation, against
answers of one word, exporting to a real collector.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from collector.store.query import query_published
from examples.replay import ReplayServer
from tests.interop.agents.answers import ANSWERS
from tests.interop.environments import environment
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
AGENTS: dict[str, dict[str | None, int]] = {
    "langgraph": {"writer": 1, "researcher": 1, None: 1},
    "openai_agents": {"triage": 1, "billing": 1, None: 1},
    "crewai": {"planner": 1, "critic": 1},
    "pydantic_ai": {"support": 1, "looker-up": 1},
    "autogen": {"helper": 1},
    "strands": {"clerk": 1},
    "adk": {"guide": 1},
}
"""Framework -> agent -> model calls. None: the app calls the model outside of any agent."""


def _run(framework: str, tmp_path: Path, collector: CollectorProcess, replay_url: str) -> str:
    bin_folder = environment("agents", HERE / "requirements.txt")
    done = subprocess.run(
        [
            str(bin_folder / "opentelemetry-instrument"),
            str(bin_folder / "python"),
            str(HERE / "apps" / f"{framework}_app.py"),
        ],
        env={
            "PATH": str(bin_folder),
            "HOME": str(tmp_path),
            "OPENAI_BASE_URL": f"{replay_url}/v1",
            "OPENAI_API_BASE": f"{replay_url}/v1",
            "OPENAI_API_KEY": "replayed",
            "GOOGLE_GEMINI_BASE_URL": replay_url,
            "GEMINI_API_KEY": "replayed",
            "CREWAI_DISABLE_TELEMETRY": "true",
            "CREWAI_TRACING_ENABLED": "false",
            "OTEL_SERVICE_NAME": framework,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("framework", AGENTS)
def test_calls_land_under_their_agent(framework: str, tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector, ReplayServer(ANSWERS, fresh_ids=True) as server:
        log = _run(framework, tmp_path, collector, server.url)
    rows = query_published(tmp_path / "otel-cost.duckdb", "SELECT agent, input_tokens, cost_usd FROM calls").to_pylist()
    assert Counter(row["agent"] for row in rows) == AGENTS[framework], log
    assert {row["input_tokens"] for row in rows} == {10}
    assert all(row["cost_usd"] for row in rows)


def test_a_graphs_thread_is_the_conversation(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path) as collector, ReplayServer(ANSWERS, fresh_ids=True) as server:
        _run("langgraph", tmp_path, collector, server.url)
    rows = query_published(tmp_path / "otel-cost.duckdb", "SELECT agent, conversation FROM calls").to_pylist()
    assert {row["conversation"] for row in rows if row["agent"]} == {"thread-7"}
