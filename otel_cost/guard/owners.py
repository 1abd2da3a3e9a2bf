"""For whom a call is made, before it has a span: what the collector will read on that span, and on its resource.

The nearest says it: the current context and span, as `CostSpanProcessor` would stamp them; else the framework's agent;
else the resource.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.context import Context

from otel_cost.context import OWNER_KEYS, inherited
from otel_cost.instrument import agents
from otel_cost.normalise import own_dimensions, resource_owners

_NOTHING: Mapping[str, str] = {}
_DIMENSION_OF = {key: dimension for dimension, key in OWNER_KEYS.items()}

_last_resource: tuple[object, Mapping[str, str]] = (None, _NOTHING)


def owners_of(context: Context) -> dict[str, str]:
    """Owner dimension -> value, of a call that is made in this context."""
    provider = trace.get_tracer_provider()
    found: dict[str, str] = {}
    span = trace.get_current_span(context)
    if span.is_recording():
        attributes: Any = getattr(getattr(span, "_attributes", None), "_dict", None)
        if attributes is None:
            attributes = getattr(span, "attributes", None)
        if attributes:
            found = own_dimensions(attributes)
    for key, value in _handed(provider, context).items():
        dimension = _DIMENSION_OF.get(key)
        if dimension is not None:
            found[dimension] = value
    agent = agents.current()
    if agent is not None:
        if agent.agent:
            found.setdefault("agent", agent.agent)
        if agent.conversation:
            found.setdefault("conversation", agent.conversation)
    resource = _of_resource(provider)
    return {**resource, **found} if resource else found


def _handed(provider: object, context: Context) -> Mapping[str, str]:
    """What the app's span processor would stamp on a span that starts here; without one, the baggage."""
    processor = processor_of(provider)
    return inherited(context) if processor is None else processor.handed_in(context)


_last_processor: tuple[object, Any] = (None, None)


def processor_of(provider: object) -> Any:
    """The `CostSpanProcessor` of a tracer provider, if it has one."""
    global _last_processor
    active = getattr(provider, "_active_span_processor", None) or getattr(
        getattr(provider, "provider", None), "_active_span_processor", None
    )
    processors = getattr(active, "_span_processors", None)
    if processors is None:
        return None
    if processors is not _last_processor[0]:  # a tuple, which is replaced when one is added
        found = next((each for each in processors if hasattr(each, "handed_in")), None)
        _last_processor = processors, found
    return _last_processor[1]


def _of_resource(provider: object) -> Mapping[str, str]:
    """As the resource of the app's spans says it; without an SDK, as the environment will have it."""
    global _last_resource
    resource: Any = getattr(provider, "resource", None)
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") if resource is None else None
    key = resource if text is None else text
    if key is not _last_resource[0] and key != _last_resource[0]:
        attributes = dict(resource.attributes) if text is None else _parsed(text)
        _last_resource = key, resource_owners(attributes)
    return _last_resource[1]


def _parsed(text: str) -> dict[str, str]:
    """`key=value,key=value`, values percent-encoded: OpenTelemetry's specification, "Resource SDK"."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
