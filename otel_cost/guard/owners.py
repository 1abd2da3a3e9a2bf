"""For whom a call is made, before it has a span: what the collector will read on that span, and on its resource.

The nearest says it: the current context and span, as `CostSpanProcessor` would stamp them; else the framework's agent;
else the resource.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.context import Context

from otel_cost.attributes import OTEL_COST_TAG_PREFIX
from otel_cost.call import ATTRIBUTE
from otel_cost.context import OWNER_KEYS, inherited
from otel_cost.instrument import agents
from otel_cost.normalise import own_dimensions, resource_owners

MAX_VALUE_BYTES = 1024
"""Of an attribute that budgets count by; the collector reads no longer ones either."""
_NOTHING: Mapping[str, str] = {}
_DIMENSION_OF = {key: dimension for dimension, key in OWNER_KEYS.items()}

_last_resource: tuple[object, Mapping[str, str]] = (None, _NOTHING)


def owners_of(context: Context) -> dict[str, str]:
    """Owner dimension -> value, of a call that is made in this context. Outside any run its trace is its run."""
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
    if resource:
        found = {**resource, **found}
    if "run" not in found:
        trace_id = span.get_span_context().trace_id
        if trace_id:
            found["run"] = trace.format_trace_id(trace_id)
    return found


def attributes_of(context: Context, names: Sequence[str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """Values of attributes (`otel_cost.call.ATTRIBUTE` and the key) for a call that is made in this context: of the
    current span, of the tags that are handed down, of the resource. And those, by key, that the call's span has to be
    given, so that the collector reads the same on it: all but the resource's."""
    provider = trace.get_tracer_provider()
    span: Any = trace.get_current_span(context)
    said = (getattr(span, "attributes", None) if span.is_recording() else None) or _NOTHING
    handed = _handed(provider, context)
    resource = _resource_attributes(provider)
    found: dict[str, str | None] = {}
    own: dict[str, str] = {}
    for name in names:
        key = name[len(ATTRIBUTE) :]
        tag = OTEL_COST_TAG_PREFIX + key
        value = _text(said.get(key)) or _text(handed.get(tag)) or _text(said.get(tag))
        if value is not None:
            own[key] = value
        found[name] = value or _text(resource.get(key))
    return found, own


def _text(value: object) -> str | None:
    """As the collector reads it; None: lists, and what is too long, name nobody."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    return text if text and len(text.encode(errors="replace")) <= MAX_VALUE_BYTES else None


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
    """The owners that the resource of the app's spans says."""
    global _last_resource
    key = _resource_key(provider)
    if key is not _last_resource[0] and key != _last_resource[0]:
        _last_resource = key, resource_owners(dict(_resource_attributes(provider)))
    return _last_resource[1]


def _resource_key(provider: object) -> object:
    resource = getattr(provider, "resource", None)
    return os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") if resource is None else resource


def _resource_attributes(provider: object) -> Mapping[str, Any]:
    """As the resource of the app's spans says it; without an SDK, as the environment will have it."""
    key: Any = _resource_key(provider)
    return _parsed(key) if isinstance(key, str) else key.attributes


def _parsed(text: str) -> Mapping[str, str]:
    """`key=value,key=value`, values percent-encoded: OpenTelemetry's specification, "Resource SDK"."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
