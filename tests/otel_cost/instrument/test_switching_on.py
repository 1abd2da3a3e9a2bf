"""Switching on and off: by the environment alone, with one line, and for libraries that are imported later."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from otel_cost.instrument import OtelCostInstrumentor, observe, stats
from otel_cost.instrument.instrumentor import instrumentation_disabled
from otel_cost.instrument.settings import read_settings
from tests.otel_cost.instrument.observing import answer, chat, observed, refusal
from tests.otel_cost.instrument.scripted_server import Script, serving

CALL = """
from openai import OpenAI
OpenAI(base_url=URL, api_key="k", max_retries=0).chat.completions.create(
    model="gpt-5.4-mini", messages=[{"role": "user", "content": "Say hello."}]
)
"""
BY_HAND = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
import otel_cost
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
otel_cost.install()
import sys
assert not {"httpx", "httpx2", "aiohttp", "requests", "botocore"} & set(sys.modules), "we import no HTTP library"
"""


def run(tmp_path: Path, code: str, *scripts: Script, auto: bool = False, **variables: str) -> str:
    """What an app prints: its spans, as the console exporter has them."""
    app = tmp_path / "app.py"
    with serving(*scripts) as server:
        app.write_text(f"URL = {server.url + '/v1'!r}\n{code}", encoding="utf-8")
        command = [sys.executable, str(app)]
        if auto:
            command.insert(0, str(Path(sys.executable).with_name("opentelemetry-instrument")))
        environment = {
            **os.environ,
            "OTEL_COST_HOSTS": f"{server.url.partition('://')[2]}=openai",
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **variables,
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("variables", "is_seen"),
    [
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "genai-openai,openai"}, True),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "genai-openai,openai,otel_cost"}, False),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "genai-openai,openai", "OTEL_COST_DISABLED": "true"}, False),
    ],
)
def test_the_environment_alone_switches_on_and_off(tmp_path: Path, variables: dict[str, str], is_seen: bool) -> None:
    printed = run(tmp_path, CALL, answer(), auto=True, **variables)
    assert ('"otel_cost.cost_usd": "0.000138"' in printed) is is_seen


def test_one_line_sees_libraries_that_are_imported_later(tmp_path: Path) -> None:
    assert '"otel_cost.cost_usd": "0.000138"' in run(tmp_path, BY_HAND + CALL, answer())


def test_a_failed_call_is_exported_by_an_app_that_exits_right_after_it(tmp_path: Path) -> None:
    code = f"{BY_HAND}\ntry:\n    {CALL.strip().replace(chr(10), chr(10) + '    ')}\nexcept Exception:\n    pass\n"
    printed = run(tmp_path, code, refusal(503, "server_error"))
    assert '"error.type": "server_error"' in printed


def test_the_entry_point_is_ours() -> None:
    (entry,) = entry_points(group="opentelemetry_instrumentor", name="otel_cost")
    assert entry.load() is OtelCostInstrumentor
    assert OtelCostInstrumentor().instrumentation_dependencies() == ()


@pytest.mark.parametrize(
    ("variable", "value", "is_disabled"),
    [
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "requests, otel_cost", True),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*", True),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "otel_cost_other", False),
        ("OTEL_COST_DISABLED", "TRUE", True),
    ],
)
def test_what_switches_off(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, is_disabled: bool) -> None:
    monkeypatch.setenv(variable, value)
    assert instrumentation_disabled() is is_disabled


def test_after_uninstrumenting_nothing_is_seen() -> None:
    with observed(answer()) as app:
        OtelCostInstrumentor().uninstrument()
        chat(app.client())
        assert app.spans() == ()


def test_instrumenting_twice_sees_a_call_once() -> None:
    with observed(answer()) as app:
        before = stats().get("exchanges.httpx2", 0)
        OtelCostInstrumentor().instrument(hosts={app.server.url.partition("://")[2]: "openai"})
        chat(app.client())
        assert len(app.spans()) == 1
    assert stats()["exchanges.httpx2"] == before + 1


def test_hosts_of_the_environment_and_of_the_call_add_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_COST_HOSTS", "LLM.internal:8000 = vLLM, , broken")
    found: Any = read_settings(hosts={"other": "openai"}).hosts
    assert found == {"llm.internal:8000": "vllm", "other": "openai"}
    assert "'broken' is not host=provider" in caplog.text


def test_a_slip_in_a_providers_name_is_said_and_a_name_of_ones_own_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_COST_HOSTS", "a.example=opnai,b.example=azure_openai,c.example=our-cluster")
    assert read_settings().hosts == {"a.example": "opnai", "b.example": "azure_openai", "c.example": "our-cluster"}
    read_settings()
    (said,) = caplog.messages
    assert "did you mean 'openai'?" in said


def test_a_switch_that_says_neither_true_nor_false_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_COST_INCLUDE_USAGE", "Yes")
    assert not read_settings().includes_usage
    assert not read_settings().includes_usage
    (said,) = caplog.messages
    assert said == "otel-cost: OTEL_COST_INCLUDE_USAGE=yes: allowed are true and false; it counts as false"


def test_installing_after_instrumenting_keeps_hosts_and_redaction() -> None:
    def redact(text: str) -> str:
        return text

    instrumentor = OtelCostInstrumentor()
    instrumentor.instrument(hosts={"own": "openai"}, redact=redact)
    try:
        instrumentor.instrument()
        assert (observe.settings().hosts, observe.settings().redact) == ({"own": "openai"}, redact)
    finally:
        instrumentor.uninstrument()
    assert observe.settings().redact is None
