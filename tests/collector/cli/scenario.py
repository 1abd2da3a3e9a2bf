"""Three traces as OTLP JSON, with every case that a report or a tree has to show, and what they cost by hand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from collector.cli import main
from otel_cost import attributes as keys

SECOND_NS = 1_000_000_000
OPENAI_SCOPE = "opentelemetry.instrumentation.genai.openai"
ANTHROPIC_SCOPE = "opentelemetry.instrumentation.genai.anthropic"
NATIVE_SCOPE = "com.anthropic.sdk.python"

PLANNER = Decimal("0.003")  # gpt-4o: 600 at $2.50 + 400 cached at $1.25 + 100 out at $10 per million
WRITER = Decimal("0.0025")  # claude-haiku-4-5: 2,000 at $1 + 100 out at $5
WASTED = Decimal("0.000045")  # gpt-4o-mini: 100 at $0.15 + 50 out at $0.60, the attempt that failed
RETRY = Decimal("0.00027")  # gpt-4o-mini: 1,000 at $0.15 + 200 out at $0.60, the second attempt
CRITIC = WASTED + RETRY
HELPER = Decimal("0.08149")  # gpt-4o: 29,000 at $2.50 + 899 out at $10
TOTAL = PLANNER + WRITER + CRITIC + HELPER

NOTE_TRACE, HELPER_TRACE, UNKNOWN_TRACE = "a1" * 16, "a2" * 16, "b3" * 16


def run(*arguments: str) -> Result:
    """`otel-cost ARGUMENTS`, in this process."""
    return CliRunner().invoke(main, list(arguments))


def run_json(*arguments: str) -> Any:
    """The JSON that `otel-cost ARGUMENTS --json` prints."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@dataclass
class Trace:
    """Builds the spans of one trace; ids count up from 1."""

    trace_id: str
    start_time_ns: int
    owners: dict[str, str]
    spans: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        parent: str | None = None,
        *,
        scope: str = "app",
        failed: str = "",
        attributes: dict[str, str | int] | None = None,
    ) -> str:
        """A span of a second, a second after the one before; returns its id."""
        number = len(self.spans) + 1
        span_id = f"{self.trace_id[:8]}{number:08x}"
        start_ns = self.start_time_ns + number * SECOND_NS
        span: dict[str, Any] = {
            "traceId": self.trace_id,
            "spanId": span_id,
            "name": name,
            "kind": 3,
            "startTimeUnixNano": str(start_ns),
            "endTimeUnixNano": str(start_ns + SECOND_NS),
            "attributes": [_attribute(key, value) for key, value in {**self.owners, **(attributes or {})}.items()],
            "status": {"code": 2, "message": failed} if failed else {},
        }
        if parent:
            span["parentSpanId"] = parent
        self.spans.append({"scope": {"name": scope}, "spans": [span]})
        return span_id

    def request(self) -> dict[str, Any]:
        """An ExportTraceServiceRequest of these spans."""
        resource = {"attributes": [_attribute("service.name", "notes"), _attribute("cloud.region", "eu-west-1")]}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": self.spans}]}


def _attribute(key: str, value: str | int) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def call(provider: str, model: str, agent: str, /, **more: str | int) -> dict[str, str | int]:
    """The attributes of a chat call; `more` names constants of `otel_cost.attributes`."""
    said: dict[str, str | int] = {
        keys.GEN_AI_OPERATION_NAME: "chat",
        keys.GEN_AI_PROVIDER_NAME: provider,
        keys.GEN_AI_REQUEST_MODEL: model,
        keys.OTEL_COST_AGENT: agent,
    }
    return said | {getattr(keys, name): value for name, value in more.items()}


def usage(input_tokens: int, output_tokens: int, **more: str | int) -> dict[str, str | int]:
    """Arguments of `call` for its usage."""
    return {"GEN_AI_USAGE_INPUT_TOKENS": input_tokens, "GEN_AI_USAGE_OUTPUT_TOKENS": output_tokens, **more}


def note(start_time_ns: int) -> Trace:
    """Planner (cached tokens), writer (one call, two spans), critic (fails, tries again)."""
    trace = Trace(NOTE_TRACE, start_time_ns, {keys.OTEL_COST_RUN: "note-1", keys.OTEL_COST_CUSTOMER: "acme"})
    root = trace.add("design note")
    planner, writer, critic = (trace.add(name, root) for name in ("planner", "writer", "critic"))
    cached = usage(1000, 100, GEN_AI_USAGE_CACHE_READ=400, GEN_AI_RESPONSE_ID="chatcmpl-planner-1")
    trace.add("chat gpt-4o", planner, scope=OPENAI_SCOPE, attributes=call("openai", "gpt-4o", "planner", **cached))
    said = usage(2000, 100, GEN_AI_RESPONSE_ID="msg_writer_0001", GEN_AI_RESPONSE_MODEL="claude-haiku-4-5-20251001")
    haiku = call("anthropic", "claude-haiku-4-5-20251001", "writer", **said)
    outer = trace.add("chat claude-haiku-4-5", writer, scope=ANTHROPIC_SCOPE, attributes=haiku)
    trace.add("anthropic.messages.create", outer, scope=NATIVE_SCOPE, attributes=haiku)
    mini = ("openai", "gpt-4o-mini", "critic")
    failure = call(*mini, **usage(100, 50, ERROR_TYPE="openai.APIConnectionError"))
    trace.add("chat gpt-4o-mini", critic, scope=OPENAI_SCOPE, failed="the stream broke off", attributes=failure)
    trace.add("chat gpt-4o-mini", critic, scope=OPENAI_SCOPE, attributes=call(*mini, **usage(1000, 200)))
    trace.add("GET /health", critic)
    return trace


def helper(start_time_ns: int) -> Trace:
    """An agent span that says twice what its call used."""
    trace = Trace(HELPER_TRACE, start_time_ns, {keys.OTEL_COST_RUN: "note-2", keys.OTEL_COST_CUSTOMER: "globex"})
    total = call("openai", "gpt-4o", "helper", **usage(58_000, 1_798)) | {keys.GEN_AI_OPERATION_NAME: "invoke_agent"}
    agent = trace.add("invoke_agent helper", scope=OPENAI_SCOPE, attributes=total)
    said = call("openai", "gpt-4o", "helper", **usage(29_000, 899))
    trace.add("chat gpt-4o", agent, scope=OPENAI_SCOPE, attributes=said)
    return trace


def unknown(start_time_ns: int) -> Trace:
    """A call to a model that no catalogue knows, with an attribute of the app's own."""
    trace = Trace(UNKNOWN_TRACE, start_time_ns, {keys.OTEL_COST_RUN: "note-3", "shard.number": 7})  # type: ignore[dict-item]
    said = call("openai", "no-such-model-9", "stranger", **usage(100, 10))
    trace.add("chat no-such-model-9", scope=OPENAI_SCOPE, attributes=said)
    return trace


def requests() -> list[dict[str, Any]]:
    """All three traces, an hour old, the last the newest."""
    start_ns = time.time_ns() - 3600 * SECOND_NS
    return [build(start_ns + 60 * SECOND_NS * number).request() for number, build in enumerate((note, helper, unknown))]


def write(folder: Path) -> Path:
    """The traces as a file of JSON lines."""
    path = folder / "scenario.jsonl"
    path.write_text("".join(json.dumps(request) + "\n" for request in requests()))
    return path
