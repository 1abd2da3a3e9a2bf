"""Switching on: by environment variables alone, by one line, and off again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_cost import CostSpanProcessor, distro, install
from otel_cost.testing import record_call

UNCHANGED_APP = """
from opentelemetry import trace
tracer = trace.get_tracer("opentelemetry.instrumentation.genai.openai")
with tracer.start_as_current_span("chat gpt-4o-mini", kind=trace.SpanKind.CLIENT) as span:
    span.set_attributes({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    })
print("the app's own output")
"""


def _run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The unchanged app under `opentelemetry-instrument`, writing its spans to stdout."""
    app = tmp_path / "app.py"
    app.write_text(UNCHANGED_APP)
    return subprocess.run(
        [str(Path(sys.executable).parent / "opentelemetry-instrument"), sys.executable, str(app)],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
            **environment,
        },
    )


def _run_instrumented(tmp_path: Path, **environment: str) -> tuple[dict[str, object], str]:
    """Exported attributes of the app's span, and everything on stderr."""
    done = _run(tmp_path, **environment)
    assert "the app's own output" in done.stdout
    spans = done.stdout.replace("the app's own output\n", "")
    attributes: dict[str, object] = json.loads(spans)["attributes"]
    return attributes, done.stderr


def test_environment_variables_alone_put_costs_on_spans(tmp_path: Path) -> None:
    """`opentelemetry-instrument python app.py`, nothing else: the exported span has its cost."""
    attributes, errors = _run_instrumented(tmp_path)
    assert attributes["otel_cost.cost_usd"] == "0.00045"
    assert attributes["gen_ai.usage.cost.amount"] == 0.00045
    assert errors == ""


def test_one_variable_switches_it_off(tmp_path: Path) -> None:
    """OTEL_COST_DISABLED=true: the span is as the app wrote it."""
    attributes, errors = _run_instrumented(tmp_path, OTEL_COST_DISABLED="true")
    assert not [key for key in attributes if key.startswith(("otel_cost.", "gen_ai.usage.cost"))]
    assert errors == ""


def test_a_disabled_sdk_is_none_of_our_business(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED=true: no spans, no noise, and the app runs."""
    done = _run(tmp_path, OTEL_SDK_DISABLED="true")
    assert done.stdout == "the app's own output\n"
    assert "otel-cost" not in done.stderr


def test_installing_twice_adds_one_processor() -> None:
    """Idempotent per provider; another provider gets its own."""
    provider, other = TracerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    first = install(provider)
    assert isinstance(first, CostSpanProcessor)
    assert install(provider) is first
    assert install(other) is not first
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert first.stats() == {"spans.priced": 1}
    assert (exporter.get_finished_spans()[0].attributes or {})["otel_cost.cost_usd"] == "0.00045"


def test_a_processor_that_the_app_added_itself_is_found() -> None:
    """install() after provider.add_span_processor(CostSpanProcessor()) adds no second one."""
    provider, own = TracerProvider(shutdown_on_exit=False), CostSpanProcessor()
    provider.add_span_processor(own)
    assert install(provider) is own


@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
def test_install_respects_the_switch(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Off is off, whoever calls."""
    monkeypatch.setenv("OTEL_COST_DISABLED", value)
    assert install(TracerProvider(shutdown_on_exit=False)) is None


def test_a_provider_that_takes_no_processors_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """An app that has not configured the SDK yet is told the order of things; nothing raises."""
    assert install(trace.NoOpTracerProvider()) is None
    assert "configure the OpenTelemetry SDK first" in caplog.text


def test_a_provider_that_raises_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """`post_instrument` must not raise: an exception there would abort all auto-instrumentation."""

    class Hostile(TracerProvider):
        def add_span_processor(self, span_processor: object) -> None:
            raise RuntimeError("no")

    assert install(Hostile(shutdown_on_exit=False)) is None
    assert "could not be installed" in caplog.text


def test_post_instrument_acts_on_the_global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook that opentelemetry-instrument calls, after the SDK is configured."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    distro.post_instrument()
    first = install()
    distro.post_instrument()
    assert isinstance(first, CostSpanProcessor)
    assert install() is first
