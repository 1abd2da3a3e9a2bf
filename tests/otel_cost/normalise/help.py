"""Short ways to normalise one span in a test."""

from __future__ import annotations

from otel_cost.call import Call
from otel_cost.normalise import normalise

OFFICIAL = "opentelemetry.instrumentation.genai.openai"
CLIENT, INTERNAL, SERVER = 3, 1, 2


def read(
    attributes: dict[str, object],
    scope: str | None = OFFICIAL,
    name: str = "chat m",
    kind: int = CLIENT,
    status: int = 0,
) -> Call | None:
    """The call that a span is."""
    return normalise(scope_name=scope, span_name=name, span_kind=kind, status_code=status, attributes=attributes)


def call(
    attributes: dict[str, object],
    scope: str | None = OFFICIAL,
    name: str = "chat m",
    kind: int = CLIENT,
    status: int = 0,
) -> Call:
    """The call that a GenAI span is."""
    found = read(attributes, scope, name, kind, status)
    assert found is not None
    return found


def chat(**usage: object) -> dict[str, object]:
    """Attributes of an OpenAI chat span; `input_tokens=1` becomes the convention's key, dots as double underscores."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        **{f"gen_ai.usage.{name.replace('__', '.')}": value for name, value in usage.items()},
    }
